"""Probes of the roles of the database: what each may and may not is tried as each, and rolled back.

role_probes.toml has them.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from orchestration.lib.database.connection import connect
from orchestration.lib.database.retry import is_in_the_way, with_retries
from orchestration.lib.errors import explained
from orchestration.lib.evidence.result import Rule, Verification, Violation

RULE = Rule(
    "role_probe",
    "probes",
    "error",
    "Each role of the database may what it needs and is refused everything else.",
    "docs/rules/probes.md",
)
ROLES = ("owner", "migrator", "dbt", "app", "sealer", "auditor", "reader")
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "200ms", "10s"

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True)
class Attempt:
    """One of role_probes.toml, whose head says what each part is."""

    name: str
    tries: str
    sql: str
    allowed: Sequence[str]
    only_if: str = "true"


ATTEMPTS = tuple(
    Attempt(**each)
    for each in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["attempt"]
)


def probe_roles(url: str, /) -> Verification:
    """Try all of ATTEMPTS as each role of the database at `url`; nothing where it has no roles of ours.

    What could not be tried stands in `not_run`: roles that the connecting one may not become, and locks.
    """
    with explained(), connect(url) as connection:
        if not _has_roles(connection):
            return Verification([], [])
        return try_as_roles(connection, ATTEMPTS)


def try_as_roles(connection: Connection, attempts: Sequence[Attempt]) -> Verification:
    """Try these as each role."""
    violations: list[Violation] = []
    not_run: dict[str, str] = {}
    for role in ROLES:
        if (reason := _cannot_become(connection, role)) is not None:
            not_run[f"role_probe as governance_{role}"] = reason
            continue
        for each in attempts:
            try:
                refused = with_retries(partial(is_refused, connection, each, role))
            except psycopg.Error as error:
                if connection.closed:
                    raise
                not_run[f"{each.name} as governance_{role}"] = error.diag.message_primary or str(error)
                continue
            if refused is None or refused == (role not in each.allowed):
                continue
            subject = f"governance_{role}: {each.name}"
            wrong = "was refused, though its work needs it" if refused else "was not refused"
            fix = "Run `governance roles apply`, which puts rights right, and look at who changed them."
            violations.append(Violation(RULE.rule, RULE.severity, subject, f"{each.tries} {wrong}.", fix))
    return Verification([RULE], violations, not_run=not_run)


def is_refused(connection: Connection, attempt: Attempt, role: str) -> bool | None:
    """Whether the role is refused for want of a privilege; None where it isn't to be tried.

    Raises psycopg.Error where it could not be.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(
            "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            [_LOCK_TIMEOUT, _STATEMENT_TIMEOUT],
        )
        if connection.execute(f"select {attempt.only_if}".encode()).fetchone() != (True,):
            return None
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(f"governance_{role}")))
        try:
            with connection.transaction():
                connection.execute(attempt.sql.replace("{a}", str(uuid4())).encode())
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.errors.InsufficientPrivilege:
            return True
        except psycopg.Error as error:
            if connection.closed or is_in_the_way(error):
                raise
            # something else was wrong with it, so it had the right
            return False
        return False


def as_table() -> str:
    """The attempts and who may, as a table of Markdown."""
    lines = ["| tried | " + " | ".join(ROLES) + " |", "|---" * (len(ROLES) + 1) + "|"]
    for each in ATTEMPTS:
        cells = ["allowed" if role in each.allowed else "refused" for role in ROLES]
        lines.append(f"| {each.tries} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _has_roles(connection: Connection) -> bool:
    if connection.execute("select to_regclass('internal.settings') is not null").fetchone() != (True,):
        return False
    query = "select exists (select from internal.settings where name = 'database_roles' and value = 'true')"
    return connection.execute(query).fetchone() == (True,)


def _cannot_become(connection: Connection, role: str) -> str | None:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(f"governance_{role}")))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
        return f"{error.diag.message_primary}; connect as a superuser, or as one who is a member of it"
    return None
