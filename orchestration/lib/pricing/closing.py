"""Closes months: what one came to is kept with its fingerprint, and later changes become adjustments of an open one."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from orchestration.lib.compliance.period import Period, now, parsed_month
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.pricing.reprice import Scope, effect
from orchestration.lib.warehouse.refresh import refresh


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


def close(url: str, said: str, closed_by: str, *, through: bool = False, is_trial: bool = False) -> list[ClosedPeriod]:
    """Closes a month, such as 2026-10 or last-month, of the reporting zone; rollups are refreshed first.

    With `through` all months before it that are open are closed too, all or none. Returns what was closed, the first
    one first; a trial returns the same and closes nothing. Raises GovernanceError where the month hasn't ended, is
    closed, or isn't the first one that is open; then nothing is done.
    """
    # what comes between this and the closing is settled by the next one
    refresh(url)
    with explained(), connect(url) as connection, connection.transaction(force_rollback=is_trial):
        # no other closing, no adjustment and no repricing begins meanwhile
        connection.execute(
            "lock table core.closed_periods, core.cost_adjustments, core.price_revisions in share row exclusive mode"
        )
        _, zone, today = now(connection)
        last = parsed_month(said, zone, today)
        first = month = _first_open(connection, last, today, through=through)
        while month < last.after:
            connection.execute("select internal.close_period(%s, %s)", [month, closed_by])
            month = _next(month)
        return [each for each in _closed(connection) if each.month >= first]


def closed_periods(url: str) -> list[ClosedPeriod]:
    """All closed months, the first one first."""
    with explained(), connect(url) as connection:
        return _closed(connection)


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
        [(ends,)] = connection.execute("select max(ends_at) from core.closed_periods")
    return ends.astimezone(UTC) if ends else None


def _first_open(connection: Connection, month: Period, today: date, *, through: bool) -> date:
    """The first month that is open, which is the one to close, or with `through` it or one before it."""
    [(last_closed, with_usage, revision)] = connection.execute(
        """
        select
            (select max(month) from core.closed_periods),
            (select min(month) from reporting.period_totals where not is_closed),
            (select min(id) from core.price_revisions where finished_at is null)
        """
    )
    if month.first > today:
        raise GovernanceError(f"{month.name} is in the future: a month can be closed when it has ended")
    if month.after > today:
        raise GovernanceError(f"{month.name} has not ended in {month.zone}: a month can be closed when it has ended")
    if last_closed and month.first <= last_closed:
        raise GovernanceError(
            f"{month.name} is closed already: what changes in it is charged as adjustments of the month that is open"
        )
    first: date | None = _next(last_closed) if last_closed else with_usage
    if first is None or month.first < first:
        raise GovernanceError(
            f"there is nothing to close: neither {month.name} nor a month before it has usage or cost"
        )
    if month.first != first and not through:
        raise GovernanceError(
            f"{month.name} can't be closed before {first:%Y-%m}: months are closed in their order; "
            f"`governance close --through {month.name}` closes all that are open up to it"
        )
    if revision is not None:
        raise GovernanceError(f"revision {revision} has not ended: `governance reprice --resume`, then close the month")
    return first


def _closed(connection: Connection) -> list[ClosedPeriod]:
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


def _next(month: date) -> date:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _last_closed(url: str) -> date:
    return closed_periods(url)[-1].month


def _amounts(texts: dict[str, str]) -> dict[str, Decimal]:
    return {currency: Decimal(text) for currency, text in sorted(texts.items())}
