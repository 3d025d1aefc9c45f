"""A rollup's definition, kind or zone can change: what raw rows no longer cover stays, the rest is stored anew."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar
from zoneinfo import ZoneInfo

import psycopg
import pytest
from engines import Engine
from psycopg.rows import TupleRow
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.embedded.processes import wait_until
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.build_lock import APPLICATION
from orchestration.lib.warehouse.refresh import refresh

# the next one: it stays open while the tests run
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
NOON = HOUR.replace(hour=12)
OLD = NOON - timedelta(days=600)
# raw rows are dropped up to here, in the middle of an hour and of a day
FLOOR = NOON - timedelta(days=300) + timedelta(minutes=30)
KEPT = NOON - timedelta(days=20)
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

    def build(self, url: str, *args: str) -> None:
        selection = args or ("--select", "rollups", "reporting")
        target = str(self.folder / "target")
        run_dbt(
            ["run", "--project-dir", str(self.folder), "--target-path", target, "--no-partial-parse", *selection],
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
    for name in ("models", "macros", "seeds"):
        shutil.copytree(project_dir() / name, folder / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(project_dir() / name, folder)
    for path in (folder / "models").rglob("*_unit_tests.yml"):
        path.unlink()
    return Project(folder)


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    """A warehouse with usage on both sides of the raw floor."""
    with engine.database("evolution") as url:
        fill(url)
        yield url


def fill(url: str) -> None:
    with connect(url) as connection:
        for time in (OLD, FLOOR - timedelta(minutes=40), FLOOR, KEPT):
            connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [time, time])
        insert(connection, "old", OLD, "1", provider="p")
        insert(connection, "old too", OLD, "2", provider="q")
        insert(connection, "below the floor in its day", FLOOR - timedelta(minutes=40), "4")
        insert(connection, "kept", KEPT, "8")
        insert(connection, "failed", KEPT, "16", status="error")
    refresh(url)
    with connect(url) as connection:
        connection.execute("select * from internal.drop_raw('llm_metrics', %s)", [FLOOR])
        insert(connection, "now", HOUR, "32")


def insert(
    connection: "psycopg.Connection[TupleRow]",
    name: str,
    time: datetime,
    cost: str,
    *,
    provider: str = "p",
    status: str = "success",
) -> None:
    connection.execute(
        "insert into core.llm_metrics"
        " (time, request_id, provider, model, environment, cost_amount, cost_source, status)"
        " values (%s, %s, %s, 'm', 'prod', %s, 'provider', %s)",
        [time, name, provider, cost, status],
    )


def rows(url: str, query: str) -> list[TupleRow]:
    with connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def totals(url: str, *rollups: str) -> list[tuple[int, Decimal]]:
    found: list[tuple[int, Decimal]] = []
    for rollup in rollups or USAGE_ROLLUPS:
        found += rows(url, f"select sum(request_count)::int, sum(cost_amount) from rollups.{rollup}")
    return found


def kind(engine: Engine) -> str:
    return "continuous_aggregate" if engine.name == "timescaledb" else "incremental"


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
        project.build(warehouse)
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
        (rollup, 2, kind(engine)) for rollup in sorted(USAGE_ROLLUPS)
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
    project.build(warehouse)
    refresh(warehouse)
    assert totals(warehouse) == [(7, Decimal(127))] * len(USAGE_ROLLUPS)
    assert rows(warehouse, "select max(version) from internal.rollup_state") == [(2,)]


@pytest.mark.engines("postgres")
def test_generations_follow_one_another(warehouse: str, project: Project) -> None:
    """A measure comes, a source filter changes, a measure goes: each bucket has what its version knew of it."""
    add_measure(project)
    project.build(warehouse)
    with connect(warehouse) as connection:
        connection.execute("select * from internal.drop_raw('llm_metrics', %s)", [KEPT + timedelta(hours=20)])
        insert(connection, "failed now", HOUR, "128", status="error")
    window = "in_rollup_window('time') }}"
    project.edit("llm_metrics_hourly", (window, f"{window} and status <> 'error'"))
    project.build(warehouse)
    assert totals(warehouse) == [(6, Decimal(63))] * len(USAGE_ROLLUPS)
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
    project.build(warehouse)
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
        connection.execute("create view public.someones as select request_count, model from rollups.llm_latency_hourly")
        connection.execute("comment on view public.someones is 'Of someone.'")
        connection.execute("create view public.on_top as select sum(request_count) as n from public.someones")
        connection.execute("create view public.counts as select latency_count from rollups.llm_latency_hourly")
    project.edit(
        "llm_team_daily",
        ("'team_id', 'provider',", "'team_id', 'environment',"),
        ("    provider,\n", "    environment,\n"),
    )
    project.describe(
        "llm_team_daily",
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
    project.build(warehouse)
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
        connection.execute("drop view public.counts")
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
        project.build(warehouse)
    assert totals(warehouse) == everything
    if step != "refresh_aggregate":
        refresh(warehouse)
    assert totals(warehouse) == everything
    project.build(warehouse)
    refresh(warehouse)
    assert totals(warehouse) == everything
    assert rows(warehouse, "select sum(dear_count)::int from rollups.llm_metrics_hourly") == [(2,)]


@contextmanager
def broken(url: str, function: str) -> Iterator[None]:
    """While in it the function of ours fails."""
    with connect(url) as connection:
        row = connection.execute(
            "select pg_get_functiondef(oid) from pg_proc where proname = %s", [function]
        ).fetchone()
        assert row is not None
        head = row[0].split("AS $", 1)[0].split(" SET ")[0]
        connection.execute(f"{head} as $f$ begin raise exception 'broken on purpose'; end $f$")
    yield
    with connect(url) as connection:
        connection.execute(row[0])


@pytest.mark.engines("postgres", "timescaledb")
def test_a_change_that_was_taken_back_leaves_nothing(engine: Engine, warehouse: str, project: Project) -> None:
    add_measure(project)
    with broken(warehouse, "replace_version"), pytest.raises(GovernanceError, match="broken on purpose"):
        project.build(warehouse)
    run_dbt(["run", "--select", "rollups"], warehouse, quiet=True)
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
def holding(url: str, statement: str) -> "Iterator[psycopg.Connection[TupleRow]]":
    """A transaction that keeps what the statement locked."""
    with connect(url, autocommit=False) as holder:
        # who waits for it without an end isn't left hanging
        holder.execute("set idle_in_transaction_session_timeout = '1min'")
        holder.execute(statement.encode())
        yield holder
        holder.rollback()


@contextmanager
def when_waited_for(
    url: str, holder: "psycopg.Connection[TupleRow]", act: Callable[[], Answer]
) -> Iterator[Future[Answer]]:
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


def test_another_zone_counts_each_request_once(engine: Engine, warehouse: str) -> None:
    change_zone(engine, warehouse, "Europe/Berlin")


@pytest.mark.engines("postgres", "timescaledb")
def test_a_gap_in_the_middle_is_kept_over_changes_of_zone(warehouse: str) -> None:
    """Of a span that was dropped by hand the old buckets stay, and what they overlap of others is counted once."""
    first = NOON - timedelta(days=60)
    with connect(warehouse) as connection:
        for time in (first, first + timedelta(days=20)):
            connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [first, time])
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source)"
            " select %s + i * interval '50 minutes', 'g' || i, 'p', 'm', 1, 'provider'"
            " from generate_series(1, 500) as i",
            [first],
        )
    refresh(warehouse)
    with connect(warehouse) as connection:
        part, low, high = connection.execute(
            "select part, low, high from internal.present_parts('llm_metrics') where low > %s order by low", [first]
        ).fetchall()[0]
        schema = rows(warehouse, f"select relnamespace::regnamespace::text from pg_class where relname = '{part}'")
        connection.execute(f"drop table {schema[0][0]}.{part}")
    before = totals(warehouse)
    assert before == [(506, Decimal(563))] * len(USAGE_ROLLUPS)
    for zone in ("Asia/Kolkata", "America/St_Johns", "UTC"):
        run_operation("rebuild_rollups", url=warehouse, options=["--vars", f"{{reporting_timezone: {zone}}}"])
        assert totals(warehouse) == before, zone
        with connect(warehouse) as connection:
            insert(connection, f"late {zone}", low + timedelta(days=3), "1000")
        refresh(warehouse)
        assert totals(warehouse) == before, zone
    with connect(warehouse) as connection:
        insert(connection, "before the gap", low - timedelta(days=2), "64")
        insert(connection, "after the gap", high + timedelta(days=2), "64")
    refresh(warehouse)
    assert totals(warehouse) == [(count + 2, cost + 128) for count, cost in before]


@pytest.mark.engines("postgres")
def test_a_zone_whose_hours_begin_elsewhere_counts_each_request_once(engine: Engine, warehouse: str) -> None:
    change_zone(engine, warehouse, "Asia/Kolkata")


def change_zone(engine: Engine, warehouse: str, zone: str) -> None:
    """Requests every ten minutes around the cut: none is lost or counted twice, before it are days of the old zone."""
    first = FLOOR.replace(hour=0, minute=0) - timedelta(days=1)
    around = [first + timedelta(minutes=10 * i) for i in range(6 * 24 * 5)]
    with connect(warehouse) as connection:
        connection.execute("update internal.time_series set dropped_before = '-infinity'")
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source)"
            " select t, t::text, 'p', 'm', 1, 'provider' from unnest(%s::timestamptz[]) as t",
            [around],
        )
    refresh(warehouse)
    with connect(warehouse) as connection:
        connection.execute("update internal.time_series set dropped_before = %s", [FLOOR])
    before = totals(warehouse)
    with pytest.raises(GovernanceError, match=f"built in time zone UTC, not {zone}; run `governance rebuild-rollups`"):
        run_dbt(["run", "--vars", f"{{reporting_timezone: {zone}}}"], warehouse, quiet=True)
    rebuild(warehouse, zone)
    assert totals(warehouse) == before
    refresh(warehouse)
    assert totals(warehouse) == before
    assert rows(warehouse, "select distinct kind from internal.rollup_state") == [("incremental",)]

    cut = rows(warehouse, "select starts_at from internal.rollup_state where name = 'llm_metrics_daily'")[0][0]
    assert cut.astimezone(ZoneInfo(zone)).time() == datetime.min.time()
    expected = count_by(around, lambda time: time.astimezone(ZoneInfo(zone)).date(), from_time=cut)
    assert (
        dict(
            rows(
                warehouse,
                "select day, sum(request_count)::int from rollups.llm_metrics_daily"
                f" where bucket >= '{cut.isoformat()}' and day < '{KEPT.date()}' group by 1",
            )
        )
        == expected
    )
    hour_cut = rows(warehouse, "select starts_at from internal.rollup_state where name = 'llm_metrics_hourly'")[0][0]
    minute = hour_cut.minute
    expected_hours = count_by(
        around, lambda time: (time - timedelta(minutes=minute)).replace(minute=minute), from_time=hour_cut
    )
    assert (
        dict(
            rows(
                warehouse,
                "select bucket, sum(request_count)::int from rollups.llm_metrics_hourly"
                f" where bucket >= '{hour_cut.isoformat()}' and bucket < '{KEPT.date()}' group by 1",
            )
        )
        == expected_hours
    )
    with connect(warehouse) as connection:
        insert(connection, "late", cut + timedelta(hours=30), "1")
        connection.execute("delete from core.llm_metrics where time = %s", [around[-1]])
    refresh(warehouse)
    assert totals(warehouse) == before
    # and back again, from what is there now
    rebuild(warehouse, "UTC")
    assert totals(warehouse) == before
    refresh(warehouse)
    assert totals(warehouse) == before
    assert rows(warehouse, "select distinct kind from internal.rollup_state") == [(kind(engine),)]


def test_a_change_of_zone_that_fails_changes_nothing(engine: Engine, warehouse: str) -> None:
    """The last of the rollups can't be stored: settings, rollups and answers are as before, and refresh goes on."""
    watched = (
        "select name, version, timezone, kind, watermark, definition from internal.rollup_state order by name",
        "select name, value from internal.settings order by name",
        "select day, sum(request_count)::int from rollups.llm_metrics_daily group by day order by day",
        "select relname from pg_class where relnamespace = 'rollups'::regnamespace and relkind in ('r', 'v')"
        " order by 1",
    )
    with connect(warehouse) as connection:
        connection.execute("create table rollups.llm_user_daily_history_1 (of text)")
    before = [rows(warehouse, query) for query in watched]
    with pytest.raises(GovernanceError, match='"llm_user_daily_history_1" already exists'):
        rebuild(warehouse, "Asia/Kolkata")
    assert [rows(warehouse, query) for query in watched] == before
    with connect(warehouse) as connection:
        insert(connection, "late", KEPT + timedelta(minutes=1), "64")
    refresh(warehouse)
    assert totals(warehouse) == [(7, Decimal(127))] * len(USAGE_ROLLUPS)
    with connect(warehouse) as connection:
        connection.execute("drop table rollups.llm_user_daily_history_1")
    rebuild(warehouse, "Asia/Kolkata")
    refresh(warehouse)
    assert totals(warehouse) == [(7, Decimal(127))] * len(USAGE_ROLLUPS)


