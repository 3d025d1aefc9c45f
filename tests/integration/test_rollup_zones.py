"""The reporting zone can change: each request is counted once, and a change that fails or is killed changes nothing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engines import Engine
from old_usage import FLOOR, KEPT, NOON, fill, insert, kind, rows, totals
from parsed import read_for_process
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.embedded.processes import wait_until
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.build_lock import APPLICATION
from orchestration.lib.warehouse.refresh import refresh


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    """A warehouse with usage on both sides of the raw floor."""
    with engine.database("zones") as url:
        fill(url)
        yield url


def test_another_zone_counts_each_request_once(engine: Engine, warehouse: str) -> None:
    zone = "Europe/Berlin"
    with pytest.raises(GovernanceError, match=f"built in time zone UTC, not {zone}; run `governance rebuild-rollups`"):
        run_dbt(["run", *variables(zone)], warehouse, quiet=True)
    change_zone(engine, warehouse, zone, build_finds_nothing_to_store)


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
    for zone in ("Asia/Kolkata", "America/St_Johns"):
        rebuild(warehouse, zone)
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
@pytest.mark.parametrize("zone", ["America/Santiago", "Africa/Cairo", "Asia/Beirut", "Europe/Berlin", "Asia/Kathmandu"])
def test_a_day_ends_where_the_next_one_begins(connection: Connection, zone: str) -> None:
    """Also where clocks skip midnight, so that a day begins at one."""
    place = ZoneInfo(zone)
    days = [NOON.date() - timedelta(days=number) for number in range(-2, 400)]
    begins = {day: datetime.combine(day, datetime.min.time(), place).astimezone(UTC) for day in days}
    connection.execute("update internal.settings set value = %s where name = 'reporting_timezone'", [zone])
    found = connection.execute(
        "select low, internal.bucket_end(low, 'day'), internal.first_bucket_from(low, 'day', %(zone)s),"
        " internal.first_bucket_from(low + interval '1 microsecond', 'day', %(zone)s)"
        " from unnest(%(lows)s::timestamptz[]) as low",
        {"zone": zone, "lows": [begins[day] for day in days[1:]]},
    ).fetchall()
    assert found == [
        (begins[day], begins[day + timedelta(days=1)], begins[day], begins[day + timedelta(days=1)]) for day in days[1:]
    ]


@pytest.mark.engines("postgres")
def test_a_zone_whose_hours_begin_elsewhere_counts_each_request_once(engine: Engine, warehouse: str) -> None:
    change_zone(engine, warehouse, "Asia/Kolkata")


def change_zone(
    engine: Engine, warehouse: str, zone: str, then: Callable[[str, str], None] = lambda url, zone: None
) -> None:
    """Requests every ten minutes around the cut: none is lost or counted twice, before it are days of the old zone.

    `then` gets each rebuilt warehouse and its zone.
    """
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
    rebuild(warehouse, zone)
    then(warehouse, zone)
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
    then(warehouse, "UTC")
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
    options = variables("Asia/Kolkata")
    read_for_process(warehouse, *options)
    with connect(warehouse, autocommit=False) as reader:
        reader.execute("select count(*) from rollups.llm_metrics_hourly")
        changing = subprocess.Popen(
            [Path(sys.executable).parent / "governance", "rebuild-rollups", *options],
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


def variables(zone: str) -> list[str]:
    return ["--vars", f"{{reporting_timezone: {zone}}}"]


def rebuild(url: str, zone: str) -> None:
    """What `governance rebuild-rollups` does before it builds."""
    run_operation("rebuild_rollups", url=url, options=variables(zone))
    assert rows(url, "select distinct timezone from internal.rollup_state") == [(zone,)]


def build_finds_nothing_to_store(url: str, zone: str) -> None:
    """In rollups of raw rows of either series, and in one of another rollup."""
    states = "select name, version, timezone, kind, definition from internal.rollup_state order by name"
    rebuilt = rows(url, states)
    some = ("llm_metrics_hourly", "llm_metrics_daily", "system_metrics_hourly")
    run_dbt(["run", "--select", "core.metrics", *some, *variables(zone)], url, quiet=True)
    assert rows(url, states) == rebuilt


def count_by(times: list[datetime], key: Callable[[datetime], object], from_time: datetime) -> dict[object, int]:
    counts: dict[object, int] = {}
    for time in times:
        if time >= from_time:
            counts[key(time)] = counts.get(key(time), 0) + 1
    return counts
