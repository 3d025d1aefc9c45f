"""OTLP/JSON traces, as the OpenTelemetry Collector's file exporter and the SDKs write them: one export request a line.

Attributes of the GenAI semantic conventions, current and older, and of OpenInference. A span is a request where it is
a call to a model; spans of agents, chains, tools and workflows repeat the usage of the calls below them.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.otlp_json import ExportRequest, closely, decode_request, spans
from orchestration.lib.usage.sources.values import (
    Tokens,
    estimate,
    from_nanoseconds,
    id_or_none,
    is_beside,
    key,
    milliseconds_between,
    name_of,
    text,
    to_milliseconds,
    whole,
)

# what an attribute says, by its names: the current one first, then older ones, OpenLLMetry's and OpenInference's
_NAMES: Mapping[str, tuple[str, ...]] = {
    "operation": ("gen_ai.operation.name", "llm.request.type"),
    "kind": ("openinference.span.kind",),
    "step": ("traceloop.span.kind",),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "asked": ("gen_ai.request.model", "llm.request.model"),
    "model": ("gen_ai.response.model", "llm.response.model", "llm.model_name"),
    "response": ("gen_ai.response.id", "llm.response.id"),
    "finish": ("gen_ai.response.finish_reasons",),
    "conversation": ("gen_ai.conversation.id", "session.id"),
    "first_token": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    "tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "application": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
    "region": ("cloud.region",),
    "error": ("error.type",),
    "http_status": ("http.response.status_code",),
    "cost": ("gen_ai.usage.cost", "llm.cost.total"),
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "total": ("llm.usage.total_tokens", "gen_ai.usage.total_tokens", "llm.token_count.total"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
        "llm.token_count.completion_details.reasoning",
    ),
    "audio_in": ("llm.token_count.prompt_details.audio",),
    "audio_out": ("llm.token_count.completion_details.audio",),
}
# who it was
_OWNERS: Mapping[str, tuple[str, ...]] = {
    "user": ("user.id", "user.email", "traceloop.association.properties.user_id"),
    "end_user": ("enduser.id", "llm.user"),
    "team": ("team.id", "traceloop.association.properties.team_id"),
    "key": ("gen_ai.api_key.id", "api_key.id"),
    "project": ("openai.project.id", "gen_ai.openai.project.id", "project.id"),
    "organization": ("openai.organization", "organization.id"),
}
_ALL = {**_NAMES, **_OWNERS}
_MEANS = {name: what for what, names in _ALL.items() for name in names}
# what the conventions, and OpenLLMetry before them, call a call to a model
_OPERATIONS: Mapping[str, str] = {
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "completion",
    "completion": "completion",
    "embeddings": "embedding",
    "embedding": "embedding",
    "rerank": "rerank",
    "image_generation": "image",
    "transcription": "audio",
    "speech": "audio",
}
_KINDS: Mapping[str, str] = {"LLM": "chat", "EMBEDDING": "embedding", "RERANKER": "rerank"}
_RATE_LIMITED = ("429", "RateLimitError", "rate_limit_exceeded")
# as many parents of calls are remembered: a span that wraps a call mostly ends right after it
_PARENTS = 100_000


def split(request: Any) -> Iterator[Said]:
    """The spans of an export request, flat: attributes of span and resource by name, and the span's own members."""
    if isinstance(request, ExportRequest):
        return spans(request)
    if isinstance(request, dict):
        return closely(request)
    # only of a file whose reader has it loaded already
    from orchestration.lib.usage.sources import protobuf

    return protobuf.spans(request)


def adapter() -> Adapter:
    """Reads spans; of a span whose child was a call too only the child counts."""
    parents: dict[tuple[object, object], None] = {}

    def read(span: Said) -> Usage | None:
        said = _known(span)
        operation = _operation(said)
        if operation is None:
            return None
        trace, parent = text(span.get("traceId")), text(span.get("parentSpanId"))
        if (trace, text(span.get("spanId"))) in parents:
            return None
        if parent:
            parents[trace, parent] = None
            if len(parents) > _PARENTS:
                del parents[next(iter(parents))]
        return _usage(span, said, operation)

    return read


def _known(span: Said) -> dict[str, str]:
    """What the attributes say, under one name each, as texts."""
    found: dict[str, str] = {}
    for name, value in span.items():
        if (what := _MEANS.get(name)) is None or not value:
            continue
        if what in found:
            # the first of its names that says something
            value = next(said for each in _ALL[what] if (said := span.get(each)))
        found[what] = value if type(value) is str else _flat(value)
    return found


