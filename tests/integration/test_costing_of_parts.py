"""Tokens that are counted in a class and have a price of their own: kept for an hour, audio read from a cache."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from core_rows import value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from price_rows import add_agreement, add_price, computed, cost, costs
from usage_loads import NOW, T, query

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.pricing.reprice import Scope, begin, proceed
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh

# arithmetic on numeric and text, the same on every engine
pytestmark = pytest.mark.engines("postgres")
MILLION = 1_000_000


def test_an_hour_costs_its_own_price(connection: Connection) -> None:
    for unit, price in (("input_tokens", "3"), ("cache_write_tokens", "3.75"), ("cache_write_1h_tokens", "6")):
        add_price(connection, unit, price)
    said = {"input_tokens": 10, "cache_write_tokens": 100}
    # 10 x 3 + 40 x 3.75 + 60 x 6
    assert computed(connection, **said, units={"cache_write_1h_tokens": 60}) == Decimal("0.00054")
    assert computed(connection, **said) == Decimal("0.000405")
    # never more of a class than it has, nor less
    assert computed(connection, **said, units={"cache_write_1h_tokens": 1000}) == Decimal("0.00063")
    assert computed(connection, **said, units={"cache_write_1h_tokens": -5}) == Decimal("0.000405")
    assert computed(connection, **said, units={"cache_write_1h_tokens": "60"}) == Decimal("0.000405")
    # and a part of nothing is nothing that is used
    assert computed(connection, units={"cache_write_1h_tokens": 60}) is None


def test_a_part_that_the_list_doesnt_tell_apart_costs_what_its_class_does(connection: Connection) -> None:
    units = {"cache_write_1h_tokens": 60, "cache_read_audio_tokens": 30}
    said = {"cache_read_tokens": 50, "cache_write_tokens": 100, "units": units}
    add_price(connection, "input_tokens", "3")
    assert computed(connection, **said) == Decimal("0.00045")
    # 90 x 3 + 60 x 6
    add_price(connection, "cache_write_1h_tokens", "6")
    assert computed(connection, **said) == Decimal("0.00063")
    # 20 x 0.06 + 30 x 0.3 beside the 40 x 3 + 60 x 6
    add_price(connection, "cache_read_tokens", "0.06")
    add_price(connection, "cache_read_audio_tokens", "0.3")
    assert computed(connection, **said) == Decimal("0.0004902")


def test_agreements_are_for_parts_too(connection: Connection) -> None:
    for unit, price in (("input_tokens", "3"), ("cache_write_tokens", "4"), ("cache_write_1h_tokens", "6")):
        add_price(connection, unit, price)
    add_price(connection, "cache_write_tokens", "2", price_list="own", model="rocket")
    add_agreement(connection, provider="acme", discount_percent=10)
    said = {"cache_write_tokens": 100, "units": {"cache_write_1h_tokens": 60}}
    found = cost(connection, **said)
    assert found is not None
    assert (found["list_cost"], found["computed_cost"]) == (Decimal("0.00052"), Decimal("0.000468"))
    add_agreement(connection, name="Own", provider="acme", model="rocket", price_list="own")
    found = cost(connection, **said)
    assert found is not None
    # what an own list doesn't name costs the list price: 40 x 2 + 60 x 6
    assert (found["list_cost"], found["computed_cost"]) == (Decimal("0.00052"), Decimal("0.00044"))


PRICE = st.decimals(0, 100, places=3)
COUNT = st.integers(0, 10**6)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.sampled_from(
            ["cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "cache_read_audio_tokens"]
        ),
        st.tuples(PRICE, st.none() | PRICE),
    ),
    st.lists(st.tuples(COUNT, COUNT, COUNT, COUNT, COUNT), min_size=1, max_size=8),
)
def test_parts_beside_an_oracle(
    connection: Connection,
    prices: dict[str, tuple[Decimal, Decimal | None]],
    requests: list[tuple[int, int, int, int, int]],
) -> None:
    """Each with a price for short and for long requests, or with neither."""
    with connection.transaction(force_rollback=True):
        for unit, (price, long) in {"input_tokens": (Decimal(3), Decimal(5)), **prices}.items():
            add_price(connection, unit, price)
            if long is not None:
                add_price(connection, unit, long, context_above=MILLION)
        said = [
            {
                "input_tokens": fresh,
                "cache_read_tokens": read,
                "cache_write_tokens": written,
                "units": {"cache_write_1h_tokens": hour, "cache_read_audio_tokens": audio},
            }
            for fresh, read, written, hour, audio in requests
        ]
        found = [each and each["computed_cost"] for each in costs(connection, *said)]

    def price_of(unit: str, of: str, is_long: bool) -> Decimal:
        for name in (unit, of):
            if name in prices:
                short, long = prices[name]
                return long if is_long and long is not None else short
        return Decimal(5 if is_long else 3)

    for (fresh, read, written, hour, audio), answer in zip(requests, found, strict=True):
        total = Decimal(fresh * (5 if fresh + read + written > MILLION else 3))
        for number, part, unit, of in (
            (written, hour, "cache_write_1h_tokens", "cache_write_tokens"),
            (read, audio, "cache_read_audio_tokens", "cache_read_tokens"),
        ):
            is_long, within = fresh + read + written > MILLION, min(part, number)
            total += (number - within) * price_of(of, of, is_long) + within * price_of(unit, of, is_long)
        assert answer == (total / MILLION if fresh + read + written else None)


# what is loaded


@pytest.fixture
def warehouse(database: str, emptied: None) -> Iterator[Connection]:
    with connect(database) as connection:
        if not value(connection, "select exists (select from core.model_prices where model = 'kept')"):
            for unit, price in (("input_tokens", "3"), ("cache_write_tokens", "3.75"), ("cache_write_1h_tokens", "6")):
                add_price(connection, unit, price, model="kept")
        yield connection


def line(units: dict[str, int] | None) -> dict[str, Any]:
    said = {"time": T, "request_id": "r", "provider": "acme", "model": "kept", "cache_write_tokens": 100}
    return {**said, "metadata": {"units": units}} if units else said


def test_what_a_log_says_of_an_hour_is_in_cost_reports_and_focus(
    warehouse: Connection, load_json: Callable[..., IngestReport], database: str
) -> None:
    load_json([line(None)])
    stored = "select cost_amount, metadata -> 'units' from core.llm_metrics"
    assert query(database, stored) == [(Decimal("0.000375"), None)]
    # a release that reads more of the same log costs what it says
    report = load_json([line({"cache_write_1h_tokens": 60})], on_conflict="replace")
    assert (report.loaded, report.changed) == (0, 1)
    assert query(database, stored) == [(Decimal("0.00051"), {"cache_write_1h_tokens": 60})]
    refresh(database)
    charges = "select sku_meter, billed_cost, list_cost from reporting.focus_cost_and_usage order by 1"
    assert query(database, charges) == [
        ("Cache Write Input Tokens", Decimal("0.000375"), Decimal("0.000375")),
        ("Other Units", Decimal("0.000135"), Decimal("0.000135")),
    ]
    # what is costed anew costs the same
    begin(database, Scope(NOW - timedelta(days=9), NOW, "acme"), "again", "ann")
    proceed(database)
    assert query(database, stored) == [(Decimal("0.00051"), {"cache_write_1h_tokens": 60})]
