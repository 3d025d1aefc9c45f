"""Raw rows that change without a rollup knowing: what the triggers see all the same, and what comparing finds."""

import psycopg
import pytest
from psycopg import sql
from reporting_rows import stored_buckets

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.evidence.compared import Searched
from orchestration.lib.evidence.result import Verification
from orchestration.lib.verification import comparison
from orchestration.lib.verification.comparison import compare
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

# ago, each with a request at noon: all in closed buckets, and older than what a rule compares at each run
DAYS = range(5, 10)
NOON = "date_trunc('day', now(), 'UTC') - {} * interval '1 day' + interval '12 hours'"


@pytest.fixture
def warehouse(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A warehouse with these requests, of which nothing was compared."""
    # for refreshes by others, of which there are none
    monkeypatch.setattr(comparison, "_PAUSE_SECONDS", 0.1)
    with connect(database) as connection:
        for series in ("llm_metrics", "system_metrics"):
            connection.execute(
                "select internal.ensure_partitions(%s, now() - interval '10 days', now())", [f"core.{series}"]
            )
        # what the test before changed unseen is recomputed, for somebody writes there
        for days in range(1, DAYS.stop):
            insert(connection, days)
        connection.execute("delete from core.llm_metrics")
        connection.execute("delete from core.system_metrics")
        for days in DAYS:
            insert(connection, days)
            connection.execute(
                "insert into core.system_metrics (time, service, metric_name, value)"
                f" values ({NOON.format(days)}, 's', 'm', 0.1)".encode()
            )
    refresh(database)
    with connect(database) as connection:
        connection.execute("delete from internal.rollup_comparisons")
    return database


def insert(connection: Connection, days_ago: int, into: str = "core.llm_metrics") -> None:
    connection.execute(
        f"insert into {into} (time, request_id, provider, model, cost_amount, cost_source)"
        f" values ({NOON.format(days_ago)}, gen_random_uuid()::text, 'p', 'm', 1.50, 'provider')".encode()
    )


def partition_of(connection: Connection, days_ago: int) -> str:
    (name,) = connection.execute(
        "select format('core.%s', relname) from core.llm_metrics as m join pg_class as c on c.oid = m.tableoid"
        f" where time = {NOON.format(days_ago)}".encode()
    ).fetchall()[0]
    return str(name)


def silently(connection: Connection, statement: str) -> None:
    """As somebody does who disables the triggers, or writes past the log of what was touched."""
    with connection.transaction():
        connection.execute(statement.encode())
        for log in ("internal.invalidations", "internal.rollup_invalidations"):
            connection.execute(f"delete from {log}".encode())
        if connection.execute("select 1 from internal.rollup_state where kind = 'continuous_aggregate'").fetchone():
            connection.execute("delete from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log")
            connection.execute("delete from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log")
    if connection.execute("select 1 from internal.rollup_state where kind = 'continuous_aggregate'").fetchone():
        # written at the end of the transaction
        connection.execute("delete from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log")


def due(connection: Connection, *days_ago: int) -> None:
    """These days are to be compared next, the others were just now."""
    lows = "select date_trunc('day', now(), 'UTC') - ago * interval '1 day' from unnest(%s::integer[]) as ago"
    connection.execute(
        "insert into internal.rollup_comparisons (rollup, low, high, version, differs)"
        " select d.rollup, d.low, d.high, r.version, false"
        " from internal.days_to_compare(interval '1 day') as d"
        " inner join internal.rollup_state as r on r.name = d.rollup"
        f" where d.low not in ({lows}) on conflict (rollup, low) do update set compared_at = now()",
        [list(days_ago)],
    )
    connection.execute(
        f"update internal.rollup_comparisons set compared_at = compared_at - interval '2 days' where low in ({lows})",
        [list(days_ago)],
    )


def ask(url: str) -> Verification:
    verification = verify(url, ["compared_days_differ"])
    assert verification.not_run == {}
    return verification


def messages(verification: Verification) -> dict[str, str]:
    return {each.subject.split(" of ")[0].removeprefix("rollups."): each.message for each in verification.violations}


def differing(url: str) -> dict[str, str]:
    return messages(ask(url))


OF_RAW_ROWS = {
    f"llm_{what}_hourly"
    for what in ("metrics", "latency", "team", "spend", "user", "key", "model", "source", "application", "tag")
}


def test_days_that_are_equal_are_compared_once_a_day(warehouse: str) -> None:
    with connect(warehouse) as connection:
        first = compare(connection, seconds=60)
        assert first.looked_at >= 8 * len(DAYS)
        assert (first.left, first.wrong) == (0, 0)
        assert compare(connection, seconds=60) == Searched(0, 0, 0)
        connection.execute("update internal.rollup_comparisons set compared_at = compared_at - interval '2 days'")
        assert compare(connection, seconds=0) == Searched(0, first.looked_at, 0)
        assert compare(connection, seconds=60) == first
    assert differing(warehouse) == {}


def test_a_row_that_no_rollup_knows_of_is_found_and_its_range_recomputed(warehouse: str) -> None:
    with connect(warehouse) as connection:
        due(connection, 6, 7, 8)
        compare(connection, seconds=60)
        for days in (7, 8):
            silently(connection, f"delete from core.llm_metrics where time = {NOON.format(days)}")
        silently(connection, f"update core.system_metrics set value = 0.2 where time = {NOON.format(6)}")
        due(connection, 6, 7, 8)
        verification = ask(warehouse)
        found = messages(verification)
        assert found.keys() == OF_RAW_ROWS | {"llm_price_daily", "llm_charge_daily", "system_metrics_hourly"}
        assert found["llm_metrics_hourly"].startswith("2 days were not what raw rows make them")
        assert found["llm_metrics_hourly"].endswith("; what they are made of changed since they were equal.")
        assert found["system_metrics_hourly"].startswith("The day was not what raw rows make it")
        # the rollups of a series have the same one
        statements = {violation.fix.split("`")[1] for violation in verification.violations}
        assert len(statements) == 2
        for statement in statements:
            connection.execute(statement.encode())
        # the finding goes with the next comparison, which begins with what differed
        assert differing(warehouse) == {}
        [(left,)] = connection.execute("select sum(request_count) from rollups.llm_metrics_daily").fetchall()
        assert left == len(DAYS) - 2


def test_stored_rows_that_somebody_changed_are_found(warehouse: str) -> None:
    with connect(warehouse) as connection:
        due(connection, 7)
        compare(connection, seconds=60)
        relation = stored_buckets(connection, "llm_team_daily")
        connection.execute(
            sql.SQL("update {} set cost_amount = cost_amount + 0.000001 where bucket = {}").format(
                relation, sql.SQL("date_trunc('day', now(), 'UTC') - interval '7 days'")
            )
        )
        due(connection, 7)
    (message,) = differing(warehouse).values()
    assert message.startswith("The day was not what its hours make it")
    assert message.endswith("; the stored rows changed since they were equal.")


@pytest.mark.parametrize(("days_ago", "seen_by"), [(1, "usage_rollup_differs"), (4, "compared_days_differ")])
def test_a_day_is_compared_by_a_rule_while_it_is_new_and_in_rotation_from_then_on(
    warehouse: str, days_ago: int, seen_by: str
) -> None:
    """verified_rollup_window is a day."""
    with connect(warehouse) as connection:
        insert(connection, days_ago)
        refresh(warehouse)
        due(connection, days_ago)
        compare(connection, seconds=60)
        silently(connection, f"delete from core.llm_metrics where time = {NOON.format(days_ago)}")
        due(connection, days_ago)
    verification = verify(warehouse, ["usage_rollup_differs", "compared_days_differ"])
    assert verification.not_run == {}
    hourly = {each.rule for each in verification.violations if "llm_metrics_hourly" in each.subject}
    assert hourly == {seen_by}


def test_what_waits_for_a_refresh_is_no_difference(warehouse: str) -> None:
    with connect(warehouse) as connection:
        due(connection, 7)
        insert(connection, 7)
    assert differing(warehouse) == {}
    refresh(warehouse)
    assert differing(warehouse) == {}


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    "statement",
    [
        "delete from {partition} where time = {noon}",
        "update {partition} set cost_amount = 2 where time = {noon}",
        "insert into {partition} (time, request_id, provider, model) values ({noon}, 'direct', 'p', 'm')",
        "set session_replication_role = replica; delete from core.llm_metrics where time = {noon}",
        "set session_replication_role = replica; update core.llm_metrics set cost_amount = 2 where time = {noon}",
        "set session_replication_role = replica;"
        " insert into core.llm_metrics (time, request_id, provider, model) values ({noon}, 'replicated', 'p', 'm')",
        "set session_replication_role = replica;"
        " insert into {partition} (time, request_id, provider, model) values ({noon}, 'replicated', 'p', 'm')",
        "insert into core.llm_metrics_default (time, request_id, provider, model)"
        " values (now() - interval '300 days', 'old', 'p', 'm')",
    ],
)
def test_rollups_hear_of_rows_that_are_written_past_the_table(warehouse: str, statement: str) -> None:
    with connect(warehouse) as connection:
        partition = partition_of(connection, 7)
        for each in statement.format(partition=partition, noon=NOON.format(7)).split(";"):
            connection.execute(each.encode())
        connection.execute("reset session_replication_role")
        refresh(warehouse)
        raw = "select count(*), sum(cost_amount) from core.llm_metrics"
        for rollup in ("llm_metrics_daily", "llm_team_daily"):
            stored = f"select sum(request_count)::bigint, sum(cost_amount) from rollups.{rollup}"
            assert connection.execute(stored.encode()).fetchall() == connection.execute(raw.encode()).fetchall()


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_a_partition_cannot_be_truncated(warehouse: str, role: str) -> None:
    with connect(warehouse) as connection:
        partition = partition_of(connection, 7)
        connection.execute(f"set session_replication_role = {role}".encode())
        with pytest.raises(psycopg.errors.RestrictViolation, match="cannot be truncated"):
            connection.execute(f"truncate {partition}".encode())


@pytest.mark.engines("postgres")
def test_an_unguarded_partition_is_found_and_guarded(warehouse: str) -> None:
    with connect(warehouse) as connection:
        partition = partition_of(connection, 7)
        connection.execute(f"drop trigger llm_metrics_log_delete on {partition}".encode())
        (missing,) = verify(warehouse, ["missing_triggers"]).violations
        assert missing.subject == f"llm_metrics_log_delete on {partition}"
        connection.execute(missing.fix.split("`")[1].encode())
        assert verify(warehouse, ["missing_triggers"]).violations == []
