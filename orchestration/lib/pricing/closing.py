"""Closes months: what one came to is kept with its fingerprint, and later changes become adjustments of an open one."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.pricing.reprice import Scope, effect
from orchestration.lib.warehouse.refresh import refresh

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True)
class ClosedPeriod:
    """A month that is closed: what it came to by currency, and what has been adjusted since in open months."""

    month: date
    requests: int
    unpriced: int
    totals: dict[str, Decimal]
    adjusted: dict[str, Decimal]
    fingerprint: str
    closed_by: str
    closed_at: datetime

    @property
    def name(self) -> str:
        """Such as 2026-10."""
        return f"{self.month:%Y-%m}"


def close(url: str, period: str, closed_by: str) -> ClosedPeriod:
    """Closes the month `period`, such as 2026-10, of the reporting zone; rollups are refreshed first.

    Raises GovernanceError where it hasn't ended, is closed, or isn't the first one that is open; then nothing is done.
    """
    month = parse_month(period)
    # what comes between this and the closing is settled by the next one
    refresh(url)
    with explained(), connect(url) as connection, connection.transaction():
        # no other closing, no adjustment and no repricing begins meanwhile
        connection.execute(
            "lock table core.closed_periods, core.cost_adjustments, core.price_revisions in share row exclusive mode"
        )
        _check(connection, month)
        connection.execute("select internal.close_period(%s, %s)", [month, closed_by])
    return next(each for each in closed_periods(url) if each.month == month)


def closed_periods(url: str) -> list[ClosedPeriod]:
    """All closed months, the first one first."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select
                p.month, p.requests, p.unpriced_requests, p.totals,
                coalesce(
                    (
                        select jsonb_object_agg(a.currency, a.amount)
                        from (
                            select currency, trim_scale(sum(amount))::text as amount
                            from core.cost_adjustments
                            where kind <> 'entered' and corrects_month = p.month
                            group by 1
                        ) as a
                    ),
                    '{}'
                ),
                p.fingerprint, p.closed_by, p.closed_at
            from core.closed_periods as p
            order by p.month
            """
        ).fetchall()
    return [
        ClosedPeriod(month, requests, unpriced, _amounts(totals), _amounts(adjusted), *rest)
        for month, requests, unpriced, totals, adjusted, *rest in rows
    ]


def open_part(url: str, scope: Scope) -> Scope:
    """What of a repricing is in open months. Raises GovernanceError where it would change a request of a closed one."""
    ends = closed_until(url)
    if ends is None or scope.starts >= ends:
        return scope
    found = effect(url, replace(scope, ends=min(scope.ends, ends)))
    if found:
        raise GovernanceError(
            f"{sum(each.requests for each in found):,} of the requests are of closed months, the last of which is "
            f"{_last_closed(url):%Y-%m}: give --into-closed to charge the difference as adjustments of the open month, "
            "or a later --from"
        )
    return replace(scope, starts=ends, ends=max(ends, scope.ends))


def closed_until(url: str) -> datetime | None:
    """The first instant that is not in a closed month; None where no month is closed."""
    with explained(), connect(url) as connection:
        row = connection.execute("select max(ends_at) from core.closed_periods").fetchone()
    assert row is not None
    ends: datetime | None = row[0]
    return ends.astimezone(UTC) if ends else None


def parse_month(period: str) -> date:
    """The first day of a month that is written as 2026-10."""
    parts = _MONTH.fullmatch(period.strip())
    if parts and int(parts[1]) >= 1 and 1 <= int(parts[2]) <= 12:
        return date(int(parts[1]), int(parts[2]), 1)
    raise GovernanceError(f"{period!r} is not a month: write it as 2026-10")


def _check(connection: "psycopg.Connection[TupleRow]", month: date) -> None:
    row = connection.execute(
        """
        select
            (now() at time zone z.value)::date,
            z.value,
            (select max(month) from core.closed_periods),
            (select min(month) from reporting.period_totals where not is_closed),
            (select min(id) from core.price_revisions where finished_at is null)
        from internal.settings as z
        where z.name = 'reporting_timezone'
        """
    ).fetchone()
    assert row is not None
    today, zone, last_closed, first_open, revision = row
    name = f"{month:%Y-%m}"
    if month > today:
        raise GovernanceError(f"{name} is in the future: a month can be closed when it has ended")
    if month == today.replace(day=1):
        raise GovernanceError(f"{name} has not ended in {zone}: a month can be closed when it has ended")
    if last_closed and month <= last_closed:
        raise GovernanceError(
            f"{name} is closed already: what changes in it is charged as adjustments of the month that is open"
        )
    expected = _next(last_closed) if last_closed else first_open
    if expected is None or month < expected:
        raise GovernanceError(f"there is nothing to close: neither {name} nor a month before it has usage or cost")
    if month != expected:
        raise GovernanceError(f"{name} can't be closed before {expected:%Y-%m}: months are closed in their order")
    if revision is not None:
        raise GovernanceError(f"revision {revision} has not ended: `governance reprice --resume`, then close the month")


def _next(month: date) -> date:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _last_closed(url: str) -> date:
    return closed_periods(url)[-1].month


def _amounts(texts: dict[str, str]) -> dict[str, Decimal]:
    return {currency: Decimal(text) for currency, text in sorted(texts.items())}
