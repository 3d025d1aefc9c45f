"""The result of dbt's last run of each node, kept in the database, where Dagster finds it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.database.locks import Lock
from orchestration.lib.database.rights import may
from orchestration.lib.errors import explained

if TYPE_CHECKING:
    from dbt.artifacts.schemas.results import NodeResult as DbtResult

# of the others nothing was done, or Dagster doesn't show them
_KINDS = ("model.", "seed.", "test.")
_STATUSES = ("success", "pass", "warn", "fail", "error", "runtime error")
# PostgreSQL in WebAssembly takes no message over 64 KB
_AT_ONCE = 100


@dataclass(frozen=True)
class NodeResult:
    """How the last run of a node by the command line ended: its unique id in dbt, and the status that dbt gave it.

    `failures` counts the rows that a test found.
    """

    node: str
    status: str
    failures: int | None
    seconds: float
    finished_at: datetime
    recorded_at: datetime


def record_results(url: str, results: "Iterable[DbtResult]") -> None:
    """Keep what dbt did in the database at `url`; does nothing before the first build, nor for a role that only reads.

    Raises GovernanceError.
    """
    rows = list(_rows(results))
    if not rows:
        return
    with explained(), connect(url) as connection:
        if may(connection, {"internal.dbt_results": ["insert", "update"]}):
            _record(connection, rows)


def results_since(connection: Connection, recorded_at: datetime | None) -> list[NodeResult]:
    """What was recorded after that instant, or ever, oldest first; nothing where nothing can be recorded."""
    if not has_relation(connection, "internal.dbt_results"):
        return []
    with connection.cursor(row_factory=class_row(NodeResult)) as cursor:
        return cursor.execute(
            "select node, status, failures, seconds, finished_at, recorded_at from internal.dbt_results"
            " where recorded_at > coalesce(%s::timestamptz, '-infinity') order by recorded_at, node",
            [recorded_at],
        ).fetchall()


def _record(connection: Connection, rows: list[dict[str, object]]) -> None:
    from dbt_common.invocation import get_invocation_id

    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [Lock.DBT_RESULTS])
        for start in range(0, len(rows), _AT_ONCE):
            connection.execute(
                "insert into internal.dbt_results"
                " (node, status, failures, seconds, finished_at, recorded_at, invocation)"
                " select node, status, failures, seconds, finished_at, clock_timestamp(), %s"
                " from jsonb_to_recordset(%s::jsonb) as results"
                " (node text, status text, failures bigint, seconds double precision, finished_at timestamptz)"
                " on conflict (node) do update set status = excluded.status, failures = excluded.failures,"
                " seconds = excluded.seconds, finished_at = excluded.finished_at, recorded_at = excluded.recorded_at,"
                " invocation = excluded.invocation",
                [get_invocation_id(), json.dumps(rows[start : start + _AT_ONCE])],
            )


def _rows(results: "Iterable[DbtResult]") -> Iterator[dict[str, object]]:
    for each in results:
        if each.node.unique_id.startswith(_KINDS) and each.status in _STATUSES:
            finished_at = next((step.completed_at for step in reversed(each.timing)), None) or datetime.now(UTC)
            yield {
                "node": each.node.unique_id,
                "status": "error" if each.status == "runtime error" else str(each.status),
                "failures": each.failures,
                "seconds": each.execution_time,
                "finished_at": finished_at.replace(tzinfo=finished_at.tzinfo or UTC).isoformat(),
            }
