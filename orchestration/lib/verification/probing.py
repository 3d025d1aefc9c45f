"""How probes are tried, the ordinary ones and those of roles: each in a transaction of its own that is rolled back."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from orchestration.lib.database.connection import Connection
from orchestration.lib.database.retry import is_in_the_way, with_retries

# a TRUNCATE waits for writers, and other writers wait behind it
_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "200ms", "10s"


@dataclass(frozen=True)
class Probe:
    """One of probes.toml or role_probes.toml, whose heads say what each part is."""

    name: str
    tries: str
    sql: str
    prepare: str = ""
    sqlstate: str = ""
    guard: str = ""
    holds: str = ""
    allowed: Sequence[str] = ()
    only_if: str = "true"


@dataclass(frozen=True)
class Outcome:
    """What became of a probe: PostgreSQL's error, or none, and then whether what must hold holds."""

    error: psycopg.Error | None
    holds: bool = False


def read_probes(file: Path) -> tuple[Probe, ...]:
    """The probes of a file."""
    return tuple(Probe(**each) for each in tomllib.loads(file.read_text(encoding="utf-8"))["probe"])


def outcomes(
    connection: Connection, probes: Iterable[Probe], *, role: str | None = None
) -> Iterator[tuple[Probe, Outcome | str]]:
    """What became of each, tried as a role; or the reason why it could not be tried, mostly a lock.

    Those whose `only_if` is false here are left out. Nothing stays but the numbers that sequences gave away.
    """
    for each in probes:
        try:
            outcome = with_retries(partial(_tried, connection, each, role))
        except psycopg.Error as error:
            if connection.closed:
                raise
            yield each, error.diag.message_primary or str(error)
            continue
        if outcome is not None:
            yield each, outcome


def become(connection: Connection, role: str) -> None:
    """Until the end of the transaction."""
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))


def _tried(connection: Connection, probe: Probe, role: str | None) -> Outcome | None:
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
        if not _says(connection, f"select {probe.only_if}".encode()):
            return None
        if probe.prepare:
            connection.execute(filled(probe.prepare))
        if role is not None:
            become(connection, role)
        try:
            with connection.transaction():
                connection.execute(filled(probe.sql))
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.Error as error:
            if connection.closed or is_in_the_way(error):
                raise
            return Outcome(error)
        return Outcome(None, holds=bool(probe.holds) and _says(connection, filled(probe.holds)))


def _says(connection: Connection, query: bytes) -> bool:
    row = connection.execute(query).fetchone()
    return row is not None and row[0] is True
