"""Token classes of each source, compared with what an independent library reads of the provider's own answer."""

import copy
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from genai_prices import extract_usage
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.sources.adapted import _record
from orchestration.lib.usage.sources.adapter import Usage
from orchestration.lib.usage.sources.catalogue import SOURCES

# a busy machine is slow, and a first call reads the oracle's data
UNHURRIED = settings(deadline=None)
COUNTS = st.integers(0, 10**6)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, int]:
    """Disjoint counts of one request."""
    names = ("fresh", "read", "written", "text", "thought")
    return {name: draw(COUNTS) for name in names}


def classes(source: str, *records: Mapping[str, Any]) -> dict[str, int]:
    """What an adapter makes of the records of one request."""
    adapter = SOURCES[source].adapter()
    (usage,) = [usage for usage in map(adapter, records) if usage is not None]
    assert "wrong" not in usage
    names = ("input", "cache_read", "cache_write", "output", "reasoning")
    return {name: int(usage.get(f"{name}_tokens") or 0) for name in names}  # type: ignore[call-overload]


def of_oracle(said: dict[str, Any], provider: str, flavor: str = "default") -> dict[str, int]:
    """The same of the provider's answer: its library counts input with the cache's, output with reasoning."""
    usage = extract_usage(said, provider_id=provider, api_flavor=flavor).usage
    read, written = int(usage.cache_read_tokens or 0), int(usage.cache_write_tokens or 0)
    return {
        "input": int(usage.input_tokens or 0) - read - written,
        "cache_read": read,
        "cache_write": written,
        "output_and_reasoning": int(usage.output_tokens or 0),
    }


def joined(found: dict[str, int]) -> dict[str, int]:
    rest = {name: number for name, number in found.items() if name not in ("output", "reasoning")}
    return {**rest, "output_and_reasoning": found["output"] + found["reasoning"]}


def chat_usage(of: dict[str, int]) -> dict[str, Any]:
    given, made = of["fresh"] + of["read"], of["text"] + of["thought"]
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": of["read"]},
        "completion_tokens_details": {"reasoning_tokens": of["thought"]},
    }


@UNHURRIED
@drawn(answers())
def test_litellm_of_openai(of: dict[str, int]) -> None:
    usage = chat_usage(of)
    row = {**usage, "call_type": "acompletion", "metadata": json.dumps({"usage_object": usage}), "model": "gpt-4o"}
    found = classes("litellm", row)
    assert joined(found) == of_oracle({"model": "gpt-4o", "usage": usage}, "openai", "chat")
    assert (found["output"], found["reasoning"]) == (of["text"], of["thought"])


@UNHURRIED
@drawn(answers())
def test_claude_code_of_anthropic(of: dict[str, int]) -> None:
    usage = {
        "input_tokens": of["fresh"],
        "cache_read_input_tokens": of["read"],
        "cache_creation_input_tokens": of["written"],
        "output_tokens": of["text"],
    }
    message = {"id": "msg_1", "model": "claude-sonnet-4-20250514", "usage": usage}
    line = {"type": "assistant", "message": message, "requestId": "req_1"}
    assert joined(classes("claude-code", line)) == of_oracle(copy.deepcopy(message), "anthropic")


@UNHURRIED
@drawn(answers())
def test_codex_of_openai(of: dict[str, int]) -> None:
    given, made = of["fresh"] + of["read"], of["text"] + of["thought"]
    usage = {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": of["read"]},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": of["thought"]},
    }
    said = {
        "input_tokens": given,
        "cached_input_tokens": of["read"],
        "output_tokens": made,
        "reasoning_output_tokens": of["thought"],
    }
    line = {
        "type": "event_msg",
        "payload": {"type": "token_count", "info": {"total_token_usage": said, "last_token_usage": said}},
    }
    if not any(of.values()):
        said["input_tokens"] = usage["input_tokens"] = 1
    oracle = of_oracle({"model": "gpt-5", "usage": usage}, "openai", "responses")
    assert joined(classes("codex", line)) == oracle


