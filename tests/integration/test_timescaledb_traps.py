"""Where TimescaleDB would lose, hide or refuse something: each trap, and that the warehouse doesn't step into it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from engines import Engine
from old_usage import rows, totals
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.backup.restore import take_over_jobs
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.usage.load import IngestError, ingest_rows
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("timescaledb")

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
COMPRESSED = (
    "select count(*)::int from timescaledb_information.chunks where hypertable_name = 'llm_metrics' and is_compressed"
)


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Iterator[str]:
    with engine.database("traps") as url:
        yield url


@pytest.fixture
def warehouse(shared: str) -> Iterator[str]:
    """A warehouse without usage that nothing was dropped from."""
    yield shared
    with connect(shared) as connection:
        stored = connection.execute("select internal.stored_relation(name, version) from internal.rollup_state")
        for relation in ("core.llm_metrics", *(name for (name,) in stored.fetchall())):
            connection.execute("select drop_chunks(%s::regclass, older_than => 'infinity'::timestamptz)", [relation])
        connection.execute("update internal.time_series set dropped_before = '-infinity', gone = '{}'")
        connection.execute("delete from internal.time_series_parts")


def insert(url: str, name: str, time: datetime, cost: int) -> None:
    with connect(url) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source)"
            " values (%s, %s, 'p', 'm', %s, 'provider')",
            [time, name, cost],
        )


def costs(url: str) -> set[Decimal]:
    """What the rollups say in sum; one value where they agree."""
    return {cost for _, cost in totals(url)}


def run_job(url: str, policy: str, relation: str) -> None:
    """Does what a background worker would do."""
    with connect(url) as connection:
        [(job,)] = connection.execute("select internal.job_of(%s::regclass, %s)", [relation, policy])
        connection.execute(f"call run_job({job})")


def refresh_by_jobs(url: str) -> None:
    with connect(url) as connection:
        for rollup in USAGE_ROLLUPS:
            [(job,)] = connection.execute("select internal.refresh_job(%s)", [rollup])
            connection.execute(f"call run_job({job})")


def compress(url: str) -> None:
    with connect(url) as connection:
        connection.execute("select compress_chunk(c, true) from show_chunks('core.llm_metrics') as c")


def build(url: str, *rollups: str, **variables: str) -> None:
    run_dbt(["run", "--select", "core.metrics", *rollups, "--vars", json.dumps(variables)], url, quiet=True)


def test_a_chunk_that_the_policy_drops_stays_in_the_rollups(warehouse: str) -> None:
    """The policy knows nothing of our floor. Dropping marks the span as changed: a refresh over it would erase it."""
    old = HOUR - timedelta(days=600)
    insert(warehouse, "old", old, 1)
    insert(warehouse, "kept", HOUR - timedelta(days=20), 2)
    refresh(warehouse)
    build(warehouse, llm_metrics_retention="300 days")
    run_job(warehouse, "policy_retention", "core.llm_metrics")
    assert rows(warehouse, "select request_id from core.llm_metrics") == [("kept",)]
    refresh(warehouse)
    assert costs(warehouse) == {Decimal(3)}
    # a longer retention again: raw rows are gone, and with them the right to recompute
    build(warehouse, "rollups")
    insert(warehouse, "late", old + timedelta(minutes=1), 4)
    refresh(warehouse)
    refresh_by_jobs(warehouse)
    assert costs(warehouse) == {Decimal(3)}


@pytest.mark.parametrize("refresh_rollups", [refresh, refresh_by_jobs])
@pytest.mark.parametrize("age", [timedelta(days=4), timedelta(days=100)], ids=["of this week", "old"])
def test_a_chunk_that_is_dropped_by_hand_stays_in_the_rollups(
    warehouse: str, age: timedelta, refresh_rollups: Callable[[str], object]
) -> None:
    """As when the disk is full. A refresh policy would erase what it looks back on, a refresh of all would all."""
    dropped, before = HOUR - age, HOUR - age - timedelta(days=21)
    insert(warehouse, "before", before, 1)
    insert(warehouse, "dropped", dropped, 2)
    refresh(warehouse)
    with connect(warehouse) as connection:
        connection.execute(
            "select drop_chunks('core.llm_metrics', older_than => range_end, newer_than => range_start)"
            " from timescaledb_information.chunks where hypertable_name = 'llm_metrics'"
            " and range_start <= %s and range_end > %s",
            [dropped, dropped],
        )
    refresh_rollups(warehouse)
    assert ("dropped",) not in rows(warehouse, "select request_id from core.llm_metrics")
    assert costs(warehouse) == {Decimal(3)}
    # a chunk of the same span comes again with a late row, and a transaction that touches all marks all as changed
    with connect(warehouse) as connection, connection.transaction():
        connection.execute("update core.llm_metrics set metadata = '{}'")
    insert(warehouse, "late", dropped + timedelta(minutes=1), 8)
    insert(warehouse, "late too", before + timedelta(minutes=1), 16)
    refresh_rollups(warehouse)
    assert costs(warehouse) == {Decimal(19)}
    assert len(rows(warehouse, "select subject from verification.missing_raw_rows")) == 1


def test_a_bucket_that_straddles_the_floor_is_never_recomputed(warehouse: str) -> None:
    middle = HOUR.replace(hour=12) - timedelta(days=100)
    insert(warehouse, "before", middle - timedelta(hours=2), 1)
    insert(warehouse, "after", middle + timedelta(hours=2), 2)
    refresh(warehouse)
    with connect(warehouse) as connection:
        connection.execute("select * from internal.drop_raw('llm_metrics', %s)", [middle])
        connection.execute("delete from core.llm_metrics where request_id = 'before'")
    refresh(warehouse)
    assert costs(warehouse) == {Decimal(3)}


def test_new_rows_are_seen_at_once_and_after_a_refresh_of_the_running_hour(warehouse: str) -> None:
    """Not materialized only; and no refresh, ours or the policy's, stores the running bucket, which would hide them."""
    # HOUR may be over by now
    running = datetime.now(UTC)
    insert(warehouse, "first", running, 1)
    refresh(warehouse)
    refresh_by_jobs(warehouse)
    insert(warehouse, "second", running + timedelta(microseconds=1), 2)
    assert costs(warehouse) == {Decimal(3)}


