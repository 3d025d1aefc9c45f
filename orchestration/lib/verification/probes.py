"""Probes: what must be refused is tried, what must happen is made to happen, in transactions that are rolled back.

probes.toml has them.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.database.connection import connect
from orchestration.lib.database.retry import is_in_the_way, with_retries
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.evidence.result import Rule, Verification, Violation

RULE = Rule(
    "probe",
    "probes",
    "error",
    "What must be refused is refused, and what must happen by itself happens.",
    "docs/rules/probes.md",
)
# a TRUNCATE waits for writers, and other writers wait behind it
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "200ms", "10s"

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True)
class Probe:
    """One of probes.toml, whose head says what each part is."""

    name: str
    tries: str
    sql: str
    prepare: str = ""
    sqlstate: str = ""
    guard: str = ""
    holds: str = ""
    only_if: str = "true"


PROBES = tuple(
    Probe(**each) for each in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["probe"]
)


def probe_database(url: str, /) -> Verification:
    """Try all of PROBES on the database at `url`, each in a transaction of its own that is rolled back.

    A probe that could not be tried stands in `not_run`. Raises GovernanceError where the role isn't the owner: who may
    do less is refused for another reason.
    """
    with explained(), connect(url) as connection:
        _assert_owner(connection)
        return run_probes(connection, PROBES)


def run_probes(connection: Connection, probes: Sequence[Probe]) -> Verification:
    """Try these; leaves nothing but the numbers that sequences gave away."""
    violations: list[Violation] = []
    not_run: dict[str, str] = {}
    for each in probes:
        try:
            wrong = with_retries(partial(_try, connection, each))
        except psycopg.Error as error:
            if connection.closed:
                raise
            not_run[each.name] = error.diag.message_primary or str(error)
            continue
        if wrong is not None:
            fix = "Run `governance verify --deep`, which names what guards it and how to put it back."
            violations.append(Violation(RULE.rule, RULE.severity, each.name, f"{each.tries}: {wrong}.", fix))
    return Verification([RULE], violations, not_run=not_run)


def _assert_owner(connection: Connection) -> None:
    row = connection.execute(
        "select pg_get_userbyid(relowner), pg_has_role(relowner, 'usage') from pg_class"
        " where oid = to_regclass('core.audit_logs')"
    ).fetchone()
    if row is None:
        raise NotBuiltError(
            f"the database {connection.info.dbname} holds no warehouse yet; run `governance build` first"
        )
    owner, is_owner = row
    if not is_owner:
        raise GovernanceError(
            f"probes try what not even the owner may do, so they need the owner: connect as {owner}, not as "
            f"{connection.info.user}"
        )


def _try(connection: Connection, each: Probe) -> str | None:
    """What is wrong, or None. Raises psycopg.Error where it could not be tried."""
    ids = {letter: str(uuid4()) for letter in "abc"}

    def filled(text: str) -> bytes:
        for letter, value in ids.items():
            text = text.replace(f"{{{letter}}}", value)
        return text.encode()

    with connection.transaction(force_rollback=True):
        connection.execute(
            "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            [_LOCK_TIMEOUT, _STATEMENT_TIMEOUT],
        )
        if not _says(connection, f"select {each.only_if}".encode()):
            return None
        if each.prepare:
            connection.execute(filled(each.prepare))
        try:
            with connection.transaction():
                connection.execute(filled(each.sql))
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.Error as error:
            if connection.closed or is_in_the_way(error):
                raise
            refusal = f"{error.sqlstate} {error.diag.message_primary}"
            if not each.sqlstate:
                return f"it failed with {refusal}"
            if error.sqlstate == each.sqlstate and _came_from(error, each.guard):
                return None
            return f"it was refused, but not by {each.guard}: {refusal}"
        if each.sqlstate:
            return f"it was not refused, though {each.guard} should"
        return None if _says(connection, filled(each.holds)) else "it did not happen"


def _came_from(error: psycopg.Error, guard: str) -> bool:
    # the constraint of a partition or chunk ends in the name of the table's
    return (error.diag.constraint_name or "").endswith(guard) or f"{guard}(" in (error.diag.context or "")


def _says(connection: Connection, query: bytes) -> bool:
    row = connection.execute(query).fetchone()
    return row is not None and row[0] is True
