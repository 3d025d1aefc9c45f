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
        series = connection.execute("select name from internal.time_series order by name").fetchall()
        return [
            DroppedPart(name, part, rows, older_than)
            for (name,) in series
            for part, rows, older_than in connection.execute(
                "select dropped, rows, older_than from internal.drop_past_retention(%s)", [name]
            ).fetchall()
        ]