@UNHURRIED
@drawn(answers())
def test_otlp_langfuse_openrouter_and_helicone_say_the_same(of: dict[str, int]) -> None:
    given, made = of["fresh"] + of["read"] + of["written"], of["text"] + of["thought"]
    expected = {
        "input": of["fresh"],
        "cache_read": of["read"],
        "cache_write": of["written"],
        "output": of["text"],
        "reasoning": of["thought"],
    }
    span = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": str(given),
        "gen_ai.usage.output_tokens": str(made),
        "gen_ai.usage.cache_read.input_tokens": str(of["read"]),
        "gen_ai.usage.cache_creation.input_tokens": str(of["written"]),
        "gen_ai.usage.reasoning.output_tokens": str(of["thought"]),
    }
    assert classes("otlp", span) == expected
    parts = {
        "input_cached_tokens": of["read"],
        "cache_creation_input_tokens": of["written"],
        "output_reasoning_tokens": of["thought"],
    }
    apart = {"input": of["fresh"], "output": of["text"], **parts, "total": given + made}
    within = {"input": given, "output": made, **parts, "total": given + made}
    for details in (apart, within):
        assert classes("langfuse", {"type": "GENERATION", "model": "m", "usageDetails": details}) == expected
    row = {
        "prompt_tokens": str(of["fresh"]),
        "completion_tokens": str(of["text"]),
        "total_tokens": str(of["fresh"] + of["text"]),
        "prompt_cache_read_tokens": str(of["read"]),
        "prompt_cache_write_tokens": str(of["written"]),
        "reasoning_tokens": str(of["thought"]),
    }
    assert classes("helicone", row) == expected
    generation = {
        "tokens_prompt": str(of["fresh"] + of["read"]),
        "tokens_completion": str(made),
        "tokens_cached": str(of["read"]),
        "tokens_reasoning": str(of["thought"]),
    }
    assert classes("openrouter", generation) == {**expected, "cache_write": 0}


# what may stand anywhere in a record
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(
        ["", " ", "0", "-1", "1e400", "NaN", "9" * 40, "\0", "\ud800", "\u200b", "2026-13-45T99:99:99Z", "²"]
    )
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
GOLDEN = Path(__file__).parents[1] / "fixtures" / "sources"


def samples(source: str) -> list[dict[str, Any]]:
    """Records of a source's file, which adapters take."""
    if source == "litellm":
        return list(json.loads((GOLDEN / "litellm.dump.json").read_text()))
    if (path := GOLDEN / f"{source}.jsonl").exists():
        records = [json.loads(line) for line in path.read_text().splitlines()]
        split = SOURCES[source].split
        return [dict(said) for record in records for said in (split(record) if split else (record,))]
    with (GOLDEN / f"{source}.csv").open() as file:
        return list(csv.DictReader(file))


def spoil(draw: Any, value: Any) -> Any:
    """The value with something else in it, somewhere."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: spoil(draw, value[name])}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], spoil(draw, value[place]), *value[place + 1 :]]
    return draw(JUNK)


# some five records each, over seven sources some 4,000 in all; `make malformed` has as many as one likes
@pytest.mark.parametrize("source", SOURCES)
@settings(deadline=None, max_examples=100)
@drawn(data=st.data())
def test_no_record_stops_an_adapter(source: str, data: st.DataObject) -> None:
    """Whatever stands in the place of a value, it says a request, with a reason against it or not, or none."""
    known = SOURCES[source]
    adapter = known.adapter()
    found: list[tuple[int, Usage]] = []
    for number, record in enumerate(samples(source)):
        spoilt = spoil(data.draw, record) if data.draw(st.booleans()) else record
        usage = adapter(spoilt) if isinstance(spoilt, dict) else None
        if usage is not None:
            found.append((number, usage))
    folded = list(known.fold(iter(found))) if known.fold else found
    for number, usage in folded:
        _line, _wrong, raw, *values = _record(number, usage, list(TARGETS))
        assert raw is None
        assert all(value is None or type(value) is str for value in values)
        tokens = [value for name, value in usage.items() if name.endswith("_tokens") and isinstance(value, int)]
        assert all(number >= 0 for number in tokens)
    assert len({line for line, _ in folded}) == len(folded)


@UNHURRIED
@drawn(data=st.data())
def test_no_export_request_stops_the_split_of_otlp(data: st.DataObject) -> None:
    split = SOURCES["otlp"].split
    assert split is not None
    for line in (GOLDEN / "otlp.jsonl").read_text().splitlines():
        spoilt = spoil(data.draw, json.loads(line))
        if isinstance(spoilt, dict):
            adapter = SOURCES["otlp"].adapter()
            for span in split(spoilt):
                adapter(span)
