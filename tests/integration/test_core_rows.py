"""The rows that must exist: what a build brings back, what it leaves to the operator, and the first account."""

import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest
from core_rows import add, add_role, value

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import ADMIN_EMAIL, DEFAULT_ADMIN_PASSWORD, ensure_admin, verify_password


def build(database: str) -> None:
    nodes = ["system_roles", "roles", "default_policies", "policies", "default_team", "teams"]
    run_dbt(["build", "--select", *nodes, "--exclude-resource-type", "test", "unit_test"], database, quiet=True)


def everything(connection: Connection) -> set[tuple[str | None, str]]:
    """All rows of the tables that seeds write to, with their times, each behind its slug."""
    return {
        (slug, row)
        for table in ("roles", "policies", "teams", "audit_logs")
        for slug, row in connection.execute(
            f"select to_jsonb(t) ->> 'slug', to_jsonb(t)::text from core.{table} as t".encode()
        )
    }


def test_what_a_new_database_holds(connection: Connection) -> None:
    roles = connection.execute(
        "select r.name, p.name, r.is_system_role from core.roles as r left join core.roles as p"
        " on p.id = r.parent_role_id order by r.id"
    ).fetchall()
    assert roles == [
        ("Super Admin", None, True),
        ("Admin", "Team Manager", True),
        ("Team Manager", "Developer", True),
        ("Developer", "Viewer", True),
        ("Viewer", None, True),
        ("Security Officer", "Viewer", True),
        ("Finance Manager", "Viewer", True),
    ]
    assert value(connection, "select permissions from core.roles where slug = 'super-admin'") == {"*": ["*"]}
    assert value(connection, "select count(*) from core.roles where permissions = '{}'") == 0
    policies = connection.execute(
        "select name, policy_type, version, is_active from core.policies order by priority, name"
    ).fetchall()
    assert policies == [
        ("PII Detection", "content_filter", 1, True),
        ("Security Best Practices", "security", 1, True),
        ("Default Cost Limit", "cost_limit", 1, True),
        ("Default Rate Limit", "rate_limit", 1, True),
    ]
    teams = connection.execute(
        "select name, slug, parent_team_id, budget_amount, budget_period, currency from core.teams"
    ).fetchall()
    assert teams == [("Organization", "organization", None, Decimal(100000), "month", "USD")]
    assert connection.execute("select from core.users").fetchall() == []


def test_a_second_build_changes_nothing(database: str) -> None:
    with connect(database) as connection:
        before = everything(connection)
        build(database)
        assert everything(connection) == before


def test_system_roles_come_back_and_what_is_the_operators_stays(database: str) -> None:
    """A database of an older release, on which an operator has worked."""
    with connect(database) as connection:
        # system roles as an older release had them
        connection.execute(
            "update core.roles set permissions = '{\"teams\": [\"read\"]}', parent_role_id = null, description = 'Old.'"
            " where slug in ('developer', 'admin')"
        )
        # a role the operator had before the release brought one of its slug, and roles of their own
        with connection.transaction():
            connection.execute("set local governance.managing_rows = 'on'")
            connection.execute("delete from core.roles where slug = 'finance-manager'")
        theirs = add_role(connection, slug="finance-manager", name="Ours", permissions={"costs": ["read"]})
        own = add_role(connection, slug="own", parent_role_id=theirs, permissions={"models": ["use"]})
        # their edits of what they were given
        connection.execute(
            "update core.teams set budget_amount = 5, slug = 'acme', name = 'Acme' where name = 'Organization'"
        )
        connection.execute(
            "update core.policies set rules = '{\"requests_per_minute\": 1}', enforcement = 'log'"
            " where slug = 'default-rate-limit'"
        )
        connection.execute("update core.policies set slug = 'privacy' where slug = 'pii-detection'")
        add(
            connection,
            "policies",
            slug="default-cost-limit",
            version=2,
            name="Default Cost Limit",
            policy_type="cost_limit",
            rules={"daily": "7.00", "currency": "EUR"},
            is_active=True,
        )
        connection.execute("update core.policies set is_active = false where slug = 'security-best-practices'")
        kept = {(slug, row) for slug, row in everything(connection) if slug not in ("developer", "admin")}

        build(database)

        assert kept - everything(connection) == set(), "an operator's row was changed"
        restored = connection.execute(
            "select r.slug, p.slug, r.permissions ? 'teams' and r.permissions -> 'teams' = '[\"read\"]', r.description"
            " from core.roles as r left join core.roles as p on p.id = r.parent_role_id"
            " where r.slug in ('developer', 'admin') order by 1"
        ).fetchall()
        assert [row[:3] for row in restored] == [("admin", "team-manager", False), ("developer", "viewer", False)]
        assert "Old." not in {row[3] for row in restored}
        assert value(connection, "select permissions from core.roles where id = %s", own) == {"models": ["use"]}
        assert value(connection, "select count(*) from core.roles") == 8
        assert value(connection, "select count(*) from core.policies") == 5
        assert value(connection, "select count(*) from core.teams") == 1
        # and what the build changed is in the trail
        query = "select count(*) from core.audit_logs where action = 'roles.update' and metadata @> %s"
        assert value(connection, query, '{"changed": ["permissions"]}') == 4


