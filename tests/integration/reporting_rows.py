"""Requests and answers that the tests of the reports share."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from orchestration.lib.database.connection import Connection

USAGE_ROLLUPS = tuple(
    f"llm_{what}_{bucket}"
    for bucket in ("hourly", "daily")
    for what in ("metrics", "team", "spend", "user", "key", "model", "application", "tag")
)
_ids = itertools.count()


def noon(days_ago: int) -> datetime:
    """Noon of a day in UTC, the zone of the tests' warehouse, far from any boundary."""
    today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def running_hour() -> datetime:
    """A time of now: no rollup has stored its hour yet, so reports know it without a refresh."""
    return datetime.now(UTC)


def add_request(connection: Connection, time: datetime, **values: Any) -> None:
    """One request; unpriced unless it has a cost_amount."""
    request = {"time": time, "request_id": f"r-{next(_ids)}", "provider": "openai", "model": "gpt-4o"} | values
    request.setdefault("cost_source", "unpriced" if request.get("cost_amount") is None else "computed")
    connection.execute(
        sql.SQL("insert into core.llm_metrics ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, request)), sql.SQL(", ").join(sql.Placeholder() * len(request))
        ),
        list(request.values()),
    )


def question(view: str, **filters: Any) -> sql.Composed:
    """The query for the rows of a view whose columns equal the filters."""
    conditions: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(wanted)) for name, wanted in filters.items()
    ]
    return sql.SQL("select * from reporting.{} where {}").format(
        sql.Identifier(view), sql.SQL(" and ").join(conditions or [sql.SQL("true")])
    )


def report(connection: Connection, view: str, **filters: Any) -> list[dict[str, Any]]:
    """Rows of a view whose columns equal the filters."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(question(view, **filters)).fetchall()


def executed_plan(connection: Connection, view: str, **filters: Any) -> dict[str, Any]:
    """How PostgreSQL found those rows, with what each step of the plan read."""
    explain = sql.SQL("explain (analyze, format json) ") + question(view, **filters)
    [[[explained]]] = connection.execute(explain).fetchall()
    plan: dict[str, Any] = explained["Plan"]
    return plan


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(rows) == 1, rows
    return rows[0]


def stored_buckets(connection: Connection, rollup: str) -> sql.Identifier:
    """The table that holds a rollup's closed buckets."""
    rows = connection.execute(
        "select split_part(stored, '.', 1), split_part(stored, '.', 2), kind"
        " from internal.rollup_state, internal.stored_relation(name, version) as stored where name = %s",
        [rollup],
    )
    [[schema, name, kind]] = rows
    if kind == "continuous_aggregate":
        rows = connection.execute(
            "select materialization_hypertable_schema, materialization_hypertable_name"
            " from timescaledb_information.continuous_aggregates where view_schema = %s and view_name = %s",
            [schema, name],
        )
        [[schema, name]] = rows
    return sql.Identifier(schema, name)


def rows_read(plan: dict[str, Any], table: str) -> int:
    """How many rows of a table an executed plan touched, also those it threw away."""
    touched = 0
    if plan.get("Relation Name") == table:
        touched = plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    return int(touched) + sum(rows_read(child, table) for child in plan.get("Plans", []))
