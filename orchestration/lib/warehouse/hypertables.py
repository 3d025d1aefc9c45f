"""Moves the time-series tables of a database that began with native partitions to TimescaleDB's hypertables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.retry import with_retries
from orchestration.lib.dbt.runner import run_operation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.words import counted

_COMMAND = "governance move-to-hypertables"


@dataclass(frozen=True)
class SeriesPlan:
    """A table to move: its partitions that are left, their rows by the planner's estimate, and their bytes."""

    name: str
    begun: bool
    partitions: int
    rows: int
    size: int
    largest: int

    def __str__(self) -> str:
        partitions, rows = counted(self.partitions, "partition"), counted(self.rows, "row")
        return (
            f"{self.name}: {partitions} with about {rows} and {self.size / 1e6:,.0f} MB"
            f"{' left' if self.begun else ''}, the largest of {self.largest / 1e6:,.0f} MB"
        )


def plan(url: str) -> list[SeriesPlan]:
    """What is to be moved in the database at `url`; empty where nothing is.

    Raises GovernanceError where it can't be moved.
    """
    with connect(url) as connection:
        return _plan(connection)


def move_to_hypertables(
    url: str, dbt_options: Sequence[str] = (), *, notify: Callable[[str], None] = lambda message: None
) -> None:
    """Move llm_metrics and system_metrics and build, dbt with `dbt_options`; run again after a stop it goes on.

    Raises GovernanceError.
    """
    with connect(url) as connection:
        series = _plan(connection)
    if series:
        run_operation("assert_moves_to_hypertables", url=url, options=dbt_options)
        with connect(url) as connection:
            with connection.transaction():
                connection.execute("set local lock_timeout = '5s'")
                # writers are refused from here on
                for each in series:
                    _step(connection, "select internal.begin_move(%s)", each.name)
            for each in series:
                left = each.partitions
                while (part := _step(connection, "select * from internal.move_next_partition(%s)", each.name))[0]:
                    left = max(left - 1, 0)
                    rows, ahead = counted(part[1], "row"), counted(left, "partition")
                    notify(f"{each.name}: moved {part[0]} with {rows}, {ahead} left")
        run_operation("end_move_to_hypertables", url=url, options=dbt_options)
        notify("the tables are hypertables and can be written to; the build brings policies and rollups")
    build_warehouse(list(dbt_options), url)


def _plan(connection: Connection) -> list[SeriesPlan]:
    [(is_built, has_extension)] = connection.execute(
        "select to_regclass('core.llm_metrics') is not null and to_regproc('internal.begin_move') is not null,"
        " exists (select from pg_extension where extname = 'timescaledb')"
    )
    if not is_built:
        raise GovernanceError("this release of the warehouse isn't built in the database: run `governance build` first")
    if not has_extension:
        raise GovernanceError(
            "the database has no TimescaleDB: install it, name it in shared_preload_libraries, restart the server and "
            "run `governance build`, which creates the extension"
        )
    return [
        SeriesPlan(*found)
        for found in connection.execute(
            """
            select t.name, c.relkind = 'v', count(i.inhrelid)::int, coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint,
                coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint,
                coalesce(max(pg_total_relation_size(i.inhrelid)), 0)::bigint
            from internal.time_series as t
            inner join pg_class as c on c.oid = format('core.%I', t.name)::regclass and c.relkind in ('p', 'v')
            cross join lateral (select case c.relkind when 'v' then 'moving' else 'core' end as schema) as n
            left join pg_inherits as i on i.inhparent = to_regclass(format('%I.%I', n.schema, t.name))
            left join pg_class as p on p.oid = i.inhrelid
            group by 1, 2
            order by t.name = 'llm_metrics', 1
            """
        ).fetchall()
    ]


def _step(connection: Connection, query: str, name: str) -> TupleRow:
    """One step, in a transaction of its own or in the caller's; tried again where a reader has the table open."""

    def act() -> TupleRow:
        with connection.transaction():
            connection.execute("set local lock_timeout = '5s'")
            [row] = connection.execute(query.encode(), [name])
        return row

    try:
        return with_retries(act)
    except psycopg.errors.LockNotAvailable as error:
        raise GovernanceError(
            f"{name} stayed locked by other transactions: see pg_locks, end them and run `{_COMMAND}` again"
        ) from error
