"""Asks the rules of schema `verification` what is not as it should be; needs the database only, and may only read."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TextIO

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.lib.verification.comparison import compare, may_compare
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.identity.passwords import judge, may_judge
from orchestration.cli.tables import print_table
from orchestration.cli.terminal import visible
from orchestration.lib.words import counted

Connection = psycopg.Connection[TupleRow]

SEVERITIES = ("error", "warn", "info")
_STYLES = {"error": "bold red", "warn": "yellow", "info": "dim"}
# title and share of the width that is left; None: as wide as its content
_COLUMNS = {"severity": None, "rule": None, "subject": 3, "what is wrong": 4, "what to do": 4}
_WIDTH = 160
# what Python finds out before its rule is asked, and for how many seconds
_LOOKED_AT_FIRST: tuple[tuple[str, Callable[[Connection], bool], Callable[..., object], float], ...] = (
    ("well_known_passwords", may_judge, judge, 4),
    ("compared_days_differ", may_compare, compare, 4),
)


@dataclass(frozen=True)
class Rule:
    """A rule: the view verification.<rule> has one row per violation."""

    rule: str
    family: str
    severity: str
    description: str
    docs: str


@dataclass(frozen=True)
class Violation:
    """What violates a rule, what is wrong in a sentence, and what to do in another."""

    rule: str
    severity: str
    subject: str
    message: str
    fix: str


@dataclass(frozen=True)
class Verification:
    """What the rules said.

    `accepted` counts the violations that verification_exceptions excuses, `not_run` has the reason of each rule that
    gave no answer.
    """

    rules: list[Rule]
    violations: list[Violation] = field(default_factory=list)
    accepted: int = 0
    not_run: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """2 where a rule gave no answer, else 1 where there is a violation at level error, else 0."""
        return 2 if self.not_run else 1 if self.count("error") else 0

    def count(self, severity: str) -> int:
        """Violations of a severity."""
        return sum(violation.severity == severity for violation in self.violations)


def verify(url: str | None = None, select: Sequence[str] = (), *, timeout_seconds: float = 30) -> Verification:
    """Ask the rules whose name or family matches one of the patterns of `select` (default: all), each for itself.

    A rule that takes longer than the timeout, or fails, stands in `not_run`. Raises GovernanceError where nothing can
    be asked: no database, no schema `verification`, no right to read it, a pattern without a rule.

    Nothing is written but what a few seconds of comparing passwords, and rollups with raw rows, find out, and that only
    by a role that may.
    """
    with explained(), connect(url) as connection:
        verification = Verification(_chosen(_rules(connection), select))
        _look_first(connection, verification)
        connection.read_only = True
        accepted = 0
        for rule in verification.rules:
            try:
                rows = _ask(connection, rule, timeout_seconds)
            except psycopg.errors.QueryCanceled:
                verification.not_run[rule.rule] = f"it took longer than {timeout_seconds:g} s"
            except psycopg.Error as error:
                if connection.closed:
                    raise
                verification.not_run[rule.rule] = error.diag.message_primary or str(error)
            else:
                verification.violations.extend(
                    Violation(rule.rule, rule.severity, *row[:3]) for row in rows if row[3] is None
                )
                accepted += sum(row[3] is not None for row in rows)
    return Verification(verification.rules, verification.violations, accepted, verification.not_run)


def _look_first(connection: Connection, verification: Verification) -> None:
    """Lets Python find out, for some seconds each, what chosen rules ask but SQL can't; only by a role that may."""
    for rule, may, look, seconds in _LOOKED_AT_FIRST:
        if any(each.rule == rule for each in verification.rules) and may(connection):
            try:
                look(connection, seconds=seconds)
            except psycopg.Error as error:
                if connection.closed:
                    raise GovernanceError(f"the connection broke off while looking for {rule}: {error}") from error
                verification.not_run[rule] = f"it could not look: {error.diag.message_primary or error}"


