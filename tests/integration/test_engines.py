"""What differs between engines, and that nothing else does."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import monotonic, sleep

import pytest
from engines import Engine
from psycopg.rows import TupleRow
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import connect
from orchestration.lib.database.status import describe
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain

PATIENCE = 90  # seconds, for the scheduler of a new database and its first round of jobs


@pytest.fixture(scope="module")
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("engines") as url:
        yield url


def rows(url: str, query: str) -> list[TupleRow]:
    with connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def insert(url: str, name: str, time: datetime, cost: str = "0.000001") -> None:
    with connect(url) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source)"
            " values (%s, %s, 'p', 'm', %s, 'provider')",
            [time, name, cost],
        )


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def test_the_engine_is_found_out_by_trying(engine: Engine, warehouse: str) -> None:
    assert rows(warehouse, "select value from internal.settings where name = 'time_series_engine'") == [(engine.name,)]
    kind = "continuous_aggregate" if engine.name == "timescaledb" else "incremental"
    assert rows(warehouse, "select distinct kind from internal.rollup_state") == [(kind,)]


@pytest.mark.engines("timescaledb", "timescaledb_apache")
def test_time_series_are_hypertables(warehouse: str) -> None:
    names = rows(
        warehouse,
        "select hypertable_name from timescaledb_information.hypertables where hypertable_schema = 'core' order by 1",
    )
    assert names == [("llm_metrics",), ("system_metrics",)]


@pytest.mark.engines("timescaledb")
def test_policies_keep_their_jobs_over_builds_and_follow_the_vars(warehouse: str) -> None:
    jobs = """
        select job_id, proc_name, hypertable_name, schedule_interval, config
        from timescaledb_information.jobs
        where (proc_name like 'policy\\_%' or proc_schema = 'internal') and job_id >= 1000 order by job_id
    """
    before = rows(warehouse, jobs)
    kinds = [row[1] for row in before]
    assert kinds.count("policy_retention") == 2
    [(rollups,)] = rows(warehouse, "select count(*) from internal.rollup_state")
    assert kinds.count("refresh_in_background") == rollups
    assert kinds.count("policy_compression") == 2 + rollups
    run_dbt(["run", "--select", "core.metrics", "rollups"], warehouse, quiet=True)
    assert rows(warehouse, jobs) == before
    tables = ["run", "--select", "core.metrics"]
    run_dbt([*tables, "--vars", "{compress_after: 9 days, llm_metrics_retention: 3 years}"], warehouse, quiet=True)
    after = rows(warehouse, jobs)
    assert [row[0] for row in after] == [row[0] for row in before]
    configs = {(row[1], row[2]): row[4] for row in after}
    assert configs["policy_compression", "llm_metrics"]["compress_after"] == "9 days"
    assert configs["policy_retention", "llm_metrics"]["drop_after"] == "3 years"
    run_dbt(tables, warehouse, quiet=True)
    assert rows(warehouse, jobs) == before


@pytest.mark.engines("timescaledb")
@pytest.mark.not_on_pglite("it has no background workers")
def test_a_background_worker_refreshes_the_rollups(engine: Engine) -> None:
    materialized = """
        select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
        from timescaledb_information.continuous_aggregates
        where view_name = 'llm_metrics_hourly_stored'
    """
    job = "internal.refresh_job('llm_metrics_hourly')"
    succeeded_since = f"""
        select last_run_status from timescaledb_information.job_stats
        where job_id = {job} and last_run_started_at > '%s' and last_successful_finish >= last_run_started_at
    """
    with engine.database("background_workers") as url:
        [(table,)] = rows(url, materialized)
        insert(url, "a", this_hour() - timedelta(days=3), "2")
        [(inserted,)] = rows(url, "select clock_timestamp()")
        with connect(url) as connection:
            # otherwise the launcher finds a database that was copied within a minute
            connection.execute("select _timescaledb_functions.start_background_workers()")
            connection.execute(f"select alter_job({job}, next_start => now())".encode())
        assert awaited(url, succeeded_since % inserted) == [("Success",)]
        assert rows(url, f"select cost_amount from {table}") == [(Decimal(2),)]
        # one that fails is found
        with connect(url) as connection:
            connection.execute(
                "create or replace procedure internal.refresh_in_background(job_id integer, config jsonb)"
                " language plpgsql as 'begin raise ''broken''; end'"
            )
            connection.execute(f"select alter_job({job}, next_start => now())".encode())
        failing = (
            "select message from verification.failing_jobs where subject = 'refresh of rollups.llm_metrics_hourly'"
        )
        [(message,)] = awaited(url, failing)
        assert re.fullmatch(r"Job \d+ failed at its last run, \d+ times? in all\.", message)


def awaited(url: str, query: str) -> list[TupleRow]:
    """What it answers once that is something."""
    until = monotonic() + PATIENCE
    while not (found := rows(url, query)) and monotonic() < until:
        sleep(0.2)
    return found


def test_late_changed_and_deleted_rows_reach_every_rollup(warehouse: str) -> None:
    old = this_hour() - timedelta(days=3, hours=2)
    insert(warehouse, "a", old)
    insert(warehouse, "b", old + timedelta(hours=30), "2")
    insert(warehouse, "now", datetime.now(UTC), "4")
    refresh(warehouse)
    insert(warehouse, "late", old + timedelta(minutes=1), "8")
    with connect(warehouse) as connection:
        connection.execute("update core.llm_metrics set cost_amount = 16 where request_id = 'b'")
        connection.execute("delete from core.llm_metrics where request_id = 'a'")
    refresh(warehouse)
    for rollup in USAGE_ROLLUPS:
        total = rows(warehouse, f"select sum(request_count), sum(cost_amount) from rollups.{rollup}")
        assert total == [(3, Decimal(28))], rollup
    with connect(warehouse) as connection:
        connection.execute("delete from core.llm_metrics")
    refresh(warehouse)
    assert rows(warehouse, "select * from rollups.llm_metrics_hourly") == []


def test_what_retention_drops_stays_in_the_rollups(warehouse: str) -> None:
    old, older = this_hour() - timedelta(days=725), this_hour() - timedelta(days=728)
    with connect(warehouse) as connection:
        connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [older, old])
    insert(warehouse, "old", older, "3")
    insert(warehouse, "kept", this_hour() - timedelta(days=20), "5")
    refresh(warehouse)
    with connect(warehouse) as connection:
        connection.execute("update internal.settings set value = '1 year' where name = 'llm_metrics_retention'")
        dropped = retain(warehouse)
        connection.execute("update internal.settings set value = '2 years' where name = 'llm_metrics_retention'")
    assert [(part.series, part.rows) for part in dropped if part.rows] == [("llm_metrics", 1)]
    assert rows(warehouse, "select request_id from core.llm_metrics") == [("kept",)]
    insert(warehouse, "below the floor", older, "100")
    refresh(warehouse)
    for rollup in USAGE_ROLLUPS:
        assert rows(warehouse, f"select sum(cost_amount) from rollups.{rollup}") == [(Decimal(8),)], rollup
    assert [part for part in retain(warehouse) if part.rows and part.rows > 1] == []


def test_status_says_how_time_series_are_kept_and_what_is_missing(
    engine: Engine, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", warehouse)
    running, facts = describe()
    assert running
    assert f"({engine.name})" in facts["time series"]
    edition = {"timescaledb": "Community", "timescaledb_apache": "Apache", "postgres": "native partitions"}[engine.name]
    assert edition in facts["time series"]
    assert ("TimescaleDB" in facts["engine"]) == (engine.name != "postgres")
    if engine.name == "timescaledb":
        assert facts["not supported"] == "nothing"
    else:
        assert facts["not supported"].startswith("compression, continuous aggregates, background policies")
