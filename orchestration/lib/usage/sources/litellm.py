"""LiteLLM's proxy: its table LiteLLM_SpendLogs, dumped as CSV or JSON or read from its database."""

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.values import (
    Tokens,
    as_list,
    as_object,
    estimate,
    first,
    id_or_none,
    is_beside,
    key,
    meaning,
    milliseconds_between,
    name_of,
    nested,
    text,
    whole,
)

# what LiteLLM says where it doesn't know
NOBODY = ("default_user_id", "None", "null")
_RATE_LIMITED = {"RateLimitError", "429"}
# where metadata says of a call that the proxy made it for itself
OWN_CALL = "own_call"
COLUMNS = (
    "request_id",
    "call_type",
    "api_key",
    "spend",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "startTime",
    "endTime",
    "completionStartTime",
    "model",
    "model_group",
    "custom_llm_provider",
    "user",
    "metadata",
    "cache_hit",
    "request_tags",
    "team_id",
    "organization_id",
    "end_user",
    "session_id",
    "status",
)


def read(row: Said) -> Usage | None:
    """A row of LiteLLM_SpendLogs as a request; rows of tools and health checks are none."""
    call = text(row.get("call_type")) or ""
    if call.endswith("mcp_tool") or call in ("call_mcp_tool", "list_mcp_tools"):
        return None
    metadata = as_object(row.get("metadata"))
    model = text(row.get("model"))
    provider = text(row.get("custom_llm_provider")) or (model.partition("/")[0] if model and "/" in model else None)
    error = metadata.get("error_information")
    session = text(row.get("session_id"))
    kept: dict[str, object] = {"session": session} if session and not id_or_none(session) else {}
    if own := _own_call(metadata):
        kept[OWN_CALL] = own
    usage: Usage = {
        "time": text(row.get("startTime")),
        "request_id": name_of(text(row.get("request_id")), row.get("request_id"), kept),
        "session_id": id_or_none(session),
        "provider": provider,
        "model": model.removeprefix(f"{provider}/") if model and provider else model,
        "requested_model": text(row.get("model_group")),
        "operation": _operation(call),
        "status": _status(row, metadata),
        "error_code": text(nested(error, "error_code")) or text(nested(error, "error_class")),
        "latency_ms": milliseconds_between(row.get("startTime"), row.get("endTime")),
        "time_to_first_token_ms": _first_token(row),
        "tags": _tags(row.get("request_tags")),
        "metadata": kept,
        "owner": {
            "user": _somebody(first(row, "user") or metadata.get("user_api_key_user_id")),
            "user_email": _somebody(metadata.get("user_api_key_user_email")),
            "end_user": _somebody(row.get("end_user")),
            "team": _somebody(first(row, "team_id") or metadata.get("user_api_key_team_id")),
            "team_name": _somebody(metadata.get("user_api_key_team_alias")),
            "key": key(row.get("api_key")),
            "key_name": _somebody(metadata.get("user_api_key_alias")),
            "project": _somebody(metadata.get("user_api_key_project_id")),
            "organization": _somebody(first(row, "organization_id") or metadata.get("user_api_key_org_id")),
        },
    }
    _count(row, metadata, usage)
    _price(row, metadata, usage)
    return usage


def _count(row: Said, metadata: Said, usage: Usage) -> None:
    """LiteLLM's prompt tokens include a cache's for every provider, its completion tokens include reasoning."""
    details = as_object(metadata.get("usage_object")) or as_object(metadata.get("additional_usage_values"))
    prompt, completion = (as_object(details.get(f"{side}_tokens_details")) for side in ("prompt", "completion"))
    tokens = Tokens(usage)
    read_from = first(prompt, "cached_tokens") or details.get("cache_read_input_tokens")
    written = first(prompt, "cache_creation_tokens", "cache_write_tokens") or details.get("cache_creation_input_tokens")
    inputs = {
        "read from a cache": tokens.take("cache_read_tokens", read_from),
        "written to a cache": tokens.take("cache_write_tokens", written),
    }
    by_time = as_object(prompt.get("cache_creation_token_details")) or as_object(details.get("cache_creation"))
    tokens.part("cache_write_1h_tokens", by_time.get("ephemeral_1h_input_tokens"), "cache_write_tokens")
    of_cache = nested(prompt.get("cached_tokens_details"), "audio_tokens")
    heard_before = tokens.part("cache_read_audio_tokens", of_cache, "cache_read_tokens")
    heard = prompt.get("audio_tokens")
    if heard_before and (number := whole(heard)) is not None:
        # its audio includes what a cache had of it
        heard = max(number - heard_before, 0)
    inputs["of audio"] = tokens.take("audio_input_tokens", heard)
    searches = nested(details.get("server_tool_use"), "web_search_requests")
    tokens.also("searches", searches or prompt.get("web_search_requests"))
    tokens.less("input_tokens", row.get("prompt_tokens"), inputs)
    reasoning = tokens.take("reasoning_tokens", completion.get("reasoning_tokens"))
    whole_of = row.get("total_tokens"), row.get("prompt_tokens"), row.get("completion_tokens")
    outputs = {
        "of reasoning": 0 if is_beside(reasoning, *whole_of) else reasoning,
        "of audio": tokens.take("audio_output_tokens", completion.get("audio_tokens")),
    }
    tokens.less("output_tokens", row.get("completion_tokens"), outputs, "output tokens")


