"""Rollups hold exactly what raw rows say: closing hours beside open transactions, late rows, deletes, drops."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from engines import Engine
from psycopg import IsolationLevel
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.compliance.report import write_report
from orchestration.lib.database.connection import Connection, connect, with_database
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.warehouse.refresh import refresh

# seconds for which a refresh waits for open transactions
PATIENCE = 0.5


@pytest.fixture(scope="module")
def database(engine: Engine, database: str) -> str:
    """A database whose rollups are incremental also on Community, where continuous aggregates are for zone UTC only."""
    if engine.name == "timescaledb":
        variables = ["--vars", "{reporting_timezone: Etc/UTC}"]
        run_operation("rebuild_rollups", url=database, options=variables)
        run_dbt(["run", "--select", "core.metrics", *variables], database, quiet=True)
    with connect(database) as connection:
        connection.execute(
            "update internal.settings set value = %s where name = 'refresh_patience'", [f"{PATIENCE} seconds"]
        )
        # on TimescaleDB who first writes into a chunk makes it, and others wait for the end of that transaction
        for hours in (-3, 1):
            insert(connection, "makes its chunk", this_hour() + timedelta(hours=hours))
        connection.execute("delete from core.llm_metrics")
    refresh(database)
    return database


@pytest.fixture
def warehouse(database: str) -> Iterator[Connection]:
    """An autocommit connection to a warehouse without usage, its hours closed up to now."""
    with connect(database) as connection:
        yield connection
        connection.execute("delete from core.llm_metrics")
        refresh(database)


def insert(connection: Connection, request_id: str, time: datetime, cost: str | None = "0.000001") -> None:
    connection.execute(
        "insert into core.llm_metrics (time, request_id, provider, model, input_tokens, cost_amount, cost_source)"
        " values (%s, %s, 'p', 'm', 3, %s, %s)",
        [time, request_id, cost, "unpriced" if cost is None else "provider"],
    )


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def requests(connection: Connection, rollup: str = "llm_metrics_hourly") -> int:
    [(count,)] = connection.execute(f"select coalesce(sum(request_count), 0) from rollups.{rollup}")
    return int(count)


def stored_table(connection: Connection, rollup: str = "llm_metrics_hourly") -> str:
    [(relation,)] = connection.execute(
        "select internal.stored_relation(name, version) from internal.rollup_state where name = %s", [rollup]
    )
    return str(relation)


def stored(connection: Connection) -> int:
    [(count,)] = connection.execute(f"select coalesce(sum(request_count), 0) from {stored_table(connection)}")
    return int(count)


def pretend_last_refresh_was(connection: Connection, hour: datetime) -> None:
    """Put thresholds and watermarks back as if nothing had been refreshed since; there must be no rows after it."""
    connection.execute("select setval('internal.llm_metrics_closing', %s)", [int(hour.timestamp())])
    connection.execute(
        "update internal.time_series set closing = %s, closed_before = %s where name = 'llm_metrics'", [hour, hour]
    )
    connection.execute(
        "update internal.rollup_state"
        " set watermark = date_trunc(case when name like '%%daily' then 'day' else 'hour' end, %s, 'UTC')"
        " where source = 'llm_metrics'",
        [hour],
    )


@pytest.mark.not_on_pglite("it has one session at a time")
@pytest.mark.parametrize("level", [IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ])
def test_a_row_of_an_open_transaction_is_not_lost_when_its_hour_closes(
    warehouse: Connection, database: str, level: IsolationLevel
) -> None:
    hour = this_hour() - timedelta(hours=3)
    pretend_last_refresh_was(warehouse, hour)
    with connect(database, autocommit=False) as writer:
        writer.isolation_level = level
        insert(writer, "open", hour + timedelta(minutes=5))
        assert writer.execute("select count(*) from internal.invalidations").fetchone() == (0,), "must not be logged"
        insert(warehouse, "committed", hour + timedelta(minutes=6))
        refresh(database)
        assert stored(warehouse) == 0, "the hour must stay open while an older transaction writes"
        assert requests(warehouse) == 1
        writer.commit()
    assert requests(warehouse) == 2
    refresh(database)
    assert stored(warehouse) == 2
    assert requests(warehouse) == requests(warehouse, "llm_metrics_daily") == 2


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_transaction_begun_before_the_threshold_rose_logs_what_it_writes_after(
    warehouse: Connection, database: str
) -> None:
    """Its snapshot is old, the threshold it reads is not."""
    hour = this_hour() - timedelta(hours=3)
    pretend_last_refresh_was(warehouse, hour)
    with connect(database, autocommit=False) as writer:
        writer.isolation_level = IsolationLevel.REPEATABLE_READ
        writer.execute("select count(*) from core.llm_metrics")
        refresh(database)
        insert(writer, "late", hour + timedelta(minutes=5))
        writer.commit()
    refresh(database)
    assert stored(warehouse) == requests(warehouse) == 1


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_long_transaction_does_not_block_a_refresh_for_ever(warehouse: Connection, database: str) -> None:
    hour = this_hour() - timedelta(hours=3)
    pretend_last_refresh_was(warehouse, hour)
    with connect(database, autocommit=False) as writer:
        insert(writer, "open", hour)
        begin = datetime.now(UTC)
        refresh(database)
        waited = datetime.now(UTC) - begin
        assert timedelta(seconds=PATIENCE) < waited < timedelta(seconds=5), "the patience, once for all rollups"


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_warehouse_that_was_just_made_is_refreshed_and_reported_beside_a_long_transaction(
    warehouse: Connection, database: str, tmp_path: Path
) -> None:
    """It may be one of another database: nothing is stored then, and what a report says is computed."""
    warehouse.execute("update internal.time_series set (closing, closed_before) = ('-infinity', '-infinity')")
    warehouse.execute("update internal.rollup_state set watermark = '-infinity'")
    with connect(with_database(database, "postgres"), autocommit=False) as other:
        other.execute("select pg_current_xact_id()")
        insert(warehouse, "just came", this_hour() - timedelta(hours=1), "2.5")
        assert {rollup.watermark for rollup in refresh(database)} == {None}
        folder, _ = write_report(database, f"{this_hour() - timedelta(hours=1):%Y-%m}", tmp_path)
    spend, freshness = (list(csv.DictReader((folder / f"{name}.csv").open())) for name in ("spend", "freshness"))
    assert [row["cost"] for row in spend] == ["2.5"]
    assert {row["stored_up_to"] for row in freshness} == {""}
    assert all(rollup.watermark for rollup in refresh(database))


def test_rows_of_the_running_hour_are_not_logged_but_counted(warehouse: Connection) -> None:
    insert(warehouse, "now", datetime.now(UTC))
    assert warehouse.execute("select count(*) from internal.invalidations").fetchone() == (0,)
    for rollup in USAGE_ROLLUPS:
        assert requests(warehouse, rollup) == 1


def test_late_updated_moved_and_deleted_rows_reach_their_buckets(warehouse: Connection, database: str) -> None:
    # to a later hour of the same day: TimescaleDB moves no row to another chunk
    old = this_hour().replace(hour=2) - timedelta(days=3)
    insert(warehouse, "a", old)
    insert(warehouse, "b", old + timedelta(days=1), None)
    refresh(database)
    assert [requests(warehouse, rollup) for rollup in USAGE_ROLLUPS] == [2] * len(USAGE_ROLLUPS)
    warehouse.execute("update core.llm_metrics set time = time + interval '5 hours' where request_id = 'a'")
    warehouse.execute("update core.llm_metrics set cost_amount = 7, cost_source = 'computed' where request_id = 'b'")
    refresh(database)
    assert warehouse.execute(
        "select bucket, cost_amount, unpriced_request_count from rollups.llm_metrics_hourly order by bucket"
    ).fetchall() == [(old + timedelta(hours=5), Decimal("0.000001"), 0), (old + timedelta(days=1), Decimal(7), 0)]
    warehouse.execute("delete from core.llm_metrics where request_id = 'b'")
    refresh(database)
    assert [requests(warehouse, rollup) for rollup in USAGE_ROLLUPS] == [1] * len(USAGE_ROLLUPS)


@pytest.mark.not_on_pglite("it has no parallel workers")
def test_the_live_part_of_a_rollup_starts_no_parallel_workers(warehouse: Connection) -> None:
    """The planner takes it for much of the usage since the last build; mostly it is no more than an hour."""

    def is_parallel(relation: str) -> bool:
        plan = warehouse.execute(f"explain (verbose, costs off) select sum(cost_amount) from {relation}".encode())
        return any(re.search(rf"Parallel .* on ({'|'.join(parts)})\b", line) for (line,) in plan)

    insert(warehouse, "live", datetime.now(UTC))
    parts = [
        re.escape(name)
        for (name,) in warehouse.execute(
            "select format('%I.%I', c.relnamespace::regnamespace, c.relname) from pg_inherits as i"
            " inner join pg_class as c on c.oid = i.inhrelid where i.inhparent = 'core.llm_metrics'::regclass"
        )
    ]
    with warehouse.transaction(force_rollback=True):
        for name in ("setup_cost", "tuple_cost"):
            warehouse.execute(f"set local parallel_{name} = 0".encode())
        for name in ("table", "index"):
            warehouse.execute(f"set local min_parallel_{name}_scan_size = 0".encode())
        assert is_parallel("core.llm_metrics")
        assert {rollup for rollup in USAGE_ROLLUPS if is_parallel(f"rollups.{rollup}")} == set()


def test_a_second_refresh_touches_nothing(warehouse: Connection, database: str) -> None:
    insert(warehouse, "a", this_hour() - timedelta(days=2))
    refresh(database)
    places = f"select ctid, xmin from {stored_table(warehouse)}"
    before = warehouse.execute(places).fetchall()
    refresh(database)
    assert warehouse.execute(places).fetchall() == before


def test_dropped_raw_rows_stay_in_the_rollups(warehouse: Connection, database: str) -> None:
    """Also when a row below the floor is touched later: its bucket can't be recomputed from what is left."""
    old = this_hour() - timedelta(days=30)
    warehouse.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [old, old])
    insert(warehouse, "old", old, "12.5")
    refresh(database)
    dropped = warehouse.execute(
        "select sum(rows) from internal.drop_raw('llm_metrics', %s)", [old + timedelta(days=7)]
    ).fetchone()
    assert dropped == (1,)
    insert(warehouse, "below the floor", old + timedelta(minutes=1), "100")
    refresh(database)
    for rollup in USAGE_ROLLUPS:
        assert warehouse.execute(f"select sum(cost_amount) from rollups.{rollup}").fetchone() == (Decimal("12.5"),)
    warehouse.execute("update internal.time_series set dropped_before = '-infinity' where name = 'llm_metrics'")
    for rollup in (*USAGE_ROLLUPS, "llm_latency_hourly"):
        warehouse.execute(f"delete from {stored_table(warehouse, rollup)}")


