"""Drops raw rows past their retention; the rollups keep what they hold of them."""

from dataclasses import dataclass
from datetime import datetime

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import explained
from orchestration.lib.warehouse.refresh import refresh


@dataclass(frozen=True)
class DroppedPart:
    """A partition or chunk that was dropped, and the rows it held."""

    series: str
    name: str
    rows: int
    older_than: datetime


def retain(url: str) -> list[DroppedPart]:
    """Drop what is older than the retention of each time-series table of the database at `url`; returns what it was.

    The rollups are refreshed first, so that late rows are counted before they go. Raises NotBuiltError before the first
    build, else GovernanceError.
    """
    refresh(url)
    with explained(), connect(url) as connection:
        floors = connection.execute(
            "select name, internal.raw_floor(name) from internal.time_series order by name"
        ).fetchall()
        return [
            DroppedPart(series, name, rows, floor)
            for series, floor in floors
            for name, rows in connection.execute(
                "select dropped, rows from internal.drop_raw(%s, %s)", [series, floor]
            ).fetchall()
        ]
