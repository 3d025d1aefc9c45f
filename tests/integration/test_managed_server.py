"""A login that may create schemas in one database and nothing else, as providers of managed PostgreSQL give it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from core_rows import add_user
from psycopg import sql
from psycopg.conninfo import make_conninfo

from orchestration.cli.main import main
from orchestration.lib.backup.backup import backup, read_manifest
from orchestration.lib.backup.restore import assert_may_restore_timescaledb, restore
from orchestration.lib.database.connection import connect, with_database
from orchestration.lib.errors import GovernanceError

pytestmark = [pytest.mark.engines("postgres"), pytest.mark.not_on_pglite("roles that log in")]

LOGIN, PASSWORD = "test_managed", "of-a-test"


@contextmanager
def empty(server_url: str, name: str) -> Iterator[str]:
    """The login's URL of a database where an administrator has made the extensions."""
    with connect(server_url) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            with connect(with_database(server_url, name)) as there:
                there.execute("create extension btree_gist; create extension pg_trgm")
                there.execute(
                    sql.SQL("grant create on database {} to {}").format(sql.Identifier(name), sql.Identifier(LOGIN))
                )
            yield make_conninfo(server_url, dbname=name, user=LOGIN, password=PASSWORD)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def backed_up(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a database where a role has rights that other servers don't know."""
    with connect(database) as connection:
        add_user(connection, email="ann@example.com", status="active")
        connection.execute("create role test_analyst; grant usage on schema reporting to test_analyst")
        try:
            folder, manifest = backup(database, tmp_path_factory.mktemp("backups"))
        finally:
            connection.execute("drop owned by test_analyst; drop role test_analyst")
    assert "test_analyst" in manifest.roles
    return folder


@pytest.fixture(scope="module")
def managed(server_url: str, backed_up: Path) -> Iterator[str]:
    """The login's own warehouse, in a database where another application keeps what is none of the login's."""
    with connect(server_url) as admin:
        admin.execute(f"create role {LOGIN} login nosuperuser nocreatedb nocreaterole password '{PASSWORD}'".encode())
    try:
        with empty(server_url, "managed") as url:
            told: list[str] = []
            restore(backed_up, url, tell=told.append)
            assert any("the server has no role test_analyst: `governance roles apply`" in line for line in told)
            with connect(with_database(server_url, "managed")) as admin:
                admin.execute("create schema club; create table club.members (name text)")
            yield url
    finally:
        with connect(server_url) as admin:
            admin.execute(f"drop role {LOGIN}".encode())


@pytest.fixture
def run(managed: str, tmp_path: Path) -> Callable[..., Result]:
    def run(*arguments: str | Path) -> Result:
        environment = {"GOVERNANCE_DATABASE_URL": managed, "GOVERNANCE_HOME": str(tmp_path / "home")}
        return CliRunner().invoke(main, [str(each) for each in arguments], env=environment)

    return run


def test_it_builds_loads_reports_and_proves(run: Callable[..., Result], tmp_path: Path) -> None:
    usage = tmp_path / "usage.csv"
    usage.write_text("time,request_id,provider,model\n2026-11-01T00:00:00Z,of-managed,openai,m\n")
    key, anchor = tmp_path / "key", tmp_path / "anchor"
    for command, said in {
        ("migrate",): "nothing to change",
        ("build", "--quiet", "--resource-type", "seed", "--resource-type", "model", "--select", "roles"): "",
        ("ingest", usage): "loaded 1",
        ("refresh",): "llm_metrics_daily",
        ("audit", "seal"): "sealed",
        ("audit", "key", key): "llm-governance+",
        ("audit", "sign", "--key", key, "--anchor", anchor, "--after-recovery"): "signed",
        ("audit", "verify", "--key", key, "--checkpoint", anchor): "OK",
        ("report", "--period", "last-day", "--output", tmp_path / "reports"): "day-",
        ("site", "--output", tmp_path / "site"): "index.html",
    }.items():
        done = run(*command)
        assert (done.exit_code, said in done.output, "may not" in done.output) == (0, True, False), done.output
    done = run("verify", "--probe", "--json")
    found = json.loads(done.stdout)
    assert found["not_run"] == {}
    assert [each for each in found["violations"] if each["severity"] == "error"] == []


def test_it_backs_up_its_own_and_restores_it_elsewhere(
    run: Callable[..., Result], server_url: str, managed: str, tmp_path: Path
) -> None:
    done = run("backup", "--output", tmp_path)
    assert done.exit_code == 0, done.output
    assert "left out, for test_managed may not read all of it: schema club" in done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    with empty(server_url, "managed_again") as url:
        done = run("restore", folder, "--into", url)
        assert done.exit_code == 0, done.output
        with connect(url) as connection:
            assert connection.execute("select from core.users where email = 'ann@example.com'").fetchall() == [()]
            assert connection.execute("select to_regnamespace('club')").fetchone() == (None,)
    # nobody but the login has rights in it
    assert read_manifest(folder).roles == []


def test_what_it_may_not_is_told_before_anything_is_written(
    run: Callable[..., Result], server_url: str, backed_up: Path, managed: str, tmp_path: Path
) -> None:
    done = run("drill", "--output", tmp_path / "backups")
    assert f"let an administrator run `alter role {LOGIN} createdb`" in done.stderr
    assert not (tmp_path / "backups").exists()
    done = run("verify", "--deep", "--select", "missing_settings")
    assert f"let an administrator run `alter role {LOGIN} createdb`" in done.output
    with empty(server_url, "managed_closed") as url, connect(with_database(server_url, "managed_closed")) as admin:
        with connect(url) as theirs, pytest.raises(GovernanceError, match="takes a superuser of the server"):
            assert_may_restore_timescaledb(theirs)
        assert_may_restore_timescaledb(admin)
        admin.execute(f"revoke create on database managed_closed from {LOGIN}".encode())
        with pytest.raises(GovernanceError, match=f"`grant create on database managed_closed to {LOGIN}`"):
            restore(backed_up, url)
        assert admin.execute("select from pg_namespace where nspname in ('core', 'internal')").fetchall() == []
