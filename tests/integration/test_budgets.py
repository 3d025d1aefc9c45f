"""Limits and their history, how budgets stand, and which request crossed them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, ExclusionViolation, RestrictViolation
from reporting_rows import add_request, noon, only, report, running_hour

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.warehouse.refresh import refresh

LIMITS = (
    "select amount, currency, period, valid_from, valid_to"
    " from core.team_budgets where team_id = %s order by valid_from, valid_to"
)


def limits(connection: Connection, team: UUID) -> list[tuple[Any, ...]]:
    return connection.execute(LIMITS, [team]).fetchall()


def later(connection: Connection, team: UUID, days: int) -> None:
    """As if all of the team's limits had been set so many days earlier."""
    with connection.transaction():
        connection.execute("alter table core.team_budgets disable trigger user")
        connection.execute(
            "update core.team_budgets set valid_from = valid_from - %s, valid_to = valid_to - %s where team_id = %s",
            [timedelta(days=days), timedelta(days=days), team],
        )
        connection.execute("alter table core.team_budgets enable trigger user")


def test_a_limit_is_kept_with_its_time_when_it_changes(connection: Connection) -> None:
    team = add_team(connection, budget_amount=100, currency="USD")
    later(connection, team, 60)
    connection.execute("update core.teams set budget_amount = 200 where id = %s", [team])
    later(connection, team, 30)
    connection.execute("update core.teams set budget_period = 'quarter', name = 'Renamed' where id = %s", [team])
    first, second, third = limits(connection, team)
    assert [row[0] for row in (first, second, third)] == [100, 200, 200]
    assert (first[4], second[4], third[4]) == (second[3], third[3], None)
    assert third[2] == "quarter"
    # what was the limit so many days ago
    at = (
        "select amount from core.team_budgets where team_id = %s"
        " and valid_from <= now() - interval '40 days' and (valid_to is null or valid_to > now() - interval '40 days')"
    )
    assert value(connection, at, team) == 100
    assert value(connection, at.replace("40", "20"), team) == 200


def test_no_limit_begins_where_nothing_of_it_changes(connection: Connection) -> None:
    team = add_team(connection, budget_amount=100)
    connection.execute("update core.teams set budget_amount = 100.00, name = 'Other' where id = %s", [team])
    assert len(limits(connection, team)) == 1


def test_a_team_begins_with_its_limit_and_a_dissolved_one_has_none(connection: Connection) -> None:
    founded = datetime(2026, 1, 5, tzinfo=UTC)
    team = add_team(connection, budget_amount=100, created_at=founded)
    assert limits(connection, team)[0][3] == founded
    connection.execute("update core.teams set deleted_at = now() where id = %s", [team])
    assert limits(connection, team)[0][4] == value(connection, "select now()")
    connection.execute("update core.teams set deleted_at = null where id = %s", [team])
    assert [row[4] for row in limits(connection, team)] == [value(connection, "select now()"), None]
    gone = add_team(connection, budget_amount=5, created_at=founded, deleted_at=founded + timedelta(days=9))
    assert [row[3:] for row in limits(connection, gone)] == [(founded, founded + timedelta(days=9))]


def test_two_changes_of_one_transaction_leave_one_limit_in_force(connection: Connection) -> None:
    team = add_team(connection, budget_amount=100)
    connection.execute("update core.teams set budget_amount = 1 where id = %s", [team])
    connection.execute("update core.teams set budget_amount = null where id = %s", [team])
    connection.execute("update core.teams set budget_amount = 7 where id = %s", [team])
    in_force = [row[0] for row in limits(connection, team) if row[4] is None]
    assert in_force == [7]
    assert [row["limit_amount"] for row in report(connection, "budget_status", target=str(team))] == [7]


def test_a_limit_says_who_set_it(connection: Connection) -> None:
    actor = add_user(connection)
    with connection.transaction():
        connection.execute("select set_config('governance.actor_id', %s, true)", [str(actor)])
        connection.execute("select set_config('governance.actor_label', 'Zoë', true)")
        team = add_team(connection, budget_amount=100)
        connection.execute("select set_config('governance.actor_id', '', true)")
        connection.execute("select set_config('governance.actor_label', '', true)")
    query = "select set_by, set_by_label from core.team_budgets where team_id = %s"
    assert connection.execute(query, [team]).fetchall() == [(actor, "Zoë")]
    other = add_team(connection, budget_amount=100)
    assert connection.execute(query, [other]).fetchall() == [(None, value(connection, "select session_user::text"))]


