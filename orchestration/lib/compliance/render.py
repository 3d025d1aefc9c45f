"""Writes what a report says as HTML and CSV. Page and PDF are made from the same object that is written as JSON."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestration.lib.compliance.cells import cell, heading, is_long, is_number, is_time
from orchestration.lib.compliance.charts import Chart, bars, columns
from orchestration.lib.compliance.tables import as_dicts

# what begins a formula in a spreadsheet, also after blanks
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# findings that stand at the front
_TOP_FINDINGS = 5


def html(report: Mapping[str, Any]) -> str:
    """One self-contained page: no script, no font and no picture from elsewhere."""
    return _environment().get_template("report.html.j2").render(page=page(report))


def templates() -> Environment:
    """The templates of this package: all that is put into them is escaped, and nothing is missing silently."""
    environment = Environment(
        loader=PackageLoader("orchestration.lib.compliance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _code, "breakable": _breakable}
    return environment


@cache
def _environment() -> Environment:
    """Of the report itself, whose templates are read once."""
    return templates()


def svg(chart: Chart) -> str:
    """A chart as a drawing, the same for the page and for paper."""
    return _environment().get_template("chart.svg.j2").render(chart=chart)


def page(report: Mapping[str, Any]) -> dict[str, Any]:
    """What page and PDF show, in the words they show: parts with their figures, charts and tables."""
    drawn = {
        name: [{"title": chart.title, "text": chart.text, "svg": svg(chart)} for chart in charts]
        for name, charts in _charts(report).items()
    }
    parts = []
    for part in report["parts"]:
        tables = [
            {**_shown(name, table), "charts": drawn.get(name, [])}
            for name, table in report["tables"].items()
            if table["part"] == part["id"]
        ]
        figures = [figure for figure in report["figures"] if figure["part"] == part["id"]]
        parts.append({**part, "figures": figures, "tables": tables})
    findings = as_dicts(report["tables"]["findings"])
    return {
        "period": report["period"],
        "as_of": report["as_of"],
        "state": report["state"],
        "verdicts": report["verdicts"],
        "audit": report["audit"],
        "counts": [
            {"state": state, "number": number}
            for state in ("problem", "attention", "ok", "no data")
            if (number := sum(verdict["state"] == state for verdict in report["verdicts"]))
        ],
        "parts": parts,
        "findings": [finding for finding in findings if finding["resolved_at"] is None][:_TOP_FINDINGS],
        "finding_count": sum(finding["resolved_at"] is None for finding in findings),
    }


def as_csv(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A table as CSV (RFC 4180). A cell that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([["" if cell is None else _neutral(cell) for cell in row] for row in (names, *rows)])
    return text.getvalue()


def _neutral(cell: str) -> str:
    is_number = cell.strip().removeprefix("-").replace(".", "", 1).isdecimal()
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) and not is_number else cell


def _shown(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a table that the page has room for, its first rows, and where all are."""
    names = table["shown"] or table["columns"]
    places = [table["columns"].index(column) for column in names]
    count, most = len(table["rows"]), table["most"]
    shown = {"name": name, "title": table["title"], "empty": "", "says": "", "columns": [], "rows": []}
    if not count:
        return {**shown, "empty": table["empty"]}
    how_many = f"The first {most} of {count:,} rows" if count > most else f"All {count} rows" if count > 1 else "1 row"
    when = "" if table["of_period"] else ", at the time of the report"
    return {
        **shown,
        "says": f"{how_many}{when}; {'all rows and ' if count > most else ''}all columns are in",
        "columns": [{"heading": heading(column), "kind": _kind(column)} for column in names],
        "rows": [
            [
                cell(row[place], column, table["nothing"].get(column, "no data"))
                for place, column in zip(places, names, strict=True)
            ]
            for row in table["rows"][:most]
        ],
    }


def _kind(column: str) -> str:
    if is_number(column):
        return "number"
    return "when" if is_time(column) else "long" if is_long(column) else "text"


def _breakable(text: str) -> Markup:
    """A word such as an address may go on in the next line after each of its marks."""
    return Markup("<wbr>").join(re.split(r"(?<=[@._/])(?=[^\W\d])", text))


def _code(text: str) -> Markup:
    """What stands between backticks, as code; words outside of it are breakable."""
    pieces = str(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 and place < len(pieces) - 1 else _breakable(piece)
        for place, piece in enumerate(pieces)
    )


def _charts(report: Mapping[str, Any]) -> dict[str, list[Chart]]:
    """By the table they show; of each currency, the most used first. Days without a request stand as 0."""
    found: dict[str, list[Chart]] = {"spend_by_team": [], "spend_by_day": [], "budget": []}
    first, after = (date.fromisoformat(report["period"][name]) for name in ("first", "after"))
    days = [f"{first + timedelta(days=number)}" for number in range((after - first).days)]
    requests = {row["currency"]: int(row["requests"] or 0) for row in as_dicts(report["tables"]["spend"])}
    for currency in sorted(requests, key=lambda each: (-requests[each], each)):
        of_teams = [
            (row["team"], Decimal(row["cost"]))
            for row in as_dicts(report["tables"]["spend_by_team"])
            if row["currency"] == currency and row["cost"]
        ]
        of_days = {
            row["day"]: Decimal(row["cost"])
            for row in as_dicts(report["tables"]["spend_by_day"])
            if row["currency"] == currency and row["cost"]
        }
        found["spend_by_team"] += _some(bars(f"Spend by team, {currency}", of_teams, currency))
        if len(days) > 1:
            series = [(day, of_days.get(day, Decimal(0))) for day in days]
            found["spend_by_day"] += _some(columns(f"Spend by day, {currency}", series, currency))
    # of the length of the period: a budget of a year is used up by other months too
    budgets = [
        row
        for row in as_dicts(report["tables"]["budget"])
        if row["target_kind"] == "team" and row["used_share"] is not None
        and row["period_start"] == report["period"]["first"] and row["period_end"] == report["period"]["after"]
    ]  # fmt: skip
    named = _told_apart([row["target_name"] for row in budgets])
    used = [(name, Decimal(row["used_share"]) * 100) for name, row in zip(named, budgets, strict=True)]
    limits = dict.fromkeys(named, Decimal(100))
    found["budget"] += _some(bars("Budget used by team", used, "%", limits, digits=0, adds_up=False))
    return found


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, those that several have with a number."""
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _some(chart: Chart | None) -> list[Chart]:
    return [chart] if chart is not None else []
