"""A closed month stays what it was; whatever changes its money later is an adjustment of the month that is open."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result
from closing_rows import FIRST, SECOND, THIS_MONTH, at, back, empty, named
from core_rows import add, add_team, refused, value
from price_rows import add_price
from psycopg.errors import ForeignKeyViolation, RestrictViolation
from reporting_rows import add_request, report

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.closing import close, closed_periods
from orchestration.lib.pricing.reprice import Scope, begin, proceed
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh


@pytest.fixture
def warehouse(database: str) -> Iterator[Connection]:
    """For what a refresh must see; its rows go at the end."""
    with connect(database) as connection:
        yield connection
        empty(connection)
    refresh(database)


@pytest.fixture
def closed(warehouse: Connection, database: str) -> Connection:
    """A request of 5 in the first month, which is closed, and one of 7 in the second."""
    add_request(warehouse, at(FIRST), request_id="early", cost_amount=5)
    add_request(warehouse, at(SECOND), request_id="later", cost_amount=7)
    close(database, named(FIRST), "ann")
    return warehouse


def charges(connection: Connection, month: date) -> dict[Any, tuple[Any, ...]]:
    """By path of the team what is charged: direct, adjusted, in all."""
    rows = report(connection, "chargeback", month=month)
    return {row["team_path"]: (row["direct"], row["adjustment"], row["total"]) for row in rows}


def adjustments(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select month, corrects_month, amount, causes from core.cost_adjustments order by amount"
    ).fetchall()


def usage_line(request: str, month: date, cost: int) -> dict[str, object]:
    return {
        "time": at(month).isoformat(),
        "request_id": request,
        "provider": "acme",
        "model": "rocket",
        "cost_amount": cost,
    }


def test_what_was_closed_is_kept_with_who_and_what(closed: Connection, database: str) -> None:
    [period] = closed_periods(database)
    assert (period.month, period.requests, period.totals, period.adjusted) == (FIRST, 1, {"USD": Decimal(5)}, {})
    assert (period.closed_by, len(period.fingerprint)) == ("ann", 64)
    for table in ("closed_periods", "closed_totals"):
        for change in (f"update core.{table} set requests = 0", f"delete from core.{table}"):
            with refused(closed, RestrictViolation, "adjustment in an open one"):
                closed.execute(change.encode())


def test_a_late_request_is_loaded_and_charged_in_the_open_month(
    closed: Connection, database: str, load_json: Callable[..., IngestReport]
) -> None:
    load_json([usage_line("late", FIRST, 2)])
    refresh(database)
    refresh(database)
    [load] = [row[0] for row in closed.execute("select id from internal.loads")]
    assert adjustments(closed) == [(SECOND, FIRST, 2, {"loads": [load]})]
    assert charges(closed, FIRST) == {None: (5, 0, 5)}
    assert charges(closed, SECOND) == {None: (7, 2, 9)}
    assert value(closed, "select sum(cost) from reporting.spend_by_model_view") == 14

    # taken back, it is charged no more
    undo(database, str(load))
    refresh(database)
    assert adjustments(closed) == [(SECOND, FIRST, -2, {"undone_loads": [load]}), (SECOND, FIRST, 2, {"loads": [load]})]
    assert charges(closed, FIRST) == {None: (5, 0, 5)}
    assert charges(closed, SECOND) == {None: (7, 0, 7)}


def test_a_correction_is_charged_in_the_open_month(
    warehouse: Connection, database: str, load_json: Callable[..., IngestReport]
) -> None:
    load_json([usage_line("early", FIRST, 5)])
    close(database, named(FIRST), "ann")
    load_json([usage_line("early", FIRST, 8)], name="again.jsonl", on_conflict="replace")
    refresh(database)
    load = value(warehouse, "select max(id) from internal.loads")
    assert adjustments(warehouse) == [(SECOND, FIRST, 3, {"corrections": [load]})]
    assert charges(warehouse, FIRST) == {None: (5, 0, 5)}

    # taken back, it is charged no more
    undo(database, str(load))
    refresh(database)
    assert adjustments(warehouse)[0] == (SECOND, FIRST, -3, {"undone_loads": [load]})


def test_an_owner_who_is_found_later_moves_the_charge_in_the_open_month(closed: Connection, database: str) -> None:
    team = add_team(closed, name="Found")
    closed.execute("update core.llm_metrics set team_id = %s where request_id = 'early'", [team])
    refresh(database)
    assert [row[:3] for row in adjustments(closed)] == [(SECOND, FIRST, -5), (SECOND, FIRST, 5)]
    assert charges(closed, FIRST) == {None: (5, 0, 5)}
    assert charges(closed, SECOND) == {None: (7, -5, 2), "Found": (0, 5, 5)}


def test_a_team_that_nobody_knows_and_shared_costs_are_settled_too(closed: Connection, database: str) -> None:
    unknown = value(closed, "select gen_random_uuid()")
    add_request(closed, at(FIRST), cost_amount=1, team_id=unknown)
    add(
        closed, "shared_costs", name="seats", kind="seats", origin="invoice", currency="USD", amount=10,
        first_day=FIRST, end_day=SECOND, allocation_key="equal",
    )  # fmt: skip
    refresh(database)
    rows = closed.execute("select team_id, kind, amount from core.cost_adjustments order by kind, amount").fetchall()
    assert sorted(rows, key=str) == sorted(
        [(unknown, "usage", 1), (unknown, "shared_cost", 5), (None, "shared_cost", 5)], key=str
    )
    assert charges(closed, FIRST) == {None: (5, 0, 5)}


def test_a_closed_month_stays_with_the_cost_center_of_then(warehouse: Connection, database: str) -> None:
    team = add_team(warehouse, name="Moves", cost_center="100")
    add_request(warehouse, at(FIRST), cost_amount=5, team_id=team)
    add_request(warehouse, at(SECOND), cost_amount=6, team_id=team)
    close(database, named(FIRST), "ann")
    warehouse.execute("update core.teams set cost_center = '200', name = 'Moved' where id = %s", [team])
    places = {row["month"]: (row["cost_center"], row["team_path"]) for row in report(warehouse, "chargeback")}
    assert places == {FIRST: ("100", "Moves"), SECOND: ("200", "Moved")}


def test_repricing_asks_before_it_reaches_into_a_closed_month(
    warehouse: Connection, database: str, run_governance: Callable[..., Result]
) -> None:
    for month, request in ((FIRST, "early"), (SECOND, "later")):
        add_request(warehouse, at(month), request_id=request, provider="acme", model="rocket", input_tokens=1_000_000)
    close(database, named(FIRST), "ann")
    add_price(warehouse, "input_tokens", "3")
    asked = ("reprice", "--from", f"{FIRST}", "--reason", "priced late", "--yes")
    refusal = run_governance(*asked)
    assert refusal.exit_code == 1
    assert f"1 of the requests are of closed months, the last of which is {named(FIRST)}" in refusal.output
    assert value(warehouse, "select count(*) from core.price_revisions") == 0
    with pytest.raises(GovernanceError, match="is closed: give --into-closed"):
        begin(database, Scope(at(FIRST), at(SECOND)), "priced late", "ann")

    assert run_governance(*asked, "--into-closed").exit_code == 0
    revision = value(warehouse, "select id from core.price_revisions")
    assert adjustments(warehouse) == [(SECOND, FIRST, 3, {"revisions": [revision]})]
    assert charges(warehouse, FIRST) == {None: (None, 0, None)}
    assert charges(warehouse, SECOND) == {None: (3, 3, 6)}
    # what is left of the closed month would cost the same, so it is not in the way
    add_request(warehouse, at(SECOND), provider="acme", model="plane", input_tokens=1_000_000)
    add_price(warehouse, "input_tokens", "4", model="plane")
    assert run_governance("reprice", "--unpriced", "--reason", "priced late", "--yes").exit_code == 0
    assert charges(warehouse, SECOND) == {None: (7, 3, 10)}


def test_finance_adjusts_open_months_of_teams_that_are_there(closed: Connection) -> None:
    adjustment = {"currency": "USD", "amount": -1, "reason": "credit"}
    with refused(closed, RestrictViolation, f"{named(FIRST)} is closed; give {named(SECOND)} or a later month"):
        add(closed, "cost_adjustments", month=FIRST, **adjustment)
    with refused(closed, ForeignKeyViolation, "there is no team"):
        add(
            closed,
            "cost_adjustments",
            month=SECOND,
            team_id=value(closed, "select gen_random_uuid()"),
            **adjustment,
        )
    add(closed, "cost_adjustments", month=SECOND, corrects_month=FIRST, **adjustment)
    # what finance enters is no part of what usage comes to
    assert value(closed, "select internal.settle_closed_periods()") == 0


def test_a_month_that_can_not_be_closed_is_refused_in_a_sentence(
    warehouse: Connection, database: str, run_governance: Callable[..., Result]
) -> None:
    def said(*arguments: str) -> str:
        result = run_governance("close", *arguments)
        assert result.exit_code != 0
        return result.output.strip().splitlines()[-1]

    assert "there is nothing to close" in said(named(FIRST))
    assert "or --list" in said()
    add_request(warehouse, at(FIRST), cost_amount=5)
    refresh(database)
    for malformed in ("october", "2026-1", "2026-Q3", "2026-10-01", "last-week"):
        assert said(malformed) == f"error: '{malformed}' is not a month: write it as 2026-10, or last-month"
    for beyond in ("2026-13", "0000-01"):
        assert said(beyond).startswith(f"error: '{beyond}' is no month of the calendar")
    future = (THIS_MONTH + timedelta(days=40)).replace(day=1)
    assert said(named(future)).startswith(f"error: {named(future)} is in the future")
    assert said(named(THIS_MONTH)).startswith(f"error: {named(THIS_MONTH)} has not ended in UTC")
    assert said(named(SECOND)).startswith(f"error: {named(SECOND)} can't be closed before {named(FIRST)}")
    assert said(named(SECOND)).endswith(
        f"`governance close --through {named(SECOND)}` closes all that are open up to it"
    )
    for both in ((named(FIRST), "--list"), (named(FIRST), "--through", named(SECOND)), ("--list", "--dry-run")):
        assert "or --through a month, or --list" in said(*both)
    assert "there is nothing to close" in said(named(back(3)))
    begin(database, Scope(at(FIRST), at(SECOND)), "stopped", "ann")
    assert said(named(FIRST)).startswith("error: revision ")
    proceed(database)
    assert closed_periods(database) == []

    assert (
        f"{named(FIRST)} is closed: 1 request, 5.00 USD; fingerprint " in run_governance("close", named(FIRST)).output
    )
    assert said(named(FIRST)).startswith(f"error: {named(FIRST)} is closed already")
    assert named(FIRST) in run_governance("close", "--list").output
    # nothing was used or spent, and the month after it can be closed then
    assert "0 requests, no cost" in run_governance("close", named(SECOND)).output


def test_a_history_is_closed_at_once_and_tried_before(
    warehouse: Connection, database: str, run_governance: Callable[..., Result]
) -> None:
    # nothing happened in the month between
    add_request(warehouse, at(back(3)), cost_amount=5)
    add_request(warehouse, at(SECOND), cost_amount=None)
    refresh(database)
    through = ("close", "--through", "last-month")
    tried = run_governance(*through, "--dry-run")
    assert [line.split(";")[0] for line in tried.stdout.splitlines()] == [
        f"{named(back(3))} would be closed: 1 request, 5.00 USD",
        f"{named(FIRST)} would be closed: 0 requests, no cost",
        f"{named(SECOND)} would be closed: 1 request, 0.00 USD",
    ]
    assert "`governance reprice --unpriced` costs it before the month is closed" in tried.stderr
    assert closed_periods(database) == []

    # the last one can't be: then none is
    warehouse.execute(
        "create function pg_temp.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'not this month'; end $$"
    )
    warehouse.execute(
        f"create trigger refuse before insert on core.closed_periods for each row when (new.month = '{SECOND}')"
        " execute function pg_temp.refuse()".encode()
    )
    refused_run = run_governance(*through)
    warehouse.execute("drop trigger refuse on core.closed_periods")
    assert (refused_run.exit_code, closed_periods(database)) == (1, [])

    done = run_governance(*through)
    assert done.stdout == tried.stdout.replace("would be", "is")
    assert "--into-closed` charges it in the open month" in done.stderr
    assert [period.month for period in closed_periods(database)] == [back(3), FIRST, SECOND]
    again = run_governance(*through)
    assert (again.exit_code, f"{named(SECOND)} is closed already" in again.output) == (1, True)
