"""Comparisons that take Python, and whose findings a rule shows."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import psycopg

from orchestration.lib.database.connection import connect
from orchestration.lib.database.rights import may
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.evidence.result import Verification

if TYPE_CHECKING:
    from psycopg.rows import TupleRow


def compared(
    rule: str,
    url: str,
    needs: Mapping[str, Sequence[str]],
    compare: Callable[["psycopg.Connection[TupleRow]"], object],
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
