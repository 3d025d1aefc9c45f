"""Accounts, second factors, sessions and keys: what the tables refuse, and its neighbour that they take."""

import hashlib
import os
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user, delete, refused, value
from psycopg.errors import CheckViolation, Error, ForeignKeyViolation, NotNullViolation, UniqueViolation

from orchestration.lib.database.connection import Connection

BCRYPT = "$2b${cost}$" + "a" * 53
NOW = datetime.now(UTC)


def hour(n: int) -> datetime:
    return NOW + timedelta(hours=n)


def sha256() -> bytes:
    return hashlib.sha256(os.urandom(16)).digest()


def expect(connection: Connection, constraint: str | None, error: type[Error] = CheckViolation) -> Any:
    """Refused by that constraint, or taken where it is None."""
    taken: AbstractContextManager[None] = nullcontext()
    return taken if constraint is None else refused(connection, error, constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"email": "someone@example.com"}, None),
        ({"email": "admin@llmgovernance.local"}, None),
        ({"email": "someone@localhost"}, "users_email_check"),
        ({"email": "someone@example..com"}, "users_email_check"),
        ({"email": "some one@example.com"}, "users_email_check"),
        ({"email": "someone@example.com\n"}, "users_email_check"),
        ({"email": "a@b@example.com"}, "users_email_check"),
        ({"email": "a" * 250 + "@x.io"}, "users_email_check"),
        ({"display_name": "  "}, "users.display_name is blank"),
        ({"password_hash": BCRYPT.format(cost=12)}, None),
        ({"password_hash": BCRYPT.format(cost=31)}, None),
        ({"password_hash": BCRYPT.format(cost=11)}, "users_password_hash_check"),
        ({"password_hash": BCRYPT.format(cost=32)}, "users_password_hash_check"),
        ({"password_hash": "Admin123!"}, "users_password_hash_check"),
        ({"password_hash": hashlib.sha256(b"x").hexdigest()}, "users_password_hash_check"),
        ({"status": "retired"}, "users_status_check"),
        ({"failed_login_count": -1}, "users_failed_login_count_check"),
        ({"last_login_at": "infinity"}, "users_last_login_at_check"),
        ({"metadata": {"department": "Finance"}}, None),
        ({"metadata": "[1]"}, "users_metadata_check"),
        ({"deleted_at": NOW, "status": "deactivated"}, None),
        ({"deleted_at": NOW, "status": "active"}, "users_deleted_at_status_check"),
    ],
)
def test_users(connection: Connection, values: dict[str, Any], constraint: str | None) -> None:
    with expect(connection, constraint):
        add_user(connection, **values)


def test_an_address_is_one_account_whatever_its_case(connection: Connection) -> None:
    add_user(connection, email="Some.One@Example.com")
    with refused(connection, UniqueViolation, "users_email_key"):
        add_user(connection, email="some.one@example.COM")
    add_user(connection, email="some.two@example.com")


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, None),
        ({"secret_ciphertext": os.urandom(28)}, "mfa_secrets_secret_ciphertext_check"),
        (
            {"secret_ciphertext": b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"},
            "mfa_secrets_secret_ciphertext_check",
        ),
        (
            {"secret_ciphertext": b"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&issuer=x"},
            "mfa_secrets_secret_ciphertext_check",
        ),
        ({"kind": "sms"}, "mfa_secrets_kind_check"),
        ({"encryption_key_id": ""}, "mfa_secrets.encryption_key_id is blank"),
        ({"backup_code_hashes": [sha256(), sha256()]}, None),
        ({"backup_code_hashes": [sha256(), b"12345678"]}, "mfa_secrets_backup_code_hashes_check"),
        ({"backup_code_hashes": [sha256(), None]}, "mfa_secrets_backup_code_hashes_check"),
    ],
)
def test_mfa_secrets(connection: Connection, values: dict[str, Any], constraint: str | None) -> None:
    secret = {"user_id": add_user(connection), "secret_ciphertext": b"\x01" + os.urandom(60), "encryption_key_id": "k1"}
    with expect(connection, constraint):
        add(connection, "mfa_secrets", **secret | values)


