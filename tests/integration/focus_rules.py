"""Checks a file of FOCUS 1.2 against the rules in tests/fixtures/focus, each by its id."""

import csv
import io
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.lib.settings import project_dir

RULES: Path = project_dir() / "tests" / "fixtures" / "focus" / "rules-1.2.toml"
Rows = Sequence[Mapping[str, str]]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")
_UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*s")


def broken_rules(text: str) -> dict[str, str]:
    """The ids of the rules that the file breaks, each with what breaks it first."""
    header = next(csv.reader(io.StringIO(text)))
    # what a rule asks of a column that isn't there, it asks of nulls
    rows: Rows = [defaultdict(str, row) for row in csv.DictReader(io.StringIO(text))]
    found: dict[str, str] = {}
    for kind, rules in tomllib.loads(RULES.read_text()).items():
        for name, said in rules.items():
            if (fault := next(_CHECKS[kind](rows, header, said), None)) is not None:
                found[name] = f"{said}: {fault}"
    for name, check in _OF_THE_FILE.items():
        if (fault := next(check(rows, header, text), None)) is not None:
            found[name] = fault
    return found


def _presence(_rows: Rows, header: list[str], column: str) -> Iterator[str]:
    if column not in header:
        yield "no such column"


def _cells(matches: Callable[[str], bool]) -> Callable[[Rows, list[str], str], Iterator[str]]:
    def check(rows: Rows, _header: list[str], column: str) -> Iterator[str]:
        return (row[column] for row in rows if row[column] and not matches(row[column]))

    return check


def _is_key_value(cell: str) -> bool:
    pairs: list[tuple[str, Any]] = json.loads(cell, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    return len(set(names)) == len(names) and not any(isinstance(each, list | dict) for _, each in pairs)


def _not_null(rows: Rows, _header: list[str], column: str) -> Iterator[str]:
    return (str(row) for row in rows if not row[column])


def _holds(row: Mapping[str, str], when: dict[str, list[str]]) -> bool:
    def is_one(cell: str, wanted: str) -> bool:
        if wanted == "*":
            return cell != ""
        return cell != wanted[1:] if wanted.startswith("!") else cell == wanted

    return all(any(is_one(row[column], wanted) for wanted in values) for column, values in when.items())


def _one_of(rows: Rows, _header: list[str], said: dict[str, Any]) -> Iterator[str]:
    for row in rows:
        if (cell := row[said["column"]]) and _holds(row, said.get("when", {})):
            allowed = [row[said["same_as"]]] if "same_as" in said else said["values"]
            if cell not in allowed:
                yield cell


def _null_when(rows: Rows, _header: list[str], said: dict[str, Any]) -> Iterator[str]:
    return (str(row) for row in rows if row[said["column"]] and _holds(row, said["when"]))


def _not_null_when(rows: Rows, _header: list[str], said: dict[str, Any]) -> Iterator[str]:
    return (str(row) for row in rows if not row[said["column"]] and _holds(row, said["when"]))


def _product(rows: Rows, _header: list[str], said: dict[str, Any]) -> Iterator[str]:
    price, quantity = said["factors"]
    for row in rows:
        is_told = row[price] and row[quantity] and row["ChargeClass"] != "Correction"
        if is_told and Decimal(row[price]) * Decimal(row[quantity]) != Decimal(row[said["result"]]):
            yield str(row)


def _one_parent(rows: Rows, _header: list[str], said: dict[str, Any]) -> Iterator[str]:
    parents: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row[said["column"]]:
            parents[row[said["column"]]].add(row[said["parent"]])
    return (f"{child} has {sorted(found)}" for child, found in parents.items() if len(found) > 1)


_CHECKS: dict[str, Callable[[Rows, list[str], Any], Iterator[str]]] = {
    "presence": _presence,
    "text": _cells(lambda cell: cell.strip() == cell and cell.isprintable()),
    "time": _cells(lambda cell: _TIME.fullmatch(cell) is not None),
    "decimal": _cells(lambda cell: _NUMBER.fullmatch(cell) is not None),
    "unit": _cells(lambda cell: _UNIT.fullmatch(cell) is not None),
    "key_value": _cells(_is_key_value),
    "currency": _cells(lambda cell: re.fullmatch("[A-Z]{3}", cell) is not None),
    "not_null": _not_null,
    "one_of": _one_of,
    "null_when": _null_when,
    "not_null_when": _not_null_when,
    "not_negative": _cells(lambda cell: Decimal(cell) >= 0),
    "product": _product,
    "one_parent": _one_parent,
}


def _names(_rows: Rows, header: list[str], _text: str) -> Iterator[str]:
    return (name for name in header if re.fullmatch("(x_)?([A-Z][a-z0-9]+)+", name) is None)


def _custom_last(_rows: Rows, header: list[str], _text: str) -> Iterator[str]:
    custom = [name.startswith("x_") for name in header]
    if custom != sorted(custom):
        yield str(header)


def _empty_texts(rows: Rows, _header: list[str], text: str) -> Iterator[str]:
    if re.search(r'(^|,)""(,|$)', text, re.MULTILINE) is not None:
        yield "an empty string, where a null belongs"


def _own_properties(rows: Rows, _header: list[str], _text: str) -> Iterator[str]:
    for row in rows:
        yield from (name for name in json.loads(row["SkuPriceDetails"] or "{}") if not name.startswith("x_"))


def _same_details(rows: Rows, header: list[str], _text: str) -> Iterator[str]:
    return _one_parent(rows, header, {"column": "SkuPriceId", "parent": "SkuPriceDetails"})


# those that the model names and leaves to readers
_OF_THE_FILE: dict[str, Callable[[Rows, list[str], str], Iterator[str]]] = {
    "ColumnHandling-A-001-M": _names,
    "ColumnHandling-A-010-M": _names,
    "ColumnHandling-A-013-O": _custom_last,
    "NullHandling-A-002-M": _empty_texts,
    "SkuPriceDetails-C-007-M": _same_details,
    "SkuPriceDetails-C-017-C": _own_properties,
}
