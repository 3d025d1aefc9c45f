"""Helicone: requests as its API returns them and its export tool writes them, CSV or JSON.

The tool's CSV has a dozen columns, neither the request's id nor the provider among them, and quotes objects twice.
"""

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.values import Tokens, as_object, estimate, first, text

# its classes don't overlap: it takes what it tells apart out of prompt and completion
_TOKENS = {
    "input_tokens": "prompt_tokens",
    "cache_read_tokens": "prompt_cache_read_tokens",
    "cache_write_tokens": "prompt_cache_write_tokens",
    "output_tokens": "completion_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "audio_input_tokens": "prompt_audio_tokens",
    "audio_output_tokens": "completion_audio_tokens",
}


def read(row: Said) -> Usage | None:
    """A request to a model."""
    code = text(first(row, "response_status", "status"))
    said = first(row, "request_properties", "properties")
    properties = as_object(said) or as_object(said.replace('""', '"') if isinstance(said, str) else None)
    usage: Usage = {
        "time": text(row.get("request_created_at")),
        "request_id": text(first(row, "request_id", "response_id")),
        "provider": text(row.get("provider")) or "unknown",
        "model": text(first(row, "model_override", "response_model", "request_model", "model")),
        "requested_model": text(row.get("request_model")),
        "operation": "embedding" if "embedding" in (text(row.get("request_path")) or "") else "chat",
        "status": _status(code),
        "error_code": code if _status(code) in ("error", "rate_limited") else None,
        "latency_ms": text(first(row, "delay_ms", "latency")),
        "time_to_first_token_ms": text(row.get("time_to_first_token")),
        "tags": {name: value for name, value in properties.items() if isinstance(value, str | int | bool)},
        "owner": {"user": text(first(row, "request_user_id", "user_id"))},
    }
    tokens = Tokens(usage)
    for target, name in _TOKENS.items():
        tokens.take(target, row.get(name))
    cost = text(first(row, "costUSD", "cost_usd", "cost"))
    answered = text(row.get("cache_reference_id"))
    estimate(usage, cost, is_known=answered is not None and answered.strip("0-") != "")
    return usage


def _status(code: str | None) -> str:
    if code == "429":
        return "rate_limited"
    # below 0 it is Helicone's own: timeouts, cancelled and such
    return "success" if code is None or (code.startswith("2") and len(code) == 3) else "error"


def adapter() -> Adapter:
    """Reads rows one by one."""
    return read


SOURCE = Source(
    name="helicone",
    title="Helicone's requests as its API or its export tool has them, CSV or JSON",
    formats=("csv", "jsonl"),
    fills={
        "time": "request_created_at",
        "request_id": "request_id, else response_id",
        "provider": "provider, else unknown",
        "model": "model_override, response_model, request_model, model",
        "requested_model": "request_model",
        "operation": "request_path",
        **_TOKENS,
        "cost_amount": "costUSD, cost_usd, cost",
        "currency": "USD",
        "cost_source": "estimated where there is a cost",
        "status": "response_status",
        "error_code": "response_status",
        "latency_ms": "delay_ms, latency",
        "time_to_first_token_ms": "time_to_first_token",
        "tags": "request_properties",
        "metadata": "",
    },
    adapter=adapter,
    recognises=lambda row: {"request_created_at", "response_status", "prompt_tokens"} <= row.keys(),
)
