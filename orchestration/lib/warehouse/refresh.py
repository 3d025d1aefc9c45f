"""Brings the rollups up to the last closed hour."""

import time
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import NotBuiltError, explained

# a background job may be refreshing the same rollup; it is done within seconds
_ATTEMPTS, _PAUSE_SECONDS = 20, 1.0


@dataclass(frozen=True)
class RefreshedRollup:
    """A rollup after its refresh: buckets before `watermark` are stored, newer ones are computed when asked."""

    name: str
    watermark: datetime | None


def is_built(url: str) -> bool:
    """Whether the database at `url` has rollups, and so whether there is anything to refresh or to drop."""
    with explained(), connect(url) as connection:
        return _is_built(connection)


def refresh(url: str) -> list[RefreshedRollup]:
    """Refresh every rollup of the database at `url`, those that others read first; returns them in that order.

    Raises NotBuiltError before the first build, else GovernanceError.
    """
    with explained(), connect(url) as connection:
        if not _is_built(connection):
            raise NotBuiltError("the database has no rollups yet: run `governance build` first")
        connection.execute("call internal.make_partitions_ahead()")
        for (name,) in connection.execute(
            "select name from internal.rollup_state order by parent is not null, name"
        ).fetchall():
            _refresh_rollup(connection, name)
        rows = connection.execute(
            "select name, watermark from internal.rollup_state order by parent is not null, name"
        ).fetchall()
    return [RefreshedRollup(name, watermark) for name, watermark in rows]


def _is_built(connection: "psycopg.Connection[TupleRow]") -> bool:
    query = "select to_regclass('internal.rollup_state') is not null"
    if connection.execute(query).fetchone() != (True,):
        return False
    return connection.execute("select exists (select from internal.rollup_state)").fetchone() == (True,)


def _refresh_rollup(connection: "psycopg.Connection[TupleRow]", name: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            connection.execute("call internal.refresh_rollup(%s)", [name])
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)
