"""Brings the rollups up to the last closed hour."""

import time
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.database import connect

# a background job may be refreshing the same rollup; it is done within seconds
_ATTEMPTS, _PAUSE_SECONDS = 20, 1.0


@dataclass(frozen=True)
class RefreshedRollup:
    """A rollup after its refresh: buckets before `watermark` are stored, newer ones are computed when asked."""

    name: str
    watermark: datetime | None


def refresh(url: str | None = None) -> list[RefreshedRollup]:
    """Refresh every rollup of the database at `url`, those that others read first; returns them in that order."""
    with connect(url) as connection:
        connection.execute("call internal.make_partitions_ahead()")
        for (name,) in connection.execute(
            "select name from internal.rollup_state order by parent is not null, name"
        ).fetchall():
            _refresh_rollup(connection, name)
        rows = connection.execute(
            "select name, watermark from internal.rollup_state order by parent is not null, name"
        ).fetchall()
    return [RefreshedRollup(name, watermark) for name, watermark in rows]


def _refresh_rollup(connection: "psycopg.Connection[TupleRow]", name: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            connection.execute("call internal.refresh_rollup(%s)", [name])
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)