def test_old_buckets_in_columns_take_late_rows(warehouse: str) -> None:
    late = HOUR - timedelta(days=100)
    insert(warehouse, "old", late, 1)
    refresh(warehouse)
    for rollup in USAGE_ROLLUPS:
        run_job(warehouse, "policy_compression", f"rollups.{rollup}_stored")
    compressed = rows(
        warehouse,
        "select count(*)::int from timescaledb_information.chunks where is_compressed and hypertable_schema <> 'core'",
    )
    assert compressed == [(len(USAGE_ROLLUPS),)]
    insert(warehouse, "late", late + timedelta(minutes=1), 2)
    refresh(warehouse)
    assert costs(warehouse) == {Decimal(3)}


def test_a_var_changes_beside_compressed_chunks(warehouse: str) -> None:
    insert(warehouse, "old", HOUR - timedelta(days=100), 1)
    refresh(warehouse)
    run_job(warehouse, "policy_compression", "core.llm_metrics")
    assert rows(warehouse, COMPRESSED) == [(1,)]
    build(warehouse, "rollups", compress_after="9 days")
    assert rows(warehouse, COMPRESSED) == [(1,)]
    assert costs(warehouse) == {Decimal(1)}
    build(warehouse)


def load(url: str, names: Iterator[str], time: datetime) -> None:
    with connect(url) as connection:
        ingest_rows(
            connection,
            ["time", "request_id", "provider", "model", "cost_amount"],
            ((time, name, "p", "m", 1) for name in names),
            source="traps",
        )


def test_few_late_rows_pass_the_limit_of_decompressed_tuples(warehouse: str) -> None:
    late = HOUR - timedelta(days=100)
    load(warehouse, (f"r{i}" for i in range(50)), late)
    compress(warehouse)
    with connect(warehouse) as connection:
        limit(connection, "5")
        connection.execute("set timescaledb.max_tuples_decompressed_per_dml_transaction = 5")
        with pytest.raises(psycopg.Error, match="tuple decompression limit"):
            connection.execute("update core.llm_metrics set cost_amount = 1")
    load(warehouse, (f"r{i}" for i in range(40, 60)), late)
    refresh(warehouse)
    assert costs(warehouse) == {Decimal(60)}
    assert rows(warehouse, COMPRESSED) == [(1,)]
    with connect(warehouse) as connection:
        limit(connection, "default")


def limit(connection: Connection, tuples: str) -> None:
    """For every later session."""
    connection.execute(
        "do $$ begin execute format('alter database %I set timescaledb.max_tuples_decompressed_per_dml_transaction ="
        f" {tuples}', current_database()); end $$".encode()
    )


def test_a_load_that_breaks_off_leaves_its_chunks_compressed(warehouse: str) -> None:
    late = HOUR - timedelta(days=100)
    load(warehouse, (f"old{i}" for i in range(5)), late)
    compress(warehouse)

    def names() -> Iterator[str]:
        yield from (f"late{i}" for i in range(25_000))
        raise FeedBrokeError

    with pytest.raises((FeedBrokeError, IngestError)):
        load(warehouse, names(), late)
    assert rows(warehouse, "select count(*)::int from core.llm_metrics") == [(21_005,)]
    assert rows(warehouse, COMPRESSED) == [(1,)]


class FeedBrokeError(Exception):
    """What goes wrong in the middle of a load."""


def test_a_unique_index_without_the_time_is_refused(warehouse: str) -> None:
    """Why a request is known by request_id and time."""
    with connect(warehouse) as connection, pytest.raises(psycopg.Error, match='without the column "time"'):
        connection.execute("create unique index on core.llm_metrics (request_id)")


def test_jobs_that_are_restored_run_as_who_owns_their_tables(warehouse: str) -> None:
    """A job runs as the role it was made by, whom a restore by another one takes the tables from."""
    owners = "select owner::text, count(*)::int from timescaledb_information.jobs where job_id >= 1000 group by 1"
    with connect(warehouse) as connection, connection.transaction(force_rollback=True):
        before = connection.execute(owners).fetchall()
        connection.execute("create role leaver login; create role governance_dbt login")
        [(theirs,)] = connection.execute("select public.add_job('internal.refresh_in_background', '1 h', '{}')")
        connection.execute("update _timescaledb_config.bgw_job set owner = 'leaver' where id >= 1000")
        connection.execute("update _timescaledb_config.bgw_job set owner = 'governance_dbt' where id = %s", [theirs])
        take_over_jobs(connection)
        assert sorted(connection.execute(owners).fetchall()) == sorted([*before, ("governance_dbt", 1)])
