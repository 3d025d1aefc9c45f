"""LiteLLM's map of prices as ours: exact, by one name for each model, dated from when it was seen."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.litellm_map import PriceMap, named_prices, read_map, since_seen
from orchestration.lib.pricing.price_changes import plan
from orchestration.lib.pricing.price_file import Key, Price

SEEN = datetime(2026, 11, 28, tzinfo=UTC)


def entry(provider: str = "openai", **prices: Any) -> dict[str, Any]:
    return {"litellm_provider": provider, "mode": "chat", **prices}


def parse(**entries: Any) -> PriceMap:
    return read_map("map.json", json.dumps(entries).encode())


def price(amount: str, basis: str = "assumed", starts: datetime | None = None, ends: datetime | None = None) -> Price:
    key = Key("list", "openai", "m", "input_tokens", "standard", 0, "", "USD")
    return Price(key, Decimal(amount), starts, ends, basis, "LiteLLM map.json", id="1")


def test_prices_are_taken_as_they_are_written() -> None:
    written = (
        '{"m": {"litellm_provider": "openai", "input_cost_per_token": 1.1e-07, "output_cost_per_token": 0.0000004,'
        ' "cache_read_input_token_cost_above_272k_tokens_flex": 3E-8, "input_cost_per_token_above_200k_tokens": 2.2e-7,'
        ' "output_cost_per_token_batches": 0, "cache_creation_input_token_cost_above_1hr": 1e-5,'
        ' "output_cost_per_second": 1, "search_context_cost_per_query": {"search_context_size_low": 0.01}}}'
    )
    [read] = read_map("map.json", written.encode()).entries
    assert read.prices == {
        ("input_tokens", "standard", 0): Decimal("0.11"),
        ("output_tokens", "standard", 0): Decimal("0.4"),
        ("cache_read_tokens", "flex", 272_000): Decimal("0.03"),
        ("input_tokens", "standard", 200_000): Decimal("0.22"),
        ("output_tokens", "batch", 0): Decimal(0),
        ("cache_write_1h_tokens", "standard", 0): Decimal(10),
    }


@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("gpt-4o", "openai", ("openai", "gpt-4o", "")),
        ("azure/gpt-4o", "azure", ("azure", "gpt-4o", "")),
        ("together_ai/meta/Llama-3", "together_ai", ("together_ai", "meta/Llama-3", "")),
        ("vertex_ai/claude-sonnet-4-5", "vertex_ai-anthropic_models", ("vertex_ai", "claude-sonnet-4-5", "")),
        ("gemini-2.5-pro", "vertex_ai-language-models", ("vertex_ai", "gemini-2.5-pro", "")),
        ("us.anthropic.claude-v2:1", "bedrock_converse", ("bedrock_converse", "us.anthropic.claude-v2:1", "")),
        ("bedrock/us-gov-west-1/claude-v2", "bedrock", ("bedrock", "claude-v2", "us-gov-west-1")),
        # what has a price of a part of the model's, or is bought for months
        ("bedrock/us-east-1/1-month-commitment/claude-v2", "bedrock", None),
        ("low/1024-x-1024/gpt-image-1", "openai", None),
        ("azure/eu/gpt-4o", "azure", None),
    ],
)
def test_a_name_is_what_logs_call_the_model(name: str, provider: str, expected: tuple[str, str, str] | None) -> None:
    found = parse(**{name: entry(provider, input_cost_per_token=1e-6), "other": entry(input_cost_per_token=1e-6)})
    read = [(each.provider, each.model, each.region) for each in found.entries if each.model != "other"]
    assert read == ([] if expected is None else [expected])
    assert found.unusable == (expected is None)


def test_a_second_is_one_that_is_heard() -> None:
    heard = entry(mode="audio_transcription", input_cost_per_second=0.0001, output_cost_per_second=0.0001)
    found = parse(whisper=heard, machine=entry(input_cost_per_second=0.5, input_cost_per_token=1e-6))
    assert [each.prices for each in found.entries] == [
        {("seconds", "standard", 0): Decimal(100)},
        {("input_tokens", "standard", 0): Decimal(1)},
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{}", "map.json has no price of any model: nothing is changed"),
        # 0 is what it says where it doesn't know
        (json.dumps({"m": entry(input_cost_per_token=0.0)}).encode(), "map.json has no price of any model"),
        (json.dumps({"sample_spec": entry(input_cost_per_token=1)}).encode(), "map.json has no price of any model"),
        (b"[]", "map.json is no price map of LiteLLM, which is an object with an object for each model"),
        (b'{"m": 1}', "map.json is no price map of LiteLLM"),
        (b'{"m": {"input', "map.json is no JSON that can be read: Unterminated string"),
        (b'{"m": "\xff"}', "map.json is no JSON that can be read: 'utf-8' codec"),
        (b'{"m": {"litellm_provider": "x", "input_cost_per_token": NaN}}', "map.json is no JSON .* NaN is no number"),
        (
            json.dumps({"m": entry(input_cost_per_token=-1e-6)}).encode(),
            "map.json, m: input_cost_per_token is negative",
        ),
        (json.dumps({"m": entry(input_cost_per_token="1e-6")}).encode(), "map.json, m: input_cost_per_token is '1e-6'"),
        (json.dumps({"m": entry(input_cost_per_token=True)}).encode(), "map.json, m: input_cost_per_token is True"),
        (json.dumps({"m": entry(input_cost_per_token=1e9)}).encode(), "map.json, m: .* out of all bounds"),
        (json.dumps({"m\x1b[2J": entry(input_cost_per_token=1e-6)}).encode(), "the name is empty, longer than 200"),
        (b"[" * 100_000, "map.json is no JSON that can be read"),
    ],
)
def test_what_cannot_be_right_is_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(GovernanceError, match=sentence):
        read_map("map.json", content)


def test_entries_of_one_model_are_one_price_or_none() -> None:
    def named(*models: tuple[str, float]) -> tuple[list[str], int]:
        found = parse(**{model: entry(input_cost_per_token=cost) for model, cost in models})
        prices = named_prices(found, {("openai", model): ("openai", "m") for model, _ in models}, "LiteLLM x")
        return [f"{each.amount.normalize():f}" for each in prices], found.ambiguous

    # its own name says it, then what all agree on
    assert named(("m", 1e-6), ("m-2025-01-01", 3e-6)) == (["1"], 0)
    assert named(("m-2025-01-01", 3e-6), ("m-latest", 3e-6)) == (["3"], 0)
    assert named(("m-2025-01-01", 3e-6), ("m-latest", 4e-6)) == ([], 2)


def test_a_price_holds_since_it_was_seen() -> None:
    assert since_seen([price("3")], [], SEEN) == ([price("3")], [])
    there = price("2")
    [dated], left = since_seen([price("3")], [there], SEEN)
    assert (dated.starts, dated.ends, left) == (SEEN, None, [])
    changes = plan([there], [dated], date(2026, 11, 28))
    assert (changes.end, changes.add, changes.supersede) == ([(there, SEEN)], [dated], [])
    # what is there already changes nothing, however often it is seen
    [again], _ = since_seen([price("2")], [there], SEEN)
    assert not plan([there], [again], date(2026, 11, 28))


def test_what_somebody_knows_or_has_decided_stays() -> None:
    for basis in ("known", "decided"):
        assert since_seen([price("3")], [price("2", basis)], SEEN) == ([], [price("3")])
        assert since_seen([price("2")], [price("2", basis)], SEEN) == ([], [])
    # one that was ended has no price on purpose
    ended = price("2", ends=datetime(2026, 3, 1, tzinfo=UTC))
    assert since_seen([price("3")], [ended], SEEN) == ([], [price("3")])
    # and one that is announced comes
    announced = datetime(2027, 1, 1, tzinfo=UTC)
    there = [price("2", ends=announced), price("5", "known", starts=announced)]
    [dated], _ = since_seen([price("3")], there, SEEN)
    assert (dated.starts, dated.ends) == (SEEN, announced)
