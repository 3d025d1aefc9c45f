"""Schema changes: applied once, in order, all or nothing, beside applications and other builds."""

import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from database_roles import as_user
from dbt.adapters.factory import FACTORY
from dbt.cli.main import dbtRunner
from dbt_common.exceptions import DbtDatabaseError
from engines import Engine
from polling import readers
from psycopg import sql
from psycopg.rows import TupleRow

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir

BUILD_LOCK_KEY = 727001  # macros/bootstrap/locks.sql
ONE_SESSION = pytest.mark.not_on_pglite("it has one session at a time")
LEDGER = "select id, name, kind, state from internal.schema_changes where id >= 9001 order by id"


class Release:
    """The project with changes of the test's own after its own ones, and one model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("macros", "models"):
            (folder / name).mkdir(parents=True)
        (folder / "models" / "probe.sql").write_text("select 1 as a")
        (folder / "dbt_project.yml").write_text(
            textwrap.dedent(
                f"""
                name: probe
                profile: governance
                macro-paths: ["{project_dir() / "macros"}", macros]
                on-run-start: ["{{{{ apply_schema_changes() }}}}"]
                vars: {{time_series_engine: null, schema_change_patience: 2 seconds}}
                models: {{probe: {{+materialized: ephemeral}}}}
                """
            )
        )

    @property
    def options(self) -> list[str]:
        return ["--project-dir", str(self.folder), "--target-path", str(self.folder / "target")]

    def change(self, name: str, text: str) -> None:
        (self.folder / "macros" / f"{name}.sql").write_text(f"{{% macro {name}() %}}\n{text}\n{{% endmacro %}}\n")

    @contextmanager
    def applier(self, url: str) -> Iterator[Callable[[], None]]:
        """What a build does with the changes first, for any number of threads: dbt has read the project already."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in dbt_environment(url).items():
                patch.setenv(name, value)
            read = ["--log-level", "none", "run-operation", "migrate", "--args", "{plan: true}", *self.options]
            assert dbtRunner().invoke(read).success
            adapter: Any = FACTORY.lookup_adapter("postgres")
            context, numbers = copy_context(), count()

            def apply() -> None:
                with adapter.connection_named(f"applier {next(numbers)}"):
                    adapter.clear_transaction()
                    adapter.execute_macro("apply_schema_changes")

            try:
                yield lambda: context.copy().run(apply)
            finally:
                adapter.cleanup_connections()

    def migrate(self, url: str, **arguments: Any) -> list[str]:
        """Lines that `governance migrate` would print."""
        lines: list[str] = []
        run_operation("migrate", url, arguments, options=self.options, tell=lines.append)
        return lines


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "release")


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    """A connection; what the test changed is taken back after it."""
    with connect(database) as connection:
        yield connection
        forget(connection)


def forget(connection: Connection) -> None:
    connection.execute("drop schema if exists probe cascade")
    connection.execute("delete from internal.schema_changes where id >= 9001")