def test_one_secret_of_a_kind_per_user(connection: Connection) -> None:
    secret = {"user_id": add_user(connection), "secret_ciphertext": b"\x01" + os.urandom(60), "encryption_key_id": "k1"}
    add(connection, "mfa_secrets", **secret)
    with refused(connection, UniqueViolation, "mfa_secrets_user_id_kind_key"):
        add(connection, "mfa_secrets", **secret)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, None),
        ({"token_hash": b"token"}, "sessions_token_hash_check"),
        ({"expires_at": hour(0)}, "sessions_expires_at_check"),
        ({"expires_at": "infinity"}, "sessions_expires_at_check"),
        ({"last_seen_at": hour(-1)}, "sessions_last_seen_at_check"),
        ({"revoked_at": hour(1), "revoked_reason": "logout"}, None),
        ({"revoked_at": hour(-1)}, "sessions_revoked_at_check"),
        ({"revoked_reason": "logout"}, "sessions_revoked_reason_check"),
    ],
)
def test_sessions(connection: Connection, values: dict[str, Any], constraint: str | None) -> None:
    session = {
        "user_id": add_user(connection),
        "token_hash": sha256(),
        "created_at": hour(0),
        "last_seen_at": hour(0),
        "expires_at": hour(8),
    }
    with expect(connection, constraint):
        add(connection, "sessions", **session | values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, None),
        ({"scopes": {"metrics": ["write"]}}, None),
        ({"scopes": {"metrics": "write"}}, 'key "metrics" needs a list'),
        ({"user_id": None}, "api_keys_owner_check"),
        ({"key_hash": b"key"}, "api_keys_key_hash_check"),
        ({"key_prefix": "sk_"}, "api_keys_key_prefix_check"),
        ({"key_prefix": "sk_live_abcdefghi"}, "api_keys_key_prefix_check"),
        ({"expires_at": hour(-1)}, "api_keys_expires_at_check"),
        ({"revoked_at": hour(-1)}, "api_keys_revoked_at_check"),
    ],
)
def test_api_keys(connection: Connection, values: dict[str, Any], constraint: str | None) -> None:
    with expect(connection, constraint):
        add_key(connection, **{"user_id": add_user(connection), "created_at": hour(0)} | values)


def add_key(connection: Connection, **values: Any) -> UUID:
    return add(connection, "api_keys", **{"name": "key", "key_prefix": "sk_abcd", "key_hash": sha256()} | values)


def test_tokens_and_keys_are_unique(connection: Connection) -> None:
    shared = sha256()
    user = add_user(connection)
    add(connection, "sessions", user_id=user, token_hash=shared, expires_at=hour(8))
    with refused(connection, UniqueViolation, "sessions_token_hash_key"):
        add(connection, "sessions", user_id=user, token_hash=shared, expires_at=hour(8))
    add_key(connection, user_id=user, key_hash=shared)
    with refused(connection, UniqueViolation, "api_keys_key_hash_key"):
        add_key(connection, team_id=add_team(connection), key_hash=shared)


def test_what_belongs_to_a_user_goes_with_them_and_what_they_did_stays(connection: Connection) -> None:
    user = add_user(connection)
    add(connection, "sessions", user_id=user, token_hash=sha256(), expires_at=hour(8))
    team = add_team(connection, owner_id=user)
    key = add_key(connection, team_id=team, created_by=user)
    delete(connection, "users", user)
    assert value(connection, "select count(*) from core.sessions where user_id = %s", user) == 0
    assert value(connection, "select owner_id from core.teams where id = %s", team) is None
    assert value(connection, "select created_by from core.api_keys where id = %s", key) is None


@pytest.mark.parametrize("owner", ["user", "team"])
def test_an_owner_of_keys_is_not_deleted(connection: Connection, owner: str) -> None:
    row = add_user(connection) if owner == "user" else add_team(connection)
    add_key(connection, **{f"{owner}_id": row})
    with refused(connection, ForeignKeyViolation, f"api_keys_{owner}_id_fkey"):
        delete(connection, f"{owner}s", row)


def test_updated_at_is_the_last_real_change(connection: Connection) -> None:
    user = add_user(connection, updated_at=hour(-5))
    connection.execute("update core.users set display_name = display_name where id = %s", [user])
    assert value(connection, "select updated_at from core.users where id = %s", user) == hour(-5)
    connection.execute("update core.users set display_name = 'Other', updated_at = %s where id = %s", [hour(-4), user])
    assert value(connection, "select updated_at > created_at from core.users where id = %s", user)


@pytest.fixture
def crowd(connection: Connection) -> Connection:
    """5,000 accounts, written past the triggers."""
    connection.execute("set local session_replication_role = replica")
    connection.execute(
        "insert into core.users (email, display_name)"
        " select md5(n::text) || '@example.com', 'Person ' || md5((n * 7)::text) from generate_series(1, 5000) as n"
    )
    connection.execute("set local session_replication_role = origin")
    # as autovacuum does after a load
    connection.execute("select gin_clean_pending_list('core.users_search_idx')")
    connection.execute("analyze core.users")
    return connection


def test_search_for_part_of_a_name_or_address_is_served_by_the_trigram_index(crowd: Connection) -> None:
    user = add_user(crowd, email="Grace.Hopper@example.com", display_name="Grace Brewster Hopper")
    search = "select id from core.users where email ilike '%race.hop%' or display_name ilike '%race.hop%'"
    assert crowd.execute(search.encode()).fetchall() == [(user,)]
    plan = "\n".join(row[0] for row in crowd.execute(b"explain " + search.encode()))
    assert plan.count("users_search_idx") == 2, plan
    assert "Seq Scan" not in plan


def test_nobody_is_without_a_name_or_an_address(connection: Connection) -> None:
    for column in ("email", "display_name"):
        with refused(connection, NotNullViolation, column):
            add_user(connection, **{column: None})
