"""Brings the rollups up to the last closed hour."""

from dataclasses import dataclass
from datetime import datetime

from orchestration.lib.database import connect


@dataclass(frozen=True)
class RefreshedRollup:
    """A rollup after its refresh: buckets before `watermark` are stored, newer ones are computed when asked."""

    name: str
    watermark: datetime | None


def refresh(url: str | None = None) -> list[RefreshedRollup]:
    """Refresh every rollup of the database at `url`, those that others read first; returns them in that order."""
    with connect(url) as connection:
        connection.execute("call internal.refresh_rollups()")
        rows = connection.execute(
            "select name, watermark from internal.rollup_state order by parent is not null, name"
        ).fetchall()
    return [RefreshedRollup(name, watermark) for name, watermark in rows]
