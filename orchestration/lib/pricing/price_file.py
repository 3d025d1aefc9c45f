"""Reads a price list from a CSV file: a line per model, tier and span of time, a column for each unit's price."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.units import DATE_BASES, PRICE_COLUMNS, SERVICE_TIERS, UNITS
from orchestration.lib.usage.sources.csv import separator_of

if TYPE_CHECKING:
    from _csv import Reader

_REQUIRED = ("provider", "model", "valid_from")
_PRICE = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")
MOST = Decimal(10) ** 12
MOST_DECIMALS = 40


@dataclass(frozen=True)
class Key:
    """What has one price at a time; `region` is empty where the price is for every region."""

    price_list: str
    provider: str
    model: str
    unit: str
    service_tier: str
    context_above: int
    region: str
    currency: str

    def __str__(self) -> str:
        parts = [f"{self.unit} of {self.provider}/{self.model}"]
        if self.service_tier != "standard":
            parts.append(self.service_tier)
        if self.context_above:
            parts.append(f"above {self.context_above:,} tokens")
        parts += [self.region] if self.region else []
        parts += [] if self.price_list == "list" else [f"in {self.price_list}"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Price:
    """A price of a million units from `starts`, None: always, until before `ends`, None: it holds.

    `line` is that of the file, 0 where it is in the database, whose `id` it has.
    """

    key: Key
    amount: Decimal
    starts: datetime | None
    ends: datetime | None
    date_basis: str
    origin: str
    line: int = 0
    id: str = ""


def parse_prices(name: str, content: bytes) -> list[Price]:
    """The prices of a file's content. Raises GovernanceError with the line where something is wrong."""
    try:
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=True)
        return list(_prices(name, reader))
    except UnicodeDecodeError as error:
        raise GovernanceError(f"{name} isn't UTF-8: save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise GovernanceError(f"{name} isn't CSV: {error}") from error


def _prices(name: str, reader: "Reader") -> Iterator[Price]:
    header = [column.strip() for column in next(reader, [])]
    if missing := [column for column in _REQUIRED if column not in header]:
        raise GovernanceError(f"{name} has no column {', '.join(missing)}: a price list has {', '.join(PRICE_COLUMNS)}")
    if unknown := [column for column in header if column not in PRICE_COLUMNS]:
        raise GovernanceError(
            f"{name} has the column {unknown[0]!r}, which no price list has: the units are {', '.join(UNITS)}"
        )
    if doubled := [column for column in header if header.count(column) > 1]:
        raise GovernanceError(f"{name} has the column {doubled[0]} twice: leave one out")
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        where = f"{name}, line {reader.line_num}"
        if len(values) != len(header):
            raise GovernanceError(f"{where}: {len(values)} values for {len(header)} columns")
        row = dict(zip(header, (value.strip() for value in values), strict=True))
        yield from _line(where, reader.line_num, row, name)


def _line(where: str, line: int, row: dict[str, str], name: str) -> Iterator[Price]:
    for column in _REQUIRED:
        if not row[column]:
            hint = ": give the first day, or always where the price held from the model's first day on"
            raise GovernanceError(f"{where}: {column} is missing{hint if column == 'valid_from' else ''}")
    tier = row.get("service_tier") or "standard"
    _one_of(where, "service_tier", tier, SERVICE_TIERS)
    basis = row.get("date_basis") or "known"
    _one_of(where, "date_basis", basis, DATE_BASES)
    above = row.get("context_above") or "0"
    if not re.fullmatch(r"[0-9]{1,15}", above):
        raise GovernanceError(f"{where}: context_above is {above!r}, not a number of tokens")
    currency = row.get("currency") or "USD"
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise GovernanceError(f"{where}: currency is {currency!r}, not a code of three capital letters such as USD")
    price_list = row.get("price_list") or "list"
    if not re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*", price_list):
        raise GovernanceError(
            f"{where}: price_list is {price_list!r}: use small letters and digits, with - . or _ between them"
        )
    starts = None if row["valid_from"] == "always" else _day(where, "valid_from", row["valid_from"])
    ends = _day(where, "valid_to", row["valid_to"]) if row.get("valid_to") else None
    if starts and ends and ends <= starts:
        raise GovernanceError(f"{where}: valid_to is not after valid_from, so the price never holds")
    amounts = {unit: _amount(where, unit, row[unit]) for unit in UNITS if row.get(unit)}
    if not amounts:
        raise GovernanceError(f"{where}: there is no price: give one in a column such as input_tokens")
    for unit, amount in amounts.items():
        key = Key(
            price_list,
            row["provider"].lower(),
            row["model"],
            unit,
            tier,
            int(above),
            row.get("region", ""),
            currency,
        )
        yield Price(key, amount, starts, ends, basis, row.get("origin") or name, line)


def _one_of(where: str, column: str, value: str, values: Iterable[str]) -> None:
    if value not in values:
        raise GovernanceError(f"{where}: {column} is {value!r}, not one of {', '.join(values)}")


def _amount(where: str, unit: str, text: str) -> Decimal:
    if re.fullmatch(rf"-({_PRICE.pattern})", text):
        raise GovernanceError(f"{where}: the price of {unit} is negative ({text}): a discount is an agreement")
    if not _PRICE.fullmatch(text):
        raise GovernanceError(
            f"{where}: the price of {unit} is {text!r}: write the amount per million with a point, as 2.50"
        )
    amount = Decimal(text)
    if amount >= MOST or len(text.partition(".")[2].rstrip("0")) > MOST_DECIMALS:
        raise GovernanceError(f"{where}: the price of {unit} is {text}, out of all bounds")
    return amount


def _day(where: str, column: str, text: str) -> datetime:
    """A day is its first instant in UTC; a time needs its zone."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise GovernanceError(f"{where}: {column} is {text!r}, not a day such as 2026-11-28") from error
    if time.tzinfo is None:
        raise GovernanceError(f"{where}: {column} is {text!r} without a zone: write {text}Z, or only the day")
    return time.astimezone(UTC)
