"""Brings the rollups up to the last closed hour; then crossings of budgets and changes of closed months are kept."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import NotBuiltError, explained


@dataclass(frozen=True)
class RefreshedRollup:
    """A rollup after its refresh: buckets before `watermark` are stored, newer ones are computed when asked.

    None where nothing is stored yet, for transactions are open, of any database of the server, that may write anywhere.
    """

    name: str
    watermark: datetime | None

    @property
    def reach(self) -> str:
        """How far it is stored, in words."""
        if self.watermark is None:
            return "nothing stored until the open transactions of the server end, live"
        return f"stored before {self.watermark:%Y-%m-%d %H:%M %Z}, live from there"


def is_built(url: str) -> bool:
    """Whether the database at `url` has rollups, and so whether there is anything to refresh or to drop."""
    with explained(), connect(url) as connection:
        return _is_built(connection)


def refresh(url: str) -> list[RefreshedRollup]:
    """Refresh every rollup of the database at `url`, those that others read first; returns them in that order.

    Afterwards crossings of budgets are looked for (core.budget_crossings), and what changed in closed months becomes
    adjustments of the open one (core.cost_adjustments).

    Raises NotBuiltError before the first build, else GovernanceError.
    """
    # also for those that refresh after something else is done
    with explained("run `governance refresh`"), connect(url) as connection:
        if not _is_built(connection):
            raise NotBuiltError("the database has no rollups yet: run `governance build` first")
        connection.execute("call internal.make_partitions_ahead()")
        # a background job may be refreshing the same rollup; it is done within seconds
        for (name,) in connection.execute(
            "select name from internal.rollup_state order by parent is not null, name"
        ).fetchall():
            with_retries(partial(connection.execute, "call internal.refresh_rollup(%s)", [name]))
        # while the raw rows are there that say which request it was
        connection.execute("select internal.find_budget_crossings()")
        connection.execute("select internal.settle_closed_periods()")
        rows = connection.execute(
            "select name, nullif(watermark, '-infinity') from internal.rollup_state order by parent is not null, name"
        ).fetchall()
    return [RefreshedRollup(name, watermark) for name, watermark in rows]


def _is_built(connection: Connection) -> bool:
    query = "select from internal.rollup_state limit 1"
    return has_relation(connection, "internal.rollup_state") and connection.execute(query).fetchone() is not None
