"""Trying again where other sessions were in the way; every other error is raised at once."""

import re
from collections.abc import Callable
from typing import TypeVar

import psycopg
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

T = TypeVar("T")

# serialization failure, deadlock, lock timeout
IN_THE_WAY = ("40001", "40P01", "55P03")
# the server was ended, crashed, is starting, or has no connection left
_GONE = ("08", "57P01", "57P02", "57P03", "53300")
# a server that refuses a login says FATAL too, and will do so again
_STARTING = re.compile("starting up|shutting down|recovery|too many|connection slots", re.IGNORECASE)
# of programs whose errors are text
_SAID = re.compile(
    "server closed the connection|connection to server .* failed|could not connect|terminating connection"
    "|connection already closed|SSL connection has been closed|deadlock detected|due to lock timeout"
    "|database system is (starting up|shutting down|in recovery)",
    re.IGNORECASE,
)


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


def is_transient(error: BaseException) -> bool:
    """Whether the error, or the one behind it, is of the database and may be over in a minute."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error):
        cause = cause.__cause__
    if cause is None:
        return False
    if cause.sqlstate:
        return cause.sqlstate.startswith((*_GONE, *IN_THE_WAY))
    return isinstance(cause, psycopg.OperationalError) and may_pass(str(cause))


def may_pass(said: str) -> bool:
    """Whether a connection that failed so may work in a minute: refused, lost or ended, but not for a wrong login."""
    return "FATAL" not in said or _STARTING.search(said) is not None or "terminating connection" in said


def says_transient(output: str) -> bool:
    """Whether the output of a program such as dbt shows an error that may be over in a minute."""
    return _SAID.search(output) is not None and may_pass(output)
