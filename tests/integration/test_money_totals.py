"""Random histories against an oracle: whatever is loaded late, repriced, corrected and closed, all totals agree."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from closing_rows import THIS_MONTH, at, back, empty, named
from core_rows import add, add_team, value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from price_rows import add_agreement, add_price
from reporting_rows import add_request, report

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.pricing.closing import close
from orchestration.lib.pricing.reprice import Scope, begin, proceed
from orchestration.lib.warehouse.refresh import refresh

EXAMPLES = int(os.environ.get("GOVERNANCE_MONEY_EXAMPLES") or 5)
MODELS = ("rocket", "plane")
MONTHS = (back(3), back(2), back(1), THIS_MONTH)
TAGS = ('{"project": "x"}', '{"project": ["x", "y", "z"]}', "{}")
MONEY = st.decimals(0, 10**4, places=9)
REQUEST = st.fixed_dictionaries({
    "month": st.sampled_from(MONTHS),
    "day": st.integers(1, 28),
    "team": st.integers(0, 2),
    "model": st.sampled_from(MODELS),
    "tags": st.sampled_from(TAGS),
    "input_tokens": st.integers(1, 10**7),
    "said": st.none() | MONEY,
})  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("requests"), st.lists(REQUEST, min_size=1, max_size=5)),
    st.tuples(st.just("price"), st.tuples(st.sampled_from(MODELS), st.decimals("0.0001", 1000, places=6))),
    st.tuples(st.just("discount"), st.decimals("0.01", 99, places=3)),
    st.tuples(st.just("close"), st.none()),
    st.tuples(st.just("correct"), st.tuples(st.integers(0, 99), MONEY)),
    st.tuples(st.just("undo"), st.integers(0, 99)),
    st.tuples(st.just("credit"), st.tuples(st.integers(0, 2), MONEY.filter(bool))),
)
Key = tuple[date, int, str]


@dataclass
class Oracle:
    """Requests by id with what they cost, as docs/prices.md and docs/closing.md say it; teams by number."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    discount: Decimal = Decimal(0)
    closed: dict[date, dict[tuple[int, str], Decimal]] = field(default_factory=dict)
    # by the month they count in
    credits: dict[tuple[date, int], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    settled: dict[tuple[date, int], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    adjusted: dict[Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    @property
    def open_month(self) -> date:
        return next(month for month in MONTHS if month not in self.closed)

    def usage(self, *dimensions: str) -> dict[tuple[Any, ...], Decimal]:
        sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for request in self.requests.values():
            sums[tuple(request[name] for name in dimensions)] += request["cost"] or 0
        return sums

    def reprice(self) -> None:
        for request in self.requests.values():
            if request["said"] is None and request["model"] in self.prices:
                price = self.prices[request["model"]] * (1 - self.discount / 100)
                request["cost"] = request["input_tokens"] * price / 1_000_000

    def settle(self) -> None:
        now = self.usage("month", "team", "model")
        keys = {key for key in now if key[0] in self.closed} | set(self.adjusted)
        keys |= {(month, *rest) for month, totals in self.closed.items() for rest in totals}
        for key in keys:
            difference = now[key] - self.closed[key[0]].get(key[1:], Decimal(0)) - self.adjusted[key]
            self.adjusted[key] += difference
            self.settled[self.open_month, key[1]] += difference

    def close(self) -> None:
        month = self.open_month
        self.closed[month] = {
            key[1:]: cost for key, cost in self.usage("month", "team", "model").items() if key[0] == month
        }

    def charged(self) -> dict[tuple[date, int], Decimal]:
        sums: dict[tuple[date, int], Decimal] = defaultdict(Decimal)
        for (month, team), cost in self.usage("month", "team").items():
            if month not in self.closed:
                sums[month, team] += cost
        for month, totals in self.closed.items():
            for (team, _), cost in totals.items():
                sums[month, team] += cost
        for part in (self.credits, self.settled):
            for key, amount in part.items():
                sums[key] += amount
        return {key: amount for key, amount in sums.items() if amount}


@pytest.fixture
def warehouse(database: str) -> Iterator[Connection]:
    """For what a refresh must see; its rows go at the end."""
    with connect(database) as connection:
        yield connection
        empty(connection)
    refresh(database)


def play(connection: Connection, url: str, oracle: Oracle, teams: Sequence[Any], kind: str, what: Any) -> None:
    """A step of a history, in the warehouse and in the oracle."""
    chosen = [name for name, request in oracle.requests.items() if "gone" not in request]
    if kind == "requests":
        for request in what:
            name = f"q-{len(oracle.requests)}-{request['month']}-{request['day']}"
            oracle.requests[name] = request | {"cost": request["said"]}
            add_request(
                connection, at(request["month"], request["day"]), request_id=name, provider="acme",
                model=request["model"], team_id=teams[request["team"]], input_tokens=request["input_tokens"],
                tags=request["tags"], cost_amount=request["said"],
                cost_source="unpriced" if request["said"] is None else "provider",
            )  # fmt: skip
    elif kind == "price":
        model, oracle.prices[model] = what[0], what[1]
        connection.execute(
            "update core.model_prices set superseded_at = now() where origin = 'test' and model = %s"
            " and superseded_at is null",
            [model],
        )
        add_price(connection, "input_tokens", what[1], model=model)
        reprice(connection, url, oracle)
    elif kind == "discount" and not oracle.discount:
        oracle.discount = what
        add_agreement(connection, provider="acme", discount_percent=what, valid_from=at(back(12)))
        reprice(connection, url, oracle)
    elif kind == "close" and oracle.open_month != THIS_MONTH and oracle.usage("month").keys() & {(oracle.open_month,)}:
        refresh(url)
        oracle.settle()
        close(url, named(oracle.open_month), "ann")
        oracle.close()
    elif kind == "correct" and chosen:
        name = chosen[what[0] % len(chosen)]
        oracle.requests[name] |= {"said": what[1], "cost": what[1]}
        connection.execute(
            "update core.llm_metrics set cost_amount = %s, cost_source = 'provider', price_id = null,"
            " list_cost_amount = null, computed_cost_amount = null, source_cost_amount = null where request_id = %s",
            [what[1], name],
        )
    elif kind == "undo" and chosen:
        name = chosen[what % len(chosen)]
        # it stays in the oracle, and costs nothing
        oracle.requests[name] |= {"cost": Decimal(0), "said": Decimal(0), "gone": True}
        connection.execute("delete from core.llm_metrics where request_id = %s", [name])
    elif kind == "credit":
        team, amount = what
        oracle.credits[oracle.open_month, team] -= amount
        add(
            connection, "cost_adjustments", month=oracle.open_month, team_id=teams[team], currency="USD",
            amount=-amount, reason="credit",
        )  # fmt: skip


def reprice(connection: Connection, url: str, oracle: Oracle) -> None:
    begin(url, Scope(at(back(4)), datetime.now(UTC), "acme"), "random", "ann", into_closed=True)
    proceed(url)
    oracle.reprice()


def totals(connection: Connection, query: str) -> dict[Any, Decimal]:
    rows = connection.execute(query.encode()).fetchall()
    return {row[:-1] if len(row) > 2 else row[0]: row[-1] for row in rows if row[-1]}


def test_all_totals_of_random_histories_are_equal_to_the_last_digit(warehouse: Connection, database: str) -> None:
    """GOVERNANCE_MONEY_EXAMPLES=200 draws more of them."""
    teams = [*(add_team(warehouse, name=f"Team {number}") for number in range(2)), None]
    numbers = {team: number for number, team in enumerate(teams)}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(st.lists(REQUEST, min_size=3, max_size=8), st.lists(STEP, min_size=4, max_size=9))
    def check(first: list[Any], steps: list[tuple[str, Any]]) -> None:
        empty(warehouse)
        refresh(database)
        oracle = Oracle()
        fingerprints: dict[date, Any] = {}
        start = [("price", (MODELS[0], Decimal("2.5"))), ("requests", first), ("price", (MODELS[1], Decimal("0.3")))]
        for kind, what in [*start, ("close", None), *steps]:
            play(warehouse, database, oracle, teams, kind, what)
            frozen = {month: report(warehouse, "chargeback", month=month) for month in oracle.closed}
            for month, rows in fingerprints.items():
                assert sorted(frozen[month], key=str) == rows, (kind, month)
            fingerprints = {month: sorted(rows, key=str) for month, rows in frozen.items()}
        refresh(database)
        oracle.settle()

        spent = sum(oracle.usage().values(), Decimal(0))
        credit = sum(oracle.credits.values(), Decimal(0))
        by_team = {key[0]: cost for key, cost in oracle.usage("team").items() if cost}
        by_model = {key[0]: cost for key, cost in oracle.usage("model").items() if cost}
        charged = totals(warehouse, "select month, team_id, sum(total) from reporting.chargeback group by 1, 2")
        assert {(month, numbers[team]): cost for (month, team), cost in charged.items()} == oracle.charged()
        assert sum(charged.values(), Decimal(0)) == spent + credit
        found = totals(warehouse, "select team_id, sum(cost) from reporting.spend_by_team_view group by 1")
        assert {numbers[team]: cost for team, cost in found.items()} == by_team
        assert totals(warehouse, "select model, sum(cost) from reporting.spend_by_model_view group by 1") == by_model
        for question in (
            "select 1, sum(cost) from reporting.cost_summary_view",
            "select 1, sum(cost) from reporting.cost_by_tag where tag_key = 'project'",
            "select 1, sum(cost) from reporting.cost_basis",
            "select 1, sum(amount) from reporting.period_totals where kind = 'usage'",
            "select 1, sum(cost_amount) from core.llm_metrics",
        ):
            assert totals(warehouse, question) == ({1: spent} if spent else {}), question
        for rule in ("altered_closed_periods", "unsettled_closed_periods"):
            assert warehouse.execute(f"select * from verification.{rule}".encode()).fetchall() == []
        assert value(warehouse, "select internal.settle_closed_periods()") == 0
        billed = totals(
            warehouse,
            "select (billing_period_start at time zone 'UTC')::date, sub_account_id::uuid, sum(billed_cost)"
            " from reporting.focus_cost_and_usage group by 1, 2",
        )
        assert billed == charged

    check()
