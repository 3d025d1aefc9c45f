"""Usage that is loaded gets its cost: ours, the source's, or both."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from core_rows import value
from price_rows import add_agreement, add_price
from usage_loads import T, counts, query

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport

pytestmark = pytest.mark.engines("postgres")
COSTS = (
    "select cost_amount, currency, cost_source, list_cost_amount, computed_cost_amount, source_cost_amount"
    " from core.llm_metrics order by request_id"
)


@pytest.fixture
def warehouse(database: str, emptied: None) -> Iterator[Connection]:
    """Prices of a provider of its own, and a discount."""
    with connect(database) as connection:
        if not value(connection, "select exists (select from core.model_prices where provider = 'acme')"):
            add_price(connection, "input_tokens", "2")
            add_price(connection, "output_tokens", "10")
            add_price(connection, "input_tokens", "4", model="dear")
            add_agreement(connection, provider="acme", model="dear", discount_percent=25, valid_from="2020-01-01Z")
        yield connection
        connection.execute("update internal.settings set value = 'source' where name = 'cost_precedence'")


def row(request: str, **values: Any) -> dict[str, Any]:
    return {"time": T, "provider": "acme", "model": "rocket", "request_id": request, **values}


def test_what_comes_without_a_cost_gets_ours(warehouse: Connection, load_json: Callable[..., IngestReport]) -> None:
    rows = [
        row("a", input_tokens=1000, output_tokens=100),
        row("b", model="dear", input_tokens=1_000_000, service_tier="flex"),
        row("c", model="unknown", input_tokens=5),
        row("d", input_tokens=1, cost_source="unpriced", currency="EUR"),
    ]
    assert counts(load_json(rows)) == (4, 0, 0)
    assert warehouse.execute(COSTS).fetchall() == [
        (Decimal("0.003"), "USD", "computed", Decimal("0.003"), None, None),
        (3, "USD", "estimated", 4, None, None),
        (None, "USD", "unpriced", None, None, None),
        (Decimal("0.000002"), "USD", "computed", Decimal("0.000002"), None, None),
    ]
    priced = "select count(*) from core.llm_metrics as m join core.applied_prices as a on a.id = m.price_id"
    assert value(warehouse, priced) == 3
    # nothing of it is another request, or says something else
    report = load_json(rows)
    assert (counts(report), report.changed) == ((0, 4, 0), 0)


def test_the_cost_of_the_source_counts_and_ours_stands_beside(
    warehouse: Connection, load_json: Callable[..., IngestReport]
) -> None:
    load_json(
        [
            row("a", input_tokens=1_000_000, cost_amount="2.5"),
            row("b", input_tokens=1_000_000, cost_amount="2.5", cost_source="estimated"),
            row("c", input_tokens=1_000_000, cost_amount="2.5", currency="EUR"),
            row("d", input_tokens=1_000_000, cost_amount="2.5", price_id=str(uuid4())),
        ]
    )
    assert warehouse.execute(COSTS).fetchall() == [
        (Decimal("2.5"), "USD", "provider", 2, 2, None),
        (Decimal("2.5"), "USD", "estimated", 2, 2, None),
        (Decimal("2.5"), "EUR", "provider", None, None, None),
        (Decimal("2.5"), "USD", "provider", None, None, None),
    ]


def test_our_prices_count_where_that_is_set(warehouse: Connection, load_json: Callable[..., IngestReport]) -> None:
    warehouse.execute("update internal.settings set value = 'prices' where name = 'cost_precedence'")
    rows = [row("a", input_tokens=1_000_000, cost_amount="2.5"), row("b", model="unknown", cost_amount="2.5")]
    load_json(rows)
    assert warehouse.execute(COSTS).fetchall() == [
        (2, "USD", "computed", 2, None, Decimal("2.5")),
        (Decimal("2.5"), "USD", "provider", None, None, None),
    ]
    report = load_json([*rows, row("a", input_tokens=1_000_000, cost_amount="2.4")], "again.jsonl")
    assert report.changed == 1
    assert report.differences[0].endswith(": source_cost_amount is 2.4, stored is 2.5")


def test_a_trial_keeps_no_prices(warehouse: Connection, database: str, write_usage: Callable[..., str]) -> None:
    applied = "select count(*) from core.applied_prices"
    before = value(warehouse, applied)
    path = write_usage("time,provider,model,input_tokens", f"{T},acme,rocket-new,5", f"{T},acme,rocket,7")
    add_price(warehouse, "input_tokens", "5", model="rocket-new")
    trials: list[Any] = []
    ingest_files(database, [path], trials=trials)
    assert {each["cost_source"] for each in trials[0].rows} == {"computed"}
    assert value(warehouse, applied) == before


def test_any_grouping_adds_up_to_the_same_last_digit(
    warehouse: Connection, database: str, load_json: Callable[..., IngestReport]
) -> None:
    add_price(warehouse, "input_tokens", "0.1234567", model="fine")
    rows = [row(str(n), model="fine", input_tokens=n, application=f"a{n % 7}") for n in range(1, 1001)]
    load_json(rows)
    total = Decimal("0.1234567") * sum(range(1, 1001)) / 1_000_000
    for group in ("request_id", "application", "model"):
        found = query(
            database,
            f"select sum(part) from (select sum(cost_amount) as part from core.llm_metrics group by {group}) as p",
        )
        assert found == [(total,)]


def test_a_correction_is_costed_anew(warehouse: Connection, load_json: Callable[..., IngestReport]) -> None:
    load_json(
        [
            row("a", input_tokens=1_000_000),
            row("b", input_tokens=1_000_000, cost_amount="2.5"),
            row("c", input_tokens=1_000_000),
            row("d", input_tokens=1_000_000),
        ]
    )
    said = [
        row("a", input_tokens=3_000_000),
        row("b", input_tokens=1_000_000, cost_amount="2.25"),
        row("c", input_tokens=1_000_000, cost_amount="1.5"),
        row("d", input_tokens=1_000_000, latency_ms=7),
    ]
    kept = load_json(said, "again.jsonl")
    assert kept.changed == 4
    assert "input_tokens is 3000000, stored is 1000000; cost_amount is 6, stored is 2" in kept.differences[0]
    assert load_json(said, "again.jsonl", on_conflict="replace").replaced == 4
    assert warehouse.execute(COSTS).fetchall() == [
        (6, "USD", "computed", 6, None, None),
        (Decimal("2.25"), "USD", "provider", 2, 2, None),
        (Decimal("1.5"), "USD", "provider", 2, 2, None),
        (2, "USD", "computed", 2, None, None),
    ]
    assert value(warehouse, "select count(*) from core.llm_metrics where price_id is null") == 0
    # a second time there is nothing to replace
    assert counts(load_json(said, "again.jsonl", on_conflict="replace")) == (0, 4, 0)
