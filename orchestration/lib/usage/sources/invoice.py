"""Invoices of providers: CSV of one documented shape, in which nothing is guessed that could make another amount."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.report import Reader, Report, Row
from orchestration.lib.usage.sources.values import MARKS, text, with_point

_COLUMNS = ("invoice_id", "first_day", "amount", "currency")
_KNOWN = {*_COLUMNS, "last_day", "provider", "account", "zone", "line_item", "model", "decimal"}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_PLAIN = re.compile(r"[+-]?[0-9]{1,30}(?:[.][0-9]{1,100})?").fullmatch
# 1.234 is 1234 to half of Europe
_AMBIGUOUS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.][0-9]{3}").fullmatch


def rows(line: Said) -> Iterator[Row]:
    """The row of a line. Days are those of `zone`; `decimal` is the mark of decimals where that was stated."""
    provider = (text(line.get("provider")) or "").strip().lower()
    row: Row = {
        "provider": provider,
        "report": "invoice",
        "account": (text(line.get("account")) or "").strip(),
        "invoice_id": (text(line.get("invoice_id")) or "").strip(),
        "line_item": text(line.get("line_item")),
        "model": text(line.get("model")),
        "dimensions": {
            name: said
            for name, value in line.items()
            if name and name not in _KNOWN and (said := text(value)) is not None
        },
    }
    reader = Reader(row)
    if not provider:
        reader.refuse("provider is missing: add the column, or --set provider=NAME")
    if not row["invoice_id"]:
        reader.refuse("invoice_id is missing")
    zone = _zone(line, reader)
    first = _day("first_day", line, reader)
    last = _day("last_day", line, reader) if line.get("last_day") else first
    if first and last and last < first:
        reader.refuse("last_day is before first_day")
    if first and last and zone:
        row["zone"] = zone.key
        row["starts_at"], row["ends_at"] = _instant(first, zone, reader), _instant(last, zone, reader, days=1)
        row["period_start"], row["period_end"] = row["starts_at"], row["ends_at"]
        reader.period(row["starts_at"], row["ends_at"])
    row["cost_amount"] = _amount(line, reader)
    row["currency"] = reader.currency(line.get("currency"))
    yield row


def _zone(line: Said, reader: Reader) -> ZoneInfo | None:
    name = (text(line.get("zone")) or "").strip()
    if not name:
        reader.refuse("the zone in which its days are days is missing: add the column, or --set zone=Europe/Berlin")
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        reader.refuse(f"there is no time zone {name[:50]!r}: write it as Europe/Berlin or UTC")
        return None


def _day(name: str, line: Said, reader: Reader) -> date | None:
    said = (text(line.get(name)) or "").strip()
    if _DAY(said):
        try:
            return date.fromisoformat(said)
        except ValueError:
            pass
    reader.refuse(
        f"{name} is missing"
        if not said
        else f"{name} is {said[:30]!r}: write days as 2026-10-31, for in other orders the day and the month look alike"
    )
    return None


def _instant(day: date, zone: ZoneInfo, reader: Reader, days: int = 0) -> datetime | None:
    try:
        return datetime.combine(day + timedelta(days), time(), zone).astimezone(UTC)
    except OverflowError:
        reader.refuse(f"{day} is not a day of an invoice")
        return None


def _amount(line: Said, reader: Reader) -> Decimal | None:
    said = (text(line.get("amount")) or "").strip().replace("\u2212", "-")
    mark = text(line.get("decimal")) or ""
    if not said:
        reader.refuse("amount is missing")
    elif mark and mark not in MARKS:
        reader.refuse(f"the decimal mark is {mark[:10]!r}: it is a point or a comma")
    elif mark:
        if (number := with_point(said, mark)) is not None:
            return reader.amount("amount", number)
        reader.refuse(f"amount is {said[:30]!r}, which is no number whose decimals follow {mark!r}")
    elif _AMBIGUOUS(said):
        reader.refuse(f"amount is {said!r}, which may be a thousand times the other: state --decimal . or --decimal ,")
    elif _PLAIN(said):
        return reader.amount("amount", said)
    else:
        reader.refuse(
            f"amount is {said[:30]!r}, not a plain number such as 1234.56: state its decimal mark with --decimal , or "
            "--decimal . and leave currency signs out"
        )
    return None


REPORT = Report(
    name="invoice",
    title="invoices of a provider, CSV as docs/reconciliation.md describes it",
    rows=rows,
    recognises=lambda line: line.keys() >= {*_COLUMNS},
    formats=("csv",),
    is_whole=True,
    is_invoice=True,
    sets=("provider", "zone", "decimal"),
)