def test_what_was_a_limit_is_not_rewritten(connection: Connection) -> None:
    team = add_team(connection, budget_amount=100)
    with refused(
        connection, RestrictViolation, "team_budgets: amount of a row that was true cannot be changed; set bud"
    ):
        connection.execute("update core.team_budgets set amount = 5 where team_id = %s", [team])
    with refused(connection, RestrictViolation, "team_budgets: .* cannot be deleted"):
        connection.execute("delete from core.team_budgets where team_id = %s", [team])
    budget = add(connection, "budgets", application="chat", amount=5, currency="USD", period="month")
    with refused(connection, RestrictViolation, "budgets: amount, period of a row .*; insert the new limit"):
        connection.execute("update core.budgets set amount = 6, period = 'day' where id = %s", [budget])
    connection.execute("update core.budgets set valid_to = now() where id = %s", [budget])


def test_a_new_limit_ends_the_one_before_it(connection: Connection) -> None:
    now = value(connection, "select now()")
    common = {"tag_key": "project", "tag_value": "x", "currency": "USD", "period": "month"}
    old = add(connection, "budgets", **common, amount=1, valid_from=now - timedelta(days=90))
    planned = add(connection, "budgets", **common, amount=3, valid_from=now + timedelta(days=30))
    new = add(connection, "budgets", **common, amount=2)
    other = add(connection, "budgets", **common | {"period": "day"}, amount=9)
    ends: dict[UUID, datetime | None] = dict(connection.execute("select id, valid_to from core.budgets").fetchall())
    assert ends == {old: now, new: now + timedelta(days=30), planned: None, other: None}
    with refused(connection, ExclusionViolation, "a budget of this target by month in USD begins at .* already"):
        add(connection, "budgets", **common, amount=4)


def test_limits_are_in_the_audit_trail(connection: Connection) -> None:
    add_team(connection, budget_amount=100)
    budget = add(connection, "budgets", application="chat", amount=5, currency="USD", period="month")
    connection.execute("update core.budgets set valid_to = now() where id = %s", [budget])
    query = "select action, count(*) from core.audit_logs where resource_type like '%budgets' group by 1"
    found: dict[str, int] = dict(connection.execute(query.encode()).fetchall())
    assert found["budgets.insert"] == found["budgets.update"] == 1
    assert found["team_budgets.insert"] >= 1


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, "budgets_target_check"),
        ({"application": "a", "cost_center": "b"}, "budgets_target_check"),
        ({"tag_key": "project"}, "budgets_target_check"),
        ({"application": "a", "amount": -1}, "budgets_amount_check"),
        ({"application": "a", "amount": "NaN"}, "budgets_amount_check"),
        ({"application": "a", "currency": "usd"}, "budgets_currency_check"),
        ({"application": "a", "period": "week"}, "budgets_period_check"),
        ({"application": "a", "valid_to": datetime(2020, 1, 1, tzinfo=UTC)}, "budgets_valid_to_check"),
        ({"application": " "}, "budgets.application is blank"),
    ],
)
def test_what_is_no_budget_is_refused(connection: Connection, values: dict[str, Any], constraint: str) -> None:
    with refused(connection, CheckViolation, constraint):
        add(connection, "budgets", **{"amount": 1, "currency": "USD", "period": "month"} | values)


def test_each_kind_of_target_counts_its_own_spend(connection: Connection) -> None:
    above = add_team(connection, cost_center="100", budget_amount=10, budget_period="year")
    team = add_team(connection, parent_team_id=above)
    user = add_user(connection)
    key = add(connection, "api_keys", user_id=user, name="batch", key_prefix="sk_abcd", key_hash=b"k" * 32)
    mine = {"team_id": team, "user_id": user, "api_key_id": key, "application": "chat"}
    tags = '{"project": ["x", "y"], "run": "1"}'
    add_request(connection, running_hour(), **mine, cost_amount=Decimal("1.5"), tags=tags)
    add_request(connection, running_hour(), **mine, cost_amount=Decimal(9), currency="EUR")
    add_request(connection, running_hour(), application="other", cost_amount=Decimal(4))
    for target in (
        {"user_id": user},
        {"api_key_id": key},
        {"application": "chat"},
        {"cost_center": "100"},
        {"tag_key": "project", "tag_value": "y"},
    ):
        add(connection, "budgets", **target, amount=3, currency="USD", period="year")
    rows = report(connection, "budget_status", period="year")
    found = {row["target_kind"]: row for row in rows if row["target"] != str(team)}
    assert {kind: row["spent"] for kind, row in found.items()} == {
        "team": Decimal("1.5"),
        "user": Decimal("1.5"),
        "key": Decimal("1.5"),
        "application": Decimal("1.5"),
        "cost_center": Decimal("1.5"),
        "tag": Decimal("0.75"),
    }
    assert found["user"]["used_share"] == Decimal("0.5")
    assert found["key"]["target_name"] == "batch"
    # the other currency is named, and not added
    assert found["team"]["other_currencies"] == found["application"]["other_currencies"] == ["EUR"]
    assert found["tag"]["other_currencies"] == []