def _flat(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else text(value) or json.dumps(value)


def _operation(said: Mapping[str, str]) -> str | None:
    """What kind of call to a model a span is, None for other spans."""
    if "kind" in said:
        return _KINDS.get(said["kind"].upper())
    if "step" in said:
        return None
    if "operation" in said:
        return _OPERATIONS.get(said["operation"])
    # the first conventions had no operation
    return "chat" if "provider" in said and ("asked" in said or "model" in said) else None


def _usage(span: Said, said: Mapping[str, str], operation: str) -> Usage:
    get = said.get
    # zero is no time, as in protobuf, which has no other way to say so
    begin, end = (None if at in ("0", 0) else at for at in map(span.get, ("startTimeUnixNano", "endTimeUnixNano")))
    asked = get("asked")
    error = get("error")
    metadata: dict[str, object] = {}
    usage: Usage = {
        "time": from_nanoseconds(begin),
        "request_id": name_of(text(span.get("spanId")), get("response"), metadata),
        "trace_id": id_or_none(span.get("traceId")),
        "provider": get("provider"),
        "model": get("model") or asked,
        "requested_model": asked,
        "operation": operation,
        "application": get("application"),
        "environment": get("environment"),
        "region": get("region"),
        "service_tier": get("tier"),
        "status": _status(span, said, error),
        "error_code": error,
        "latency_ms": milliseconds_between(begin, end),
        "time_to_first_token_ms": to_milliseconds(get("first_token")),
        "metadata": metadata,
        "owner": {what: key(said[what]) if what == "key" else said[what] for what in _OWNERS if what in said},
    }
    if "response" in said and usage["request_id"] != said["response"]:
        metadata["response_id"] = said["response"]
    if "conversation" in said:
        usage["session_id"] = id_or_none(said["conversation"])
        if usage["session_id"] is None:
            metadata["session"] = said["conversation"]
    if (usage["application"] or "").startswith("unknown_service"):
        usage["application"] = None
    _count(said, usage)
    estimate(usage, get("cost"))
    return usage


def _count(said: Mapping[str, str], usage: Usage) -> None:
    """Input includes what was read from and written to a cache, output includes reasoning; each includes its audio."""
    tokens = Tokens(usage)
    get = said.get
    given, made = get("input"), get("output")
    if given is None and "total" in said:
        total = whole(said["total"])
        given = said["total"] if total is None else str(max(total - (whole(made) or 0), 0))
    inputs = {
        "read from a cache": tokens.take("cache_read_tokens", get("cache_read")),
        "written to a cache": tokens.take("cache_write_tokens", get("cache_write")),
        "of audio": tokens.take("audio_input_tokens", get("audio_in")),
    }
    tokens.less("input_tokens", given, inputs)
    reasoning = tokens.take("reasoning_tokens", get("reasoning"))
    outputs = {
        "of reasoning": 0 if is_beside(reasoning, get("total"), get("input"), made) else reasoning,
        "of audio": tokens.take("audio_output_tokens", get("audio_out")),
    }
    tokens.less("output_tokens", made, outputs, "output tokens")


def _status(span: Said, said: Mapping[str, str], error: str | None) -> str:
    status = span.get("status")
    code = status.get("code") if isinstance(status, dict) else None
    if error or code in (2, "2", "STATUS_CODE_ERROR"):
        limited = said.get("http_status") == "429" or (error or "").rpartition(".")[2] in _RATE_LIMITED
        return "rate_limited" if limited else "error"
    return "blocked" if "content_filter" in said.get("finish", "") else "success"


SOURCE = Source(
    name="otlp",
    title="OpenTelemetry traces as OTLP/JSON or protobuf, of the Collector's file exporter",
    formats=("jsonl", "proto"),
    fills={
        "time": "startTimeUnixNano",
        "request_id": "gen_ai.response.id where it is long enough to be the only one, else spanId",
        "trace_id": "traceId",
        "session_id": "gen_ai.conversation.id, session.id",
        "provider": "gen_ai.provider.name, gen_ai.system, llm.provider, llm.system",
        "model": "gen_ai.response.model, else gen_ai.request.model; llm.model_name",
        "requested_model": "gen_ai.request.model",
        "operation": "gen_ai.operation.name, llm.request.type, openinference.span.kind",
        "application": "service.name",
        "environment": "deployment.environment.name",
        "region": "cloud.region",
        "service_tier": "openai.response.service_tier, openai.request.service_tier",
        "input_tokens": "gen_ai.usage.input_tokens less the cache's and audio",
        "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
        "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens less reasoning and audio",
        "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
        "audio_input_tokens": "llm.token_count.prompt_details.audio",
        "audio_output_tokens": "llm.token_count.completion_details.audio",
        "cost_amount": "gen_ai.usage.cost, llm.cost.total",
        "currency": "USD where there is a cost",
        "cost_source": "estimated where there is a cost",
        "status": "status, error.type, gen_ai.response.finish_reasons",
        "error_code": "error.type",
        "latency_ms": "endTimeUnixNano less startTimeUnixNano",
        "time_to_first_token_ms": "gen_ai.response.time_to_first_chunk",
        "metadata": "gen_ai.response.id as response_id, or spanId as source_id",
    },
    adapter=adapter,
    recognises=lambda said: "resourceSpans" in said,
    split=split,
    decode=decode_request,
)
