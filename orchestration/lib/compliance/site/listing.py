"""Tables of the pages, and what a cell of one looks like."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orchestration.lib.compliance.cells import COUNTS, HEADINGS, MONEY, SHARES, heading, percent
from orchestration.lib.compliance.render import as_csv
from orchestration.lib.compliance.site.plots import amount
from orchestration.lib.compliance.tables import as_text

# how many rows of a table a page shows; its CSV has all
SHOWN = 250
# where the report has another heading, or none
_HEADINGS = HEADINGS | {
    "change_share": "Change",
    "is_on_allowlist": "On an allow-list",
    "latency_p50_ms": "Median, ms",
    "latency_p95_ms": "95th percentile, ms",
    "oldest_open_at": "Oldest open",
    "raised_7d": "Raised in 7 days",
    "raised_30d": "Raised in 30 days",
    "policy_type": "Type",
    "requests_24h": "Requests in 24 hours",
    "requests_30d": "Requests in 30 days",
    "requests_blocked": "Blocked",
    "requests_evaluated": "Evaluated",
    "requests_flagged": "Flagged",
    "target_kind": "Kind",
    "team_coverage": "Of teams",
    "threshold": "Reached",
    "unpriced_requests": "Without a price",
    "user_coverage": "Of people",
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
_TIME = re.compile(r"\d{4}-\d\d-\d\d")
_LONG = {"accepted_by", "condition", "effect", "recommendation", "subject"}
_STATES = {"error": "problem", "warn": "attention", "info": "info"} | {
    "critical": "problem", "high": "problem", "medium": "attention", "low": "info"
}  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """A table and its CSV.

    `pages` has the page that the first column of each row leads to, `bar` names the column that is drawn as bars too.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[str | None]]
    pages: Sequence[str | None] = ()
    bar: str | None = None
    about: str = ""
    empty: str = "No row."
    # money or counts: its columns but the first are named after things, and hold that
    of_series: str = ""

    @property
    def csv(self) -> str:
        """All rows, for a spreadsheet."""
        return as_csv(self.columns, self.rows)

    def heading(self, column: str) -> str:
        """What stands above a column."""
        if self.of_series and column != self.columns[0]:
            return column
        return _HEADINGS.get(column) or heading(column.removesuffix("_at"))

    def look(self, value: str | None, column: str) -> str:
        """The class of a cell: a number, a time, which stays on one line, or a text, and how much room that needs."""
        if self.is_number(column):
            return "number"
        if column in _LONG:
            return "long"
        if value and _TIME.match(value):
            return "whole"
        return "some" if column in ("roles", "issues", "self_granted_roles") and value else "text"

    def is_number(self, column: str) -> bool:
        """Whether a column is aligned and sorted as numbers."""
        return column != self.columns[0] if self.of_series else column in MONEY | COUNTS | SHARES

    def cell(self, value: str | None, column: str) -> str:
        """For reading: money to the cent, counts with separators, shares in percent; the CSV has them as they are."""
        if value is None or value == "":
            return "\N{EN DASH}"
        is_of_thing = self.of_series and column != self.columns[0]
        if (self.of_series == "money" and is_of_thing) or (not self.of_series and column in MONEY):
            return amount(Decimal(value))
        if is_of_thing or (not self.of_series and column in COUNTS):
            # means of hours are not whole
            return f"{Decimal(value):,.{1 if column.startswith('hours_') else 0}f}"
        if column in SHARES:
            sign = "+" if column == "change_share" else ""
            return f"{Decimal(value):{sign}.1%}".replace("%", "\N{NO-BREAK SPACE}%")
        return value[:16] if _MOMENT.fullmatch(value) else value

    @property
    def shown(self) -> list[list[str | None]]:
        """The rows that the page shows."""
        return self.rows[:SHOWN]

    def cells(self) -> list[list[tuple[str, str, str, str | None]]]:
        """Of each shown row: what a cell holds, what it says, its class, and how much it matters.

        All at once: a site has fifty thousand cells, and a template takes long to ask for each.
        """
        return [
            [
                (value or "", self.cell(value, column), self.look(value, column), state(value, column))
                for value, column in zip(row, self.columns, strict=True)
            ]
            for row in self.shown
        ]

    def bars(self) -> Sequence[str | None]:
        """How long the bar of each shown row is, in percent of the longest of its currency."""
        if self.bar is None:
            return [None] * len(self.shown)
        place = self.columns.index(self.bar)
        unit = self.columns.index("currency") if "currency" in self.columns and self.bar in MONEY else None
        units = [row[unit] if unit is not None else None for row in self.rows]
        values = [max(Decimal(row[place] or 0), Decimal(0)) for row in self.rows]
        most = {each: max(value for value, of in zip(values, units, strict=True) if of == each) for each in set(units)}
        return [f"{value / most[of] * 100:.1f}" if most[of] else "0" for value, of in zip(values, units, strict=True)][
            :SHOWN
        ]


def listing(name: str, title: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], **more: Any) -> Listing:
    """A table of these columns of the rows; a row may have a `page` that it leads to."""
    chosen = list(rows)
    cells = [[_text(row[column]) for column in columns] for row in chosen]
    return Listing(name, title, list(columns), cells, pages=[row.get("page") for row in chosen], **more)


def share(part: int, whole: int) -> str:
    """As percent, for a card."""
    return percent(part, whole).replace("%", "\N{NO-BREAK SPACE}%")


def _text(value: Any) -> str | None:
    return as_text(value)


def state(value: str | None, name: str) -> str | None:
    """How much something matters, where a column says that: problem, attention, ok or info."""
    if value is None:
        return None
    if name == "severity":
        return _STATES.get(value)
    if name == "used_share":
        return "problem" if Decimal(value) >= 1 else "attention" if Decimal(value) >= Decimal("0.8") else None
    flags = {("is_stale", "yes"): "attention", ("is_on_allowlist", "no"): "problem", ("is_privileged", "yes"): "info"}
    return flags.get((name, value))


def total(rows: Iterable[Mapping[str, Any]], column: str, where: Callable[[Any], bool] | None = None) -> int:
    """The sum of a count."""
    return sum(int(row[column] or 0) for row in rows if where is None or where(row))
