"""Costs that sources reckon and numbers as they write them: an unknown price is never 0, no token is counted twice."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.usage.sources.adapter import Usage
from orchestration.lib.usage.sources.catalogue import SOURCES
from orchestration.lib.usage.sources.report import Reader, Row
from orchestration.lib.usage.sources.values import whole

UNHURRIED = settings(deadline=None, max_examples=200)
ZEROS = ("0", "0.0", "-0.0", "0E-7", "0e0", "+0", ".0")


def litellm(cost: str | None, tokens: int, *, failed: bool) -> dict[str, Any]:
    status = {"status": "failure"} if failed else {}
    return {"call_type": "acompletion", "model": "m", "spend": cost, "prompt_tokens": tokens, **status}


def langfuse(cost: str | None, tokens: int, *, failed: bool) -> dict[str, Any]:
    level = "ERROR" if failed else "DEFAULT"
    return {"type": "GENERATION", "usageDetails": {"input": tokens}, "calculatedTotalCost": cost, "level": level}


def helicone(cost: str | None, tokens: int, *, failed: bool) -> dict[str, Any]:
    return {"model": "m", "prompt_tokens": tokens, "costUSD": cost, "response_status": "500" if failed else "200"}


def otlp(cost: str | None, tokens: int, *, failed: bool) -> dict[str, Any]:
    said = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": str(tokens), "gen_ai.usage.cost": cost}
    return {**said, **({"error.type": "timeout"} if failed else {})}


def claude_code(cost: str | None, tokens: int, *, failed: bool) -> dict[str, Any]:
    message = {"id": "msg_1", "model": "m", "usage": {"input_tokens": tokens}}
    return {"type": "assistant", "message": message, "costUSD": cost, "isApiErrorMessage": failed}


RECORDS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "litellm": litellm,
    "langfuse": langfuse,
    "helicone": helicone,
    "otlp": otlp,
    "claude-code": claude_code,
}


def read(source: str, record: Mapping[str, object]) -> Usage:
    usage = SOURCES[source].adapter()(record)
    assert usage is not None
    return usage


def cost(usage: Usage) -> tuple[str | None, str | None, str | None]:
    return usage.get("cost_amount"), usage.get("cost_source"), usage.get("currency")


@pytest.mark.parametrize("source", RECORDS)
@UNHURRIED
@given(said=st.sampled_from(ZEROS) | st.just("0.25"), tokens=st.integers(0, 9), failed=st.booleans())
def test_an_estimate_of_nothing_for_tokens_is_no_cost(source: str, said: str, tokens: int, failed: bool) -> None:
    """A price list that doesn't know the model says 0: the request is unpriced, unless it failed or used nothing."""
    found = cost(read(source, RECORDS[source](said, tokens, failed=failed)))
    if Decimal(said) == 0 and tokens and not failed:
        assert found[:2] == (None, None)
    else:
        # whatever the default currency is
        assert found == (said, "estimated", "USD")


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("litellm", {"metadata": '{"cost_breakdown": {"total_cost": 0}}'}),
        ("litellm", {"cache_hit": "True"}),
        ("langfuse", {"costDetails": {"input": 0, "total": 0}}),
        ("helicone", {"cache_reference_id": "6b1f6a0e-0000-4000-8000-000000000001"}),
    ],
)
def test_what_is_known_to_cost_nothing_costs_nothing(source: str, known: dict[str, Any]) -> None:
    assert cost(read(source, {**RECORDS[source]("0", 5, failed=False), **known})) == ("0", "estimated", "USD")


@pytest.mark.parametrize("source", RECORDS)
def test_what_says_no_cost_has_none(source: str) -> None:
    assert cost(read(source, RECORDS[source](None, 5, failed=False)))[:2] == (None, None)


# as the targets of a file read a count
COUNT = re.compile(r"[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?")
SPELLINGS = st.from_regex(r"[-+]?[0-9]{0,14}[.]?[0-9]{0,3}([eE][-+]?[0-9]{1,4})?", fullmatch=True) | st.sampled_from(
    [
        "1e3",
        "12.0",
        "1.5E+006",
        "0000000000001000",
        "-0",
        "1e-400",
        "1e400",
        "1_000",
        "\u0663",
        "\uff11\uff12",
        "0x10",
        "1e99999999999",
    ]
)


