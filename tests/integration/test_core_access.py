"""Permissions, system roles and grants."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from core_rows import add, add_role, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, ExclusionViolation, ForeignKeyViolation

from orchestration.lib.database.connection import Connection

NOW = datetime.now(UTC)


def day(n: int) -> datetime:
    return NOW + timedelta(days=n)


@pytest.mark.parametrize(
    "permissions",
    ["{}", '{"*": ["*"]}', '{"teams": ["read", "update"], "api_keys": ["*"]}', '{"*": ["read"]}'],
)
def test_permissions_that_are_taken(connection: Connection, permissions: str) -> None:
    add_role(connection, permissions=permissions)


@pytest.mark.parametrize(
    ("permissions", "message"),
    [
        ('["teams"]', "must be an object like .*, not array"),
        ("null", "must be an object like .*, not null"),
        ('{"teams": ["read"], "Users": ["read"]}', 'key "Users" is no resource'),
        ('{"": ["read"]}', 'key "" is no resource'),
        ('{"team*": ["read"]}', r'key "team\*" is no resource'),
        ('{"teams": "read"}', 'key "teams" needs a list of actions such as .*, not "read"'),
        ('{"teams": []}', 'key "teams" needs a list'),
        ('{"users": ["read"], "teams": ["read", 1]}', 'key "teams" has 1, which is no action'),
        ('{"teams": ["Read"]}', 'key "teams" has "Read", which is no action'),
        ('{"teams": [null]}', 'key "teams" has null, which is no action'),
        ('{"teams": [["read"]]}', 'key "teams" has .*, which is no action'),
        ('{"teams": ["read", "read"]}', 'key "teams" names an action twice'),
    ],
)
def test_permissions_that_are_refused_with_the_key_named(
    connection: Connection, permissions: str, message: str
) -> None:
    with refused(connection, CheckViolation, message):
        add_role(connection, permissions=permissions)


@pytest.mark.parametrize("slug", ["Admin", "two words", "-x", "x--y", "", "ümlaut"])
def test_slugs_are_lower_case_words(connection: Connection, slug: str) -> None:
    with refused(connection, CheckViolation, "roles_slug_check"):
        add_role(connection, slug=slug)


SYSTEM_ROLE_CHANGES = {
    "delete from core.roles where slug = 'viewer'": "cannot be deleted",
    "delete from core.roles where is_system_role": "cannot be deleted",
    "update core.roles set name = 'Reader' where slug = 'viewer'": "cannot be renamed",
    "update core.roles set slug = 'reader' where slug = 'viewer'": "cannot be renamed",
    "update core.roles set is_system_role = false where slug = 'viewer'": "set by the build only",
    "update core.roles set is_system_role = true where slug = 'own'": "set by the build only",
    "insert into core.roles (slug, name, is_system_role) values ('x', 'X', true)": "cannot be made a system role",
    "truncate core.roles cascade": "cannot be emptied",
}


@pytest.mark.parametrize("statement", SYSTEM_ROLE_CHANGES)
def test_a_system_role_is_neither_deleted_renamed_unmade_nor_made(connection: Connection, statement: str) -> None:
    add_role(connection, slug="own")
    with refused(connection, CheckViolation, SYSTEM_ROLE_CHANGES[statement]):
        connection.execute(statement.encode())


def test_a_role_of_ones_own_is_renamed_and_deleted(connection: Connection) -> None:
    role = add_role(connection, parent_role_id=value(connection, "select id from core.roles where slug = 'viewer'"))
    connection.execute("update core.roles set name = 'Other', slug = 'other' where id = %s", [role])
    connection.execute("delete from core.roles where id = %s", [role])


def test_a_role_that_was_ever_granted_stays(connection: Connection) -> None:
    role = add_role(connection)
    add(connection, "user_roles", user_id=add_user(connection), role_id=role, revoked_at=day(1))
    with refused(connection, ForeignKeyViolation, "user_roles_role_id_fkey"):
        connection.execute("delete from core.roles where id = %s", [role])


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ({}, {}, False),
        ({"expires_at": day(5)}, {"granted_at": day(4)}, False),
        ({"expires_at": day(5)}, {"granted_at": day(5)}, True),
        ({"expires_at": day(5), "revoked_at": day(3)}, {"granted_at": day(3)}, True),
        ({"expires_at": day(5), "revoked_at": day(3)}, {"granted_at": day(2)}, False),
        # revoked at once: it never held
        ({"revoked_at": day(0)}, {}, True),
        ({}, {"granted_at": day(-3), "expires_at": day(0)}, True),
    ],
)
@pytest.mark.parametrize("scope", ["everywhere", "team"])
def test_one_live_grant_of_a_role_per_user_and_scope(
    connection: Connection, scope: str, first: dict[str, Any], second: dict[str, Any], is_taken: bool
) -> None:
    team = add_team(connection) if scope == "team" else None
    grant = {"user_id": add_user(connection), "role_id": add_role(connection), "team_id": team, "granted_at": day(0)}
    add(connection, "user_roles", **grant | first)
    if is_taken:
        add(connection, "user_roles", **grant | second)
    else:
        with refused(connection, ExclusionViolation, "user_roles_user_id_role_id_team_id_excl"):
            add(connection, "user_roles", **grant | second)


def test_grants_of_another_scope_role_or_user_are_others(connection: Connection) -> None:
    grant = {"user_id": add_user(connection), "role_id": add_role(connection), "team_id": None}
    add(connection, "user_roles", **grant)
    for other in (
        {"team_id": add_team(connection)},
        {"team_id": add_team(connection)},
        {"role_id": add_role(connection)},
        {"user_id": add_user(connection)},
    ):
        add(connection, "user_roles", **grant | other)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"expires_at": day(0)}, "user_roles_expires_at_check"),
        ({"revoked_at": day(-1)}, "user_roles_revoked_at_check"),
    ],
)
def test_a_grant_does_not_end_before_it_begins(connection: Connection, values: dict[str, Any], constraint: str) -> None:
    grant = {"user_id": add_user(connection), "role_id": add_role(connection), "granted_at": day(0)}
    with refused(connection, CheckViolation, constraint):
        add(connection, "user_roles", **grant | values)
