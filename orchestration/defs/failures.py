"""How an error meant for the user looks in Dagster, and which errors are worth another try."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import dagster as dg

from orchestration.lib import errors
from orchestration.lib.database.retry import is_transient

# a server that restarts is back by then: 5, 10, 20, 40 and 80 seconds
RETRIES = 5
FIRST_PAUSE = 5.0


@contextmanager
def explained() -> Iterator[None]:
    """Fails the step with the sentence of a GovernanceError, or of what the database or the disk says.

    Where the database or a server of somebody else's is away, or other sessions are in the way, the step is tried
    again, each time after twice as long; after any other error trying again wouldn't help, so it isn't.
    """
    try:
        with errors.explained("run it again"):
            yield
    except errors.GovernanceError as error:
        fail(str(error), error, transient=is_transient(error) or isinstance(error, errors.UnreachableError))


def fail(sentence: str, error: Exception, *, transient: bool = False) -> NoReturn:
    """Fails the step with the sentence, or asks for another try while the error may pass."""
    tried = dg.OpExecutionContext.get().retry_number if transient else RETRIES
    if tried < RETRIES:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=FIRST_PAUSE * 2**tried) from error
    raise dg.Failure(sentence, allow_retries=False) from error
