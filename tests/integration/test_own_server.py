"""A server of one's own: an ordinary role, names of every kind, a database that other applications use too."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from odd_settings import give_odd_settings, plain_session
from psycopg import sql
from psycopg.conninfo import make_conninfo

from orchestration.cli.main import main
from orchestration.lib.database.connection import Connection, connect, with_database
from orchestration.lib.database.in_use import database_url
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError

# all that dbt can bear
DATABASE = "test_Own 50% %s {{ Ü }} \\ код"
ROLE = 'test O\'Brien "DBA" 100% ü'
PASSWORD = "p@ss:w/o%r?d#&='\" \\ü$(x)"
SETTINGS = ["search_path=core, rollups, reporting, public", "jit=off"]
ORDINARY = "login nosuperuser nocreaterole nocreatedb"


@contextmanager
def of_a_role(server_url: str, database: str, role: str, owns: bool = True) -> Iterator[str]:
    """URL of an empty database for an ordinary role, which owns it or may only connect."""
    names = sql.Identifier(database), sql.Identifier(role)
    with connect(server_url) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(names[0]))
        admin.execute(sql.SQL("drop role if exists {}").format(names[1]))
        admin.execute(sql.SQL(f"create role {{}} {ORDINARY} password {{}}").format(names[1], sql.Literal(PASSWORD)))
        if owns:
            admin.execute(sql.SQL("create database {} owner {}").format(*names))
        else:
            admin.execute(sql.SQL("create database {}").format(names[0]))
        try:
            yield make_conninfo(server_url, dbname=database, user=role, password=PASSWORD)
        finally:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(names[0]))
            admin.execute(sql.SQL("drop role {}").format(names[1]))


@pytest.fixture(scope="module")
def demo(server_url: str, dbt_folder: None) -> Iterator[str]:
    """`governance demo` as such a role, on a database of such a name that sets what nobody would."""
    with of_a_role(server_url, DATABASE, ROLE) as url:
        with connect(server_url) as admin:
            give_odd_settings(admin, DATABASE)
        code, output = run(url, "demo", "--people", "5", "--days", "2")
        assert code == 0, output
        yield url


def run(url: str, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, env={"GOVERNANCE_DATABASE_URL": url}, catch_exceptions=False)
    return result.exit_code, result.output


def test_the_url_leads_there(demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", demo)
    with connect(database_url()) as by_words, psycopg.connect(database_url()) as by_url:
        for connection in (by_words, by_url):
            assert (connection.info.dbname, connection.info.user) == (DATABASE, ROLE)
    code, output = run(demo, "status")
    assert (code, output.split()[:2]) == (0, ["state", "running"]), output


def test_an_ordinary_role_does_all_that_needs_no_more(demo: str, tmp_path: Path) -> None:
    # one of each kind of node: the demo has built and tested them all
    nodes = ("--select", "model_price_list", "teams", "llm_metrics_daily", "period_totals", "missing_settings")
    code, output = run(demo, "build", "--quiet", "--resource-type", "model", "--resource-type", "seed", *nodes)
    assert code == 0, output
    file = tmp_path / "usage.csv"
    file.write_text(f"time,request_id,provider,model\n{datetime.now(UTC) - timedelta(days=9):%FT%T}Z,r1,openai,m\n")
    for command, said in {
        ("ingest", str(file)): "loaded 1",
        ("refresh",): "llm_metrics_daily: stored before",
        ("retain",): "nothing is older than its retention",
        ("migrate",): "nothing to change",
        ("verify", "--probe"): " 0 error",
    }.items():
        code, output = run(demo, *command)
        assert (code, said in output, "could not run" in output) == (0, True, False), output


def test_an_ordinary_role_reports_proves_and_backs_up(demo: str, tmp_path: Path) -> None:
    key, anchor = str(tmp_path / "key"), str(tmp_path / "anchor")
    for command, said in {
        ("report", "--period", "last-day", "--output", str(tmp_path / "reports")): "day-",
        ("site", "--output", str(tmp_path / "site")): "index.html",
        ("audit", "key", key): "llm-governance+",
        ("audit", "sign", "--key", key, "--anchor", anchor): " signed",
        ("audit", "verify", "--key", key, "--checkpoint", anchor): "OK",
        ("audit", "export", "--output", str(tmp_path / "export")): "export",
        ("backup", "--output", str(tmp_path / "backups")): "backups",
    }.items():
        code, output = run(demo, *command)
        assert (code, said in output, "may not" in output) == (0, True, False), output
    code, output = run(demo, "drill", "--output", str(tmp_path / "backups"))
    assert code == 1
    with connect(demo) as connection:
        timescaledb = connection.execute("select from pg_extension where extname = 'timescaledb'").fetchall()
    if timescaledb:
        assert "takes a superuser" in output
    else:
        assert "let an administrator run `alter role" in output
        assert "createdb`" in output


def test_a_deep_verification_names_the_right_it_needs(demo: str, server_url: str) -> None:
    code, output = run(demo, "verify", "--deep", "--select", "missing_settings")
    assert code == 2
    command = 'alter role "test O\'Brien ""DBA"" 100% ü" createdb'
    assert output.endswith(f"let an administrator run `{command}`\n")
    with connect(server_url) as admin:
        admin.execute(command.encode())
    code, output = run(demo, "verify", "--deep", "--select", "missing_settings")
    assert (code, "2 rules: 0 error, 0 warn" in output) == (0, True), output


def test_missing_rights_are_told_with_what_gives_them(server_url: str, dbt_folder: None) -> None:
    """What an administrator is told to run is run, until the role may build."""
    database, role = "test_Guest", "test guest"
    with (
        of_a_role(server_url, database, role, owns=False) as url,
        connect(with_database(server_url, database)) as admin,
    ):
        schemas = ("core", "internal", "reporting", "rollups", "seeds", "verification")

        def told() -> str:
            """The statements that somebody is told to run; until then nothing is made."""
            before = made(admin)
            with pytest.raises(GovernanceError, match=r"let .* run `.*`.*, then build again$") as raised:
                run_dbt(["run", "--select", "+teams"], url, quiet=True)
            assert made(admin) == before
            return str(raised.value).split("`")[1]

        assert told() == 'grant create on database "test_Guest" to "test guest"'
        for schema in schemas:
            admin.execute(f"create schema {schema}".encode())
        assert told() == 'grant create, usage on schema core to "test guest"'
        for schema in schemas:
            admin.execute(f'grant create, usage on schema {schema} to "test guest"'.encode())
        extensions = told()
        assert 'create extension "btree_gist" schema public; create extension "pg_trgm" schema' in extensions
        admin.execute(extensions.encode())
        admin.execute("create schema apart; alter extension pg_trgm set schema apart")
        moved = told()
        assert moved == "alter extension pg_trgm set schema public"
        admin.execute(moved.encode())
        run_dbt(["build", "--resource-type", "model", "seed", "--select", "+teams"], url, quiet=True)
        assert admin.execute("select value from internal.settings where name = 'database_settings'").fetchone() == (
            "false",
        ), "who doesn't own the database doesn't alter it"
        assert settings_of(admin) == []


def test_what_others_have_under_our_names_is_left_alone(server_url: str, dbt_folder: None, tmp_path: Path) -> None:
    def build(choice: str = "") -> None:
        # a folder for each choice, for dbt reads the whole project again when its vars change
        nodes = ["--resource-type", "model", "seed", "--select", "+teams", "missing_settings"]
        options = ["--target-path", str(tmp_path / choice), "--vars", f"{{database_settings: {choice}}}"]
        run_dbt(["build", *nodes, *options], url, quiet=True)

    with of_a_role(server_url, "test_shared", "test_sharing") as url, plain_session(url) as other:
        other.execute("create schema core; create table core.teams (id integer)")
        other.execute("create function core.f() returns int return 1")
        before = made(other)
        with pytest.raises(
            GovernanceError, match=r"hold what is not ours \(core\.f\(\), core\.teams\), and nothing was"
        ):
            build()
        assert made(other) == before
        other.execute("alter schema core rename to club; create view public.users as select 1 as member")
        other.execute("create table public.teams as select 'theirs' as name")
        before = made(other)
        hidden = r"tables of another application with the names of ours \(public\.teams, public\.users\)"
        with pytest.raises(GovernanceError, match=hidden):
            build()
        assert made(other) == before

        build("false")
        assert settings_of(other) == []
        # from then on it isn't asked, only left alone
        build()
        assert settings_of(other) == []
        with plain_session(url) as later:
            assert later.execute("select name from teams").fetchall() == [("theirs",)]
            assert later.execute("select subject from verification.missing_settings").fetchall() == []

        # told to, it sets them, puts them back and takes them back
        with pytest.raises(GovernanceError, match=hidden):
            build("true")
        other.execute("drop table public.teams; drop view public.users")
        build("true")
        assert settings_of(other) == SETTINGS
        other.execute("alter database test_shared reset jit")
        assert other.execute("select subject from verification.missing_settings").fetchall() == [("jit",)]
        build()
        assert settings_of(other) == SETTINGS
        build("false")
        assert settings_of(other) == []


def made(connection: Connection) -> list[tuple[object, ...]]:
    """Schemas and relations, extensions, and the database's settings."""
    return connection.execute(
        "select nspname::text, relname::text from pg_namespace as n left join pg_class as c on c.relnamespace = n.oid"
        " where nspname !~ '^(pg_|information_schema)'"
        " union all select 'extension', extname from pg_extension"
        " union all select 'setting', setconfig::text from pg_db_role_setting"
        " where setdatabase = (select oid from pg_database where datname = current_database()) order by 1, 2"
    ).fetchall()


def settings_of(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select unnest(setconfig) from pg_db_role_setting"
        " where setrole = 0 and setdatabase = (select oid from pg_database where datname = current_database())"
    ).fetchall()
    return [str(row[0]) for row in rows]