@pytest.mark.engines("postgres")
def test_rows_before_their_partition_wait_in_the_default_one_and_move(warehouse: Connection, database: str) -> None:
    far = this_hour() + timedelta(days=200)
    insert(warehouse, "far", far)
    assert warehouse.execute("select count(*) from core.llm_metrics_default").fetchone() == (1,)
    warehouse.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [far, far])
    assert warehouse.execute("select count(*) from core.llm_metrics_default").fetchone() == (0,)
    assert warehouse.execute("select request_id from core.llm_metrics").fetchall() == [("far",)]


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("way", ["drop table {0}", "alter table core.llm_metrics detach partition {0}"])
def test_a_partition_that_is_gone_by_hand_stays_in_the_rollups(warehouse: Connection, database: str, way: str) -> None:
    """A late row makes the partition anew, under its old name; nothing is computed from that row alone."""
    old = this_hour() - timedelta(days=60)
    make = "select internal.ensure_partitions('core.llm_metrics', %s, %s)"
    warehouse.execute(make, [old, old])
    insert(warehouse, "old", old, "12.5")
    insert(warehouse, "new", this_hour() - timedelta(days=1), "1")
    refresh(database)
    [row] = warehouse.execute(
        "select p.partition::text, p.low, p.high from internal.partition_ranges('core.llm_metrics') as p"
        " where p.low <= %s and p.high > %s",
        [old, old],
    )
    partition, low, high = row
    warehouse.execute(way.format(partition))
    assert len(warehouse.execute("select subject from verification.missing_raw_rows").fetchall()) == 1
    warehouse.execute("alter table if exists " + partition + " rename to put_aside")
    warehouse.execute(make, [old, old])
    insert(warehouse, "late", old + timedelta(minutes=1), "100")
    insert(warehouse, "late too", old - timedelta(days=30), "0.5")
    refresh(database)
    for rollup in USAGE_ROLLUPS:
        assert warehouse.execute(f"select sum(cost_amount) from rollups.{rollup}").fetchone() == (Decimal(14),)
    [violation] = warehouse.execute("select subject from verification.missing_raw_rows").fetchall()
    assert violation == (f"core.llm_metrics from {low:%Y-%m-%d} to {high:%Y-%m-%d}",)
    # put back: its buckets are computed from all of it, the late row too
    if "detach" in way:
        columns = "time, request_id, provider, model, input_tokens, cost_amount, cost_source"
        warehouse.execute(f"insert into core.llm_metrics ({columns}) select {columns} from core.put_aside")
        warehouse.execute("drop table core.put_aside")
    else:
        insert(warehouse, "old", old, "12.5")
    warehouse.execute("select internal.raw_rows_are_back('llm_metrics', %s, %s)", [low, high])
    refresh(database)
    for rollup in USAGE_ROLLUPS:
        assert warehouse.execute(f"select sum(cost_amount) from rollups.{rollup}").fetchone() == (Decimal(114),)
    assert warehouse.execute("select subject from verification.missing_raw_rows").fetchall() == []


