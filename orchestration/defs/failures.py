"""How an error meant for the user looks in Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from orchestration.lib import errors


@contextmanager
def explained() -> Iterator[None]:
    """Fails the step with the sentence of a GovernanceError; trying again wouldn't help, so it isn't."""
    try:
        with errors.explained("run it again"):
            yield
    except errors.GovernanceError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
