"""What a report says: tables of `reporting` and `verification` as of one moment, and what is drawn from them.

Everything is text, exact as the database has it, so that the files say what was read. A table that is about the period
says the same whenever it is read again; one about the state is as of the moment of the report.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from orchestration.lib.compliance import controls
from orchestration.lib.compliance.period import Period
from orchestration.lib.compliance.rules import explained_findings
from orchestration.lib.compliance.tables import Table, as_text
from orchestration.lib.database.connection import Connection

_FRESHNESS = """
select
    (select count(*) from internal.verification_runs where ended_at >= %(start)s and ended_at < %(end)s) as runs,
    (select max(ended_at) from internal.verification_runs) as last_verification_at,
    (select max(last_request_at) from reporting.usage_sources) as last_request_at,
    (select max(last_loaded_at) from reporting.usage_sources) as last_loaded_at,
    (select nullif(min(watermark), '-infinity') from internal.rollup_state) as rollups_stored_up_to,
    (select max(recorded_at) from internal.dbt_results) as last_dbt_at,
    (select max(sealed_at) from internal.audit_seals) as last_seal_at,
    (
        select invocation from internal.dbt_results where invocation is not null order by recorded_at desc limit 1
    ) as dbt_invocation
"""


@dataclass(frozen=True)
class Verdict:
    """One line of the cover: ok, attention, problem, or no data; and which table it is drawn from."""

    subject: str
    state: str
    message: str
    table: str


@dataclass(frozen=True)
class Figure:
    """A number worth knowing at a glance, the part it stands in, and the table with its rows."""

    key: str
    part: str
    label: str
    value: str
    table: str


@dataclass
class Contents:
    """All of a report before it is written."""

    period: Period
    as_of: datetime
    parts: list[dict[str, str]] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    freshness: dict[str, str | None] = field(default_factory=dict)
    runs: int = 0

    @property
    def state(self) -> str:
        """The worst of the verdicts."""
        states = {verdict.state for verdict in self.verdicts}
        return next((state for state in ("problem", "attention", "ok") if state in states), "no data")


def read(connection: Connection, period: Period, as_of: datetime) -> Contents:
    """The tables of a report about the period, and how fresh they are; the verdicts are drawn from them later."""
    said = tomllib.loads(Path(__file__).with_name("tables.toml").read_text(encoding="utf-8"))
    contents = Contents(period, as_of, parts=[{"intro": "", **part} for part in said["part"]])
    values = {
        "first": period.first,
        "after": period.after,
        "first_before": period.previous().first,
        "start": period.start,
        "end": period.end,
        "as_of": as_of,
    }
    for table in _tables(connection, said["table"], values):
        contents.tables[table.name] = table
    contents.tables["findings"] = explained_findings(contents.tables["findings"])
    contents.tables["controls"] = controls.ask(connection, values)
    _read_freshness(connection, contents, values)
    return contents


def _tables(connection: Connection, asked: list[dict[str, Any]], values: Mapping[str, Any]) -> Iterator[Table]:
    for each in asked:
        cursor = connection.execute(each.pop("query").encode(), values)
        assert cursor.description is not None
        columns = [column.name for column in cursor.description]
        rows = [[as_text(value) for value in row] for row in cursor.fetchall()]
        moment = "of the period" if each.get("of_period", True) else "at the time of the report"
        yield Table(columns=columns, rows=rows, **{"empty": f"No data: no row {moment}.", **each})


def _read_freshness(connection: Connection, contents: Contents, values: Mapping[str, Any]) -> None:
    with connection.cursor(row_factory=dict_row) as cursor:
        [found] = cursor.execute(_FRESHNESS, values)
    # whether a period without findings was looked at
    contents.runs = found.pop("runs")
    contents.freshness = {name: as_text(value) for name, value in found.items()}