def test_a_floor_above_what_is_stored_leaves_nothing_to_refresh(warehouse: Connection, database: str) -> None:
    insert(warehouse, "now", this_hour() + timedelta(minutes=59), "7")
    ahead = this_hour() + timedelta(hours=48)
    warehouse.execute("update internal.time_series set dropped_before = %s where name = 'llm_metrics'", [ahead])
    try:
        warehouse.execute("select internal.ensure_partitions('core.llm_metrics', now(), now())")
        refresh(database)
        assert requests(warehouse) == 1
    finally:
        warehouse.execute("update internal.time_series set dropped_before = '-infinity'")


@pytest.mark.engines("postgres")
def test_an_empty_partition_that_is_dropped_leaves_no_gap(warehouse: Connection, database: str) -> None:
    old = this_hour() - timedelta(days=90)
    warehouse.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [old, old])
    refresh(database)
    warehouse.execute(
        "do $$ begin execute (select format('drop table %s', p.partition)"
        " from internal.partition_ranges('core.llm_metrics') as p"
        " where p.low <= now() - interval '90 days' and p.high > now() - interval '90 days'); end $$"
    )
    insert(warehouse, "late", old)
    refresh(database)
    assert requests(warehouse) == requests(warehouse, "llm_metrics_daily") == 1


