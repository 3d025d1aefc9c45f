"""Usage on both sides of the raw floor, and what the rollups say of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from engines import Engine
from psycopg.rows import TupleRow
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh

# the next one: it stays open while the tests run
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
NOON = HOUR.replace(hour=12)
OLD = NOON - timedelta(days=600)
# raw rows are dropped up to here, in the middle of an hour and of a day
FLOOR = NOON - timedelta(days=300) + timedelta(minutes=30)
KEPT = NOON - timedelta(days=20)


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
    connection: Connection, name: str, time: datetime, cost: str, *, provider: str = "p", status: str = "success"
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
    query = "select sum(request_count)::int, sum(cost_amount) from rollups."
    with connect(url) as connection:
        return [
            row
            for rollup in rollups or USAGE_ROLLUPS
            for row in connection.execute(f"{query}{rollup}".encode()).fetchall()
        ]


def kind(engine: Engine) -> str:
    return "continuous_aggregate" if engine.name == "timescaledb" else "incremental"
