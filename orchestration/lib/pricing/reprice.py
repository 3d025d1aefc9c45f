"""Costs requests anew by the prices of today: the effect first, then day by day, each figure that is replaced kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from orchestration.lib.database.chunks import ready_for_chunks
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.money import total

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Scope:
    """Requests from `starts` to before `ends`, of a provider and model as they say it, where these are given."""

    starts: datetime
    ends: datetime
    provider: str | None = None
    model: str | None = None
    only_unpriced: bool = False


@dataclass(frozen=True)
class Effect:
    """What becomes of the requests of a model: those that change, what they cost and would cost, None: unknown."""

    provider: str
    model: str
    old_currency: str
    new_currency: str
    requests: int
    old: Decimal | None
    new: Decimal | None
    # requests that have no cost before and after
    unpriced_before: int
    unpriced_after: int


@dataclass(frozen=True)
class Revision:
    """A repricing as it is remembered."""

    number: int
    reason: str
    scope: Scope
    done_before: datetime
    requests: int


def scope_of_days(
    url: str, first: date | None, last: date | None, provider: str | None, model: str | None, *, only_unpriced: bool
) -> Scope:
    """The requests of days of the reporting zone, from the first to before the last; without one: all there are."""
    with explained(), connect(url) as connection:
        [(starts, ends)] = connection.execute(
            """
            select
                coalesce(%(first)s::timestamp at time zone z.value, (select min(time) from core.llm_metrics), now()),
                coalesce(%(last)s::timestamp at time zone z.value, now() + interval '1 day')
            from internal.settings as z
            where z.name = 'reporting_timezone'
            """,
            {"first": first, "last": last},
        )
    starts, ends = starts.astimezone(UTC), ends.astimezone(UTC)
    if ends <= starts:
        raise GovernanceError(f"--to {last} is not after --from {first}: give the first day, and the first one after")
    return Scope(starts, ends, provider and provider.lower(), model, only_unpriced)


def effect(url: str, scope: Scope) -> list[Effect]:
    """What a repricing would change, by model; writes nothing."""
    found: dict[tuple[str, str, str, str], list[Effect]] = {}
    with explained(), _session(url) as connection:
        for low, high in _slices(connection, scope, scope.starts):
            if _compute(connection, scope, low, high, keeps=False):
                for row in connection.execute(
                    """
                    select
                        provider, model, old_currency, new_currency, count(*),
                        sum(old_cost_amount), sum(new_cost_amount),
                        count(*) - count(old_cost_amount), count(*) - count(new_cost_amount)
                    from pg_temp.repriced
                    group by 1, 2, 3, 4
                    """
                ).fetchall():
                    found.setdefault((row[0], row[1], row[2], row[3]), []).append(Effect(*row))
    return [_united(effects) for _, effects in sorted(found.items())]


def _united(effects: list[Effect]) -> Effect:
    first = effects[0]
    old = [each.old for each in effects if each.old is not None]
    new = [each.new for each in effects if each.new is not None]
    return Effect(
        first.provider,
        first.model,
        first.old_currency,
        first.new_currency,
        sum(each.requests for each in effects),
        total(old) if old else None,
        total(new) if new else None,
        sum(each.unpriced_before for each in effects),
        sum(each.unpriced_after for each in effects),
    )


def begin(url: str, scope: Scope, reason: str, requested_by: str, *, into_closed: bool = False) -> int:
    """Enters a revision, which `proceed` does; returns its number.

    Raises GovernanceError where one was stopped, and where it reaches into a closed month without `into_closed`.
    """
    with explained(), connect(url) as connection, connection.transaction():
        connection.execute("lock table core.price_revisions in share row exclusive mode")
        stopped = _unfinished(connection)
        if stopped:
            raise GovernanceError(
                f"revision {stopped.number} ({stopped.reason}) has not ended: `governance reprice --resume` goes on"
            )
        # a month is closed only while no revision is open, so it stays so until this one has ended
        [(closed,)] = connection.execute(
            "select max(month) from core.closed_periods where ends_at > %s", [scope.starts]
        )
        if closed and not into_closed:
            raise GovernanceError(
                f"{closed:%Y-%m} is closed: give --into-closed to charge the difference as adjustments, "
                "or a later --from"
            )
        [(number,)] = connection.execute(
            """
            insert into core.price_revisions
                (reason, requested_by, from_time, to_time, provider, model, only_unpriced, done_before)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            returning id
            """,
            [
                reason,
                requested_by,
                scope.starts,
                scope.ends,
                scope.provider,
                scope.model,
                scope.only_unpriced,
                scope.starts,
            ],
        )
    return int(number)


def proceed(url: str, progress: Callable[[Revision], None] = lambda revision: None) -> Revision:
    """Does what is left of the revision that has not ended, a day at a time. Rollups follow at a refresh."""
    with explained(), _session(url) as connection:
        [(is_locked,)] = connection.execute("select pg_try_advisory_lock(%s)", [Lock.REPRICE])
        if not is_locked:
            raise GovernanceError("another session is repricing: wait for its end")
        revision = _unfinished(connection)
        if not revision:
            raise GovernanceError("there is no revision that has not ended")
        opened: set[str] = set()
        try:
            for low, high in _slices(connection, revision.scope, revision.done_before):
                with_retries(partial(_reprice, connection, revision, low, high, opened))
                progress(_numbered(connection, revision.number))
        finally:
            if opened and not connection.closed:
                connection.execute("select internal.close_chunks(%s)", [sorted(opened)])
        _finish(connection, revision.number)
        return _numbered(connection, revision.number)


def _reprice(connection: Connection, revision: Revision, low: datetime, high: datetime, opened: set[str]) -> None:
    if _compute(connection, revision.scope, low, high, keeps=True):
        [(chunks,)] = connection.execute(
            "select internal.open_chunks('llm_metrics', array_agg(day), array_agg(rows)) from ("
            "select date_trunc('day', time) as day, count(*) as rows from pg_temp.repriced group by 1) as days"
        )
        opened.update(chunks or [])
    # one transaction: the figures, what they replace, and how far it is done
    connection.execute("select internal.reprice(%s, %s, %s)", [revision.number, low, high])


def _finish(connection: Connection, number: int) -> None:
    connection.execute(
        f"""
        update core.price_revisions
        set
            finished_at = clock_timestamp(),
            old_totals = coalesce({_TOTALS.format("old")}, '{{}}'),
            new_totals = coalesce({_TOTALS.format("new")}, '{{}}')
        where id = %(number)s
        """,  # noqa: S608 - of this module's own words
        {"number": number},
    )


_TOTALS = """(
                select jsonb_object_agg(currency, total::text)
                from (
                    select {0}_currency as currency, trim_scale(sum({0}_cost_amount)) as total
                    from core.price_revision_rows
                    where revision_id = %(number)s and {0}_cost_amount is not null
                    group by 1
                ) as totals
            )"""


@contextmanager
def _session(url: str) -> Iterator[Connection]:
    with connect(url) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set jit = off")
        connection.execute("set work_mem = '64MB'")
        # the temporary tables have no statistics, so the planner might choose one for joins of whole days
        connection.execute("set enable_nestloop = off")
        ready_for_chunks(connection)
        yield connection


def _compute(connection: Connection, scope: Scope, low: datetime, high: datetime, *, keeps: bool) -> int:
    [(requests,)] = connection.execute(
        "select internal.begin_repricing(%s, %s, %s, %s, %s, %s)",
        [low, high, scope.provider, scope.model, scope.only_unpriced, keeps],
    )
    return int(requests)


def _slices(connection: Connection, scope: Scope, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Days of UTC, as far as there are requests."""
    [(first, last)] = connection.execute(
        "select min(time), max(time) from core.llm_metrics where time >= %s and time < %s", [since, scope.ends]
    )
    if first is None:
        return
    low = max(since, first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    while low <= last and low < scope.ends:
        midnight = low.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        high = min(midnight, scope.ends)
        yield low, high
        low = high


def _unfinished(connection: Connection) -> Revision | None:
    row = connection.execute(f"{_REVISIONS} where finished_at is null order by id limit 1").fetchone()
    return _revision(row) if row else None


def _numbered(connection: Connection, number: int) -> Revision:
    [row] = connection.execute(f"{_REVISIONS} where id = %s", [number])
    return _revision(row)


_REVISIONS = (
    "select id, reason, from_time, to_time, provider, model, only_unpriced, done_before, requests"
    " from core.price_revisions"
)


def _revision(row: "TupleRow") -> Revision:
    number, reason, starts, ends, provider, model, only_unpriced, done_before, requests = row
    scope = Scope(starts.astimezone(UTC), ends.astimezone(UTC), provider, model, only_unpriced)
    return Revision(number, reason, scope, done_before.astimezone(UTC), requests)
