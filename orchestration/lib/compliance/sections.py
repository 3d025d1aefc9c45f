"""What a report says: tables of `reporting` and `verification` as of one moment, and the verdicts drawn from them.

Everything is text, exact as the database has it, so that the files say what was read. A table that is about the period
says the same whenever it is read again; one about the state is as of the moment of the report.
"""

import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.compliance.period import Period

Connection = psycopg.Connection[TupleRow]

# days without a sign-in or request
DORMANT = 90


@dataclass(frozen=True)
class Table:
    """Rows of text under the names of their columns; `of_period` unless it shows the state when the report was made."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str | None]]
    of_period: bool = True

    def dicts(self) -> list[dict[str, str | None]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Verdict:
    """One line of the cover: ok, attention, problem, or no data; and which table it is drawn from."""

    subject: str
    state: str
    message: str
    table: str


@dataclass
class Contents:
    """All of a report before it is written."""

    period: Period
    as_of: datetime
    tables: dict[str, Table] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The worst of the verdicts."""
        states = {verdict.state for verdict in self.verdicts}
        return next((state for state in ("problem", "attention", "ok") if state in states), "no data")


def read(connection: Connection, period: Period, as_of: datetime) -> Contents:
    """Everything a report about the period says, but for the audit trail."""
    contents = Contents(period, as_of)
    values = {
        "first": period.first,
        "after": period.after,
        "first_before": period.previous().first,
        "start": period.start,
        "end": period.end,
    }
    for said in tomllib.loads(Path(__file__).with_name("tables.toml").read_text(encoding="utf-8"))["table"]:
        cursor = connection.execute(said["query"].encode(), values)
        assert cursor.description is not None
        columns = [column.name for column in cursor.description]
        rows = [[as_text(value) for value in row] for row in cursor.fetchall()]
        contents.tables[said["name"]] = Table(said["name"], said["title"], columns, rows, said.get("of_period", True))
    # whether a period without findings was looked at
    row = connection.execute(
        "select count(*) from internal.verification_runs where ended_at >= %(start)s and ended_at < %(end)s", values
    ).fetchone()
    assert row is not None
    _judge(contents, runs=int(row[0]))
    return contents


def as_text(value: Any) -> str | None:
    """A value as the files show it: exact numbers without an exponent, times in UTC."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    return str(value)


def _judge(contents: Contents, *, runs: int) -> None:
    tables = {name: table.dicts() for name, table in contents.tables.items()}
    say = contents.verdicts.append
    requests = _sum(tables["spend"], "requests")
    if contents.as_of < contents.period.end:
        say(Verdict("Period", "attention", "The period is not over: what is below is a part of it.", "spend"))
    if not requests:
        say(Verdict("Usage", "no data", "No request was recorded in the period.", "spend"))
    else:
        unpriced = _sum(tables["spend"], "unpriced_requests")
        share = f"{unpriced / requests:.1%} of {requests:,}"
        state = "attention" if unpriced else "ok"
        say(
            Verdict(
                "Prices",
                state,
                f"Requests without a price: {unpriced:,} ({share}); their cost is unknown.",
                "spend_by_model",
            )
        )
        unowned = [row for row in tables["spend_by_team"] if row["team_id"] is None]
        without = _sum(unowned, "requests")
        state = "attention" if without else "ok"
        say(
            Verdict(
                "Owners", state, f"Requests without a team: {without:,} ({without / requests:.1%}).", "spend_by_team"
            )
        )
    _judge_budgets(tables["budgets"], say)
    stale = [row["source"] or "" for row in tables["sources"] if row["is_stale"] == "yes"]
    if tables["sources"]:
        silent = f", silent: {', '.join(stale)}" if stale else ", none of them silent"
        message = f"{len(tables['sources'])} sources of usage{silent}."
        say(Verdict("Sources", "attention" if stale else "ok", message, "sources"))
    new = [row for row in tables["inventory"] if row["is_new"] == "yes"]
    refused = [row for row in tables["inventory"] if row["is_on_allowlist"] == "no"]
    if tables["inventory"]:
        message = (
            f"{len(tables['inventory'])} models in use, {len(new)} new in the period, {len(refused)} on no allow-list."
        )
        say(Verdict("Models", "problem" if refused else "ok", message, "inventory"))
    _judge_findings(tables["findings"], runs, say)
    people = tables["access_review"]
    privileged = [row for row in people if row["is_privileged"] == "yes"]
    bare = [row for row in privileged if row["mfa_enabled"] == "no"]
    dormant = [row for row in people if int(row["dormant_days"] or 0) >= DORMANT]
    own = [row for row in people if row["self_granted_roles"]]
    message = (
        f"{len(people)} accounts, {len(privileged)} privileged, {len(bare)} of them without a second factor; "
        f"{len(dormant)} dormant for {DORMANT} days; {len(own)} granted a role to themselves."
    )
    say(Verdict("Access", "problem" if bare or own else "attention" if dormant else "ok", message, "access_review"))
    faulty = [row for row in tables["keys"] if row["issues"]]
    state = "attention" if faulty else "ok" if tables["keys"] else "no data"
    say(
        Verdict(
            "Keys", state, f"{len(tables['keys'])} keys in use, {len(faulty)} of them with something to do.", "keys"
        )
    )
    open_alerts = sum(int(row["open_count"] or 0) for row in tables["alerts"])
    say(Verdict("Alerts", "attention" if open_alerts else "ok", f"{open_alerts} alerts are open.", "alerts"))


def _judge_budgets(budgets: list[dict[str, str | None]], say: Any) -> None:
    if not budgets:
        say(Verdict("Budgets", "no data", "There is no budget of this time.", "budgets"))
        return
    over = [row for row in budgets if Decimal(row["used_share"] or 0) >= 1]
    near = [row for row in budgets if Decimal("0.8") <= Decimal(row["used_share"] or 0) < 1]
    state = "problem" if over else "attention" if near else "ok"
    message = f"{len(budgets)} budgets, {len(over)} used up, {len(near)} used to 80 % or more."
    say(Verdict("Budgets", state, message, "budgets"))


def _judge_findings(findings: list[dict[str, str | None]], runs: int, say: Any) -> None:
    if not runs:
        message = "No run of verification was recorded in the period: let `governance verify` run each night."
        say(Verdict("Verification", "no data", message, "findings"))
        return
    left = [row for row in findings if row["resolved_at"] is None and row["accepted_by"] is None]
    errors = sum(row["severity"] == "error" for row in left)
    warnings = sum(row["severity"] == "warn" for row in left)
    state = "problem" if errors else "attention" if warnings else "ok"
    message = f"Of {runs} runs: {errors} errors and {warnings} warnings were open at the end of the period."
    say(Verdict("Verification", state, message, "findings"))


def _sum(rows: list[dict[str, str | None]], column: str) -> int:
    return sum(int(row[column] or 0) for row in rows)
