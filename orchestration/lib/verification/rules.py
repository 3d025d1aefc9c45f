"""Runs the rules of schema `verification`, in a session that only reads."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.evidence.result import SEVERITIES, Rule, Verification, Violation
from orchestration.lib.words import did_you_mean


def chosen_rules(url: str, select: Sequence[str] = ()) -> list[Rule]:
    """The rules whose name or family matches one of the patterns of `select` (default: all), the errors first.

    Raises GovernanceError where nothing can be asked: no database, no schema `verification`, no right to read it, a
    pattern without a rule.
    """
    with explained(), connect(url) as connection:
        return _chosen(_rules(connection), select)


def ask_rules(url: str, /, *, rules: Sequence[Rule], timeout_seconds: float) -> Verification:
    """Ask these rules, each for itself; one that takes longer than the timeout, or fails, stands in `not_run`."""
    verification = Verification(list(rules))
    with explained(), connect(url) as connection:
        connection.read_only = True
        for rule in rules:
            try:
                rows = _ask(connection, rule, timeout_seconds)
            except psycopg.errors.QueryCanceled:
                verification.not_run[rule.rule] = f"it took longer than {timeout_seconds:g} s"
            except psycopg.Error as error:
                if connection.closed:
                    raise
                verification.not_run[rule.rule] = error.diag.message_primary or str(error)
            else:
                verification.violations.extend(Violation(rule.rule, rule.severity, *row) for row in rows)
    return verification


def _rules(connection: Connection) -> list[Rule]:
    """All rules, the errors first."""
    query = "select rule, family, severity from verification.rules"
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
            families = sorted({rule.family for rule in rules})
            hint = did_you_mean(pattern, [*families, *(rule.rule for rule in rules)])
            raise GovernanceError(
                f"no rule and no family of rules is called {pattern}: {hint}the families are {', '.join(families)}, "
                "and docs/rules has a page of the rules of each"
            )
    return [rule for rule in rules if not patterns or any(_matches(rule, pattern) for pattern in patterns)]


def _matches(rule: Rule, pattern: str) -> bool:
    return fnmatchcase(rule.rule, pattern) or fnmatchcase(rule.family, pattern)


def _ask(connection: Connection, rule: Rule, timeout_seconds: float) -> list[tuple[str, str, str]]:
    """Subject, message and fix of each violation."""
    query = sql.SQL("select subject, message, fix from verification.{} order by 1, 2").format(sql.Identifier(rule.rule))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("select set_config('statement_timeout', %s, true)", [str(int(timeout_seconds * 1000))])
        return [(str(row[0]), str(row[1]), str(row[2])) for row in cursor.execute(query).fetchall()]
