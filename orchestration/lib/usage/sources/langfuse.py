"""Langfuse: observations as its user interface and its blob storage export write them, JSON or CSV."""

from collections.abc import Iterable, Mapping

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.values import (
    Tokens,
    as_list,
    as_object,
    estimate,
    first,
    id_or_none,
    milliseconds_between,
    name_of,
    nested,
    text,
    to_milliseconds,
    whole,
)

_OPERATIONS = {"GENERATION": "chat", "EMBEDDING": "embedding"}
# the names of one count, of which the first that is said holds
_GIVEN = ("input", "input_tokens", "prompt_tokens", "prompt_token_count", "promptTokenCount")
_MADE = ("output", "output_tokens", "completion_tokens", "candidates_token_count", "candidatesTokenCount")
_TOTAL = ("total", "total_tokens", "total_token_count", "totalTokenCount")
_READ = (
    "input_cached_tokens",
    "input_cache_read",
    "cache_read_input_tokens",
    "cached_tokens",
    "cached_content_token_count",
    "cachedContentTokenCount",
)
_READ_TEXT, _READ_AUDIO = "input_cached_text_tokens", "input_cached_audio_tokens"
_WRITTEN = ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write", "cache_write_tokens")
_WRITTEN_5M, _WRITTEN_1H = "input_cache_creation_5m", "input_cache_creation_1h"
_REASONING = (
    "output_reasoning_tokens",
    "output_reasoning",
    "reasoning_tokens",
    "thoughts_token_count",
    "thoughtsTokenCount",
)
_AUDIO_IN, _AUDIO_OUT = ("input_audio_tokens", "input_audio"), ("output_audio_tokens", "output_audio")
_KNOWN = {
    *(*_GIVEN, *_MADE, *_TOTAL, *_READ, _READ_TEXT, _READ_AUDIO, *_WRITTEN, _WRITTEN_5M, _WRITTEN_1H),
    *(*_REASONING, *_AUDIO_IN, *_AUDIO_OUT),
}


def read(observation: Said) -> Usage | None:
    """An observation as a request; spans, events and tools are none."""
    kind = text(observation.get("type"))
    model = text(first(observation, "model", "providedModelName", "provided_model_name"))
    details = as_object(first(observation, "usageDetails", "usage_details"))
    if (kind not in _OPERATIONS) if kind else (model is None and not details):
        return None
    metadata = as_object(observation.get("metadata"))
    began = text(first(observation, "startTime", "start_time"))
    ended = first(observation, "endTime", "end_time")
    token = first(observation, "completionStartTime", "completion_start_time")
    latency = milliseconds_between(began, ended)
    first_token = milliseconds_between(began, token)
    kept: dict[str, object] = {}
    session = text(first(observation, "sessionId", "session_id"))
    trace = text(first(observation, "traceId", "trace_id"))
    if session and not id_or_none(session):
        kept["session"] = session
    if trace and not id_or_none(trace):
        kept["trace"] = trace
    provider = text(nested(metadata, "ls_provider"))
    if provider is None and model and "/" in model:
        provider = model.partition("/")[0]
    usage: Usage = {
        "time": began,
        "request_id": name_of(text(observation.get("id")), observation.get("id"), kept),
        "trace_id": id_or_none(trace),
        "session_id": id_or_none(session),
        # an observation doesn't say who was asked
        "provider": provider or "unknown",
        "model": model,
        "operation": _OPERATIONS.get(kind or "", "chat"),
        "environment": text(observation.get("environment")),
        "status": "error" if text(observation.get("level")) == "ERROR" else "success",
        "latency_ms": to_milliseconds(observation.get("latency")) if latency is None else latency,
        "time_to_first_token_ms": (
            to_milliseconds(first(observation, "timeToFirstToken", "time_to_first_token"))
            if first_token is None
            else first_token
        ),
        "tags": [str(tag) for tag in as_list(observation.get("tags"))],
        "metadata": kept,
        "owner": {
            "user": text(first(observation, "userId", "user_id")),
            "project": text(first(observation, "projectId", "project_id")),
        },
    }
    _count(details, usage)
    costs = as_object(first(observation, "costDetails", "cost_details"))
    cost = text(first(observation, "calculatedTotalCost", "totalCost", "total_cost")) or text(costs.get("total"))
    estimate(usage, cost, is_known=bool(costs))
    return usage


