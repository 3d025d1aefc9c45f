"""Which tables are audited, what of a change is in the trail, and what never is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from audit_entries import stored
from core_rows import add, add_policy, add_role, add_team, add_user, delete, refused, value
from psycopg.errors import InvalidParameterValue

from orchestration.lib.database.connection import Connection


def trail(connection: Connection, resource: UUID) -> list[dict[str, Any]]:
    """The entries about a row, in order."""
    ids = connection.execute("select id from core.audit_logs where resource_id = %s order by recorded_at", [resource])
    return [stored(connection, entry) for (entry,) in ids.fetchall()]


def test_a_row_leaves_a_trail_from_insert_to_delete(connection: Connection) -> None:
    team = add_team(connection, name="Before", budget_amount="100.10")
    connection.execute("update core.teams set name = 'After', cost_center = '42' where id = %s", [team])
    delete(connection, "teams", team)
    inserted, updated, deleted = trail(connection, team)
    assert [e["action"] for e in (inserted, updated, deleted)] == ["teams.insert", "teams.update", "teams.delete"]
    assert (inserted["before"], inserted["after"]["name"]) == (None, "Before")
    assert inserted["after"]["budget_amount"] == Decimal("100.10")
    assert (updated["before"]["name"], updated["after"]["name"]) == ("Before", "After")
    assert updated["metadata"] == {"changed": ["cost_center", "name"]}
    assert (deleted["before"], deleted["after"]) == (updated["after"], None)
    assert {(e["resource_type"], e["outcome"]) for e in (inserted, updated, deleted)} == {("teams", "success")}


AUDITED = (
    "users", "mfa_secrets", "sessions", "api_keys", "roles", "user_roles", "teams", "team_members", "policies",
    "policy_assignments",
)  # fmt: skip


def add_all(connection: Connection) -> dict[str, UUID]:
    """One row of each audited table, with a canary in every secret column."""
    canary = b"canary".ljust(32, b"!")
    user, team, role, policy = add_user(connection), add_team(connection), add_role(connection), add_policy(connection)
    connection.execute(
        "update core.users set password_hash = '$2b$12$' || rpad('canary', 53, 'x') where id = %s", [user]
    )
    secret = {"secret_ciphertext": b"\0" + canary * 2, "backup_code_hashes": [canary], "encryption_key_id": "k"}
    key = {"name": "key", "key_prefix": "sk_abcd", "key_hash": canary}
    later = datetime.now(UTC) + timedelta(hours=8)
    return {
        "users": user,
        "mfa_secrets": add(connection, "mfa_secrets", user_id=user, **secret),
        "sessions": add(connection, "sessions", user_id=user, token_hash=canary, expires_at=later),
        "api_keys": add(connection, "api_keys", user_id=user, **key),
        "roles": role,
        "user_roles": add(connection, "user_roles", user_id=user, role_id=role),
        "teams": team,
        "team_members": add(connection, "team_members", user_id=user, team_id=team),
        "policies": policy,
        "policy_assignments": add(connection, "policy_assignments", policy_id=policy, team_id=team),
    }


def test_every_table_of_identity_access_organization_and_governance_is_audited(connection: Connection) -> None:
    rows = add_all(connection)
    assert tuple(rows) == AUDITED
    for table, row in rows.items():
        assert trail(connection, row)[0]["action"] == f"{table}.insert"


def test_no_secret_reaches_the_trail_but_that_it_changed_does(connection: Connection) -> None:
    rows = add_all(connection)
    connection.execute("update core.users set password_hash = '$2b$12$' || rpad('other', 53, 'x')")
    delete(connection, "users", add_user(connection))
    everything = connection.execute("select before::text, after::text from core.audit_logs").fetchall()
    text = "".join(str(column) for row in everything for column in row)
    for secret in (b"canary", b"canary!!"):
        assert secret.decode() not in text
        assert secret.hex() not in text
    for table, column in {
        "users": "password_hash", "mfa_secrets": "secret_ciphertext", "sessions": "token_hash", "api_keys": "key_hash",
    }.items():  # fmt: skip
        assert trail(connection, rows[table])[-1]["after"][column] == "[redacted]"
    last = trail(connection, rows["users"])[-1]
    assert last["metadata"] == {"changed": ["password_hash"]}
    assert last["before"]["password_hash"] == "[redacted]"
    # no password is not a secret
    assert trail(connection, add_user(connection))[0]["after"]["password_hash"] is None


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("users", "last_login_at = now()"),
        ("users", "display_name = display_name"),
        ("users", "updated_at = now()"),
        ("sessions", "last_seen_at = now() + interval '1 minute'"),
        ("api_keys", "last_used_at = now()"),
        ("mfa_secrets", "last_used_at = now()"),
    ],
)
def test_noise_is_not_recorded(connection: Connection, table: str, change: str) -> None:
    row = add_all(connection)[table]
    before = len(trail(connection, row))
    connection.execute(f"update core.{table} set {change} where id = %s".encode(), [row])
    assert len(trail(connection, row)) == before
    connection.execute(f"update core.{table} set {change}, created_at = created_at - interval '1 s'".encode())
    assert len(trail(connection, row)) == before + 1


def test_that_a_table_was_emptied_is_recorded(connection: Connection) -> None:
    connection.execute("truncate core.sessions")
    query = "select count(*) from core.audit_logs where action = 'sessions.truncate' and resource_type = 'sessions'"
    assert value(connection, query) == 1


def test_the_application_says_who_acts_for_its_transaction(connection: Connection) -> None:
    actor = add_user(connection)
    settings = {
        "actor_id": str(actor),
        "actor_label": "Zoë",
        "request_id": "r-9",
        "ip_address": "192.0.2.9",
        "user_agent": "app/1",
    }
    with connection.transaction(force_rollback=True):
        for name, setting in settings.items():
            connection.execute("select set_config(%s, %s, true)", [f"governance.{name}", setting])
        (entry,) = trail(connection, add_role(connection))
        # a user is named by a reference, which internal.audit_text reads
        entry["actor_label"] = value(connection, "select internal.audit_text(%s)", entry["actor_label"])
        assert {name: str(entry[name]) for name in settings} == settings
        assert entry["actor_type"] == "user"
        connection.execute("set local governance.actor_type = 'service'")
        assert trail(connection, add_role(connection))[0]["actor_type"] == "service"
    (entry,) = trail(connection, add_role(connection))
    assert (entry["actor_type"], entry["actor_id"], entry["actor_label"]) == ("system", None, entry["db_user"])


def test_an_actor_that_is_no_uuid_is_an_error_that_says_so(connection: Connection) -> None:
    connection.execute("set local governance.actor_id = 'zoe'")
    with refused(connection, InvalidParameterValue, 'setting governance.actor_id is "zoe", which is no uuid'):
        add_role(connection)


def test_before_and_after_read_the_same_whatever_the_session(connection: Connection) -> None:
    created = datetime(2025, 7, 1, 12, tzinfo=UTC)
    connection.execute("set local timezone = 'Asia/Kolkata'")
    connection.execute("set local datestyle = 'SQL, DMY'")
    user = add_user(connection, created_at=created)
    connection.execute("set local datestyle = 'ISO'")
    (entry,) = trail(connection, user)
    assert entry["after"]["created_at"] == "2025-07-01T12:00:00+00:00"
