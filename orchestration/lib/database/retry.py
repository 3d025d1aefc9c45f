"""Trying again where other sessions were in the way; every other error is raised at once."""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

T = TypeVar("T")

# serialization failure, deadlock, lock timeout
IN_THE_WAY = ("40001", "40P01", "55P03")


def with_retries(act: Callable[[], T]) -> T:
    """What `act` returns; it is tried ten times within some ten seconds, besides what each try takes.

    A try that failed must have left nothing behind: a transaction, for instance. Raises what the last one raised.
    """
    retrying = Retrying(
        retry=retry_if_exception(is_in_the_way),
        stop=stop_after_attempt(10),
        wait=wait_random_exponential(multiplier=0.2, max=3),
        reraise=True,
    )
    return retrying(act)


def is_in_the_way(error: BaseException) -> bool:
    """Whether another session was the cause, and may be gone at the next try."""
    return isinstance(error, psycopg.Error) and error.sqlstate in IN_THE_WAY
