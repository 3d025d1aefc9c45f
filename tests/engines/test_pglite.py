"""The WebAssembly engines: they hold what the project builds, and behave as servers do where its tests need it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from engines import Engine, pglite
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.refresh import refresh


@pytest.fixture(scope="module")
def url(pglite_host: pglite.Host, pglite_empty: Path) -> Iterator[str]:
    with pglite_host.serving(pglite_empty, patience=0.5) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Connection]:
    with connect(url) as connection:
        connection.execute("drop table if exists pairs; create table pairs (id integer primary key, word text)")
        yield connection


def count(connection: Connection) -> int:
    [number] = connection.execute("select count(*) from pairs").fetchone() or [-1]
    return int(number)


# ---- the project


@pytest.mark.engines("timescaledb", "timescaledb_apache")
def test_project_builds_and_answers(engine: Engine) -> None:
    with engine.database("answers") as url:
        with connect(url) as connection:
            connection.execute(
                "insert into llm_metrics (time, request_id, provider, model, operation, status, currency, cost_amount,"
                " cost_source, source, input_tokens) select now() - n * interval '1 hour', n::text, 'openai', 'gpt-4o',"
                " 'chat', 'success', 'USD', 0.1, 'provider', 'test', 7 from generate_series(0, 99) as n"
            )
        refresh(url)
        with connect(url) as connection:
            row = connection.execute("select sum(requests), sum(cost), sum(input_tokens) from cost_summary_view")
            assert row.fetchone() == (100, 10, 700)


@pytest.mark.engines("timescaledb", "timescaledb_apache")
def test_editions_differ_in_what_they_refuse(engine: Engine) -> None:
    expected: dict[str, type[psycopg.Error]] = {
        "timescaledb": psycopg.errors.UndefinedObject,
        "timescaledb_apache": psycopg.errors.FeatureNotSupported,
    }
    with engine.database("edition") as url, connect(url) as connection, pytest.raises(expected[engine.name]):
        connection.execute("select remove_retention_policy('pg_catalog.pg_class')")


@pytest.mark.not_on_pglite("it has one session at a time")
def test_two_transactions_at_once(engine: Engine) -> None:
    with engine.database("two") as url, connect(url, autocommit=False) as one, connect(url, autocommit=False) as two:
        for connection in (one, two):
            assert connection.execute("select count(*) from roles").fetchone() == (7,)


# ---- what clients rely on


def test_a_message_may_be_large(client: Connection) -> None:
    word = "x" * 3_000_000
    # as a parameter and as text
    assert client.execute("select %s", [word]).fetchone() == (word,)
    assert client.execute(f"select length('{word}')").fetchone() == (len(word),)


def test_executemany_and_its_failure(client: Connection) -> None:
    with client.cursor() as cursor:
        cursor.executemany("insert into pairs values (%s, %s)", [(n, "word" * 20) for n in range(3000)])
    assert count(client) == 3000
    with client.cursor() as cursor, pytest.raises(psycopg.errors.UniqueViolation):
        cursor.executemany("insert into pairs values (%s, %s)", [(n, "again") for n in (5000, 1, 5001)])
    assert count(client) == 3000


def test_copy_in_out_and_given_up(client: Connection) -> None:
    with client.cursor() as cursor:
        with cursor.copy("copy pairs from stdin") as copy:
            for n in range(20_000):
                copy.write_row((n, f"tab\t{n}"))
        assert count(client) == 20_000
        with pytest.raises(psycopg.errors.UniqueViolation), cursor.copy("copy pairs from stdin") as copy:
            copy.write_row((1, "again"))
        with pytest.raises(psycopg.errors.UndefinedTable), cursor.copy("copy nowhere from stdin") as copy:
            copy.write_row((1, "lost"))
        with pytest.raises(UnicodeEncodeError), cursor.copy("copy pairs from stdin") as copy:
            copy.write_row((30_000, "half a surrogate: \ud800"))
        assert count(client) == 20_000
        with cursor.copy("copy pairs to stdout") as copy:
            assert sum(len(block) for block in copy) > 200_000


def test_clients_keep_their_settings_and_statements_apart(url: str, client: Connection) -> None:
    client.execute("set timezone = 'Europe/Berlin'")
    client.execute("select set_config('governance.name', 'first', false)")
    assert client.info.parameter_status("TimeZone") == "Europe/Berlin"
    state = "select current_setting('timezone'), current_setting('governance.name', true), %s"
    with connect(url) as other:
        # psycopg prepares a statement that it sends often, under the same name on each connection
        for n in range(8):
            assert client.execute(state, [n]).fetchone() == ("Europe/Berlin", "first", n)
            assert other.execute("select %s::int + 1", [n]).fetchone() == (n + 1,)
        assert other.execute(state, ["x"]).fetchone() == ("UTC", "", "x")


def test_a_new_connection_has_the_settings_of_database_role_and_client(url: str, client: Connection) -> None:
    client.execute("create role clerk; alter role clerk set work_mem = '7MB'")
    client.execute("alter database llm_governance set search_path = pg_temp, public")
    try:
        with psycopg.connect(url, user="clerk", options="-c lock_timeout=3s -c governance.name=a\\ b") as clerk:
            names = ("work_mem", "search_path", "lock_timeout", "governance.name")
            settings = [clerk.execute("select current_setting(%s)", [name]).fetchone() for name in names]
            assert settings == [("7MB",), ("pg_temp, public",), ("3s",), ("a b",)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                clerk.execute("select * from pairs")
        assert client.execute("select current_user").fetchone() == ("postgres",)
    finally:
        client.execute("alter database llm_governance reset search_path; drop role clerk")


def test_what_a_client_left_open_is_rolled_back(url: str, client: Connection) -> None:
    other = psycopg.connect(url)
    other.execute("insert into pairs values (1, 'lost')")
    other.close()
    assert count(client) == 0


def test_a_transaction_keeps_others_out_for_a_while_only(url: str, client: Connection) -> None:
    with client.transaction():
        client.execute("insert into pairs values (1, 'kept')")
        with pytest.raises(GovernanceError, match="one backend, and governance has kept it"):
            connect(url + "")
    assert count(client) == 1


def test_temporary_tables_and_locks_stay_with_their_client(url: str, client: Connection) -> None:
    client.execute("create temporary table mine as select 1 as n; select pg_advisory_lock(1)")
    with pytest.raises(GovernanceError, match="one backend"):
        connect(url + "")
    client.execute("select pg_advisory_unlock(1); drop table mine")
    with connect(url) as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("select n from mine")


def test_discard_all_makes_a_session_as_new(url: str) -> None:
    with psycopg.connect(url, autocommit=True, application_name="mine", options="-c work_mem=5MB") as session:
        settings = (
            "select current_setting('application_name'), current_setting('work_mem'), current_setting('search_path')"
        )
        new = session.execute(settings).fetchall()
        session.execute(
            "set work_mem = '6MB'; set search_path = pg_catalog; create temporary table mine as select 1 as n"
        )
        session.execute("discard all")
        assert session.execute(settings).fetchall() == new == [("mine", "5MB", new[0][2])]
        assert session.execute("select to_regclass('pg_temp.mine')").fetchall() == [(None,)]


def test_another_database_or_user_is_refused(url: str) -> None:
    with pytest.raises(GovernanceError, match="llm_governance only"):
        connect(url.replace("/llm_governance", "/postgres"))
    with pytest.raises(GovernanceError, match='role "nobody" does not exist'):
        connect(url.replace("postgres:", "nobody:"))


def test_an_engine_that_breaks_says_so_and_others_go_on(
    pglite_host: pglite.Host, pglite_empty: Path, client: Connection
) -> None:
    with (
        pytest.raises(RuntimeError, match="PGlite broke: .*call stack"),
        pglite_host.serving(pglite_empty) as url,
        connect(url) as connection,
        pytest.raises(psycopg.OperationalError),
    ):
        connection.execute("select %s::jsonb", ["[" * 100_000])
    assert count(client) == 0


def test_a_process_that_ends_says_so_and_another_begins(pglite_empty: Path) -> None:
    with closing(pglite.Host()) as host:
        with (
            pytest.raises(RuntimeError, match="PGlite ended with -9"),
            host.serving(pglite_empty) as url,
            connect(url) as connection,
        ):
            os.kill(connection.info.backend_pid, signal.SIGKILL)
        with host.serving(pglite_empty) as url, connect(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_what_is_kept_is_there_again_and_what_was_served_is_as_it_was(
    pglite_host: pglite.Host, pglite_empty: Path, tmp_path: Path
) -> None:
    with pglite_host.serving(pglite_empty, keep=tmp_path / "kept") as url, connect(url) as connection:
        connection.execute("create table kept as select 1 as n")
    with pglite_host.serving(tmp_path / "kept") as url, connect(url) as connection:
        assert connection.execute("select n from kept").fetchone() == (1,)
    with pglite_host.serving(pglite_empty) as url, connect(url) as connection:
        assert connection.execute("select to_regclass('kept')").fetchone() == (None,)


@pytest.mark.parametrize(("ci", "outcome", "code"), [("", "2 skipped", 0), ("true", "2 errors", 1)])
def test_an_absent_engine_is_skipped_but_fails_ci(ci: str, outcome: str, code: int) -> None:
    """A whole run of pytest, which sees to it that nothing leaves the tests of the engine out earlier."""
    without = """
import pathlib, sys, pytest
sys.path.insert(0, "tests")
from engines import pglite
pglite._HERE = pathlib.Path("nowhere")
sys.exit(pytest.main(sys.argv[1:]))
"""
    test = "tests/integration/test_verify.py::test_a_clean_database_passes"
    tests = [f"{test}[{name}]" for name in ("timescaledb", "timescaledb_apache")]
    run = subprocess.run(
        [sys.executable, "-c", without, "-q", "-p", "no:cacheprovider", *tests],
        env={name: value for name, value in os.environ.items() if name != "GOVERNANCE_TEST_DATABASE_URL"} | {"CI": ci},
        cwd=project_dir(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stdout
    assert outcome in run.stdout
    assert "TimescaleDB isn't tested: there is no PGlite; `make test` installs" in run.stdout
