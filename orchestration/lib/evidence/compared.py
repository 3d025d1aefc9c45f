"""Comparisons that take Python, and whose findings a rule shows."""

from collections.abc import Callable, Mapping, Sequence

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.rights import may
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.evidence.result import Verification


def compared(
    rule: str, url: str, needs: Mapping[str, Sequence[str]], compare: Callable[[Connection], object]
) -> Verification:
    """Lets `compare` find out what the rule then shows, by a role that has the privileges it needs.

    Where it fails the rule stands in `not_run`. Raises GovernanceError where the connection breaks off.
    """
    with explained(), connect(url) as connection:
        if may(connection, needs):
            try:
                compare(connection)
            except psycopg.Error as error:
                if connection.closed:
                    raise GovernanceError(f"the connection broke off while looking for {rule}: {error}") from error
                return Verification([], not_run={rule: f"it could not look: {error.diag.message_primary or error}"})
    return Verification([])
