"""Rows that a later release would refuse don't stop its build: they are mended where nothing is lost, or reported."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from core_rows import add_policy, add_role, add_team, add_user, value
from engines import Engine

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.settings import project_dir

BOUNDS = (project_dir() / "macros" / "schema" / "changes" / "change_0014_looks_and_bounds.sql").read_text()
TO_BE_MENDED = {
    "users_display_name_check",
    "users_email_look_check",
    "roles_permissions_check",
    "teams_budget_amount_check",
    "teams_slug_check",
    "policies_rules_check",
}
NFD, NFC = "zoe\u0308@example.com", "zo\u00eb@example.com"


@pytest.fixture
def older(engine: Engine) -> Iterator[str]:
    """URL of a database as it was before the change that bounds text, times and amounts."""
    with engine.database("bad_rows") as url:
        with connect(url) as connection:
            for table, body in re.findall(
                r"^alter table if exists (core\.\w+)\n(.*?)(?:;|\n\{)", BOUNDS, re.DOTALL | re.MULTILINE
            ):
                for name in re.findall(r"drop constraint if exists (\w+)", body):
                    connection.execute(f"alter table {table} drop constraint {name}".encode())
            connection.execute("delete from internal.schema_changes where id >= 13")
            connection.execute("delete from internal.schema_objects where name = 'internal.settings'")
        yield url


def not_valid(connection: Connection) -> set[str]:
    query = "select conname::text from pg_constraint where connamespace = 'core'::regnamespace and not convalidated"
    return {name for (name,) in connection.execute(query.encode())}


def test_a_database_with_bad_rows_is_upgraded_and_says_what_is_to_be_mended(older: str) -> None:
    with connect(older) as connection:
        hidden = add_user(connection, display_name="\u200eAnn\ufeff Lee")
        blank = add_user(connection, display_name="\u3000")
        decomposed = add_user(connection, email=NFD)
        taken, twin = add_user(connection, email="\uff42ob@example.com"), add_user(connection, email="bob@example.com")
        role = add_role(connection, name="Ro\u00adle", permissions={"teams": [f"a{n}" for n in range(1000)]})
        many = json.dumps({"teams": [f"a{n}" for n in range(1001)]})
        connection.execute("update core.roles set permissions = %s where id = %s", [many, role])
        team = add_team(connection, budget_amount="1e300", slug="t" * 300)
        rules = {"requests_per_minute": 9, "requests_per_hour": 3}
        policy = add_policy(connection, slug="limits", is_active=True, rules=rules)
        connection.execute("update core.policies set published_at = null, created_at = '2026-01-01'")
        stamp = value(connection, "select updated_at from core.policies where id = %s", policy)

    # what a build does first, and a node
    run_dbt(["run", "--select", "roles", "--threads", "1"], older, quiet=True)

    with connect(older) as connection:
        names: dict[Any, str] = dict(connection.execute("select id, display_name from core.users").fetchall())
        assert (names[hidden], names[blank]) == ("Ann Lee", "\u3000")
        assert value(connection, "select name from core.roles where id = %s", role) == "Role"
        trail = (
            "select internal.audit_row(before) ->> 'display_name' from core.audit_logs"
            " where resource_id = %s and action = 'users.update'"
        )
        assert value(connection, trail, hidden) == "\u200eAnn\ufeff Lee"
        emails: dict[Any, str] = dict(connection.execute("select id, email from core.users").fetchall())
        assert (emails[decomposed], emails[taken], emails[twin]) == (NFC, "\uff42ob@example.com", "bob@example.com")
        published = "select published_at = created_at and updated_at = %s from core.policies where id = %s"
        assert value(connection, published, stamp, policy)
        assert not_valid(connection) == TO_BE_MENDED
        query = "select split_part(subject, ' ', 1), fix from verification.unvalidated_constraints"
        fixes: dict[Any, str] = dict(connection.execute(query).fetchall())
        assert fixes.keys() == TO_BE_MENDED

        rows = {"users_display_name_check": blank, "users_email_look_check": taken, "teams_slug_check": team}
        for name, row in rows.items():
            shown = re.search(r"`(select .*?)`", fixes[name])
            assert shown is not None
            assert [each[0] for each in connection.execute(shown[1].encode())] == [row]
        connection.execute("update core.users set display_name = 'Blank' where id = %s", [blank])
        connection.execute("update core.users set email = 'bob.1@example.com' where id = %s", [taken])
        connection.execute("update core.teams set budget_amount = 1, slug = 't' where id = %s", [team])
        connection.execute("update core.roles set permissions = '{}' where id = %s", [role])
        connection.execute("update core.policies set rules = '{\"requests_per_hour\": 3}' where id = %s", [policy])
        for fix in fixes.values():
            statement = re.search(r"`(alter table .*?)`", fix)
            assert statement is not None
            connection.execute(statement[1].encode())
        assert not_valid(connection) == set()
