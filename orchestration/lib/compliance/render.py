"""Writes what a report says as HTML and CSV. The HTML is made from the same object that is written as JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestration.lib.compliance.charts import Chart, bars, columns

# how many rows of a table the page shows; its CSV has all
SHOWN = 25
# what begins a formula in a spreadsheet, also after blanks
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MONEY = {"cost", "cost_before", "limit_amount", "spent", "direct", "shared", "adjustment", "total"}
_COUNTS = {"requests_30d", "missing_requests", "requests", "failed_requests", "unpriced_requests", "requests_before"}
_LEFT_OUT = {"team_id", "decision", "reviewer", "decided_on"}


def html(report: Mapping[str, Any]) -> str:
    """One self-contained page: no script, no font and no picture from elsewhere."""
    environment = templates()
    environment.filters |= {"heading": heading, "cell": _cell}
    tables = {name: _shown(table) for name, table in report["tables"].items()}
    return environment.get_template("report.html.j2").render(
        report=report,
        tables=tables,
        charts=_charts(report),
        shown=SHOWN,
        is_number=lambda name: name in _MONEY | _COUNTS,
    )


def templates() -> Environment:
    """The templates of this package: all that is put into them is escaped, and nothing is missing silently."""
    return Environment(
        loader=PackageLoader("orchestration.lib.compliance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_csv(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A table as CSV (RFC 4180). A cell that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([["" if cell is None else _neutral(cell) for cell in row] for row in (names, *rows)])
    return text.getvalue()


def _neutral(cell: str) -> str:
    if not cell.lstrip().startswith(_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell.strip().removeprefix("-").replace(".", "", 1).isdecimal()


def _shown(table: Mapping[str, Any]) -> dict[str, Any]:
    places = [number for number, name in enumerate(table["columns"]) if name not in _LEFT_OUT]
    return {
        **table,
        "columns": [table["columns"][place] for place in places],
        "rows": [[row[place] for place in places] for row in table["rows"][:SHOWN]],
        "count": len(table["rows"]),
    }


def _charts(report: Mapping[str, Any]) -> dict[str, list[Chart]]:
    """Of each currency; days without a request stand as 0."""
    found: dict[str, list[Chart]] = {"spend_by_team": [], "spend_by_day": []}
    for currency in sorted({row["currency"] for row in _rows(report, "spend")}):
        of_teams = [
            (row["team"], Decimal(row["cost"]))
            for row in _rows(report, "spend_by_team")
            if row["currency"] == currency and row["cost"]
        ]
        of_days = {
            row["day"]: Decimal(row["cost"])
            for row in _rows(report, "spend_by_day")
            if row["currency"] == currency and row["cost"]
        }
        first, after = (date.fromisoformat(report["period"][name]) for name in ("first", "after"))
        days = [f"{first + timedelta(days=number)}" for number in range((after - first).days)]
        found["spend_by_team"] += _some(bars(f"Spend by team, {currency}", of_teams, currency))
        if len(days) > 1:
            series = [(day, of_days.get(day, Decimal(0))) for day in days]
            found["spend_by_day"] += _some(columns(f"Spend by day, {currency}", series, currency))
    return found


def _rows(report: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    table = report["tables"][name]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def _some(chart: Chart | None) -> list[Chart]:
    return [chart] if chart is not None else []


def heading(name: str) -> str:
    """What stands above a column of this name."""
    return name.replace("_", " ").capitalize()


def _cell(value: str | None, name: str) -> str:
    """For reading: money to the cent, counts with separators; the CSV has them as they are."""
    if value is None:
        return "\N{EN DASH}"
    if name in _MONEY:
        return f"{Decimal(value):,.2f}"
    return f"{int(value):,}" if name in _COUNTS else value