def _price(row: Said, metadata: Said, usage: Usage) -> None:
    """Its spend, exactly as written. It writes 0 also for a model whose price it doesn't know: that is no price."""
    usage["currency"] = "USD"
    from_cache = (text(row.get("cache_hit")) or "").lower() == "true" or row.get("cache_hit") is True
    estimate(usage, text(row.get("spend")), is_known=from_cache or bool(as_object(metadata.get("cost_breakdown"))))


def _own_call(metadata: Said) -> str | None:
    """What a call was for that nobody asked for: it costs, but LiteLLM doesn't count it as a request."""
    if metadata.get("billed_retry_attempt") is True:
        return "billed_retry_attempt"
    return text(metadata.get("internal_call_origin"))


def _operation(call: str) -> str:
    # its completion is a chat: text_completion and atext_completion are the others
    return "chat" if call in ("", "completion", "acompletion") else meaning("operation", call) or call


def _status(row: Said, metadata: Said) -> str | None:
    status = text(row.get("status")) or text(metadata.get("status"))
    error = metadata.get("error_information")
    if status == "failure" and {text(nested(error, "error_class")), text(nested(error, "error_code"))} & _RATE_LIMITED:
        return "rate_limited"
    return meaning("status", status)


def _first_token(row: Said) -> int | None:
    begin, end = row.get("startTime"), row.get("endTime")
    token = row.get("completionStartTime")
    # without streaming LiteLLM writes the end
    return None if token == end else milliseconds_between(begin, token)


def _tags(said: object) -> list[str] | dict[str, object] | None:
    tags = as_list(said)
    if tags:
        return [str(tag) for tag in tags if isinstance(tag, str | int)]
    return dict(as_object(said)) or None


def _somebody(said: object) -> str | None:
    name = text(said)
    return None if name in NOBODY else name


def adapter() -> Adapter:
    """Reads rows one by one."""
    return read


SOURCE = Source(
    name="litellm",
    title="LiteLLM's table LiteLLM_SpendLogs as CSV or JSON, or postgresql://… of its database",
    formats=("csv", "jsonl"),
    fills={
        "time": "startTime",
        "request_id": "request_id",
        "session_id": "session_id",
        "provider": "custom_llm_provider, else what stands before the / of model",
        "model": "model without the provider before it",
        "requested_model": "model_group",
        "operation": "call_type",
        "input_tokens": "prompt_tokens less the cache's and audio",
        "cache_read_tokens": "metadata.usage_object.prompt_tokens_details.cached_tokens",
        "cache_write_tokens": "metadata.usage_object.prompt_tokens_details.cache_creation_tokens",
        "output_tokens": "completion_tokens less reasoning and audio",
        "reasoning_tokens": "metadata.usage_object.completion_tokens_details.reasoning_tokens",
        "audio_input_tokens": "metadata.usage_object.prompt_tokens_details.audio_tokens",
        "audio_output_tokens": "metadata.usage_object.completion_tokens_details.audio_tokens",
        "cost_amount": "spend",
        "currency": "USD",
        "cost_source": "estimated where there is a cost",
        "status": "status",
        "error_code": "metadata.error_information",
        "latency_ms": "endTime less startTime",
        "time_to_first_token_ms": "completionStartTime less startTime",
        "tags": "request_tags",
        "metadata": "session_id as session, metadata.internal_call_origin or billed_retry_attempt as own_call,"
        " tokens kept for an hour, audio of a cache and searches as units",
    },
    adapter=adapter,
    recognises=lambda row: {"startTime", "spend", "call_type", "model_group"} <= row.keys(),
)
