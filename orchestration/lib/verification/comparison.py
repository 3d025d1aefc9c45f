"""Compares the closed days of the rollups with what they are made of, some at a time.

A rule can't read every raw row; what is found is kept, and the rule compared_days_differ shows it.
"""

import time
from datetime import datetime, timedelta

import psycopg

from orchestration.lib.database.connection import Connection
from orchestration.lib.evidence.compared import Search, Searched

# a day that was equal is compared again after this, so that a round has an end
AGAIN_AFTER = timedelta(days=1)
_PAUSE_SECONDS = 1.0

_Day = tuple[str, datetime, datetime]


def compare(connection: Connection, seconds: float) -> Searched:
    """Compare days of rollups until the time is up: those that differed first, then the longest not compared."""
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
    wrong = sum(_differs(connection, day, keeps_difference=True) for day in differing)
    return Searched(compared, len(days) - compared, wrong)


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
            [(differs,)] = connection.execute("select internal.compare_day(%s, %s, %s, %s)", [*day, keeps_difference])
    except psycopg.errors.SerializationFailure:
        return False
    return differs is True


CLOSED_DAYS = Search(
    "compared_days_differ",
    {
        "core.llm_metrics": ["select"],
        "core.system_metrics": ["select"],
        "internal.rollup_comparisons": ["select", "insert", "update", "delete"],
    },
    compare,
)