@pytest.fixture
def committed(database: str) -> Iterator[Connection]:
    """For what a refresh must see; its rows go at the end."""
    with connect(database) as connection:
        yield connection
        connection.execute("set governance.managing_rows = 'on'")
        connection.execute("delete from core.teams where slug <> 'organization'")
        connection.execute("delete from core.budgets")
        connection.execute("delete from core.llm_metrics")
        connection.execute("delete from internal.budget_searches")
    refresh(database)


def test_days_of_a_period_are_told_one_by_one(committed: Connection, database: str) -> None:
    team = add_team(committed, budget_amount=Decimal("0.3"), budget_period="year", created_at=noon(400))
    if noon(0).timetuple().tm_yday < 4:
        pytest.skip("the year is too young")
    for days, cost in ((3, "0.1"), (1, "0.2"), (1, None)):
        add_request(committed, noon(days), team_id=team, cost_amount=cost and Decimal(cost))
    refresh(database)
    [row] = [row for row in report(committed, "budget_status", target=str(team)) if row["is_running"]]
    assert len(row["daily_spend"]) == noon(0).timetuple().tm_yday
    assert row["daily_spend"][-4:] == [Decimal("0.1"), 0, Decimal("0.2"), 0]
    assert (row["spent"], row["used_share"], row["unpriced_requests"]) == (Decimal("0.3"), 1, 1)
    assert row["runs_out_on"] == noon(1).date()
    last_year = only([row for row in report(committed, "budget_status", target=str(team)) if not row["is_running"]])
    assert (last_year["spent"], last_year["limit_amount"]) == (0, Decimal("0.3"))


def crossings(connection: Connection, target: object) -> list[tuple[Any, ...]]:
    rows = report(connection, "budget_breaches", target=str(target))
    rows.sort(key=lambda row: (row["crossed_at"], row["threshold"]))
    return [
        (row["threshold"], row["limit_amount"], row["crossed_by"], row["request_id"], row["crossed_at"], row["spent"])
        for row in rows
    ]


def test_the_request_that_crossed_a_threshold_is_kept(committed: Connection, database: str) -> None:
    above = add_team(committed, budget_amount=10, budget_period="day", created_at=noon(9))
    team = add_team(committed, parent_team_id=above)
    day = noon(1).replace(hour=0)
    for number, (minute, cost) in enumerate(((0, "4.9"), (1, "0"), (2, "0.1"), (3, "4.99"), (4, "0.02"), (5, "1"))):
        add_request(
            committed, day + timedelta(minutes=minute), team_id=team, cost_amount=Decimal(cost), request_id=f"q{number}"
        )
    # another currency, another team
    add_request(committed, day, team_id=team, cost_amount=Decimal(50), currency="EUR", request_id="euro")
    add_request(committed, day, cost_amount=Decimal(50), request_id="other")
    refresh(database)
    expected = [
        (Decimal("0.5"), 10, "request", "q2", day + timedelta(minutes=2), Decimal(5)),
        (Decimal("0.8"), 10, "request", "q3", day + timedelta(minutes=3), Decimal("9.99")),
        (Decimal(1), 10, "request", "q4", day + timedelta(minutes=4), Decimal("10.01")),
    ]
    assert crossings(committed, above) == expected
    # kept when the requests have gone, and found once
    committed.execute("delete from core.llm_metrics")
    refresh(database)
    assert crossings(committed, above) == expected
    with pytest.raises(RestrictViolation, match="what was crossed stays crossed"):
        committed.execute("update core.budget_crossings set spent = 1")


@pytest.mark.engines("postgres")
def test_of_expired_requests_the_day_is_known(committed: Connection, database: str) -> None:
    team = add_team(committed, budget_amount=10, budget_period="day", created_at=noon(9))
    add_request(committed, noon(2), team_id=team, cost_amount=Decimal(8), request_id="gone")
    # its day is in the rollups, the raw row is not there any more
    committed.execute("update core.teams set budget_amount = null where id = %s", [team])
    refresh(database)
    committed.execute("alter table core.llm_metrics disable trigger user")
    committed.execute("delete from core.llm_metrics where request_id = 'gone'")
    committed.execute("alter table core.llm_metrics enable trigger user")
    committed.execute("set governance.managing_rows = 'on'")
    committed.execute("delete from core.budget_crossings")
    refresh(database)
    midnight = noon(2).replace(hour=0)
    assert crossings(committed, team) == [
        (Decimal("0.5"), 10, "day", None, midnight, 8),
        (Decimal("0.8"), 10, "day", None, midnight, 8),
    ]


