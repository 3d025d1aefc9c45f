"""Searches that take Python, and whose findings a rule shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.rights import may
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.evidence.result import Verification


@dataclass(frozen=True)
class Searched:
    """How much was looked at just now, how much is left for the next time, and how much of the former is wrong."""

    looked_at: int
    left: int
    wrong: int


@dataclass(frozen=True)
class Search:
    """Finds out what `rule` then shows: `look` does, on a connection in autocommit mode, for so many seconds.

    What it has begun then, it ends. `needs` are the privileges on tables that it takes.
    """

    rule: str
    needs: Mapping[str, Sequence[str]]
    look: Callable[[Connection, float], Searched]

    def run(self, url: str, *, seconds: float) -> Searched:
        """Look at the database at `url`. Raises GovernanceError, also where the role may not."""
        with explained(), connect(url) as connection:
            return self.look(connection, seconds)

    def collect(self, url: str, /, *, seconds: float) -> Verification:
        """The same as a collector: a role that may not look doesn't, and where it fails the rule stands in `not_run`.

        Raises GovernanceError where the connection breaks off.
        """
        with explained(), connect(url) as connection:
            if may(connection, self.needs):
                try:
                    self.look(connection, seconds)
                except psycopg.Error as error:
                    if connection.closed:
                        raise GovernanceError(
                            f"the connection broke off while looking for {self.rule}: {error}"
                        ) from error
                    said = error.diag.message_primary or error
                    return Verification([], not_run={self.rule: f"it could not look: {said}"})
        return Verification([])
