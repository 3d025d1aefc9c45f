"""OpenRouter: the activity exported as CSV, a generation a line."""

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.values import Tokens, text

_OPERATION = {"error": "error", "content_filter": "blocked"}


def read(row: Said) -> Usage | None:
    """A generation as a request. Whoever was asked by OpenRouter is the region it went to; OpenRouter is paid."""
    finish = (text(row.get("finish_reason_normalized")) or "").lower()
    cancelled = (text(row.get("cancelled")) or "").lower() == "true"
    upstream = text(row.get("provider_name"))
    usage: Usage = {
        "time": text(row.get("created_at")),
        "request_id": text(row.get("generation_id")),
        "provider": "openrouter",
        "model": text(row.get("model_permaslug")),
        "application": text(row.get("app_name")),
        "service_tier": text(row.get("variant")),
        "cost_amount": text(row.get("cost_total")),
        "currency": "USD",
        "status": _OPERATION.get(finish, "success"),
        "error_code": "cancelled" if cancelled else None,
        "latency_ms": text(row.get("generation_time_ms")),
        "time_to_first_token_ms": text(row.get("time_to_first_token_ms")),
        "metadata": {"upstream_provider": upstream} if upstream else {},
        "owner": {"user": text(row.get("user")), "key_name": text(row.get("api_key_name"))},
    }
    own_key = text(row.get("byok_usage_inference"))
    if own_key and own_key.strip("0.") and isinstance(usage["metadata"], dict):
        # paid to the provider, by the customer's own key
        usage["metadata"]["byok_usage_inference"] = own_key
    tokens = Tokens(usage)
    tokens.less(
        "input_tokens",
        row.get("tokens_prompt"),
        {"read from a cache": tokens.take("cache_read_tokens", row.get("tokens_cached"))},
    )
    tokens.less(
        "output_tokens",
        row.get("tokens_completion"),
        {"of reasoning": tokens.take("reasoning_tokens", row.get("tokens_reasoning"))},
        "output tokens",
    )
    return usage


def adapter() -> Adapter:
    """Reads rows one by one."""
    return read


SOURCE = Source(
    name="openrouter",
    title="OpenRouter's activity as CSV, a generation a line",
    formats=("csv",),
    fills={
        "time": "created_at",
        "request_id": "generation_id",
        "provider": "openrouter",
        "model": "model_permaslug",
        "application": "app_name",
        "service_tier": "variant",
        "input_tokens": "tokens_prompt less tokens_cached",
        "cache_read_tokens": "tokens_cached",
        "output_tokens": "tokens_completion less tokens_reasoning",
        "reasoning_tokens": "tokens_reasoning",
        "cost_amount": "cost_total",
        "currency": "USD",
        "status": "finish_reason_normalized",
        "error_code": "cancelled",
        "latency_ms": "generation_time_ms",
        "time_to_first_token_ms": "time_to_first_token_ms",
        "metadata": "provider_name as upstream_provider, byok_usage_inference",
    },
    adapter=adapter,
    recognises=lambda row: {"generation_id", "tokens_prompt", "cost_total"} <= row.keys(),
)
