"""What spend, decisions and the trail name is closed, not deleted."""

from decimal import Decimal

import pytest
from core_rows import add, add_policy, add_team, add_user, delete, refused, value
from psycopg.errors import RestrictViolation

from orchestration.lib.database.connection import Connection

INSTEAD = {
    "users": "set status to deactivated, and deleted_at, instead",
    "teams": "set deleted_at instead",
    "api_keys": "set revoked_at instead",
    "policies": "set is_active to false instead",
}


def add_row(connection: Connection, table: str) -> object:
    if table == "users":
        return add_user(connection)
    if table == "teams":
        return add_team(connection)
    if table == "policies":
        return add_policy(connection, is_active=True)
    return add(
        connection, "api_keys", user_id=add_user(connection), name="key", key_prefix="sk_abcd", key_hash=b"k" * 32
    )


@pytest.mark.parametrize("table", INSTEAD)
def test_a_row_is_closed_and_not_deleted(connection: Connection, table: str) -> None:
    row = add_row(connection, table)
    with refused(connection, RestrictViolation, f'{table}: ".+" cannot be deleted: .*; {INSTEAD[table]}'):
        connection.execute(f"delete from core.{table} where id = %s".encode(), [row])
    with refused(connection, RestrictViolation, f"{table} cannot be emptied: .*; {INSTEAD[table]}"):
        connection.execute(f"truncate core.{table} cascade".encode())
    connection.execute(f"delete from core.{table} where false".encode())
    assert value(connection, f"select count(*) from core.{table} where id = %s", row) == 1


def test_a_version_that_was_in_force_is_not_deleted_either(connection: Connection) -> None:
    policy = add_policy(connection, is_active=True)
    connection.execute("update core.policies set is_active = false where id = %s", [policy])
    with refused(connection, RestrictViolation, "cannot be deleted"):
        connection.execute("delete from core.policies where id = %s", [policy])


def test_spend_of_a_closed_team_stays_in_the_team_above(connection: Connection) -> None:
    parent = add_team(connection, currency="EUR")
    child = add_team(connection, parent_team_id=parent, currency="EUR")
    connection.execute(
        "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, currency, cost_source, team_id)"
        " values (now(), 'closed-team', 'p', 'm', 5, 'EUR', 'provider', %s)",
        [child],
    )
    total = "select total_spend from reporting.team_hierarchy_view where team_id = %s"
    assert value(connection, total, parent) == Decimal(5)
    with refused(connection, RestrictViolation, "set deleted_at instead"):
        connection.execute("delete from core.teams where id = %s", [child])
    connection.execute("update core.teams set deleted_at = now() where id = %s", [child])
    assert value(connection, total, parent) == Decimal(5)


@pytest.mark.parametrize("table", INSTEAD)
def test_a_row_made_by_mistake_is_deleted_by_who_says_so(connection: Connection, table: str) -> None:
    row = add_row(connection, table)
    delete(connection, table, row)  # type: ignore[arg-type]
    assert value(connection, f"select count(*) from core.{table} where id = %s", row) == 0
    action = "select action from core.audit_logs where resource_id = %s order by recorded_at desc limit 1"
    assert value(connection, action, row) == f"{table}.delete"
