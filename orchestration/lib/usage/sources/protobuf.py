"""OTLP traces as protobuf: export requests one after the other, each after its length, or the body of one alone."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.objects import Read

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

# the only field of an export request, of which it has one for each resource
_RESOURCE_SPANS = b"\x0a"
# of what can't be read as many bytes are kept, as hexadecimal digits
_EXCERPT = text.EXCERPT // 2
# as protobuf writes them in JSON
_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_CUT_OFF = "the file ends in the middle of an export request"


class ExportRequests:
    """The export requests of an open file.

    The Collector's file exporter writes each after its length in 4 bytes, the highest first. Else the file is the body
    of a request, or several: of that each resource is taken for a request, so memory holds one at a time.
    """

    # no columns
    names = None

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._begin = file.read(4)
        self.volume = len(self._begin)
        self._is_body = self._begin[:1] == _RESOURCE_SPANS
        if self._begin and not self._is_body and int.from_bytes(self._begin, "big") > text.RECORD_LIMIT:
            raise GovernanceError(
                f"{name} is no OTLP protobuf: it begins neither with an export request nor with the length of one in 4 "
                "bytes, as the Collector's file exporter writes them (without compression)"
            )

    def samples(self) -> list[Said]:
        """What it is known to be."""
        return [{"resourceSpans": []}]

    def said(self) -> Iterator[Read]:
        """Each request with its number, what is none with what is wrong with it."""
        number = 0
        for number, (problem, content) in enumerate(self._resources() if self._is_body else self._requests(), 1):
            request = ExportTraceServiceRequest()
            if problem is None:
                try:
                    request.ParseFromString(content)
                except DecodeError:
                    problem = "it is no OTLP export request"
            if problem is None:
                yield number, None, None, request
            else:
                yield number, problem, content[:_EXCERPT].hex(), None

    def _requests(self) -> Iterator[tuple[str | None, bytes]]:
        begin = self._begin
        while begin:
            length = int.from_bytes(begin, "big")
            if len(begin) < 4:
                yield _CUT_OFF, begin
                return
            if length > text.RECORD_LIMIT:
                yield f"an export request is longer than {text.RECORD_LIMIT} bytes, or this is no length", begin
                return
            content = self._read(length)
            yield (None if len(content) == length else _CUT_OFF), content
            begin = self._read(4)

    def _resources(self) -> Iterator[tuple[str | None, bytes]]:
        waiting = self._begin
        while waiting or (waiting := self._read(1)):
            length, used = _varint(waiting, 1)
            while used is None and len(waiting) < 11 and (more := self._read(1)):
                waiting += more
                length, used = _varint(waiting, 1)
            if waiting[:1] != _RESOURCE_SPANS or used is None or length > text.RECORD_LIMIT:
                is_short = waiting[:1] == _RESOURCE_SPANS and used is None and len(waiting) < 11
                yield (_CUT_OFF if is_short else "it is no OTLP export request from here on"), waiting
                return
            end = used + length
            content = waiting if len(waiting) >= end else waiting + self._read(end - len(waiting))
            yield (None if len(content) >= end else _CUT_OFF), content[:end]
            waiting = content[end:]

    def _read(self, count: int) -> bytes:
        content = self._file.read(count)
        self.volume += len(content)
        return content


def _varint(content: bytes, place: int) -> tuple[int, int | None]:
    """The number that begins at this place and where it ends; None while it doesn't."""
    number = shift = 0
    for end in range(place, len(content)):
        number |= (content[end] & 0x7F) << shift
        if content[end] < 0x80:
            return number, end + 1
        shift += 7
    return number, None


def spans(request: ExportTraceServiceRequest) -> Iterator[Said]:
    """The spans of an export request as `otlp.split` has those of JSON."""
    for resource_spans in request.resource_spans:
        common = _attributes({}, resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {**_attributes(common.copy(), span.attributes), **_members(span)}


def _members(span: "Span") -> Said:
    return {
        "traceId": span.trace_id.hex() or None,
        "spanId": span.span_id.hex() or None,
        "parentSpanId": span.parent_span_id.hex() or None,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "status": {"code": span.status.code} if span.status.code else None,
    }


def _attributes(found: dict[str, object], attributes: "Iterable[KeyValue]") -> dict[str, object]:
    for attribute in attributes:
        value = attribute.value
        # the usual ones first; what isn't set is empty or 0
        if text := value.string_value:
            found[attribute.key] = text
        elif number := value.int_value:
            found[attribute.key] = str(number)
        else:
            said = _said(value)
            if said is not None:
                found[attribute.key] = said
    return found


def _said(value: "AnyValue") -> object:
    """A scalar, or a list of them; None for all else."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return str(value.int_value)
        case "bool_value":
            return value.bool_value
        case "double_value":
            number = repr(value.double_value)
            return _NO_NUMBERS.get(number, number)
        case "array_value":
            items = map(_said, value.array_value.values)
            return [item for item in items if item is not None and not isinstance(item, list)]
    return None
