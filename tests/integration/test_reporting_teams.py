"""The tree of teams with its people and its spend."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user, value
from reporting_rows import add_request, executed_plan, noon, only, report, rows_read

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh


def shown(connection: Connection, team: UUID) -> dict[str, Any]:
    return only(report(connection, "team_hierarchy_view", team_id=team))


def delete(connection: Connection, team: UUID) -> None:
    connection.execute("update core.teams set deleted_at = now() where id = %s", [team])


def test_people_count_once_however_many_teams_they_are_in(connection: Connection) -> None:
    root = add_team(connection, name="Company")
    unit = add_team(connection, name="Unit", parent_team_id=root)
    crew = add_team(connection, name="Crew", parent_team_id=unit)
    ann, bob, gone, left = (add_user(connection, status="active") for _ in range(4))
    for team, user in ((unit, ann), (crew, ann), (crew, bob), (crew, gone)):
        add(connection, "team_members", team_id=team, user_id=user)
    now = value(connection, "select now()")
    add(connection, "team_members", team_id=crew, user_id=left, joined_at=now - timedelta(days=1), left_at=now)
    connection.execute("update core.users set status = 'deactivated' where id = %s", [gone])
    rows = {team: shown(connection, team) for team in (root, unit, crew)}
    assert [(r["direct_member_count"], r["total_member_count"]) for r in rows.values()] == [(0, 2), (1, 2), (2, 2)]
    assert [r["child_team_count"] for r in rows.values()] == [1, 1, 0]
    assert rows[crew]["path"] == "Company > Unit > Crew"
    assert rows[crew]["path_ids"] == [root, unit, crew]
    assert [(r["level"], r["root_team_id"], r["parent_team_id"]) for r in rows.values()] == [
        (1, root, None),
        (2, root, root),
        (3, root, unit),
    ]


def test_a_live_team_below_a_deleted_one_hangs_below_the_next_live_one(connection: Connection) -> None:
    root = add_team(connection, name="Company")
    unit = add_team(connection, name="Unit", parent_team_id=root)
    crew = add_team(connection, name="Crew", parent_team_id=unit)
    delete(connection, unit)
    assert report(connection, "team_hierarchy_view", team_id=unit) == []
    row = shown(connection, crew)
    assert (row["parent_team_id"], row["level"], row["path"]) == (root, 2, "Company > Crew")
    assert shown(connection, root)["child_team_count"] == 1
    delete(connection, root)
    row = shown(connection, crew)
    assert (row["parent_team_id"], row["root_team_id"], row["level"], row["path"]) == (None, crew, 1, "Crew")


def test_the_hierarchy_of_one_root_reads_no_other_memberships(connection: Connection) -> None:
    root = add_team(connection, name="Small")
    crew = add_team(connection, name="Crew", parent_team_id=root)
    for user in [add_user(connection, status="active") for _ in range(3)]:
        for team in (root, crew):
            add(connection, "team_members", team_id=team, user_id=user)
    connection.execute(
        "with teams as (insert into core.teams (name, slug) select n, 'other-' || n from generate_series(1, 100) as n"
        "     returning id, slug),"
        " people as (insert into core.users (email, display_name, status)"
        "     select n || '@example.com', 'N', 'active' from generate_series(1, 3000) as n returning id, email)"
        " insert into core.team_members (team_id, user_id)"
        " select teams.id, people.id from people"
        " inner join teams on teams.slug = 'other-' || (split_part(people.email, '@', 1)::integer % 100 + 1)"
    )
    for table in ("teams", "users", "team_members"):
        connection.execute(f"analyze core.{table}".encode())
    plan = executed_plan(connection, "team_hierarchy_view", root_team_id=root)
    assert plan["Actual Rows"] == 2
    assert 6 <= rows_read(plan, "team_members") <= 12


@pytest.fixture
def warehouse(database: str, emptied_and_refreshed: None) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def test_spend_of_the_running_period_in_the_team_s_currency(warehouse: Connection, database: str) -> None:
    root = add_team(warehouse, budget_period="day", budget_amount=10)
    unit = add_team(warehouse, parent_team_id=root, budget_period="day")
    gone = add_team(warehouse, parent_team_id=root)
    paris = add_team(warehouse, parent_team_id=root, currency="EUR", budget_period="day", budget_amount=1)
    add_request(warehouse, noon(0), team_id=root, cost_amount=Decimal("1.5"))
    add_request(warehouse, noon(1), team_id=root, cost_amount=Decimal(100))
    add_request(warehouse, noon(0), team_id=unit, cost_amount=Decimal("2.25"))
    add_request(warehouse, noon(0), team_id=gone, cost_amount=Decimal("0.25"))
    add_request(warehouse, noon(0), team_id=paris, cost_amount=Decimal(3), currency="EUR")
    delete(warehouse, gone)
    refresh(database)
    facts = ("spend", "total_spend", "budget_used_share", "other_currencies")
    rows = {team: shown(warehouse, team) for team in (root, unit, paris)}
    assert {team: tuple(row[fact] for fact in facts) for team, row in rows.items()} == {
        root: (Decimal("1.5"), Decimal(4), Decimal("0.4"), True),
        unit: (Decimal("2.25"), Decimal("2.25"), None, False),
        paris: (Decimal(3), Decimal(3), Decimal(3), False),
    }


def test_no_spend_is_zero_and_unknown_spend_is_not(warehouse: Connection, database: str) -> None:
    idle, unpriced = (add_team(warehouse, budget_amount=10, budget_period="day") for _ in range(2))
    add_request(warehouse, noon(0), team_id=unpriced)
    refresh(database)
    assert (shown(warehouse, idle)["spend"], shown(warehouse, idle)["budget_used_share"]) == (0, 0)
    row = shown(warehouse, unpriced)
    assert (row["spend"], row["total_spend"], row["budget_used_share"], row["unpriced_requests"]) == (
        None,
        None,
        None,
        1,
    )


def test_a_team_that_moves_takes_its_people_but_not_its_parent_s(connection: Connection) -> None:
    first, second = add_team(connection), add_team(connection)
    team = add_team(connection, parent_team_id=first)
    user = add_user(connection, status="active")
    add(connection, "team_members", team_id=team, user_id=user)
    counts = [shown(connection, t)["total_member_count"] for t in (first, second)]
    connection.execute("update core.teams set parent_team_id = %s where id = %s", [second, team])
    assert counts == [1, 0]
    assert [shown(connection, t)["total_member_count"] for t in (first, second)] == [0, 1]