@pytest.mark.engines("postgres")
def test_partitions_are_made_where_rows_are_and_in_bounded_steps(warehouse: Connection) -> None:
    """One row of 2099 neither makes 3,800 partitions nor keeps the others from theirs."""
    near = [this_hour() + timedelta(days=days) for days in (60, 61, 200)]
    for number, time in enumerate([*near, datetime(2099, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]):
        insert(warehouse, f"r{number}", time)
    count = "select count(*)::int from pg_inherits where inhparent = 'core.llm_metrics'::regclass"
    [(before,)] = warehouse.execute(count).fetchall()
    warehouse.execute("call internal.partition_default_rows('llm_metrics')")
    left = warehouse.execute("select request_id from core.llm_metrics_default order by 1").fetchall()
    assert left == [("r3",), ("r4",)]
    [(after,)] = warehouse.execute(count).fetchall()
    assert before < after <= before + 3
    with pytest.raises(psycopg.errors.RaiseException, match=r"more than 10,000 partitions of 7 days; make them where"):
        warehouse.execute("select internal.ensure_partitions('core.llm_metrics', '0001-01-01', '2099-12-31')")
    span = "now() + interval '300 days', now() + interval '1750 days'"
    ensure = f"select internal.ensure_partitions('core.llm_metrics', {span})"
    made = [warehouse.execute(ensure).fetchone() for _ in range(3)]
    ahead = warehouse.execute(
        "select p.partition::text from internal.partition_ranges('core.llm_metrics') as p"
        " where p.low > now() + interval '40 days'"
    ).fetchall()
    warehouse.execute(f"drop table {', '.join(part for (part,) in ahead)}".encode())
    assert made[0] == (200,)
    assert made[1] is not None
    assert 0 < made[1][0] < 200
    assert made[2] == (0,)


def test_far_times_are_counted_and_named(warehouse: Connection, database: str) -> None:
    """Up to the ends of what the database can hold; those before the raw floor change no bucket."""
    for year in ("4700-01-01 BC", "0001-01-01", "1970-01-01", "2099-12-31", "290000-01-01"):
        warehouse.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values (%s::timestamptz, %s, 'p', 'm')",
            [year, year],
        )
    refresh(database)
    refresh(database)
    assert requests(warehouse) == 2
    for rollup in USAGE_ROLLUPS:
        assert requests(warehouse, rollup) == 2
    [(message,)] = warehouse.execute("select message from verification.impossible_times").fetchall()
    assert message == "5 rows are dated before 2000 or more than a year ahead, 4700-01-01 BC to 290000-01-01 AD."
    for rule in ("rows_in_default_partition", "wrong_part_widths", "late_compression", "stale_rollups"):
        warehouse.execute(f"select * from verification.{rule}")


def test_truncate_is_refused(warehouse: Connection) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="llm_metrics cannot be truncated"):
        warehouse.execute("truncate core.llm_metrics")


def test_refreshing_an_unknown_rollup_says_so(warehouse: Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="there is no rollup nonsense"):
        warehouse.execute("call internal.refresh_rollup('nonsense')")
