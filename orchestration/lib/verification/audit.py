"""Computes the checksums of the audit trail, some days at a time.

A rule can't compute all of them; which entries are altered is kept, and the rule audit_checksum_mismatch shows them.
"""

import time
from datetime import date, timedelta

from orchestration.lib.database.connection import Connection
from orchestration.lib.evidence.compared import Search, Searched

# a day without an altered entry is checked again after this, so that a round has an end
AGAIN_AFTER = timedelta(days=1)


def check(connection: Connection, seconds: float) -> Searched:
    """Check days until the time is up: those with altered entries first, then the longest not checked."""
    deadline = time.monotonic() + seconds
    days = _due(connection)
    checked = altered = 0
    for day in days:
        if time.monotonic() >= deadline:
            break
        checked += 1
        altered += _altered(connection, day)
    return Searched(checked, len(days) - checked, altered)


def _due(connection: Connection) -> list[date]:
    """Days that are over. The oldest entry of a finite time is found by the index."""
    rows = connection.execute(
        """
        select due.day::date
        from generate_series(
            (
                select date_trunc('day', min(recorded_at), 'UTC') at time zone 'UTC'
                from core.audit_logs
                where recorded_at > '-infinity' and recorded_at < 'infinity'
            ),
            date_trunc('day', now(), 'UTC') at time zone 'UTC' - interval '1 day',
            interval '1 day'
        ) as due (day)
        left join internal.audit_checks as checks on checks.day = due.day::date
        where checks.day is null or checks.altered <> '{}' or checks.checked_at < now() - %s
        order by checks.altered <> '{}' desc nulls last, checks.checked_at nulls first, due.day desc
        """,
        [AGAIN_AFTER],
    ).fetchall()
    return [day for (day,) in rows]


def _altered(connection: Connection, day: date) -> int:
    [(number,)] = connection.execute(
        """
        insert into internal.audit_checks as checks (day, altered)
        select %(day)s, coalesce((array_agg(id order by recorded_at, id))[:1000], '{}')
        from verification.altered_entries
        where recorded_at >= %(day)s::timestamp at time zone 'UTC'
            and recorded_at < (%(day)s::date + 1)::timestamp at time zone 'UTC'
        on conflict (day) do update set checked_at = now(), altered = excluded.altered
        returning cardinality(altered)
        """,
        {"day": day},
    )
    return int(number)


AUDIT_TRAIL = Search(
    "audit_checksum_mismatch",
    {
        "core.audit_logs": ["select"],
        "verification.altered_entries": ["select"],
        "internal.audit_checks": ["select", "insert", "update"],
    },
    check,
)
