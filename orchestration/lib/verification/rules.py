"""Asks the rules of schema `verification` what is not as it should be; needs the database only, and may only read."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.evidence.result import SEVERITIES, Rule, Verification, Violation
from orchestration.lib.identity.passwords import judge, may_judge
from orchestration.lib.verification.comparison import compare, may_compare

Connection = psycopg.Connection[TupleRow]

# what Python finds out before its rule is asked, and for how many seconds
_LOOKED_AT_FIRST: tuple[tuple[str, Callable[[Connection], bool], Callable[..., object], float], ...] = (
    ("well_known_passwords", may_judge, judge, 4),
    ("compared_days_differ", may_compare, compare, 4),
)


def verify(url: str, select: Sequence[str] = (), *, timeout_seconds: float = 30) -> Verification:
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
