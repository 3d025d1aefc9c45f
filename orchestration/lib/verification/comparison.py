"""Compares the closed days of the rollups with what they are made of, some at a time.

A rule can't read every raw row; what is found is kept, and the rule compared_days_differ shows it.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.evidence.compared import compared
from orchestration.lib.evidence.result import Verification

# a day that was equal is compared again after this, so that a round has an end
AGAIN_AFTER = timedelta(days=1)
_PAUSE_SECONDS = 1.0

_NEEDS = {
    "core.llm_metrics": ["select"],
    "core.system_metrics": ["select"],
    "internal.rollup_comparisons": ["select", "insert", "update", "delete"],
}

_Day = tuple[str, datetime, datetime]


@dataclass(frozen=True)
class Comparison:
    """How many days of rollups were compared just now, how many are left, and how many of those compared differ."""

    compared: int
    left: int
    differing: int


def compare_rollups(url: str, *, seconds: float) -> Comparison:
    """Compare days of rollups until the time is up: those that differed first, then the longest not compared.

    What was begun is ended. Needs the owner's rights.
    """
    with connect(url) as connection:
        return compare(connection, seconds=seconds)


def compare_closed_days(url: str, /, *, seconds: float) -> Verification:
    """As a collector: what is found is shown by the rule compared_days_differ. A role that may not compare doesn't."""
    return compared("compared_days_differ", url, _NEEDS, partial(compare, seconds=seconds))


def compare(connection: Connection, *, seconds: float) -> Comparison:
    """As compare_rollups, on a connection in autocommit mode."""
    deadline = time.monotonic() + seconds
    _forget(connection)
    days = _due(connection)
    compared = 0
    differing = []
    for day in days:
        if time.monotonic() >= deadline:
            break
        compared += 1
        if _differs(connection, day, keeps_difference=False):
            differing.append(day)
    if differing:
        # a refresh of a continuous aggregate, which takes several transactions, may have been at work
        time.sleep(_PAUSE_SECONDS)
    return Comparison(
        compared, len(days) - compared, sum(_differs(connection, day, keeps_difference=True) for day in differing)
    )


def _forget(connection: Connection) -> None:
    """Drops what was found about days that raw rows no longer cover, or about older versions."""
    connection.execute(
        "delete from internal.rollup_comparisons as c using internal.rollup_state as r"
        " inner join internal.time_series as t on t.name = r.source"
        " where r.name = c.rollup and ("
        "c.version <> r.version or c.low < internal.raw_floor(r.source)"
        " or r.kept + t.gone && tstzrange(c.low, c.high))"
    )


def _due(connection: Connection) -> list[_Day]:
    return connection.execute(
        """
        select due.rollup, due.low, due.high
        from internal.days_to_compare(%s) as due
        left join internal.rollup_comparisons as c on c.rollup = due.rollup and c.low = due.low
        order by c.differs desc nulls last, c.compared_at nulls first, due.low desc, due.rollup
        """,
        [AGAIN_AFTER],
    ).fetchall()


def _differs(connection: Connection, day: _Day, *, keeps_difference: bool) -> bool:
    """No for a day that still waits for a refresh, or that another session compares."""
    try:
        # one snapshot, in which a row and the note that a rollup has to recompute it are both there or not
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            row = connection.execute("select internal.compare_day(%s, %s, %s, %s)", [*day, keeps_difference]).fetchone()
    except psycopg.errors.SerializationFailure:
        return False
    return row is not None and row[0] is True
