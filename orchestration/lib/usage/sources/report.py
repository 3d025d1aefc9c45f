"""What a provider's report is: sums of a period, which are no requests and go to core.provider_usage.

An adapter is a pure function from one record (a page, a row) to rows. It never raises for what a record says: what is
wrong with a row is in `wrong`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypedDict

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.values import as_number, from_seconds, text, whole

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}|$)").match
_CURRENCY = re.compile("[A-Z]{3}").fullmatch
_MOST_DECIMALS = 100


class Row(TypedDict, total=False):
    """A row of core.provider_usage as an adapter says it; amounts are None where the report says nothing of them."""

    account: str
    report: str
    period_start: datetime | None
    period_end: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    provider: str
    model: str | None
    line_item: str | None
    requests: int | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    cost_amount: Decimal | None
    effective_cost_amount: Decimal | None
    list_cost_amount: Decimal | None
    currency: str | None
    zone: str
    invoice_id: str | None
    # what else the report tells its rows apart by: project, workspace, key, tier
    dimensions: dict[str, str]
    wrong: list[str]


@dataclass(frozen=True)
class Report:
    """A report that usage or costs come in; `rows` are those of a record, `recognises` tells one by a record."""

    name: str
    title: str
    rows: Callable[[Said], Iterator[Row]]
    recognises: Callable[[Said], bool]
    formats: tuple[str, ...] = ("jsonl",)
    # whether a period may be on several lines and in several files, which belong together
    is_whole: bool = False
    # whether it is a document that holds until it is explicitly replaced, and is loaded whole or not at all
    is_invoice: bool = False
    # what can be said for all lines beside the account, as if each said it
    sets: tuple[str, ...] = ()


class Reader:
    """Reads the values of one row, and notes in it what is wrong with them."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def refuse(self, why: str) -> None:
        """Notes a reason against the row."""
        self._row.setdefault("wrong", []).append(why)

    def count(self, name: str, value: object) -> int | None:
        """A number of tokens or requests, None where nothing is said."""
        if value is None or value == "":
            return None
        number = whole(value)
        if number is None:
            self.refuse(f"{name} is not a whole number of 0 or more below 10^12")
        return number

    def less(self, name: str, value: object, *parts: int | None) -> int | None:
        """A number less the parts that it counts too."""
        number = self.count(name, value)
        if number is None:
            return None
        rest = number - sum(part or 0 for part in parts)
        if rest < 0:
            self.refuse(f"the report contradicts itself: {name} is less than the parts that it includes")
            return number
        return rest

    def amount(self, name: str, value: object) -> Decimal | None:
        """An amount of money, exactly as written; it may be negative, for reports have credits."""
        said = text(value)
        if said is None:
            if value is not None and value != "":
                self.refuse(f"{name} is not a number")
            return None
        number = as_number(said)
        if number is None:
            self.refuse(f"{name} is not a number")
            return None
        if not -(10**12) < number < 10**12:
            self.refuse(f"{name} is not an amount below 10^12")
            return None
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > _MOST_DECIMALS:
            self.refuse(f"{name} has more than {_MOST_DECIMALS} decimals")
            return None
        return number

    def currency(self, value: object) -> str | None:
        """A code of three letters."""
        said = (text(value) or "").strip().upper()
        if not _CURRENCY(said):
            self.refuse("the currency is not a code of three letters")
            return None
        return said

    def moment(self, name: str, value: object) -> datetime | None:
        """A time, of UTC where it doesn't say; Unix time in seconds too."""
        said = text(value)
        if said and said.isascii() and said.isdigit() and len(said) == 10:
            said = from_seconds(int(said))
        if said and _MOMENT(said):
            try:
                found = datetime.fromisoformat(said)
            except ValueError:
                found = None
            if found:
                return found if found.tzinfo else found.replace(tzinfo=UTC)
        self.refuse(f"{name} is missing" if not said else f"{name} is not a time")
        return None

    def day_after(self, name: str, day: datetime | None) -> datetime | None:
        """A day later."""
        if day is None:
            return None
        try:
            return day + timedelta(days=1)
        except OverflowError:
            self.refuse(f"{name} is not a time")
            return None

    def period(self, begin: datetime | None, end: datetime | None) -> None:
        """Checks that a period has a length."""
        if begin and end and begin >= end:
            self.refuse("the period doesn't end after it begins")


def dimensions(said: Mapping[str, object], names: Mapping[str, str]) -> dict[str, str]:
    """What a record tells apart by, under our names."""
    found = {}
    for name, key in names.items():
        value = said.get(key)
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif (known := text(value)) is not None:
            found[name] = known
    return found


def bucket_results(page: Said) -> Iterator[tuple[Said, Said]]:
    """Each result of a page of buckets, or of a bucket alone, with its bucket."""
    data = page.get("data")
    for bucket in data if isinstance(data, list) else [page]:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict):
                yield bucket, result


def bucket_row(provider: str, report: str, bucket: Said, begins: str, ends: str) -> tuple[Row, Reader]:
    """The beginning of a row of a bucket, which is a period of its own; `begins` and `ends` name its times."""
    row: Row = {"provider": provider, "report": report, "account": ""}
    reader = Reader(row)
    begin = reader.moment(begins, bucket.get(begins))
    end = reader.moment(ends, bucket.get(ends))
    reader.period(begin, end)
    row["period_start"] = row["starts_at"] = begin
    row["period_end"] = row["ends_at"] = end
    return row, reader
