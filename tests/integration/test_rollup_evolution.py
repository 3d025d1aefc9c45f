"""A rollup's definition or kind can change: what raw rows no longer cover stays, the rest is stored anew."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import psycopg
import pytest
from engines import Engine
from old_usage import FLOOR, HOUR, KEPT, OLD, fill, insert, kind, rows, totals
from psycopg.rows import TupleRow
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.refresh import refresh

# what a new measure of llm_metrics_hourly changes; the first test builds all rollups and reports
CHANGED = ("--select", "llm_metrics_hourly", "llm_metrics_daily")
DEAR = '      - {name: dear_count, data_type: bigint, description: "Dear requests."}\n'
Answer = TypeVar("Answer")
ONE_SESSION = pytest.mark.not_on_pglite("it has one session at a time")


@dataclass(frozen=True)
class Project:
    """A copy of the project whose models can be edited."""

    folder: Path

    def edit(self, rollup: str, *changes: tuple[str, str]) -> None:
        self._replace(self.folder / "models/rollups" / f"{rollup}.sql", changes)

    def describe(self, rollup: str, *changes: tuple[str, str]) -> None:
        """Edits the columns of one rollup in its YAML."""
        self._replace(self.folder / "models/rollups" / f"{rollup}.yml", changes)

    def build(self, url: str, *selection: str) -> None:
        target = str(self.folder / "target")
        run_dbt(
            ["run", "--project-dir", str(self.folder), "--target-path", target, *selection],
            url,
            quiet=True,
        )

    @staticmethod
    def _replace(path: Path, changes: tuple[tuple[str, str], ...]) -> None:
        text = path.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    # all of it, for what is missing makes dbt read again what names it
    for name in ("models", "macros", "seeds", "tests/generic", "tests/singular"):
        shutil.copytree(project_dir() / name, folder / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(project_dir() / name, folder)
    return Project(folder)


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    """A warehouse with usage on both sides of the raw floor."""
    with engine.database("evolution") as url:
        fill(url)
        yield url


def add_measure(project: Project) -> None:
    project.edit(
        "llm_metrics_hourly",
        ("currency,\n    {{ m", "currency,\n    count(*) filter (where cost_amount > 8) as dear_count,\n    {{ m"),
    )
    project.describe(
        "llm_metrics_hourly",
        ("      - {name: request_count,", f"{DEAR}      - {{name: request_count,"),
    )


def count_requests_in_numeric(project: Project) -> None:
    project.edit("llm_latency_hourly", ("count(*) as request_count", "count(*)::numeric as request_count"))
    project.describe(
        "llm_latency_hourly", ("{name: request_count, data_type: bigint", "{name: request_count, data_type: numeric")
    )


def test_a_new_measure_is_null_where_raw_rows_are_gone(engine: Engine, warehouse: str, project: Project) -> None:
    everything = [(6, Decimal(63))] * len(USAGE_ROLLUPS)
    assert totals(warehouse) == everything
    with connect(warehouse) as connection:
        connection.execute("create role reporter")
        connection.execute("grant select on rollups.llm_metrics_hourly to reporter")
        connection.execute("create view public.someones as select bucket, cost_amount from rollups.llm_metrics_hourly")
    try:
        add_measure(project)
        # reports know no engine
        reports = "reporting" if engine.name == "postgres" else "cost_summary_view"
        project.build(warehouse, "--select", "rollups", reports)
        assert totals(warehouse) == everything
        assert rows(warehouse, "select sum(cost_amount) from public.someones") == [(Decimal(63),)]
        assert rows(warehouse, "select sum(cost) from reporting.cost_summary_view") == [(Decimal(63),)]
        assert rows(warehouse, "select has_table_privilege('reporter', 'rollups.llm_metrics_hourly', 'select')") == [
            (True,)
        ]
    finally:
        with connect(warehouse) as connection:
            connection.execute("drop owned by reporter")
            connection.execute("drop role reporter")
    assert rows(
        warehouse, "select bucket, sum(dear_count)::int from rollups.llm_metrics_hourly group by 1 order by 1"
    ) == [(OLD, None), (FLOOR.replace(minute=0) - timedelta(hours=1), None), (KEPT, 1), (HOUR, 1)]
    assert rows(warehouse, "select name, version, kind from internal.rollup_state where version > 1 order by 1") == [
        (rollup, 2, kind(engine)) for rollup in ("llm_metrics_daily", "llm_metrics_hourly")
    ]
    # the version that was replaced is gone, but for what it alone holds
    assert rows(
        warehouse,
        "select relname from pg_class where relnamespace = 'rollups'::regnamespace and relkind in ('r', 'v')"
        " and relname like 'llm\\_metrics\\_hourly%' order by 1",
    ) == [("llm_metrics_hourly",), ("llm_metrics_hourly_history_1",), ("llm_metrics_hourly_stored_2",)]
    assert rows(warehouse, "select count(*)::int from rollups.llm_metrics_hourly_history_1") == [(3,)]

    with connect(warehouse) as connection:
        insert(connection, "late", KEPT + timedelta(minutes=1), "64")
        insert(connection, "below the cut", FLOOR + timedelta(minutes=1), "1000")
        insert(connection, "far below the cut", OLD + timedelta(minutes=1), "1000")
    refresh(warehouse)
    assert totals(warehouse) == [(7, Decimal(127))] * len(USAGE_ROLLUPS)
    project.build(warehouse, *CHANGED)
    refresh(warehouse)
    assert totals(warehouse) == [(7, Decimal(127))] * len(USAGE_ROLLUPS)
    assert rows(warehouse, "select max(version) from internal.rollup_state") == [(2,)]


@pytest.mark.engines("postgres")
def test_generations_follow_one_another(warehouse: str, project: Project) -> None:
    """A measure comes, a source filter changes, a measure goes: each bucket has what its version knew of it."""
    add_measure(project)
    project.build(warehouse, *CHANGED)
    with connect(warehouse) as connection:
        connection.execute("select * from internal.drop_raw('llm_metrics', %s)", [KEPT + timedelta(hours=20)])
        insert(connection, "failed now", HOUR, "128", status="error")
    window = "in_rollup_window('time') }}"
    project.edit("llm_metrics_hourly", (window, f"{window} and status <> 'error'"))
    project.build(warehouse, *CHANGED)
    assert totals(warehouse) == [
        (6, Decimal(63)) if rollup.startswith("llm_metrics") else (7, Decimal(191)) for rollup in USAGE_ROLLUPS
    ]
    assert rows(
        warehouse,
        "select bucket, sum(request_count)::int, sum(dear_count)::int from rollups.llm_metrics_hourly"
        f" where bucket >= '{KEPT.isoformat()}' group by 1 order by 1",
    ) == [(KEPT, 2, 1), (HOUR, 1, 1)]
    project.edit(
        "llm_metrics_hourly",
        ("count(*) filter (where cost_amount > 8) as dear_count,\n", ""),
        (" and status <> 'error'", ""),
    )
    project.describe("llm_metrics_hourly", (DEAR, ""))
    project.build(warehouse, *CHANGED)
    assert totals(warehouse) == [(7, Decimal(191))] * len(USAGE_ROLLUPS)
    assert rows(
        warehouse, "select version from internal.rollup_history where rollup = 'llm_metrics_hourly' order by 1"
    ) == [(1,), (2,)]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        rows(warehouse, "select dear_count from rollups.llm_metrics_hourly")


@pytest.mark.engines("postgres", "timescaledb")
def test_dimensions_and_types_and_measures_that_go(warehouse: str, project: Project) -> None:
    """What a dimension that goes kept apart is added up, a type is cast where it can be, views are kept."""
    with connect(warehouse) as connection:
        # it reads the text that is a number from here on
        connection.execute("drop view reporting.latency_by_model")
        connection.execute("create view public.someones as select request_count, model from rollups.llm_latency_hourly")
        connection.execute("comment on view public.someones is 'Of someone.'")
        connection.execute("create view public.on_top as select sum(request_count) as n from public.someones")
        connection.execute("create view public.counts as select latency_count from rollups.llm_latency_hourly")
    for rollup in ("llm_team_hourly", "llm_team_daily"):
        project.edit(
            rollup,
            ("'team_id', 'provider',", "'team_id', 'environment',"),
            ("    provider,\n", "    environment,\n"),
        )
        project.describe(
            rollup,
            (
                '{name: provider, data_type: text, description: "Provider that served the request."}',
                '{name: environment, data_type: text, description: "Environment."}',
            ),
        )
    count_requests_in_numeric(project)
    project.edit(
        "llm_latency_hourly",
        ("    model,\n", "    length(model) as model,\n"),
        ("    count(latency_ms) as latency_count,\n", ""),
    )
    project.describe(
        "llm_latency_hourly",
        ("{name: model, data_type: text", "{name: model, data_type: integer"),
        ('      - {name: latency_count, data_type: bigint, description: "Requests with a known latency."}\n', ""),
    )
    project.build(warehouse, "--select", "llm_team_hourly", "llm_team_daily", "llm_latency_hourly")
    assert rows(
        warehouse,
        "select bucket::date, environment, request_count, cost_amount from rollups.llm_team_daily order by bucket",
    ) == [
        (OLD.date(), None, 2, Decimal(3)),
        (FLOOR.date(), None, 1, Decimal(4)),
        (KEPT.date(), "prod", 2, Decimal(24)),
        (HOUR.date(), "prod", 1, Decimal(32)),
    ]
    assert rows(
        warehouse,
        "select sum(request_count), min(model), count(*) filter (where model is null),"
        " pg_typeof(max(request_count))::text from rollups.llm_latency_hourly",
    ) == [(Decimal(6), 1, 3, "numeric")]
    assert rows(warehouse, "select n, obj_description('public.someones'::regclass) from public.on_top") == [
        (Decimal(6), "Of someone.")
    ]
    # null from now on while a view reads it, then gone
    assert rows(warehouse, "select count(*), count(latency_count) from public.counts") == [(5, 3)]
    with connect(warehouse) as connection:
        connection.execute("drop view public.counts, verification.latency_rollup_differs")
    project.build(warehouse, "--select", "llm_latency_hourly")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        rows(warehouse, "select latency_count from rollups.llm_latency_hourly")


@pytest.mark.engines("postgres", "timescaledb")
@pytest.mark.parametrize("step", ["replace_version", "drop_superseded"])
def test_an_interrupted_change_goes_on(warehouse: str, project: Project, step: str) -> None:
    break_off(warehouse, project, step)


@pytest.mark.engines("timescaledb")
def test_an_interrupted_fill_goes_on(warehouse: str, project: Project) -> None:
    break_off(warehouse, project, "refresh_aggregate")


def break_off(warehouse: str, project: Project, step: str) -> None:
    """Broken off at a step, readers have right answers; the next build ends what was begun."""
    everything = [(6, Decimal(63))] * len(USAGE_ROLLUPS)
    add_measure(project)
    with broken(warehouse, step), pytest.raises(GovernanceError, match="broken on purpose"):
        project.build(warehouse, *CHANGED)
    assert totals(warehouse) == everything
    if step != "refresh_aggregate":
        refresh(warehouse)
    assert totals(warehouse) == everything
    project.build(warehouse, *CHANGED)
    refresh(warehouse)
    assert totals(warehouse) == everything
    assert rows(warehouse, "select sum(dear_count)::int from rollups.llm_metrics_hourly") == [(2,)]


@contextmanager
def broken(url: str, function: str) -> Iterator[None]:
    """While in it the function of ours fails."""
    with connect(url) as connection:
        [(text,)] = connection.execute("select pg_get_functiondef(oid) from pg_proc where proname = %s", [function])
        head = text.split("AS $", 1)[0].split(" SET ")[0]
        connection.execute(f"{head} as $f$ begin raise exception 'broken on purpose'; end $f$")
    yield
    with connect(url) as connection:
        connection.execute(text)


@pytest.mark.engines("postgres", "timescaledb")
def test_a_change_that_was_taken_back_leaves_nothing(engine: Engine, warehouse: str, project: Project) -> None:
    add_measure(project)
    with broken(warehouse, "replace_version"), pytest.raises(GovernanceError, match="broken on purpose"):
        project.build(warehouse, *CHANGED)
    run_dbt(["run", *CHANGED], warehouse, quiet=True)
    assert totals(warehouse) == [(6, Decimal(63))] * len(USAGE_ROLLUPS)
    assert rows(warehouse, "select relname from pg_class where relname like '%\\_stored\\_2'") == []


@ONE_SESSION
@pytest.mark.engines("postgres", "timescaledb")
def test_what_was_superseded_is_dropped_without_a_deadlock(warehouse: str, project: Project) -> None:
    """Another transaction reads the old version and, once the build waits for it, asks for what the build replaced."""
    window = "in_rollup_window('bucket') }}"
    project.edit("llm_user_daily", (window, f"{window} and currency <> 'XXX'"))
    with holding(warehouse, "select from rollups.llm_user_daily_stored") as holder:

        def ask() -> list[TupleRow]:
            found = holder.execute("select sum(request_count)::int from rollups.llm_user_daily").fetchall()
            holder.rollback()
            return found

        with when_waited_for(warehouse, holder, ask) as answer:
            project.build(warehouse, "--select", "llm_user_daily")
        assert answer.result() == [(6,)]
    project.build(warehouse, "--select", "llm_user_daily")
    assert rows(warehouse, "select to_regclass('rollups.llm_user_daily_stored')::text") == [(None,)]
    assert totals(warehouse) == [(6, Decimal(63))] * len(USAGE_ROLLUPS)


@ONE_SESSION
@pytest.mark.engines("postgres", "timescaledb")
def test_views_are_kept_where_one_must_wait(warehouse: str, project: Project) -> None:
    """Made again with the rollup, also after a try that met a lock; but for a rule about the old type."""
    with connect(warehouse) as connection:
        connection.execute("create table public.locked as select 1 as id")
        connection.execute("create view public.someones as select request_count from rollups.llm_latency_hourly")
        connection.execute("create view verification.old as select ~request_count as n from rollups.llm_latency_hourly")
        connection.execute("comment on view verification.old is 'Numeric values have no bits.'")
        connection.execute("create view verification.probe as select id from rollups.llm_latency_hourly, public.locked")
    count_requests_in_numeric(project)
    with holding(warehouse, "lock table public.locked") as holder:

        def let_go() -> None:
            sleep(1)  # three times as long as the build waits at a time
            holder.rollback()

        with when_waited_for(warehouse, holder, let_go) as done:
            project.build(warehouse, "--select", "llm_latency_hourly")
        done.result()
    assert rows(warehouse, "select sum(request_count) from public.someones") == [(Decimal(6),)]
    assert rows(warehouse, "select count(*)::int from verification.probe") == [(5,)]
    assert rows(warehouse, "select to_regclass('verification.old')::text") == [(None,)]


@contextmanager
def holding(url: str, statement: str) -> Iterator[Connection]:
    """A transaction that keeps what the statement locked."""
    with connect(url, autocommit=False) as holder:
        # who waits for it without an end isn't left hanging
        holder.execute("set idle_in_transaction_session_timeout = '1min'")
        holder.execute(statement.encode())
        yield holder
        holder.rollback()


@contextmanager
def when_waited_for(url: str, holder: Connection, act: Callable[[], Answer]) -> Iterator[Future[Answer]]:
    """Acts, beside the block, as soon as another session waits for the holder."""
    holders = [holder.info.backend_pid]
    deadline = monotonic() + 120

    def wait_and_act() -> Answer:
        with connect(url) as watcher:
            query = b"select from pg_stat_activity where pg_blocking_pids(pid) && %s::integer[]"
            while not watcher.execute(query, [holders]).fetchall():
                assert monotonic() < deadline, "nobody waited"
                sleep(0.02)
        return act()

    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(wait_and_act)


@pytest.mark.engines("postgres")
def test_the_width_of_buckets_can_not_change(warehouse: str, project: Project) -> None:
    project.edit("llm_latency_hourly", ("bucket='hour'", "bucket='day'"))
    with pytest.raises(GovernanceError, match="holds buckets of one hour, which older buckets keep"):
        project.build(warehouse, "--select", "llm_latency_hourly")
