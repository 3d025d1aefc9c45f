"""What a refused statement held, a secret perhaps, doesn't stand in the log of the embedded server."""

import os
from pathlib import Path

import psycopg
import pytest
from core_rows import add_user

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.settings import project_dir

CANARY = "canary-5ecret-0f-5omebody"
USER = "insert into core.users (email, display_name, password_hash)"
MFA = "insert into core.mfa_secrets (user_id, encryption_key_id, secret_ciphertext, backup_code_hashes)"
KEY = "insert into core.api_keys (user_id, key_prefix, name, key_hash, scopes)"
SESSION = "insert into core.sessions (user_id, expires_at, token_hash)"
# a canary is %(c)s, as text, %(b)s, as bytes, or %(h)s, as a hash of 32 bytes
REFUSED = {
    "users_password_hash_check": f"{USER} values ('a@b.c', 'A', %(c)s)",
    'null value in column "display_name"': f"{USER} values ('a@b.c', null, %(c)s)",
    "users_password_hash_check.*": "update core.users set password_hash = %(c)s",
    "sessions_token_hash_check": f"{SESSION} select id, now() + interval '1 hour', %(b)s from core.users limit 1",
    "sessions_token_hash_key": f"{SESSION} select id, now() + interval '1 hour', %(h)s"
    " from core.users, generate_series(1, 2) limit 2",
    "api_keys_key_hash_check": f"{KEY} select id, 'abcd', 'K', %(b)s, '{{}}' from core.users limit 1",
    "permissions must be an object": f"{KEY} select id, 'abcd', 'K', %(h)s, '[1]' from core.users limit 1",
    "mfa_secrets_secret_ciphertext_check": f"{MFA} select id, 'k', %(b)s, '{{}}' from core.users limit 1",
    "mfa_secrets_backup_code_hashes_check": f"{MFA} select id, 'k', sha512(%(b)s), array[%(b)s]"
    " from core.users limit 1",
    'relation "core.nowhere" does not exist': "insert into core.nowhere values (%(c)s, %(b)s, %(h)s)",
    "division by zero": "select 1 / length(left(%(c)s, 0))",
}


@pytest.fixture
def log(database: str) -> Path:
    with connect(database) as connection:
        [(folder,)] = connection.execute("show data_directory")
    path = Path(folder, "server.log")
    if os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        pytest.skip("a server of yours logs where and what you say")
    return path


@pytest.mark.engines("postgres")
def test_no_refused_secret_stands_in_the_log(connection: Connection, log: Path) -> None:
    size = log.stat().st_size
    add_user(connection)
    values: dict[str, object] = {"c": CANARY, "b": CANARY.encode(), "h": CANARY.ljust(32).encode()}
    for error, statement in REFUSED.items():
        # once with its values as parameters, once with them in its text
        cursors = connection.cursor(), psycopg.ClientCursor(connection)
        for cursor in cursors:
            with pytest.raises(psycopg.Error, match=error), connection.transaction():
                cursor.execute(statement.encode(), values)
    with pytest.raises(psycopg.Error, match="users_password_hash_check"), connection.transaction():
        copy_in(connection, ["d@e.f", "D", CANARY])
    written = log.read_bytes()[size:].decode()
    for error in REFUSED:
        assert error.removesuffix(".*") in written, "what was refused is logged"
    for form in (CANARY, CANARY.encode().hex(), "DETAIL", "STATEMENT", "CONTEXT"):
        assert form not in written


def copy_in(connection: Connection, row: list[str]) -> None:
    with connection.cursor().copy("copy core.users (email, display_name, password_hash) from stdin") as rows:
        rows.write_row(row)


def test_operations_name_the_settings_for_a_server_of_ones_own() -> None:
    from orchestration.lib.embedded.server import _TERSE_LOG

    page = (project_dir() / "docs" / "operations.md").read_text()
    for name, value in _TERSE_LOG.items():
        assert f"{name} = {value}" in page