def _count(details: Mapping[str, object], usage: Usage) -> None:
    """It mostly leaves the parts out of input and output; where its total says so, they are in the one or the other."""
    tokens = Tokens(usage)
    # text, pictures, predictions and what else it tells apart: it takes them out of input and output
    given = _added(details, first(details, *_GIVEN), _others(details, "input_"))
    made = _added(details, first(details, *_MADE), _others(details, "output_"))
    total = first(details, *_TOTAL)
    read_from = first(details, *_READ)
    if read_from is None:
        read_from = _added(details, None, (_READ_TEXT, _READ_AUDIO))
    written = _added(details, first(details, *_WRITTEN), (_WRITTEN_5M, _WRITTEN_1H))
    inputs = {
        "read from a cache": tokens.take("cache_read_tokens", read_from),
        "written to a cache": tokens.take("cache_write_tokens", written),
        "of audio": tokens.take("audio_input_tokens", first(details, *_AUDIO_IN)),
    }
    tokens.part("cache_write_1h_tokens", details.get(_WRITTEN_1H), "cache_write_tokens")
    tokens.part("cache_read_audio_tokens", details.get(_READ_AUDIO), "cache_read_tokens")
    outputs = {
        "of reasoning": tokens.take("reasoning_tokens", first(details, *_REASONING)),
        "of audio": tokens.take("audio_output_tokens", first(details, *_AUDIO_OUT)),
    }
    of_input, of_output = sum(inputs.values()), sum(outputs.values())
    if given is None and (all_of_it := whole(total)) is not None:
        given = max(all_of_it - (whole(made) or 0) - of_input - of_output, 0)
    in_input, in_output = _where(total, (whole(given) or 0) + (whole(made) or 0), of_input, of_output)
    tokens.less("input_tokens", given, inputs if in_input else {})
    tokens.less("output_tokens", made, outputs if in_output else {}, "output tokens")


def _others(details: Mapping[str, object], side: str) -> list[str]:
    return [name for name in details if name.startswith(side) and name not in _KNOWN]


def _added(details: Mapping[str, object], said: object, names: Iterable[str]) -> object:
    """What is said and the counts of these names; what is said alone where that is no number."""
    more = [number for name in names if (number := whole(details.get(name))) is not None]
    number = 0 if said is None else whole(said)
    return said if not more or number is None else number + sum(more)


def _where(total: object, both: int, of_input: int, of_output: int) -> tuple[bool, bool]:
    """Whether input has its parts, and output, by what the total is more than both; Gemini has its thoughts beside."""
    known = whole(total)
    for in_input, in_output in ((True, True), (True, False), (False, True)):
        if known == both + (0 if in_input else of_input) + (0 if in_output else of_output):
            return in_input, in_output
    return False, False


def adapter() -> Adapter:
    """Reads observations one by one."""
    return read


def _recognises(said: Said) -> bool:
    camel, snake = {"traceId", "startTime", "usageDetails"}, {"trace_id", "start_time", "usage_details"}
    return camel <= said.keys() or snake <= said.keys()


SOURCE = Source(
    name="langfuse",
    title="Langfuse's observations as CSV or JSON",
    formats=("csv", "jsonl"),
    fills={
        "time": "startTime",
        "request_id": "id, without the time that LiteLLM writes before the provider's",
        "trace_id": "traceId",
        "session_id": "sessionId",
        "provider": "metadata.ls_provider, what stands before the / of model, else unknown",
        "model": "model",
        "operation": "type",
        "environment": "environment",
        "input_tokens": "usageDetails.input and other input_…, else what the others leave of usageDetails.total",
        "cache_read_tokens": "usageDetails.input_cached_tokens, cache_read_input_tokens",
        "cache_write_tokens": "usageDetails.cache_creation_input_tokens, input_cache_creation and its _5m and _1h",
        "output_tokens": "usageDetails.output and other output_…",
        "reasoning_tokens": "usageDetails.output_reasoning_tokens",
        "audio_input_tokens": "usageDetails.input_audio_tokens",
        "audio_output_tokens": "usageDetails.output_audio_tokens",
        "cost_amount": "calculatedTotalCost, costDetails.total",
        "currency": "USD",
        "cost_source": "estimated where there is a cost",
        "status": "level",
        "latency_ms": "endTime less startTime, else latency",
        "time_to_first_token_ms": "completionStartTime less startTime, else timeToFirstToken",
        "tags": "tags",
        "metadata": "tokens kept for an hour and audio of a cache as units",
    },
    adapter=adapter,
    recognises=_recognises,
)
