"""Spans that are read quickly are those that are read closely, and what can't be read quickly is read closely."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_protobuf import export_requests
from test_source_files import GOLDEN, requests
from test_source_tokens import spoil

from orchestration.lib.usage.sources.jsonl import QUICK_FAILURES, decode
from orchestration.lib.usage.sources.otlp import split
from orchestration.lib.usage.sources.otlp_json import closely, decode_request

GOLDEN_REQUESTS = [json.loads(line) for line in (GOLDEN / "otlp.jsonl").read_text().splitlines()]


def without_nothing(said: Any) -> dict[str, object]:
    return {name: value for name, value in said.items() if value is not None}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_both_say_the_same(data: st.DataObject) -> None:
    request = data.draw(export_requests() | st.sampled_from(GOLDEN_REQUESTS))
    if data.draw(st.booleans()):
        request = spoil(data.draw, request)
    line = json.dumps(request)
    try:
        quick = decode_request(line)
    except QUICK_FAILURES:
        return
    said = decode(line)
    assert isinstance(said, dict)
    assert [*map(without_nothing, split(quick))] == [*map(without_nothing, closely(said))]


VALUES = {
    "no text": {"stringValue": 5},
    "no number": {"intValue": 5.5},
    "no one": {"stringValue": ["a"]},
    "half a pair": {"stringValue": "\ud800"},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_of_another_type_costs_no_span(tmp_path: Path, value: object) -> None:
    path = tmp_path / "t.jsonl"
    request = json.loads(json.dumps(GOLDEN_REQUESTS[0]))
    expected = len(requests(GOLDEN / "otlp.jsonl", "otlp"))
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["attributes"].append({"key": "user.name", "value": value})
    path.write_text("\n".join(json.dumps(each) for each in [request, *GOLDEN_REQUESTS[1:]]))
    assert len(requests(path, "otlp")) == expected


def test_digits_stay(tmp_path: Path) -> None:
    """A cost is no binary fraction on its way."""
    call = {"gen_ai.operation.name": {"stringValue": "chat"}, "gen_ai.request.model": {"stringValue": "m"}}
    attributes = [{"key": name, "value": value} for name, value in call.items()]
    attributes.append({"key": "gen_ai.usage.cost", "value": {"doubleValue": 0}})
    span = {"spanId": "0000000000000001", "startTimeUnixNano": "1795000000000000000", "attributes": attributes}
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    path = tmp_path / "t.jsonl"
    path.write_text(line.replace('"doubleValue": 0', '"doubleValue": 0.12345678901234567890123'))
    assert [row["cost_amount"] for row in requests(path, "otlp")] == ["0.12345678901234567890123"]
