"""The part of the demo's usage that comes as files, in the formats of the systems that would write them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from orchestration.demo.usage import Request
from orchestration.lib.errors import GovernanceError

# as an exporter sends them
_SPANS_AT_ONCE = 100
_OTLP_TOKENS = {
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}


@dataclass(frozen=True)
class UsageExport:
    """A file as a source writes it, and how it is loaded: `source` and the options of `governance ingest`."""

    source: str
    path: Path
    mapping: Mapping[str, str]
    constants: Mapping[str, str]

    @property
    def options(self) -> str:
        """The options as they are typed."""
        told = (("map", self.mapping), ("set", self.constants))
        pairs = [f"--{option} {name}={value}" for option, given in told for name, value in given.items()]
        return " ".join([f"--source {self.source}", *pairs])


# names of their files, and what loads them: these systems send ids of the warehouse along, and name keys by application
SOURCES: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    "otlp": ("traces", {"team_id": "team.id", "api_key_id": "api_key.id"}, {"currency": "USD"}),
    "litellm": (
        "litellm-spend",
        {
            "team_id": "team_id",
            "api_key_id": "metadata.spend_logs_metadata.key_id",
            "application": "metadata.user_api_key_alias",
        },
        {},
    ),
}


def latest_exports(folder: Path) -> list[UsageExport]:
    """The files that were last written there, one of each source."""
    found = ((source, sorted(folder.glob(f"{name}-*.jsonl")), more) for source, (name, *more) in SOURCES.items())
    return [UsageExport(source, paths[-1], *more) for source, paths, more in found if paths]


def write_exports(folder: Path, requests: Mapping[str, Sequence[Request]], through: datetime) -> list[UsageExport]:
    """Writes the requests of each source, in the order of their time, to a file in the folder, which is made.

    Raises GovernanceError where it can't be written to.
    """
    exports = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, (name, *more) in SOURCES.items():
            if sent := requests.get(source):
                path = folder / f"{name}-{through:%Y-%m-%d}.jsonl"
                lines = _otlp(sent) if source == "otlp" else _litellm(sent)
                with path.open("w", encoding="utf-8") as file:
                    file.writelines(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
                exports.append(UsageExport(source, path, *more))
    except OSError as error:
        raise GovernanceError(
            f"cannot write to {folder}: {error.strerror}; set GOVERNANCE_HOME to a folder of yours"
        ) from error
    return exports


def _otlp(requests: Sequence[Request]) -> Iterator[dict[str, Any]]:
    """Export requests of OTLP/JSON traces: attributes of what sends, then its spans."""
    for start in range(0, len(requests), _SPANS_AT_ONCE):
        sent = sorted(requests[start : start + _SPANS_AT_ONCE], key=lambda each: str(each.application))
        resources = []
        for application, spans in groupby(sent, key=lambda each: (each.application, each.environment, each.region)):
            names = ("service.name", "deployment.environment.name", "cloud.region")
            resources.append(
                {
                    "resource": {"attributes": _attributes(dict(zip(names, application, strict=True)))},
                    "scopeSpans": [{"scope": {"name": "pipelines"}, "spans": [_span(request) for request in spans]}],
                }
            )
        yield {"resourceSpans": resources}


def _span(request: Request) -> dict[str, Any]:
    waited = request.time_to_first_token_ms
    begin = int(request.time.timestamp()) * 1_000_000_000 + request.time.microsecond * 1000
    said = {
        "gen_ai.operation.name": "embeddings" if request.operation == "embedding" else request.operation,
        "gen_ai.provider.name": request.provider,
        "gen_ai.request.model": request.requested_model,
        "gen_ai.response.model": request.model,
        "gen_ai.conversation.id": str(request.session_id),
        "gen_ai.usage.input_tokens": request.input_tokens + request.cache_read_tokens + request.cache_write_tokens,
        "gen_ai.usage.output_tokens": request.output_tokens + request.reasoning_tokens,
        **{name: getattr(request, column) for name, column in _OTLP_TOKENS.items()},
        "gen_ai.usage.cost": request.cost_amount,
        "gen_ai.response.time_to_first_chunk": None if waited is None else Decimal(waited) / 1000,
        "error.type": request.error_code,
        "http.response.status_code": 429 if request.status == "rate_limited" else None,
        "team.id": str(request.team_id),
        "api_key.id": str(request.api_key_id),
    }
    return {
        "traceId": request.trace_id.hex if request.trace_id else "",
        "spanId": request.request_id,
        "name": f"{request.operation} {request.requested_model}",
        "kind": 3,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + request.latency_ms * 1_000_000),
        "attributes": _attributes({name: value for name, value in said.items() if value is not None}),
        "status": {} if request.status == "success" else {"code": 2},
    }


def _attributes(said: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in said.items() if value is not None]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    # so few digits that a double has them all
    return {"doubleValue": float(value)} if isinstance(value, Decimal) else {"stringValue": value}


def _litellm(requests: Sequence[Request]) -> Iterator[dict[str, Any]]:
    """Rows of LiteLLM_SpendLogs as `row_to_json` writes them."""
    for request in requests:
        begin, milliseconds = request.time.replace(tzinfo=None), timedelta(milliseconds=1)
        first, end = (begin + (ms or 0) * milliseconds for ms in (request.time_to_first_token_ms, request.latency_ms))
        prompt = request.input_tokens + request.cache_read_tokens + request.cache_write_tokens
        completion = request.output_tokens + request.reasoning_tokens
        error = "RateLimitError" if request.status == "rate_limited" else "APIError"
        failed = {"error_information": {"error_class": error, "error_code": request.error_code}}
        yield {
            "request_id": request.request_id,
            "call_type": "acompletion",
            "api_key": "",
            "spend": float(request.cost_amount or 0),
            "total_tokens": prompt + completion,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "startTime": begin.isoformat(),
            "endTime": end.isoformat(),
            "completionStartTime": (first if request.time_to_first_token_ms else end).isoformat(),
            "model": request.model,
            "model_group": request.requested_model,
            "custom_llm_provider": request.provider,
            "metadata": {
                "user_api_key_alias": request.application,
                "spend_logs_metadata": {"key_id": str(request.api_key_id)},
                "usage_object": {
                    "prompt_tokens_details": {
                        "cached_tokens": request.cache_read_tokens,
                        "cache_creation_tokens": request.cache_write_tokens,
                    },
                    "completion_tokens_details": {"reasoning_tokens": request.reasoning_tokens},
                },
                **({} if request.status == "success" else failed),
            },
            "cache_hit": "False",
            "request_tags": list(request.tags or {}),
            "team_id": str(request.team_id),
            "session_id": str(request.session_id),
            "status": "success" if request.status == "success" else "failure",
        }