@UNHURRIED
@given(SPELLINGS)
def test_a_count_is_what_it_says_however_it_is_spelt(said: str) -> None:
    expected = None
    if COUNT.fullmatch(said) and not re.search("[eE].*[0-9]{5}", said):
        number = Decimal(said)
        expected = int(number) if number == number.to_integral_value() and 0 <= number < 10**12 else None
    assert whole(said) == expected
    # and taken out of the whole that it is in
    details = {"usage_object": {"prompt_tokens_details": {"cached_tokens": 4}}}
    row = {**litellm("1", 0, failed=False), "prompt_tokens": said, "metadata": json.dumps(details)}
    if expected is not None and expected >= 4:
        assert read("litellm", row).get("input_tokens") == expected - 4


@pytest.mark.parametrize("said", ["1_000", "\u0660.\u0665", "\uff11\uff12", "0x10", "NaN", "inf", "1 000", "0,5"])
def test_no_amount_of_a_report_is_guessed(said: str) -> None:
    row: Row = {}
    assert Reader(row).amount("amount", said) is None
    assert row["wrong"] == ["amount is not a number"]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("1e400", "amount is not an amount below 10^12"),
        ("-1e99999999999", "amount is not an amount below 10^12"),
        ("1e-99999999999", "amount has more than 100 decimals"),
    ],
)
def test_what_is_too_large_or_too_small_is_called_so(said: str, wrong: str) -> None:
    row: Row = {}
    assert Reader(row).amount("amount", said) is None
    assert row["wrong"] == [wrong]


@UNHURRIED
@given(*[st.integers(0, 10**6)] * 3, st.booleans())
def test_reasoning_that_only_the_total_has_is_counted_once(given_: int, made: int, thought: int, beside: bool) -> None:
    """xAI counts it beside the completion, as its total tells; others within it."""
    completion = made if beside else made + thought
    usage = {
        "prompt_tokens": given_,
        "completion_tokens": completion,
        "total_tokens": given_ + made + thought,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    row = {**usage, "call_type": "acompletion", "model": "grok-4", "metadata": json.dumps({"usage_object": usage})}
    span = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": str(given_),
        "gen_ai.usage.output_tokens": str(completion),
        "gen_ai.usage.total_tokens": str(given_ + made + thought),
        "gen_ai.usage.reasoning.output_tokens": str(thought),
    }
    for found in (read("litellm", row), read("otlp", span)):
        assert "wrong" not in found
        classes = [int(found.get(name) or 0) for name in ("input_tokens", "output_tokens", "reasoning_tokens")]  # type: ignore[call-overload]
        assert classes == [given_, made, thought]


@UNHURRIED
@given(*[st.integers(0, 10**6)] * 4, st.sampled_from(["within", "apart", "gemini"]))
def test_langfuse_says_by_its_total_where_the_parts_are(
    fresh: int, cached: int, text: int, thought: int, convention: str
) -> None:
    prompt = fresh if convention == "apart" else fresh + cached
    completion = text + thought if convention == "within" else text
    names = ("input", "output", "input_cached_tokens", "output_reasoning_tokens", "total")
    if convention == "gemini":
        names = (
            *("prompt_token_count", "candidates_token_count", "cached_content_token_count", "thoughts_token_count"),
            "total_token_count",
        )
    details = dict(zip(names, (prompt, completion, cached, thought, fresh + cached + text + thought), strict=True))
    usage = read("langfuse", {"type": "GENERATION", "usageDetails": details})
    found = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    assert "wrong" not in usage
    assert [int(usage.get(name) or 0) for name in found] == [fresh, cached, text, thought]  # type: ignore[call-overload]


def test_a_total_alone_is_input() -> None:
    observation = {"type": "EMBEDDING", "usageDetails": {"total": 107, "input_cached_tokens": 7}}
    usage = read("langfuse", observation)
    assert (usage.get("input_tokens"), usage.get("cache_read_tokens"), usage.get("output_tokens")) == (100, 7, 0)