@pytest.fixture
def no_admin(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection to a database without the admin, and an environment without a password for it."""
    monkeypatch.delenv("GOVERNANCE_ADMIN_PASSWORD", raising=False)
    with connect(database) as connection:
        yield connection
        connection.execute("set governance.managing_rows = 'on'")
        connection.execute("delete from core.users where email = %s", [ADMIN_EMAIL])


def admin_hash(connection: Connection) -> str:
    return str(value(connection, "select password_hash from core.users where email = %s", ADMIN_EMAIL))


def test_the_admin_is_super_admin_everywhere_with_a_random_password_to_change(no_admin: Connection) -> None:
    password = ensure_admin(no_admin)
    assert password is not None
    assert len(password) >= 20
    assert verify_password(password, admin_hash(no_admin))
    account = no_admin.execute(
        "select u.status, u.must_change_password, r.slug, g.team_id from core.users as u"
        " join core.user_roles as g on g.user_id = u.id join core.roles as r on r.id = g.role_id"
    ).fetchall()
    assert account == [("active", True, "super-admin", None)]


def test_an_existing_admin_is_never_changed(no_admin: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_admin(no_admin, password="the first password")
    no_admin.execute("update core.users set status = 'suspended', email = 'Admin@LLMGovernance.local'")
    no_admin.execute("update core.user_roles set revoked_at = now()")
    before = everything(no_admin), no_admin.execute("select * from core.users").fetchall()
    monkeypatch.setenv("GOVERNANCE_ADMIN_PASSWORD", "another password")
    assert ensure_admin(no_admin) is None
    assert ensure_admin(no_admin, password="a third password") is None
    assert (everything(no_admin), no_admin.execute("select * from core.users").fetchall()) == before
    no_admin.execute("update core.users set email = %s", [ADMIN_EMAIL])


def test_a_password_that_was_given_is_used_and_not_shown_again(
    no_admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_ADMIN_PASSWORD", "from the environment")
    assert ensure_admin(no_admin) is None
    assert verify_password("from the environment", admin_hash(no_admin))


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (DEFAULT_ADMIN_PASSWORD, "known to everybody"),
        ("short", "5 characters"),
        ("x" * 80, "80 bytes"),
    ],
)
def test_a_password_that_is_refused_makes_no_account(no_admin: Connection, password: str, message: str) -> None:
    with pytest.raises(GovernanceError, match=message):
        ensure_admin(no_admin, password=password)
    assert value(no_admin, "select count(*) from core.users") == 0


def test_the_documented_password_is_for_the_demo(no_admin: Connection) -> None:
    assert ensure_admin(no_admin, password=DEFAULT_ADMIN_PASSWORD, allow_default=True) is None
    assert verify_password(DEFAULT_ADMIN_PASSWORD, admin_hash(no_admin))
    assert value(no_admin, "select must_change_password from core.users where email = %s", ADMIN_EMAIL)


@pytest.mark.not_on_pglite("it has one session at a time")
def test_two_at_once_make_one_admin(no_admin: Connection, database: str) -> None:
    start = threading.Barrier(2)
    shown: list[str | None] = []

    def make() -> None:
        with connect(database) as connection:
            start.wait()
            shown.append(ensure_admin(connection))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (password,) = [p for p in shown if p is not None]
    assert len(shown) == 2
    assert verify_password(password, admin_hash(no_admin))
    assert value(no_admin, "select count(*) from core.user_roles") == 1


def test_without_roles_there_is_no_admin_either(connection: Connection) -> None:
    connection.execute("set local governance.managing_rows = 'on'")
    connection.execute("delete from core.roles where slug = 'super-admin'")
    with pytest.raises(GovernanceError, match="run `governance build` first"):
        ensure_admin(connection)
    assert value(connection, "select count(*) from core.users") == 0
