"""The spans of export requests of OTLP/JSON.

Requests are read as structs, so what isn't looked at, such as messages and events, is passed over unread. Where a
member isn't of the type that it should be, the request is read closely: what is wrong is left out, the rest counts.
"""

from collections.abc import Iterator

from msgspec import Raw, Struct

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.jsonl import decode, quick_decoder


class _Value(Struct, rename="camel", gc=False):
    """One member, which is named for its type."""

    string_value: str | None = None
    int_value: str | int | None = None
    bool_value: bool | None = None
    # not a float: every digit stays
    double_value: Raw | None = None
    array_value: Raw | None = None


class _Attribute(Struct, gc=False):
    key: str
    value: _Value


class _Span(Struct, rename="camel", gc=False):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    start_time_unix_nano: str | int | None = None
    end_time_unix_nano: str | int | None = None
    attributes: list[_Attribute] = []
    status: dict[str, str | int | None] | None = None


class _Scope(Struct, gc=False):
    spans: list[_Span] = []


class _Resource(Struct, gc=False):
    attributes: list[_Attribute] = []


class _ResourceSpans(Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_spans: list[_Scope] = []
    instrumentation_library_spans: list[_Scope] = []


class ExportRequest(Struct, rename="camel", gc=False):
    """An export request whose members are all of the type that they should be."""

    resource_spans: list[_ResourceSpans] = []


decode_request = quick_decoder(ExportRequest)


def spans(request: ExportRequest) -> Iterator[Said]:
    """The spans of a request as `otlp.split` has those of any JSON."""
    for resource_spans in request.resource_spans:
        common = _attributes({}, resource_spans.resource.attributes) if resource_spans.resource else {}
        for scope in resource_spans.scope_spans or resource_spans.instrumentation_library_spans:
            for span in scope.spans:
                said = _attributes(common.copy(), span.attributes)
                said["traceId"] = span.trace_id
                said["spanId"] = span.span_id
                said["parentSpanId"] = span.parent_span_id
                said["startTimeUnixNano"] = span.start_time_unix_nano
                said["endTimeUnixNano"] = span.end_time_unix_nano
                said["status"] = span.status
                yield said


def closely(request: Said) -> Iterator[Said]:
    """The same of any JSON object."""
    for resource_spans in _objects(request.get("resourceSpans")):
        resource = resource_spans.get("resource")
        common = _any_attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
        scopes = resource_spans.get("scopeSpans") or resource_spans.get("instrumentationLibrarySpans")
        for scope_spans in _objects(scopes):
            for span in _objects(scope_spans.get("spans")):
                said = {**common, **_any_attributes(span.get("attributes"))}
                for name in _MEMBERS:
                    said[name] = span.get(name)
                yield said


_MEMBERS = ("traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "status")
_SCALARS = ("stringValue", "intValue", "boolValue", "doubleValue")


def _objects(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _any_attributes(attributes: object) -> dict[str, object]:
    """Attributes by name: scalars, and lists of them. Messages and other nested values are left out."""
    found: dict[str, object] = {}
    for attribute in _objects(attributes):
        name, value = attribute.get("key"), attribute.get("value")
        if type(name) is str and isinstance(value, dict):
            said = next((value[kind] for kind in _SCALARS if value.get(kind) is not None), None)
            said = _listed(value.get("arrayValue")) if said is None else said
            if said is not None:
                found[name] = said
    return found


def _listed(array: object) -> list[object] | None:
    if not isinstance(array, dict):
        return None
    items = _objects(array.get("values"))
    return [value for item in items for kind in _SCALARS if (value := item.get(kind)) is not None]


def _attributes(found: dict[str, object], attributes: list[_Attribute]) -> dict[str, object]:
    for attribute in attributes:
        value = attribute.value
        if (text := value.string_value) is not None:
            found[attribute.key] = text
        elif (number := value.int_value) is not None:
            found[attribute.key] = number
        else:
            _rarely(found, attribute.key, value)
    return found


def _rarely(found: dict[str, object], name: str, value: _Value) -> None:
    said: object = value.bool_value
    if said is None and value.double_value is not None:
        said = decode(bytes(value.double_value).decode())
    if said is None and value.array_value is not None:
        said = _listed(decode(bytes(value.array_value).decode()))
    if said is not None:
        found[name] = said