def wait_for(session: Connection, query: str) -> TupleRow:
    """The first row of a query, once it has one."""
    deadline = time.monotonic() + 60
    while (row := session.execute(query.encode()).fetchone()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return row


def test_changes_are_applied_once_in_the_order_of_their_numbers(
    session: Connection, database: str, release: Release
) -> None:
    release.change("change_9002_second", "alter table probe.t add column b int; insert into probe.t values (1, 2)")
    release.change("change_9001_first", "create schema probe; create table probe.t (a int)")
    assert release.migrate(database, plan=True) == [
        "would run change_9001_first:\ncreate schema probe; create table probe.t (a int)\n",
        "would run change_9002_second:\nalter table probe.t add column b int; insert into probe.t values (1, 2)\n",
    ]
    assert session.execute(LEDGER).fetchall() == []
    assert release.migrate(database) == ["applied change_9001_first", "applied change_9002_second"]
    assert release.migrate(database) == ["nothing to change: the schema is that of this release"]
    assert session.execute(LEDGER).fetchall() == [
        (9001, "change_9001_first", "applied", "done"),
        (9002, "change_9002_second", "applied", "done"),
    ]
    assert session.execute("table probe.t").fetchall() == [(1, 2)]


def test_an_edited_change_is_refused_by_its_name(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create schema probe")
    release.migrate(database)
    release.change("change_9001_first", "create schema probe; create table probe.t (a int)")
    release.change("change_9002_second", "create table probe.u (a int)")
    with pytest.raises(GovernanceError, match="^change_9001_first is not what was applied to this database"):
        release.migrate(database)
    assert session.execute("select to_regclass('probe.u')").fetchall() == [(None,)]


def test_an_older_release_is_refused(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create schema probe")
    release.migrate(database)
    with pytest.raises(GovernanceError, match=r"by a newer release \(change_9001_first\)"):
        run_dbt(["run", "--select", "users"], database, quiet=True)
    run_dbt(["test", "--select", "users"], database, quiet=True)


def test_a_failing_change_names_itself_and_changes_nothing(
    session: Connection, database: str, release: Release
) -> None:
    release.change("change_9001_first", "create schema probe; create table probe.t (a nonsense)")
    with pytest.raises(GovernanceError, match='^change_9001_first failed and changed nothing: type "nonsense"'):
        release.migrate(database)
    assert session.execute("select to_regnamespace('probe')").fetchall() == [(None,)]
    assert session.execute(LEDGER).fetchall() == []


def test_a_build_applies_changes_first(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create table probe.t (a int)")
    model = "{{ config(materialized='view', schema='probe') }}select * from probe.t"
    (release.folder / "models" / "probe.sql").write_text(model)
    run_dbt(["compile", *release.options], database, quiet=True)
    assert session.execute(LEDGER).fetchall() == []
    run_dbt(["run", *release.options], database, quiet=True)
    assert session.execute(LEDGER).fetchall() == [(9001, "change_9001_first", "applied", "done")]


CONCURRENTLY = """-- outside a transaction
create table if not exists probe.u (a int)
-- then
drop index concurrently if exists probe.u_a_idx
-- then
create unique index concurrently u_a_idx on probe.u (a)"""


def add_changes(release: Release) -> None:
    """None of the first two can be run twice, the third can't run in a transaction."""
    release.change("change_9001_first", "create schema probe; create table probe.t (a int primary key)")
    release.change(
        "change_9002_second", "insert into probe.t values (1); alter table probe.t add column b int default 7"
    )
    release.change("change_9003_third", CONCURRENTLY)


def assert_all_applied(session: Connection) -> None:
    assert session.execute(LEDGER).fetchall() == [
        (9001, "change_9001_first", "applied", "done"),
        (9002, "change_9002_second", "applied", "done"),
        (9003, "change_9003_third", "applied", "done"),
    ]
    assert session.execute("table probe.t").fetchall() == [(1, 7)]
    assert session.execute(
        "select indexrelid::regclass::text, indisvalid from pg_index where indrelid = 'probe.u'::regclass"
    ).fetchall() == [("probe.u_a_idx", True)]


@ONE_SESSION
def test_eight_appliers_at_once_apply_each_change_once(session: Connection, database: str, release: Release) -> None:
    add_changes(release)
    with release.applier(database) as apply, ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            for applier in [pool.submit(apply) for _ in range(8)]:
                applier.result()
            assert_all_applied(session)
            forget(session)


@ONE_SESSION
def test_appliers_that_meet_in_an_empty_database_agree_that_it_is_new(engine: Engine, release: Release) -> None:
    add_changes(release)
    with (
        engine.empty("appliers") as url,
        connect(url) as holder,
        release.applier(url) as apply,
        ThreadPoolExecutor(4) as pool,
    ):
        holder.execute("select pg_advisory_lock(%s)", [BUILD_LOCK_KEY])
        appliers = [pool.submit(apply) for _ in range(4)]
        wait_for(
            holder,
            f"select from pg_locks where locktype = 'advisory' and objid = {BUILD_LOCK_KEY} and not granted"
            " and database = (select oid from pg_database where datname = current_database()) having count(*) = 4",
        )
        holder.execute("select pg_advisory_unlock(%s)", [BUILD_LOCK_KEY])
        for applier in appliers:
            applier.result()
        assert [row[2:] for row in holder.execute(LEDGER).fetchall()] == [("baseline", "done")] * 3


@pytest.fixture
def kill_after(session: Connection) -> Iterator[Callable[[int], None]]:
    """Makes the server end every session right after the nth DDL statement from now on."""
    session.execute(
        """
        create schema faults;
        create sequence faults.statements;
        create table faults.fatal (number int);
        create function faults.count() returns event_trigger language plpgsql as $$
        begin
            if nextval('faults.statements') = (select number from faults.fatal) then
                perform pg_terminate_backend(pg_backend_pid()), pg_sleep(10);
            end if;
        end $$;
        create event trigger faults on ddl_command_end execute function faults.count();
        """
    )

    def kill_after(number: int) -> None:
        session.execute("select setval('faults.statements', 1, false)")
        session.execute("truncate faults.fatal")
        session.execute("insert into faults.fatal values (%s)", [number])

    yield kill_after
    session.execute("drop event trigger faults; drop schema faults cascade")


@ONE_SESSION
def test_killed_after_any_statement_and_run_again_it_converges(
    session: Connection, database: str, release: Release, kill_after: Callable[[int], None]
) -> None:
    add_changes(release)
    states = []
    with release.applier(database) as apply:
        for statement in range(1, 7):
            kill_after(statement)
            with pytest.raises(DbtDatabaseError, match="terminat"):
                apply()
            states.append([(number, state) for number, _, _, state in session.execute(LEDGER)])
            kill_after(0)
            apply()
            assert_all_applied(session)
            forget(session)
    first, second = (9001, "done"), (9002, "done")
    assert states == [[], [], [first]] + [[first, second, (9003, "started")]] * 3


@ONE_SESSION
def test_an_index_that_was_left_invalid_is_built_again(session: Connection, database: str, release: Release) -> None:
    add_changes(release)
    building = (
        "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%create unique index c%'"
    )
    with (
        release.applier(database) as apply,
        ThreadPoolExecutor(1) as pool,
        connect(database, autocommit=False) as application,
    ):
        # what an older transaction may see is waited for
        application.execute("set transaction isolation level repeatable read; select 1")
        applier = pool.submit(apply)
        [pid] = wait_for(session, building)
        session.execute("select pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(DbtDatabaseError, match="terminat"):
            applier.result()
        application.rollback()
        assert session.execute("select indisvalid from pg_index where indrelid = 'probe.u'::regclass").fetchall() == [
            (False,)
        ]
        assert session.execute(LEDGER).fetchall()[2][3] == "started"
        apply()
    assert_all_applied(session)


@ONE_SESSION
def test_a_change_waits_behind_an_application_without_stopping_others(
    session: Connection, database: str, release: Release
) -> None:
    session.execute("create schema probe")
    session.execute("create table probe.t (a int)")
    release.change("change_9001_first", "alter table probe.t add column b int")
    with (
        release.applier(database) as apply,
        readers(database, ["insert into probe.t values (1) returning a"]) as others,
        connect(database, autocommit=False, application="gateway") as application,
    ):
        application.execute("insert into probe.t values (2)")
        others_rows = "select count(*) from probe.t"
        [before] = session.execute(others_rows).fetchone() or (0,)
        with pytest.raises(
            DbtDatabaseError,
            match=r"change_9001_first changed nothing, for it did not get its locks within 2 seconds: end the open "
            r"transactions, or wait for them, and build again. Open: .*pid \d+ \(gateway\) since 20",
        ):
            apply()
        [after] = session.execute(others_rows).fetchone() or (0,)
        # of the two seconds, between one try and the next
        assert after - before > 2
        assert session.execute(LEDGER).fetchall() == []
        with ThreadPoolExecutor(1) as pool:
            applier = pool.submit(apply)
            wait_for(session, "select 1 from pg_stat_activity where query like '%probe.t%' and wait_event = 'relation'")
            application.rollback()
            applier.result()
    assert session.execute(LEDGER).fetchall() == [(9001, "change_9001_first", "applied", "done")]
    assert others[0].errors == []
    # a change that kept its place in the queue would have them wait two seconds
    assert others[0].longest < 1


@ONE_SESSION
def test_a_role_that_may_not_apply_says_what_to_run(session: Connection, database: str, release: Release) -> None:
    role = sql.Identifier("test_builder")
    session.execute(sql.SQL("drop role if exists {}").format(role))
    session.execute(sql.SQL("create role {} login password 'test'").format(role))
    url = as_user(database, "test_builder:test")
    release.change("change_9001_first", "create schema probe")
    try:
        with pytest.raises(
            GovernanceError, match=r"^role test_builder may not read internal\.schema_changes and so cannot"
        ):
            release.migrate(url)
        session.execute(sql.SQL("grant usage on schema internal to {}").format(role))
        session.execute(sql.SQL("grant select on internal.schema_changes to {}").format(role))
        with pytest.raises(
            GovernanceError,
            match=r"the schema is older than this release, and this role may not change it \(change_9001_first\): "
            r"run `governance migrate` as postgres, then build again$",
        ):
            run_dbt(["run", *release.options], url, quiet=True)
        assert release.migrate(url, plan=True) == ["would run change_9001_first:\ncreate schema probe\n"]
        release.migrate(database)
        assert release.migrate(url) == ["nothing to change: the schema is that of this release"]
    finally:
        session.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))
