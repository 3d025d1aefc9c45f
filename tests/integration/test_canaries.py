"""Secrets that a database holds are in nothing that the project shows, logs or writes."""

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest
from click.testing import CliRunner
from core_rows import add, add_user
from psycopg import sql

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect

pytestmark = [pytest.mark.engines("postgres")]

# as long and as shaped as the columns ask for
HASH = b"canary-of-a-hash-of-32-bytes-..."
SECRET = b"canary-of-a-second-factor-\xff\xfe-\x00encrypted-by-the-application"
PASSWORD = "$2b$12$" + "canary0f0ne0passw0rd0hash0".ljust(53, "x")
DATABASE_PASSWORD = "canary-of-the-database"


@pytest.fixture
def url(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL with a password of its own, of a database with a secret of each kind."""
    with connect(database) as connection:
        user: UUID = add_user(connection, password_hash=PASSWORD, status="active")
        add(connection, "sessions", user_id=user, token_hash=HASH, expires_at="2099-01-01")
        add(connection, "api_keys", user_id=user, name="K", key_prefix="abcd", key_hash=HASH)
        add(
            connection,
            "mfa_secrets",
            user_id=user,
            secret_ciphertext=SECRET,
            encryption_key_id="k",
            backup_code_hashes=[HASH],
        )
        connection.execute(
            sql.SQL("create role canary superuser login password {}").format(sql.Literal(DATABASE_PASSWORD))
        )
    with_password = f"postgresql://canary:{DATABASE_PASSWORD}@{database.rpartition('@')[2]}"
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", with_password)
    yield with_password
    with connect(database) as connection:
        connection.execute("reassign owned by canary to current_user; drop role canary")


def spellings(secret: bytes) -> set[bytes]:
    """As text, hexadecimal and base64 show it."""
    return {secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")[:40]}


SPELLINGS = set().union(*map(spellings, (HASH, SECRET, PASSWORD.encode(), DATABASE_PASSWORD.encode())))


def leaks(content: bytes) -> list[bytes]:
    return [secret for secret in SPELLINGS if secret.lower() in content.lower()]


def test_a_leak_would_be_seen() -> None:
    assert leaks(f"… \\x{HASH.hex().upper()} …".encode()) == [HASH.hex().encode()]
    assert leaks(b"nothing") == []


def test_no_secret_is_shown_logged_or_written(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    said: dict[str, bytes] = {}
    for name, arguments in {
        "build": ["build", "--select", "users", "api_keys", "sessions", "mfa_secrets", "key_hygiene", "test_type:data"],
        "verify": ["verify", "--json", "--probe"],
        "status": ["status"],
        "report": ["report", "--period", "last-month", "--output", str(tmp_path / "reports")],
        "export": ["audit", "export", "--output", str(tmp_path / "trail")],
        "reader": ["identities", "list"],
        "broken": ["build", "--select", "users", "--vars", "{reporting_timezone: Nowhere}"],
    }.items():
        result = CliRunner().invoke(main, arguments)
        assert result.output, name
        assert result.exit_code == 0 or name not in ("status", "report", "export"), result.output
        said[name] = result.output.encode()
    from orchestration.defs.rollups.jobs import refresh_job

    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        assert refresh_job.execute_in_process(instance=instance).success
    with connect(url) as connection:
        for (relation,) in connection.execute(
            "select format('%I.%I', n.nspname, c.relname)"
            " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
            " where n.nspname in ('reporting', 'verification') and c.relkind = 'v'"
            " union all values ('core.audit_logs'), ('internal.dbt_results'), ('internal.verification_findings')"
        ).fetchall():
            rows = connection.execute(f"select t::text from {relation} as t".encode()).fetchall()
            said[relation] = "\n".join(row[0] for row in rows).encode()
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path(name).relative_to(tmp_path).parts[0] for name in files} >= {"target", "dagster", "trail", "reports"}
    assert {name: found for name, content in (said | files).items() if (found := leaks(content))} == {}
    assert b"users.insert" in said["core.audit_logs"]