def united(parts: Sequence[Verification]) -> Verification:
    """What several verifications said, as one."""
    return Verification(
        [rule for part in parts for rule in part.rules],
        [violation for part in parts for violation in part.violations],
        sum(part.accepted for part in parts),
        {rule: reason for part in parts for rule, reason in part.not_run.items()},
    )


def as_json(verification: Verification) -> str:
    """The violations, the counts, and the rules that gave no answer, as a JSON object."""
    return json.dumps(
        {
            "violations": [asdict(violation) for violation in verification.violations],
            "summary": {severity: verification.count(severity) for severity in SEVERITIES}
            | {"accepted": verification.accepted, "rules": len(verification.rules)},
            "not_run": verification.not_run,
        },
        indent=2,
    )


def print_verification(verification: Verification, file: TextIO) -> None:
    """A table with a line per violation and what to do about it, then the counts."""
    console = Console(file=file, highlight=False)
    console.width = console.width if console.is_terminal else _WIDTH
    if verification.violations:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column, ratio in _COLUMNS.items():
            table.add_column(column, ratio=ratio, overflow="fold", no_wrap=ratio is None)
        for each in verification.violations:
            severity = Text(each.severity, style=_STYLES[each.severity])
            parts = (each.subject, each.message, each.fix)
            table.add_row(severity, each.rule, *(Text(visible(part, keep="")) for part in parts))
        print_table(console, table)
        console.print()
    for rule, reason in verification.not_run.items():
        console.print(Text(f"{rule} could not run: {visible(reason)}", style=_STYLES["error"]))
    counts = ", ".join(f"{verification.count(severity)} {severity}" for severity in SEVERITIES)
    accepted = f", {verification.accepted} accepted by exceptions" if verification.accepted else ""
    console.print(Text(f"{counted(len(verification.rules), 'rule')}: {counts}{accepted}"))


def _rules(connection: Connection) -> list[Rule]:
    """All rules, the errors first."""
    query = "select rule, family, severity, description, docs from verification.rules"
    try:
        with connection.cursor(row_factory=class_row(Rule)) as cursor:
            rules = cursor.execute(query).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise NotBuiltError(
            f"there are no rules in the database {connection.info.dbname} yet; run `governance build` first"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise GovernanceError(
            f"{connection.info.user} may not read the rules; grant it usage on schema verification and select on all "
            "tables in it"
        ) from error
    return sorted(rules, key=lambda rule: (SEVERITIES.index(rule.severity), rule.family, rule.rule))


def _chosen(rules: list[Rule], patterns: Sequence[str]) -> list[Rule]:
    for pattern in patterns:
        if not any(_matches(rule, pattern) for rule in rules):
            families = ", ".join(sorted({rule.family for rule in rules}))
            raise GovernanceError(
                f"no rule and no family of rules is called {pattern}; the families are {families}, "
                "and docs/rules has a page of the rules of each"
            )
    return [rule for rule in rules if not patterns or any(_matches(rule, pattern) for pattern in patterns)]


def _matches(rule: Rule, pattern: str) -> bool:
    return fnmatchcase(rule.rule, pattern) or fnmatchcase(rule.family, pattern)


def _ask(connection: Connection, rule: Rule, timeout_seconds: float) -> list[tuple[str, str, str, str | None]]:
    """Subject, message, fix, and the reason of the exception that accepts it."""
    query = sql.SQL(
        "select violations.subject, violations.message, violations.fix, accepted.reason"
        " from verification.{} as violations left join verification.exceptions_in_force as accepted"
        " on accepted.rule = {} and accepted.subject = violations.subject order by 1, 2"
    ).format(sql.Identifier(rule.rule), sql.Literal(rule.rule))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("select set_config('statement_timeout', %s, true)", [str(int(timeout_seconds * 1000))])
        return [(str(row[0]), str(row[1]), str(row[2]), row[3]) for row in cursor.execute(query).fetchall()]
