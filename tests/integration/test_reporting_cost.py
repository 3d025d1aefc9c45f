"""Spend stays with its owner, is exact in every grouping, and is never guessed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql
from reporting_rows import add_request, noon, report, stored_buckets

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.refresh import refresh


@pytest.fixture
def warehouse(database: str, emptied_and_refreshed: None) -> Iterator[Connection]:
    """An autocommit connection to a warehouse without usage."""
    with connect(database) as connection:
        yield connection


def test_spend_belongs_to_the_team_of_the_moment(warehouse: Connection, database: str) -> None:
    user, old, new = add_user(warehouse, status="active"), add_team(warehouse), add_team(warehouse)
    first = add(warehouse, "team_members", user_id=user, team_id=old, joined_at=noon(9))
    add_request(warehouse, noon(5), user_id=user, team_id=old, cost_amount=Decimal("1.10"))
    warehouse.execute("update core.team_members set left_at = %s where id = %s", [noon(4), first])
    add(warehouse, "team_members", user_id=user, team_id=new, joined_at=noon(4))
    add_request(warehouse, noon(3), user_id=user, team_id=new, cost_amount=Decimal("0.07"))
    refresh(database)
    costs = {r["team_id"]: r["cost"] for r in report(warehouse, "cost_summary_view", user_id=user)}
    assert costs == {old: Decimal("1.10"), new: Decimal("0.07")}


def test_deleted_and_renamed_owners_keep_their_spend_and_a_name(warehouse: Connection, database: str) -> None:
    user = add_user(warehouse, status="active", email="before@example.com")
    first, second = add_team(warehouse, name="Search"), add_team(warehouse, name="Find")
    stranger = UUID(int=404)
    for team in (first, second, stranger, None):
        add_request(warehouse, noon(1), user_id=user, team_id=team, cost_amount=Decimal("0.1"))
    warehouse.execute("update core.teams set name = 'Search', deleted_at = now() where id = %s", [second])
    warehouse.execute(
        "update core.users set email = 'after@example.com', status = 'deactivated', deleted_at = now() where id = %s",
        [user],
    )
    refresh(database)
    rows = report(warehouse, "cost_summary_view", user_id=user)
    assert {r["team_id"]: r["team_name"] for r in rows} == {
        first: "Search",
        second: "Search",
        stranger: None,
        None: None,
    }
    assert {r["user_email"] for r in rows} == {"after@example.com"}
    assert sum(r["cost"] for r in rows) == Decimal("0.4")


def test_currencies_stay_apart_and_unpriced_is_not_free(warehouse: Connection) -> None:
    """Rows of the running hour, which no refresh has seen."""
    team, now = add_team(warehouse), datetime.now(UTC)
    add_request(warehouse, now, team_id=team, cost_amount=Decimal("0.10"), input_tokens=1000)
    add_request(warehouse, now, team_id=team, cost_amount=Decimal("0.20"), input_tokens=1000, status="error")
    add_request(warehouse, now, team_id=team, cost_amount=Decimal(5), currency="EUR")
    add_request(warehouse, now, team_id=team, model="unknown", input_tokens=10)
    add_request(warehouse, now, team_id=team, model="free", cost_amount=Decimal(0), status="blocked")
    rows = {(r["model"], r["currency"]): r for r in report(warehouse, "cost_summary_view", team_id=team)}
    facts = {
        key: (r["requests"], r["failed_requests"], r["cost"], r["unpriced_requests"], r["cost_per_request"])
        for key, r in rows.items()
    }
    assert facts == {
        ("gpt-4o", "USD"): (2, 1, Decimal("0.30"), 0, Decimal("0.15")),
        ("gpt-4o", "EUR"): (1, 0, Decimal(5), 0, Decimal(5)),
        ("unknown", "USD"): (1, 0, None, 1, None),
        ("free", "USD"): (1, 1, Decimal(0), 0, Decimal(0)),
    }
    assert rows["gpt-4o", "USD"]["cost_per_1k_tokens"] == Decimal("0.15")


@dataclass(frozen=True)
class Request:
    days_ago: int
    team_id: UUID | None
    user_id: UUID | None
    model: str
    application: str | None
    currency: str
    cost_amount: Decimal | None


REQUESTS = st.lists(
    st.builds(
        Request,
        days_ago=st.integers(0, 3),
        team_id=st.sampled_from([UUID(int=1), UUID(int=2), None]),
        user_id=st.sampled_from([UUID(int=3), UUID(int=4), None]),
        model=st.sampled_from(["a", "b"]),
        application=st.sampled_from(["web", None]),
        currency=st.sampled_from(["USD", "EUR"]),
        # up to 18 digits after the point: a float, or a rounding per row, would show
        cost_amount=st.none() | st.decimals(min_value=0, max_value=10**6, places=18),
    ),
    min_size=1,
    max_size=20,
)
DIMENSIONS = ["day", "team_id", "user_id", "model", "application"]


@settings(max_examples=15, deadline=None, print_blob=True)
@given(requests=REQUESTS, grouping=st.sets(st.sampled_from(DIMENSIONS)), refreshed=st.booleans())
def test_every_grouping_adds_up_to_the_last_digit(
    database: str, requests: list[Request], grouping: set[str], refreshed: bool
) -> None:
    keys = [*sorted(grouping), "currency"]
    expected: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    with connect(database) as connection:
        connection.execute("delete from core.llm_metrics")
        for request in requests:
            values = {k: v for k, v in vars(request).items() if k != "days_ago"}
            time = noon(request.days_ago)
            add_request(connection, time, **values)
            key = tuple(time.date() if k == "day" else values[k] for k in keys)
            expected[key] += [] if request.cost_amount is None else [request.cost_amount]
        refresh(database)
        if not refreshed:
            # what is written after a refresh into closed days is there after the next one
            extra = Decimal("0.000000000000000001")
            add_request(connection, noon(2), model="late", cost_amount=extra)
            late = {"day": noon(2).date(), "model": "late", "currency": "USD"}
            expected[tuple(late.get(k) for k in keys)].append(extra)
            refresh(database)
        columns = ", ".join(keys)
        rows = connection.execute(
            f"select {columns}, sum(cost), sum(requests) from reporting.cost_summary_view group by {columns}"
        ).fetchall()
    assert {row[:-2]: row[-2] for row in rows} == {
        key: sum(costs, Decimal(0)) if costs else None for key, costs in expected.items()
    }
    assert sum(row[-1] for row in rows) == len(requests) + (not refreshed)


def test_the_data_tests_of_the_reports_find_a_wrong_rollup(warehouse: Connection, database: str) -> None:
    """Quiet over a right warehouse; a cent that appears in one rollup is found by each test it concerns."""
    user, team = add_user(warehouse, status="active"), add_team(warehouse, name="Search", budget_period="year")
    for days_ago in (0, 1, 40):
        add_request(warehouse, noon(days_ago) - timedelta(hours=12), user_id=user, team_id=team, cost_amount=1)
    refresh(database)
    selected = ["test", "--select", "path:tests/singular/reporting"]
    run_dbt(selected, database, quiet=True)

    stored = stored_buckets(warehouse, "llm_metrics_daily")

    def add_to_stored(cent: str) -> None:
        warehouse.execute(
            sql.SQL(
                "update {} set cost_amount = cost_amount + %s,"
                " request_count = request_count + sign(%s::numeric)::bigint where bucket > now() - interval '3 days'"
            ).format(stored),
            [cent, cent],
        )

    add_to_stored("0.01")
    with pytest.raises(GovernanceError) as failure:
        run_dbt(selected, database, quiet=True)
    for name in ("cost_summary_equals_requests", "team_spend_equals_cost_summary", "user_activity_equals_cost_summary"):
        assert name in str(failure.value)
    add_to_stored("-0.01")
