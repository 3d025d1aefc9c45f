"""Rows and refusals that the tests of the core tables share."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from orchestration.lib.database.connection import Connection, connect


def add(connection: Connection, table: str, **values: Any) -> UUID:
    """Insert one row, dicts as JSON; the id."""
    [(made,)] = connection.execute(
        sql.SQL("insert into core.{} ({}) values ({}) returning id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        [Jsonb(value) if isinstance(value, dict) else value for value in values.values()],
    )
    return UUID(str(made))


def add_user(connection: Connection, **values: Any) -> UUID:
    return add(
        connection, "users", **{"email": f"{secrets.token_hex(6)}@example.com", "display_name": "Someone"} | values
    )


def add_team(connection: Connection, **values: Any) -> UUID:
    return add(connection, "teams", **{"slug": f"t-{secrets.token_hex(6)}", "name": "Team"} | values)


def add_role(connection: Connection, **values: Any) -> UUID:
    return add(connection, "roles", **{"slug": f"r-{secrets.token_hex(6)}", "name": "Role"} | values)


def add_policy(connection: Connection, **values: Any) -> UUID:
    defaults = {
        "slug": f"p-{secrets.token_hex(6)}",
        "name": "Policy",
        "policy_type": "rate_limit",
        "rules": {"requests_per_minute": 60},
    }
    return add(connection, "policies", **defaults | values)


def delete(connection: Connection, table: str, row: UUID) -> None:
    """Delete a row as one does that was made by mistake: users, teams, keys and policies are closed otherwise."""
    with connection.transaction():
        connection.execute("set local governance.managing_rows = 'on'")
        connection.execute(sql.SQL("delete from core.{} where id = %s").format(sql.Identifier(table)), [row])
        connection.execute("set local governance.managing_rows = ''")


def value(connection: Connection, query: str, *parameters: Any) -> Any:
    """The first column of the only row."""
    rows = connection.execute(query, parameters).fetchall()
    assert len(rows) == 1
    return rows[0][0]


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """Rolled back at its end."""
    with connect(url, autocommit=False) as connection:
        yield connection
        connection.rollback()


@contextmanager
def refused(connection: Connection, error: type[psycopg.Error], match: str) -> Iterator[None]:
    """What the block does must be refused so; the transaction goes on."""
    with pytest.raises(error, match=match), connection.transaction():
        yield
