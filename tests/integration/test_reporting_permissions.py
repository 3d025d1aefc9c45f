"""Who may do what: inheritance, scopes, and grants that begin and end on the instant."""

from datetime import timedelta
from typing import Any

import pytest
from core_rows import add, add_role, add_team, add_user, value
from reporting_rows import executed_plan, only, report, rows_read

from orchestration.lib.database.connection import Connection


def grant(connection: Connection, user: object, role: object, **values: Any) -> None:
    add(connection, "user_roles", user_id=user, role_id=role, **values)


def permissions(connection: Connection, user: object) -> set[tuple[str, str, str, str | None, int]]:
    return {
        (r["resource"], r["action"], r["granted_via_role"], r["inherited_from_role"], r["inheritance_depth"])
        for r in report(connection, "user_permissions_view", user_id=user)
    }


def test_a_role_brings_what_the_roles_above_it_have(connection: Connection) -> None:
    top = add_role(connection, slug="top", permissions={"reports": ["read"]})
    middle = add_role(connection, slug="middle", parent_role_id=top, permissions={"models": ["use"]})
    bottom = add_role(connection, slug="bottom", parent_role_id=middle, permissions={"models": ["use", "tune"]})
    low, high = add_user(connection, status="active"), add_user(connection, status="active")
    grant(connection, low, bottom)
    grant(connection, high, top)
    assert permissions(connection, low) == {
        ("models", "use", "bottom", None, 0),
        ("models", "tune", "bottom", None, 0),
        ("reports", "read", "bottom", "top", 2),
    }
    assert permissions(connection, high) == {("reports", "read", "top", None, 0)}

    connection.execute('update core.roles set permissions = \'{"alerts": ["read"]}\' where id = %s', [top])
    assert ("alerts", "read", "bottom", "top", 2) in permissions(connection, low)
    assert not {p for p in permissions(connection, low) if p[0] == "reports"}


def test_a_diamond_is_one_row_and_names_both_grants(connection: Connection) -> None:
    top = add_role(connection, slug="top", permissions={"reports": ["read"]})
    left, right = (add_role(connection, slug=s, parent_role_id=top) for s in ("left", "right"))
    user = add_user(connection, status="active")
    now = value(connection, "select now()")
    grant(connection, user, left, granted_at=now - timedelta(days=2), expires_at=now + timedelta(days=1))
    grant(connection, user, right, granted_at=now - timedelta(days=1))
    row = only(report(connection, "user_permissions_view", user_id=user))
    assert (row["granted_via_role"], row["inherited_from_role"], row["expires_at"]) == ("right", "top", None)
    assert row["granting_roles"] == ["left", "right"]

    connection.execute("update core.user_roles set revoked_at = now() where role_id = %s", [right])
    row = only(report(connection, "user_permissions_view", user_id=user))
    assert (row["granted_via_role"], row["granting_roles"]) == ("left", ["left"])
    assert row["expires_at"] == now + timedelta(days=1)


def test_each_scope_has_its_own_rows(connection: Connection) -> None:
    role = add_role(connection, slug="reader", permissions={"reports": ["read"]})
    user, team, gone = add_user(connection, status="active"), add_team(connection), add_team(connection)
    grant(connection, user, role)
    grant(connection, user, role, team_id=team)
    grant(connection, user, role, team_id=gone)
    connection.execute("update core.teams set deleted_at = now() where id = %s", [gone])
    rows = report(connection, "user_permissions_view", user_id=user)
    assert {r["team_id"] for r in rows} == {None, team}


@pytest.mark.parametrize(
    ("begins", "expires", "revoked", "holds"),
    [
        ("0", None, None, True),
        ("1 microsecond", None, None, False),
        ("-1 day", "1 microsecond", None, True),
        ("-1 day", "0", None, False),
        ("-1 day", "1 day", "0", False),
        ("-1 day", "1 day", "1 microsecond", True),
    ],
)
def test_a_grant_holds_up_to_but_not_including_its_end(
    connection: Connection, begins: str, expires: str | None, revoked: str | None, holds: bool
) -> None:
    """now() stands still within the test's transaction."""
    user, role = add_user(connection, status="active"), add_role(connection, permissions={"reports": ["read"]})
    connection.execute(
        "insert into core.user_roles (user_id, role_id, granted_at, expires_at, revoked_at)"
        " values (%s, %s, now() + %s::interval, now() + %s::interval, now() + %s::interval)",
        [user, role, begins, expires, revoked],
    )
    assert bool(permissions(connection, user)) is holds


@pytest.mark.parametrize("status", ["invited", "suspended", "deactivated"])
def test_an_account_that_is_not_active_may_nothing(connection: Connection, status: str) -> None:
    user, role = add_user(connection, status=status), add_role(connection, permissions={"reports": ["read"]})
    grant(connection, user, role)
    assert permissions(connection, user) == set()


@pytest.mark.parametrize("column", ["user_id", "email"])
def test_the_permissions_of_one_user_are_found_without_reading_everybody_s_grants(
    connection: Connection, column: str
) -> None:
    role = add_role(connection, slug="reader", permissions={"reports": ["read"]})
    connection.execute(
        "with people as (insert into core.users (email, display_name, status)"
        "     select n || '@example.com', 'N', 'active' from generate_series(1, 2000) as n returning id)"
        " insert into core.user_roles (user_id, role_id) select id, %s from people",
        [role],
    )
    connection.execute("analyze core.users")
    connection.execute("analyze core.user_roles")
    email = "77@example.com"
    wanted = {"user_id": value(connection, "select id from core.users where email = %s", email), "email": email}
    plan = executed_plan(connection, "user_permissions_view", **{column: wanted[column]})
    assert plan["Actual Rows"] == 1
    assert 1 <= rows_read(plan, "user_roles") <= 5


def test_sessions_end_on_the_instant_and_show_no_token(connection: Connection) -> None:
    user = add_user(connection, status="suspended", email="ann@example.com")
    now = value(connection, "select now()")
    for n, left in enumerate([timedelta(microseconds=1), timedelta(0)]):
        add(
            connection,
            "sessions",
            user_id=user,
            token_hash=bytes([n]) * 32,
            created_at=now - timedelta(hours=2),
            last_seen_at=now - timedelta(minutes=5),
            expires_at=now + left,
        )
    row = only(report(connection, "active_sessions_view", user_id=user))
    assert (row["age"], row["idle_time"], row["expires_in"]) == (
        timedelta(hours=2),
        timedelta(minutes=5),
        timedelta(microseconds=1),
    )
    assert (row["email"], row["user_status"]) == ("ann@example.com", "suspended")
    assert bytes(32) not in row.values()
