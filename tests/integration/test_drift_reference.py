"""The reference of deep drift: built beside the database in question, with its vars, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from database_roles import as_user
from parsed import read_for_process

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect, with_database
from orchestration.lib.database.in_use import database_url
from orchestration.lib.database.locks import Lock
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.drift import find
from orchestration.lib.verification.drift.find import find_drift, reference_database

pytestmark = pytest.mark.not_on_pglite("a database beside another, and several connections")
# of them can be told with which vars they were built; whole references are built in test_own_server.py
SOME = ["--select", "users", "+llm_metrics_daily", "rules", "invalid_indexes"]


def build_some(args: list[str], url: str, **options: Any) -> None:
    run_dbt([*args, *SOME], url, **options)


def databases(url: str) -> set[str]:
    with connect(url) as connection:
        return {name for (name,) in connection.execute("select datname from pg_database")}


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


@pytest.fixture(scope="module")
def with_vars(server_url: str, dbt_folder: None) -> Iterator[str]:
    """URL of a database that was built with vars of its own."""
    name = "test_drift_vars"
    url = with_database(server_url, name)
    with connect(server_url) as admin:
        admin.execute(f"drop database if exists {name} with (force)".encode())
        admin.execute(f"create database {name}".encode())
        try:
            variables = "{reporting_timezone: Asia/Kolkata, default_currency: EUR, partition_width: 1 day}"
            build_some(["build", "--resource-type", "model", "seed", "--vars", variables], url, quiet=True)
            yield url
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


def test_a_drift_is_an_error_of_the_command_and_nothing_is_left_behind(
    with_vars: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only one: the reference has the vars with which the database was built, and those can be seen to matter."""
    monkeypatch.setattr(find, "run_dbt", build_some)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", with_vars)
    before, environment = databases(with_vars), dict(os.environ)
    with connect(with_vars) as connection:
        connection.execute("drop index core.users_status_idx")
    drifted = CliRunner().invoke(main, ["verify", "--deep", "--select", "invalid_indexes", "--json"])
    assert drifted.exit_code == 1, drifted.output
    assert [each["subject"] for each in json.loads(drifted.stdout)["violations"]] == [
        "index users_status_idx on core.users"
    ]
    assert databases(with_vars) == before
    assert dict(os.environ) == environment, "dbt goes on with the database in use"
    differ = {each.subject for each in find_drift(with_vars, reference_url=database).violations}
    assert {"view rollups.llm_metrics_daily, definition", "column core.llm_metrics.currency, default"} <= differ, differ


def test_what_a_killed_run_left_is_dropped_and_two_at_once_are_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_one_table(args: list[str], url: str, **options: Any) -> None:
        run_dbt([*args, "--select", "users"], url, **options)

    monkeypatch.setattr(find, "run_dbt", build_one_table)
    name = f"governance_drift_of_{name_of(database)}"
    with connect(database) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute("select pg_advisory_lock(%s)", [Lock.DRIFT_REFERENCE])
        with pytest.raises(GovernanceError, match="another deep verification of .* is running"):
            find_drift(database)
        assert name in databases(database)
    with reference_database(database) as reference, connect(reference) as inside:
        assert name in databases(database)
        assert inside.execute("select to_regclass('core.users') is not null").fetchone() == (True,)
    assert name not in databases(database)


class ReadError(Exception):
    """In place of a build."""


def test_control_c_while_the_reference_is_being_built_leaves_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(args: list[str], url: str, **_options: Any) -> None:
        read_for_process(url, *args[args.index("--vars") :], application="governance dbt")
        raise ReadError

    # what the process would read for ten times as long as it builds
    monkeypatch.setattr(find, "run_dbt", read)
    with pytest.raises(ReadError), reference_database(database):
        pass
    name = f"governance_drift_of_{name_of(database)}"
    # a shell that runs the tests in its background has SIGINT ignored
    program = """
import signal
from orchestration.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
    command = [sys.executable, "-c", program, "verify", "--deep"]
    process = subprocess.Popen(
        command,
        env=os.environ | {"GOVERNANCE_DATABASE_URL": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 120
    while name not in databases(database):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with connect(with_database(database, name)) as connection:
        while connection.execute("select to_regclass('core.users') is null").fetchone() == (True,):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    assert name not in databases(database)


def test_a_role_that_may_not_create_a_database_gets_one_sentence_and_exit_code_2(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database) as connection:
        connection.execute(
            "create role drift_weak login password 'weak'; grant usage on schema internal, verification to drift_weak;"
            "grant select on internal.settings to drift_weak;"
            "grant select on all tables in schema verification to drift_weak"
        )
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    try:
        monkeypatch.setenv("GOVERNANCE_DATABASE_URL", as_user(database, "drift_weak:weak"))
        assert "drift_weak" in database_url()
        result = CliRunner().invoke(main, ["verify", "--deep", "--select", "invalid_indexes"])
    finally:
        with connect(database) as connection:
            connection.execute("drop owned by drift_weak; drop role drift_weak")
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1
    assert "let an administrator run `alter role drift_weak createdb`" in result.output
