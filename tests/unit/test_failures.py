"""Which errors are worth another try, and what a step says in the end."""

import errno
import os
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import dagster as dg
import psycopg
import pytest

from orchestration.defs import failures
from orchestration.lib.database.retry import is_transient, says_transient
from orchestration.lib.errors import GovernanceError, UnreachableError

GONE = psycopg.OperationalError("connection failed: server closed the connection unexpectedly")


def of_state(state: str) -> psycopg.Error:
    return psycopg.errors.lookup(state)("said by the server")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (GONE, True),
        (psycopg.OperationalError("connection failed: Connection refused"), True),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), True),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "x"'), False),
        (psycopg.OperationalError('FATAL:  database "x" does not exist'), False),
        (of_state("40001"), True),
        (of_state("40P01"), True),
        (of_state("55P03"), True),
        (of_state("57P01"), True),
        (of_state("53300"), True),
        (of_state("53100"), False),
        (of_state("57014"), False),
        (of_state("23505"), False),
        (of_state("42P01"), False),
        (GovernanceError("the warehouse isn't built yet"), False),
        (ValueError("no error of a database"), False),
    ],
    ids=lambda each: getattr(each, "sqlstate", None) or str(each)[:30],
)
def test_only_what_passes_is_tried_again(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient
    explained = GovernanceError("a sentence")
    explained.__cause__ = error
    assert is_transient(explained) is transient


@pytest.mark.parametrize(
    ("said", "transient"),
    [
        ("Database Error: server closed the connection unexpectedly", True),
        ("deadlock detected", True),
        ("FATAL:  terminating connection due to administrator command", True),
        ("connection to server at 127.0.0.1 failed: FATAL:  password authentication failed", False),
        ("column x does not exist", False),
    ],
)
def test_the_output_of_dbt_is_judged_by_the_same_rule(said: str, transient: bool) -> None:
    assert says_transient(said) is transient


def run(errors: Iterator[Exception | None]) -> tuple[bool, int, str]:
    """Whether a step succeeds in which these errors happen one after the other, its tries, and what it fails with."""
    tries = 0

    @dg.op
    def step() -> None:
        nonlocal tries
        tries += 1
        with failures.explained():
            if (error := next(errors)) is not None:
                raise error

    @dg.job
    def job() -> None:
        step()

    result = job.execute_in_process(raise_on_error=False)
    said = [event.step_failure_data.user_failure_data for event in result.get_step_failure_events()]
    return result.success, tries, " ".join(str(each.description) for each in said if each is not None)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FIRST_PAUSE", 0.001)


def test_a_database_that_comes_back_is_no_failure() -> None:
    assert run(iter([GONE, of_state("40P01"), None])) == (True, 3, "")


def test_a_server_of_somebody_elses_is_asked_again() -> None:
    assert run(iter([UnreachableError("it doesn't answer"), None])) == (True, 2, "")


def test_one_that_stays_away_fails_with_a_sentence() -> None:
    success, tries, sentence = run(repeat(GONE))
    assert (success, tries) == (False, failures.RETRIES + 1)
    assert sentence.startswith("the database went away (connection failed: ")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (lambda: GovernanceError("another build is at work"), "another build is at work"),
        (
            lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/reports/report.html"),
            "cannot write /reports/report.html: No space left on device; see to that, then run it again",
        ),
        (
            lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/reports"),
            "/reports can't be used: Permission denied; see to its rights, or name a place of your own",
        ),
    ],
)
def test_anything_else_is_tried_once(error: Callable[[], Exception], sentence: str) -> None:
    assert run(chain([error()], repeat(None))) == (False, 1, sentence)
