"""OTLP as protobuf: the same requests as of the same spans in JSON, and a reason for what can't be read."""

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from otlp_messages import delimited, message
from test_source_files import GOLDEN, requests

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.otlp import _MEANS
from orchestration.lib.usage.sources.protobuf import ExportRequests

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda number: number != int(number))
SCALARS = st.one_of(
    st.builds(lambda value: {"stringValue": value}, TEXTS | st.sampled_from(["chat", "LLM", "429", "17", "gpt-4o"])),
    st.builds(lambda value: {"intValue": str(value)}, st.integers(0, 5000) | INTEGERS),
    st.builds(lambda value: {"boolValue": value}, st.booleans()),
    st.builds(lambda value: {"doubleValue": value}, DOUBLES),
    st.sampled_from([{"doubleValue": "NaN"}, {"doubleValue": "-Infinity"}]),
)
VALUES = st.one_of(
    SCALARS,
    st.builds(lambda values: {"arrayValue": {"values": values}}, st.lists(SCALARS, max_size=3)),
    st.builds(lambda value: {"kvlistValue": {"values": [{"key": "k", "value": value}]}}, SCALARS),
    st.just({"bytesValue": "AAE="}),
)
ATTRIBUTES = st.lists(
    st.builds(lambda key, value: {"key": key, "value": value}, st.sampled_from(sorted(_MEANS)) | TEXTS, VALUES),
    max_size=12,
)
CALL = [
    {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
    {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
]


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    """A span, mostly a call to a model."""
    begin = draw(st.integers(1_700_000_000 * 10**9, 1_800_000_000 * 10**9) | st.integers(0, 2**64 - 1))
    span: dict[str, Any] = {
        "traceId": draw(st.binary(min_size=16, max_size=16)).hex(),
        "spanId": draw(st.binary(min_size=8, max_size=8)).hex(),
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(min(begin + draw(st.integers(0, 10**11)), 2**64 - 1)),
        "attributes": draw(ATTRIBUTES) + (CALL if draw(st.integers(0, 3)) else []),
    }
    if draw(st.booleans()):
        span["parentSpanId"] = draw(st.binary(min_size=8, max_size=8)).hex()
    if draw(st.booleans()):
        span["status"] = {"code": draw(st.integers(0, 2))}
    return span


@st.composite
def export_requests(draw: st.DrawFn) -> dict[str, Any]:
    """An export request of some resources."""
    scopes = st.lists(st.builds(lambda found: {"spans": found}, st.lists(spans(), max_size=3)), max_size=2)
    resources = st.builds(
        lambda attributes, found: {"resource": {"attributes": attributes}, "scopeSpans": found}, ATTRIBUTES, scopes
    )
    return {"resourceSpans": draw(st.lists(resources, max_size=3))}


AT_ZERO = {
    "traceId": "01" * 16,
    "spanId": "02" * 8,
    "startTimeUnixNano": "0",
    "endTimeUnixNano": "0",
    "attributes": CALL,
}


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(said=st.lists(export_requests(), max_size=3))
@example(said=[{"resourceSpans": [{"scopeSpans": [{"spans": [AT_ZERO]}]}]}])
def test_the_same_as_in_json(tmp_path: Path, said: list[dict[str, Any]]) -> None:
    files = {
        "t.jsonl": "".join(json.dumps(request) + "\n" for request in said).encode(),
        "t.pb": delimited(said),
        "body.binpb": b"".join(message(request).SerializeToString() for request in said),
    }
    found = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        found.append(requests(tmp_path / name, "otlp"))
    assert found[0] == found[1] == found[2]


@pytest.fixture
def golden() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / "otlp.jsonl").read_text().splitlines()]


def test_gzip_and_recognition(tmp_path: Path, golden: list[dict[str, Any]]) -> None:
    path = tmp_path / "traces.pb.gz"
    path.write_bytes(gzip.compress(delimited(golden[:1])))
    assert requests(path) == requests(path, "otlp") != []


def content_of(golden: list[dict[str, Any]]) -> tuple[bytes, int]:
    """Three requests with their lengths, and how many calls to models each has."""
    return delimited(golden[:1] * 3), len(messages(delimited(golden[:1])))


def messages(content: bytes) -> list[tuple[Any, ...]]:
    return list(ExportRequests(io.BytesIO(content), "t.pb").said())


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 40])
@pytest.mark.parametrize("is_body", [False, True])
def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(
    golden: list[dict[str, Any]], cut: int, is_body: bool
) -> None:
    body = message(golden[0]).SerializeToString()
    one = body if is_body else delimited(golden[:1])
    whole = messages(one)
    found = messages(one + one[: -cut if cut < 5 or is_body else 4])
    assert [problem for _, problem, _, _ in found[: len(whole)]] == [None] * len(whole)
    assert found[-1][1:] == ("the file ends in the middle of an export request", found[-1][2], None)
    assert found[-1][2] is not None


def test_a_request_that_is_none_stands_alone(golden: list[dict[str, Any]]) -> None:
    one = delimited(golden[:1])
    found = messages(one + (5).to_bytes(4, "big") + b"\xff\xff\xff\xff\xff" + one)
    assert [problem for _, problem, _, _ in found] == [None, "it is no OTLP export request", None]
    assert found[1][2] == "ffffffffff"


@pytest.mark.parametrize(
    "content", [b"resourceSpans", b"\x28\xb5\x2f\xfd zstd", b"\x1f\x8b\x08\x00", b'{"resourceSpans": []}']
)
def test_what_is_no_protobuf(content: bytes) -> None:
    with pytest.raises(GovernanceError, match="is no OTLP protobuf: it begins neither with an export request nor"):
        messages(content)


@given(content=st.binary(max_size=60))
@settings(deadline=None)
def test_no_bytes_stop_it(content: bytes) -> None:
    try:
        found = messages(content)
    except GovernanceError:
        return
    assert all((problem is None) == (said is not None) for _, problem, _, said in found)


def test_a_length_beyond_all_bounds_is_not_believed(golden: list[dict[str, Any]]) -> None:
    found = messages(delimited(golden[:1]) + (text.RECORD_LIMIT + 1).to_bytes(4, "big") + b"x")
    assert "an export request is longer than" in str(found[-1][1])
    body = message(golden[0]).SerializeToString()
    found = messages(body + b"\x0a\xff\xff\xff\xff\x7f" + b"x" * 10)
    assert found[-1][1] == "it is no OTLP export request from here on"


def test_memory_does_not_grow_with_the_file(golden: list[dict[str, Any]], tmp_path: Path) -> None:
    body = message(golden[0]).SerializeToString()

    def peak(count: int, content: bytes) -> int:
        path = tmp_path / "t.pb"
        with path.open("wb") as file:
            for _ in range(count):
                file.write(content)
        tracemalloc.start()
        with path.open("rb") as file:
            assert sum(1 for _ in ExportRequests(file, "t.pb").said()) >= count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for content in (body, delimited(golden[:1])):
        assert peak(2000, content) < 2 * peak(200, content)