@pytest.mark.engines("postgres")
def test_a_change_of_zone_that_is_killed_changes_nothing(warehouse: str) -> None:
    """Killed in its one transaction, while a reader holds the view it wants to replace."""
    states = "select name, version, timezone, watermark from internal.rollup_state order by name"
    settings = "select name, value from internal.settings order by name"
    before = rows(warehouse, states), rows(warehouse, settings)
    with connect(warehouse, autocommit=False) as reader:
        reader.execute("select count(*) from rollups.llm_metrics_hourly")
        changing = subprocess.Popen(
            [
                Path(sys.executable).parent / "governance",
                "rebuild-rollups",
                "--vars",
                "{reporting_timezone: Asia/Kolkata}",
            ],
            env=os.environ | {"GOVERNANCE_DATABASE_URL": warehouse},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waits = "select 1 from pg_locks where not granted and relation = 'rollups.llm_metrics_hourly'::regclass"
        assert wait_until(lambda: bool(rows(warehouse, waits)), 120)
        changing.kill()
        changing.wait()
        reader.rollback()
    ends = f"select 1 from pg_stat_activity where application_name = '{APPLICATION}' and datname = current_database()"
    rows(warehouse, f"select pg_terminate_backend(pid) from ({ends.replace('select 1', 'select pid')}) as left_over")
    assert wait_until(lambda: not rows(warehouse, ends), 30)
    assert (rows(warehouse, states), rows(warehouse, settings)) == before
    assert totals(warehouse) == [(6, Decimal(63))] * len(USAGE_ROLLUPS)
    rebuild(warehouse, "Asia/Kolkata")
    assert totals(warehouse) == [(6, Decimal(63))] * len(USAGE_ROLLUPS)


def rebuild(url: str, zone: str) -> None:
    """What `governance rebuild-rollups` does, without tests; the build has nothing left to store."""
    variables = ["--vars", f"{{reporting_timezone: {zone}}}"]
    run_operation("rebuild_rollups", url=url, options=variables)
    states = "select name, version, timezone, kind, definition from internal.rollup_state order by name"
    rebuilt = rows(url, states)
    assert {row[2] for row in rebuilt} == {zone}
    run_dbt(["run", *variables], url, quiet=True)
    assert rows(url, states) == rebuilt


def count_by(times: list[datetime], key: Callable[[datetime], object], from_time: datetime) -> dict[object, int]:
    counts: dict[object, int] = {}
    for time in times:
        if time >= from_time:
            counts[key(time)] = counts.get(key(time), 0) + 1
    return counts


@pytest.mark.engines("postgres")
def test_the_width_of_buckets_can_not_change(warehouse: str, project: Project) -> None:
    project.edit("llm_latency_hourly", ("bucket='hour'", "bucket='day'"))
    with pytest.raises(GovernanceError, match="holds buckets of one hour, which older buckets keep"):
        project.build(warehouse, "--select", "llm_latency_hourly")
