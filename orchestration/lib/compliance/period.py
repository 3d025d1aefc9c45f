"""Periods of reports: calendar days, weeks, months, quarters and years of a time zone, each up to before its end."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError

_FORMS = "2026-10 (a month), 2026-Q3, 2026-W47, 2026-11-27, 2026, or last-day, last-week, last-month, last-quarter"


@dataclass(frozen=True)
class Period:
    """Local days from `first` up to before `after`; `name` is how it is written, such as 2026-10."""

    kind: str
    name: str
    first: date
    after: date
    zone: str

    @property
    def start(self) -> datetime:
        """Its first instant, in UTC."""
        return self._instant(self.first)

    @property
    def end(self) -> datetime:
        """The first instant after it, in UTC."""
        return self._instant(self.after)

    @property
    def last(self) -> date:
        """Its last local day."""
        return self.after - timedelta(days=1)

    def previous(self) -> "Period":
        """The period of the same kind before it."""
        return of_day(self.kind, self.first - timedelta(days=1), self.zone)

    def _instant(self, day: date) -> datetime:
        # midnight that a clock change skips is the first instant after it
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)


def now(connection: Connection) -> tuple[datetime, str, date]:
    """The moment of the connection's transaction in UTC, the reporting zone, and the local day there."""
    [(moment, zone)] = connection.execute("select now(), zone from reporting.reporting_zone")
    return moment.astimezone(UTC), zone, moment.astimezone(ZoneInfo(zone)).date()


def parsed(text: str, zone: str, today: date) -> Period:
    """A period as a user writes it; `today` is the local day that last-month and the like are counted from.

    Raises GovernanceError where it is none.
    """
    if (found := _read(text, zone, today)) is not None:
        return found
    raise GovernanceError(f"{text!r} is no period: give one such as {_FORMS}")


def parsed_month(text: str, zone: str, today: date) -> Period:
    """A month as a user writes it, for what is done by month.

    Raises GovernanceError where it is none.
    """
    if (found := _read(text, zone, today)) is not None and found.kind == "month":
        return found
    raise GovernanceError(f"{text!r} is not a month: write it as 2026-10, or last-month")


def of_day(kind: str, day: date, zone: str) -> Period:
    """The period of this kind that has the day."""
    if kind == "day":
        return Period(kind, f"{day}", day, day + timedelta(days=1), zone)
    if kind == "week":
        first = day - timedelta(days=day.weekday())
        year, week, _ = first.isocalendar()
        return Period(kind, f"{year}-W{week:02d}", first, first + timedelta(days=7), zone)
    months = {"month": 1, "quarter": 3, "year": 12}[kind]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    beyond = first.month + months
    after = date(first.year + (beyond - 1) // 12, (beyond - 1) % 12 + 1, 1)
    name = {"month": f"{first:%Y-%m}", "quarter": f"{first.year}-Q{first.month // 3 + 1}", "year": f"{first.year}"}[
        kind
    ]
    return Period(kind, name, first, after, zone)


def _read(text: str, zone: str, today: date) -> Period | None:
    if (found := re.fullmatch("last-(day|week|month|quarter|year)", text)) is not None:
        return of_day(found[1], today, zone).previous()
    for pattern, kind, first in _WRITTEN:
        if (match := re.fullmatch(pattern, text)) is not None:
            try:
                return of_day(kind, first(match), zone)
            except (ValueError, OverflowError) as error:
                raise GovernanceError(f"{text!r} is no {kind} of the calendar: {error}") from error
    return None


_WRITTEN: tuple[tuple[str, str, Callable[[re.Match[str]], date]], ...] = (
    (r"(\d{4})-(\d{2})-(\d{2})", "day", lambda match: date(int(match[1]), int(match[2]), int(match[3]))),
    (r"(\d{4})-W(\d{2})", "week", lambda match: date.fromisocalendar(int(match[1]), int(match[2]), 1)),
    (r"(\d{4})-(\d{2})", "month", lambda match: date(int(match[1]), int(match[2]), 1)),
    (r"(\d{4})-Q([1-4])", "quarter", lambda match: date(int(match[1]), int(match[2]) * 3 - 2, 1)),
    (r"(\d{4})", "year", lambda match: date(int(match[1]), 1, 1)),
)