def test_a_limit_that_is_set_below_what_was_spent_is_crossed_then(committed: Connection, database: str) -> None:
    team = add_team(committed, budget_amount=100, budget_period="year", created_at=noon(400))
    today = datetime.now(UTC).date()
    if today.timetuple().tm_yday < 4:
        pytest.skip("the year is too young")
    add_request(committed, noon(3), team_id=team, cost_amount=Decimal(30), request_id="first")
    refresh(database)
    assert crossings(committed, team) == []
    committed.execute("update core.teams set budget_amount = 50 where id = %s", [team])
    committed.execute("update core.teams set budget_amount = 70 where id = %s", [team])
    refresh(database)
    [lowered] = committed.execute(
        "select valid_from from core.team_budgets where team_id = %s and amount = 50", [team]
    ).fetchone() or [None]
    # 60 % of 50; of the 70 that followed it is 43 %
    assert crossings(committed, team) == [(Decimal("0.5"), 50, "limit", None, lowered, 30)]
    assert only(report(committed, "budget_status", target=str(team), is_running=True))["limits_in_period"] == 3


def test_nothing_to_spend_is_crossed_by_the_first_cost(committed: Connection, database: str) -> None:
    budget = add(committed, "budgets", application="chat", amount=0, currency="USD", period="day", valid_from=noon(9))
    add_request(committed, noon(1), application="chat", cost_amount=Decimal(0), request_id="free")
    add_request(committed, noon(1), application="chat", cost_amount=Decimal("0.01"), request_id="paid")
    refresh(database)
    assert crossings(committed, "chat") == [(1, 0, "request", "paid", noon(1), Decimal("0.01"))]
    assert only(report(committed, "budget_breaches", target="chat"))["budget_id"] == budget


def test_a_tag_is_crossed_by_its_share_of_a_request(committed: Connection, database: str) -> None:
    add(
        committed,
        "budgets",
        tag_key="project",
        tag_value="y",
        amount=1,
        currency="USD",
        period="day",
        valid_from=noon(9),
    )
    add_request(committed, noon(1), cost_amount=Decimal(1), tags='{"project": ["x", "y"]}', request_id="a")
    add_request(
        committed, noon(1) + timedelta(minutes=1), cost_amount=Decimal("0.5"), tags='{"project": "y"}', request_id="b"
    )
    refresh(database)
    assert [row[3] for row in crossings(committed, "project=y")] == ["a", "b", "b"]


@pytest.mark.engines("postgres")
def test_shares_of_a_tag_add_up_to_what_reports_say(committed: Connection, database: str) -> None:
    """A third of 1 dollar has no end: what three requests leave over makes the limit full, by the third of them."""
    common = {"tag_key": "project", "currency": "USD", "period": "day", "valid_from": noon(9)}
    for project in ("x", "y", "z"):
        add(committed, "budgets", **common, tag_value=project, amount=1)
    for number in range(3):
        add_request(
            committed, noon(1) + timedelta(minutes=number), cost_amount=Decimal(1),
            tags='{"project": ["x", "y", "z"]}', request_id=f"s{number}",
        )  # fmt: skip
    refresh(database)
    for project in ("x", "y", "z"):
        full = [row for row in crossings(committed, f"project={project}") if row[0] == 1]
        assert full == [(1, 1, "request", "s2", noon(1) + timedelta(minutes=2), 1)], project


@pytest.mark.engines("postgres")
def test_limits_from_before_the_table_come_from_the_audit_trail(committed: Connection, database: str) -> None:
    """As a build that makes the table does: of teams whose limit changed, that were dissolved, that know no trail."""
    changed = add_team(committed, budget_amount=100, created_at=noon(90))
    committed.execute("update core.teams set name = 'Renamed' where id = %s", [changed])
    committed.execute("update core.teams set budget_amount = 250, currency = 'EUR' where id = %s", [changed])
    dissolved = add_team(committed, budget_amount=5, created_at=noon(90))
    committed.execute("update core.teams set deleted_at = now() where id = %s", [dissolved])
    committed.execute("alter table core.teams disable trigger teams_audit")
    untold = add_team(committed, budget_amount=7, created_at=noon(90))
    committed.execute("alter table core.teams enable trigger teams_audit")
    kept = {team: limits(committed, team) for team in (changed, dissolved, untold)}
    committed.execute("set governance.managing_rows = 'on'")
    committed.execute("delete from core.team_budgets")
    run_dbt(["run", "--select", "team_budgets"], database, quiet=True)
    for team, before in kept.items():
        after = limits(committed, team)
        assert [row[:3] for row in after] == [row[:3] for row in before]
        assert after[0][3] == noon(90)
        assert [row[4] is None for row in after] == [row[4] is None for row in before]
        # the trail is written a moment after the row
        assert all(abs(b[3] - a[3]) < timedelta(seconds=1) for a, b in zip(after, before, strict=True))
    count = value(committed, "select count(*) from core.team_budgets")
    run_dbt(["run", "--select", "team_budgets"], database, quiet=True)
    assert value(committed, "select count(*) from core.team_budgets") == count
