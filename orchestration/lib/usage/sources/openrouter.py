"""OpenRouter: the activity exported as CSV, a generation a line, and its sums by day, as its API returns them."""

from collections.abc import Iterator

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.report import Reader, Report, Row, dimensions
from orchestration.lib.usage.sources.values import Tokens, text

_DIMENSIONS = {
    "upstream_provider": "provider_name",
    "endpoint": "endpoint_id",
    "workspace": "workspace_id",
    "byok_usage_inference": "byok_usage_inference",
    "byok_requests": "byok_requests",
}
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


def activity(page: Said) -> Iterator[Row]:
    """Rows of a page of the activity: what a model of an endpoint sums up to on a day. Output includes reasoning."""
    data = page.get("data")
    for item in data if isinstance(data, list) else [page]:
        if not isinstance(item, dict):
            continue
        row: Row = {"provider": "openrouter", "report": "activity", "account": ""}
        reader = Reader(row)
        if not isinstance(data, list):
            reader.refuse('it is no page of the activity, which is {"data": [...]}: keep the whole answer of the API')
        day = reader.moment("date", item.get("date"))
        row["period_start"] = row["starts_at"] = day
        row["period_end"] = row["ends_at"] = reader.day_after("date", day)
        row["model"] = text(item.get("model_permaslug")) or text(item.get("model"))
        row["requests"] = reader.count("requests", item.get("requests"))
        row["input_tokens"] = reader.count("prompt_tokens", item.get("prompt_tokens"))
        row["reasoning_tokens"] = reader.count("reasoning_tokens", item.get("reasoning_tokens"))
        row["output_tokens"] = reader.less("completion_tokens", item.get("completion_tokens"), row["reasoning_tokens"])
        row["cost_amount"] = reader.amount("usage", item.get("usage"))
        row["currency"] = "USD"
        row["dimensions"] = dimensions(item, _DIMENSIONS)
        yield row


def _is_activity(page: Said) -> bool:
    data = page.get("data")
    first = data[0] if isinstance(data, list) and data else None
    return isinstance(first, dict) and {"date", "model_permaslug", "byok_usage_inference"} <= first.keys()


ACTIVITY = Report(
    name="openrouter-activity",
    title="pages of OpenRouter's activity by day, JSON",
    rows=activity,
    recognises=_is_activity,
)


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
