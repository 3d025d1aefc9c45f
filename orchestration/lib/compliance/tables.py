"""The tables of a report: text under the names of columns, with what a reader has to know of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from orchestration.lib.money import plain

# days without a sign-in or request
DORMANT = 90


@dataclass(frozen=True)
class Table:
    """Rows of text under the names of their columns; `of_period` unless it shows the state when the report was made.

    `part` is where it stands, `shown` the columns a page has room for (all, if empty), `nothing` what an empty cell of
    a column means, `empty` what is said where there is no row, `most` how many rows a page shows.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[str | None]]
    of_period: bool = True
    part: str = "completeness"
    shown: list[str] = field(default_factory=list)
    nothing: dict[str, str] = field(default_factory=dict)
    empty: str = ""
    most: int = 15

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return as_dicts({"columns": self.columns, "rows": self.rows})


def as_dicts(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each row by the names of its columns, of a table as report.json has it."""
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def as_text(value: Any) -> str | None:
    """A value as the files show it: exact numbers without an exponent, times in UTC."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    return str(value)
