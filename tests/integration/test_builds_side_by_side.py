"""Several builds at once on one database: plain ones are all right, governed ones refuse each other."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import BUILD
from database_roles import as_user
from engines import Engine
from parsed import read_for_process

from orchestration.lib.database.connection import Connection, connect, with_database
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.drift.catalog import compare_catalogs, fitted, read_catalog
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock

ONE_SESSION = pytest.mark.not_on_pglite("it has one session at a time")
BIN = Path(sys.executable).parent
# views that are built as those are that stay: rules, and reports but for those of cost
LEFT_OUT = ("verification", "reporting")


def two_builds(url: str, folder: Path, args: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Two dbt with these arguments, begun at once, each writing to a folder of its own."""
    for number in range(2):
        target = str(folder / str(number))
        # what dbt has read of the project for this database
        Path(target).mkdir(parents=True)
        shutil.copy(Path(os.environ["DBT_TARGET_PATH"], "partial_parse.msgpack"), target)
        yield subprocess.Popen(
            [BIN / "dbt", "--no-use-colors", *args, "--target-path", target, "--log-path", target],
            env=os.environ | dbt_environment(url),
            stdout=subprocess.PIPE,
            text=True,
        )


@ONE_SESSION
def test_two_builds_at_once_are_right_on_an_empty_database_and_after(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    with engine.empty("two_builds") as url:
        read_for_process(url, application="governance dbt")
        # at first without most views; then the seeds, a table and what reads it, rules too: each kind of node again
        first = ["--select", "core", "rollups", "resource_type:seed", "cost_*"]
        again = ["--full-refresh", "--select", "resource_type:seed", "llm_metrics+1", "roles"]
        for number, nodes in enumerate((first, again)):
            builds = list(two_builds(url, tmp_path / str(number), [*BUILD, *nodes]))
            outputs = [build.communicate()[0] for build in builds]
            assert [build.returncode for build in builds] == [0, 0], "\n".join(outputs)
        compare(url, database)


def compare(url: str, expected: str) -> None:
    """Both databases have the same catalog, seeds and managed rows."""
    with connect(url) as connection, connect(expected) as template:
        found = read_catalog(connection)
        differences = compare_catalogs(fitted(read_catalog(template), found), found)
        assert [str(d) for d in differences if not (d.found is None and d.name.startswith(LEFT_OUT))] == []
        for seed in sorted(path.stem for path in (project_dir() / "seeds").glob("*.csv")):
            query = f"select count(*), md5(string_agg(s::text, '' order by s::text)) from seeds.{seed} as s".encode()
            assert connection.execute(query).fetchone() == template.execute(query).fetchone(), seed
        roles = "select count(*), count(distinct slug) from core.roles"
        assert connection.execute(roles).fetchone() == template.execute(roles).fetchone()


@ONE_SESSION
def test_a_second_governed_build_is_refused_by_the_name_of_the_first(database: str) -> None:
    with build_lock(database, "governance dagster"):
        began = time.monotonic()
        with pytest.raises(
            GovernanceError,
            match=r"^another build is at work on this database: governance dagster from 127\.0\.0\.1, pid \d+, "
            r"since 20.*; wait for it, or end it with `select pg_terminate_backend\(\d+\)`$",
        ):
            build_warehouse(["--select", "roles"], database, quiet=True)
        assert time.monotonic() - began < 5
        # a plain dbt, and builds of other databases, don't ask for the lock
        run_dbt(["run", "--select", "roles"], database, quiet=True)
        with build_lock(with_database(database, "postgres")):
            pass
    build_warehouse(["--select", "roles"], database, quiet=True)


@ONE_SESSION
def test_a_build_whose_lock_was_lost_says_so(database: str) -> None:
    def lose_it() -> None:
        with build_lock(database, "governance test"), connect(database) as other:
            ended = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s"
            assert other.execute(ended, ["governance test"]).fetchall() == [(True,)]

    with pytest.raises(GovernanceError, match="^the connection that kept other builds off was lost"):
        lose_it()


def sessions(connection: Connection, application: str) -> int:
    query = "select count(*) from pg_stat_activity where application_name = %s"
    [count] = connection.execute(query, [application]).fetchone() or [0]
    return int(count)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@ONE_SESSION
def test_queries_of_a_killed_build_are_ended_before_the_next_one(database: str) -> None:
    """The build waits for an application's lock when it is killed, so the server doesn't see that it is gone."""
    command = [str(BIN / "governance"), "build", "--select", "roles"]
    read_for_process(database)
    with (
        connect(database) as session,
        connect(database, autocommit=False, application="application") as application,
        connect(database, application="governance dbt") as plain_dbt,
    ):
        application.execute("lock table core.roles in access exclusive mode")
        build = subprocess.Popen(
            command,
            cwd=project_dir(),
            env=os.environ | {"GOVERNANCE_DATABASE_URL": database},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waiting = "select 1 from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
        try:
            wait_for(lambda: session.execute(waiting, [APPLICATION]).fetchone() is not None)
        finally:
            build.kill()
            build.wait()
        wait_for(lambda: sessions(session, "governance build") == 0)
        assert sessions(session, APPLICATION) == 1
        with build_lock(database):
            assert sessions(session, APPLICATION) == 0
        for other in (application, plain_dbt):
            assert other.execute("select 1").fetchone() == (1,)
        application.rollback()


@ONE_SESSION
def test_a_role_that_may_not_end_them_says_who_must(database: str, server_url: str) -> None:
    with connect(database) as session:
        session.execute("drop role if exists test_builder")
        session.execute("create role test_builder login password 'test'")
        url = as_user(database, "test_builder:test")
        try:
            with connect(database, application=APPLICATION) as orphan:
                with (
                    pytest.raises(GovernanceError, match="which this role may not end .* let a superuser run: select"),
                    build_lock(url),
                ):
                    pytest.fail("the build began")
                assert orphan.execute("select 1").fetchone() == (1,)
        finally:
            session.execute("drop role test_builder")


@pytest.mark.engines("timescaledb", "timescaledb_apache")
def test_an_engine_with_one_connection_builds_without_the_lock(engine: Engine) -> None:
    """It would keep off dbt itself."""
    if "GOVERNANCE_TEST_DATABASE_URL" in os.environ:
        pytest.skip("a server has as many as it is asked for")
    with engine.database("one_connection") as url, build_lock(url), build_lock(url), connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.not_on_pglite("it has no timeouts")
def test_a_statement_of_dbt_ends_at_its_timeout(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=300ms")
    with pytest.raises(GovernanceError, match="canceling statement due to statement timeout"):
        run_dbt(["show", "--inline", "select pg_sleep(30)"], database, quiet=True)
