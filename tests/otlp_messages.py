"""Export requests of OTLP/JSON as protobuf, for tests that want the same spans in both."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = ("traceId", "spanId", "parentSpanId")


def message(request: Mapping[str, Any]) -> ExportTraceServiceRequest:
    """The request as protobuf, whose own JSON has its ids in base64 where OTLP's has hexadecimal digits."""
    copied = json.loads(json.dumps(request))
    for resource_spans in copied["resourceSpans"]:
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                for name in _IDS:
                    if span.get(name):
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    parsed = ExportTraceServiceRequest()
    ParseDict(copied, parsed, ignore_unknown_fields=True)
    return parsed


def delimited(requests: Iterable[Mapping[str, Any]]) -> bytes:
    """Requests as the Collector's file exporter writes them: each after its length in 4 bytes."""
    bodies = [message(request).SerializeToString() for request in requests]
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
