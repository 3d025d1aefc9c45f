"""The control map: each line of seeds/controls.csv is asked, and the answer says what supports which control."""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from orchestration.lib.compliance.tables import Table, as_text
from orchestration.lib.database.connection import Connection
from orchestration.lib.settings import project_dir

_TITLE = "What supports which control"
_COLUMNS = [
    "framework", "reference", "requirement", "evidence", "result", "expected", "answer", "file", "control", "version",
    "query",
]  # fmt: skip
_SHOWN = ["framework", "reference", "requirement", "evidence", "result", "answer", "file"]


class Control(NamedTuple):
    """A line of the map, as the file has it."""

    control: str
    version: str
    framework: str
    reference: str
    requirement: str
    evidence: str
    query: str
    expected: str
    file: str


def controls() -> Iterator[Control]:
    """The lines of the map. Of the file, not of the table that dbt makes of it: what a table says isn't run as SQL."""
    with (project_dir() / "seeds" / "controls.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Control(**row)


def ask(connection: Connection, values: Mapping[str, Any]) -> Table:
    """The map with the answers of a period."""
    rows = []
    for each in controls():
        row = connection.execute(each.query.encode(), values).fetchone()
        result = row[0] if row is not None else None
        said = {**each._asdict(), "result": as_text(result), "answer": _answer(each.expected, result)}
        rows.append([said[column] for column in _COLUMNS])
    # what is counted now depends on the moment as well
    return Table("controls", _TITLE, _COLUMNS, rows, of_period=False, part="controls", shown=_SHOWN)


def _answer(expected: str, result: Decimal | int | None) -> str:
    if result is None:
        return "no data"
    if expected == "none":
        return "exceptions to look at" if result else "supports"
    return "supports" if result else "no evidence"
