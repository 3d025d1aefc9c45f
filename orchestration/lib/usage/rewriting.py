"""Writes other values into rows of core.llm_metrics that are stored, also into compressed chunks, and back again."""
# ruff: noqa: S608 - statements are built of this module's own words and quoted values

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from orchestration.lib.database.connection import Connection
from orchestration.lib.usage.costing import COMPUTED
from orchestration.lib.usage.reading import listed, quoted
from orchestration.lib.usage.record import TARGETS

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

# up to so many rows of a day are written one by one; for more their chunk is decompressed before (open_chunks)
_FEW = 300
_COLUMNS = listed(name for name in (*TARGETS, *COMPUTED) if name not in ("time", "request_id", "source"))
# columns that order a compressed chunk: with them as constants only the thousand rows around one are decompressed
_ORDER = ("team_id", "model", "user_id")


def rewrite(connection: Connection, into: str, changes: str, values: str) -> int:
    """Writes the JSON objects in the column `values` of `changes` (request_id, time, …) over the columns they name.

    In a transaction that is open. Returns the number of rows; raises SerializationFailure if one is gone.
    """
    days = connection.execute(
        f"select date_trunc('day', time, 'UTC'), count(*) from {changes} group by 1 order by 1"
    ).fetchall()
    is_compressing = _one(connection, "select exists (select from pg_extension where extname = 'timescaledb')")[0]
    written = 0
    for day, rows in days:
        bounds = {
            alias: f"{alias}.time >= {quoted(day)} and {alias}.time < {quoted(day)} + interval '1 day'"
            for alias in "cm"
        }
        if is_compressing and rows <= _FEW:
            written += _one_by_one(connection, into, changes, values, bounds)
        else:
            with _lookups(connection):
                written += connection.execute(
                    f"update {into} as m set {_setting(f'c.{values}')} from {changes} as c"
                    f" where m.request_id = c.request_id and m.time = c.time and {bounds['c']} and {bounds['m']}"
                ).rowcount
    if written != sum(rows for _, rows in days):
        raise psycopg.errors.SerializationFailure("a request that is to be changed is gone")
    return written


def _one_by_one(connection: Connection, into: str, changes: str, values: str, bounds: dict[str, str]) -> int:
    rows = connection.execute(
        f"""
        select c.request_id, c.time, c.{values}::text, {listed(f"m.{name}" for name in _ORDER)}
        from {changes} as c
        cross join lateral (
            select {listed(_ORDER)} from {into} as m
            where m.request_id = c.request_id and m.time = c.time and {bounds["m"]}
            limit 1
        ) as m
        where {bounds["c"]}
        """
    ).fetchall()
    written = 0
    for request_id, time, said, *order in rows:
        conditions = [f"m.request_id = {quoted(request_id)}", f"m.time = {quoted(time)}"]
        conditions += [
            f"m.{name} is null" if value is None else f"m.{name} = {quoted(value)}"
            for name, value in zip(_ORDER, order, strict=True)
        ]
        written += connection.execute(
            f"update {into} as m set {_setting(f'{quoted(said)}::jsonb')} where {' and '.join(conditions)}"
        ).rowcount
    return written


def _setting(said: str) -> str:
    return f"({_COLUMNS}) = (select {_COLUMNS} from jsonb_populate_record(m, {said}))"


@contextmanager
def _lookups(connection: Connection) -> Iterator[None]:
    """Rows are looked up by the index one by one, whatever statistics of a table say that is filling just now."""
    wanted = {"enable_nestloop": "on", "enable_hashjoin": "off", "enable_mergejoin": "off"}
    before = _one(connection, f"select {listed(f'current_setting({quoted(name)})' for name in wanted)}")
    for name, value in wanted.items():
        connection.execute(f"set local {name} = {value}")
    yield
    for name, value in zip(wanted, before, strict=True):
        connection.execute(f"set local {name} = {value}")


def _one(connection: Connection, query: str) -> "TupleRow":
    [row] = connection.execute(query)
    return row
