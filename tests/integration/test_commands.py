"""Each command ends in one sentence and a true exit code: before a build, without rights, cut off, interrupted."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from database_roles import as_user
from engines import Engine
from parsed import read_for_process
from psycopg import sql

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.processes import wait_until

# how a command meets these doesn't depend on the engine
pytestmark = pytest.mark.engines("postgres")

BUILD_FIRST = "run `governance build` first"
READER = "test_commands_reader"
COULD_NOT_ASK, FAILED, INTERRUPTED = 2, 1, 130
USAGE = "time,provider,model\n2026-11-20T10:00:00Z,openai,gpt-4o\n"


def run(url: str, command: str) -> Result:
    result = CliRunner(env={"GOVERNANCE_DATABASE_URL": url}).invoke(main, command.split(), input=USAGE)
    # anything else would have been a traceback
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def unbuilt(engine: Engine) -> Iterator[str]:
    """URL of a database that holds nothing."""
    with engine.empty("commands_empty") as url:
        yield url


@pytest.fixture(scope="module")
def half_built(engine: Engine) -> Iterator[str]:
    """URL of a database whose first build was stopped half way."""
    with engine.empty("commands_half") as url:
        run_dbt(["build", "--select", "users", "--resource-type", "model"], url, quiet=True)
        yield url


COMMANDS = {
    "refresh": FAILED,
    "retain": FAILED,
    "ingest - --format csv": FAILED,
    "models": FAILED,
    "models alias a b": FAILED,
    "move-to-hypertables": FAILED,
    "verify": COULD_NOT_ASK,
    "verify --deep": COULD_NOT_ASK,
    "verify --probe": COULD_NOT_ASK,
}


@pytest.mark.parametrize(("command", "code"), COMMANDS.items(), ids=COMMANDS)
@pytest.mark.parametrize("database", ["unbuilt", "half_built"])
def test_before_the_first_build_a_command_says_so(
    engine: Engine, database: str, command: str, code: int, request: pytest.FixtureRequest
) -> None:
    result = run(request.getfixturevalue(database), command)
    assert result.exit_code == code
    assert BUILD_FIRST in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("database", ["unbuilt", "half_built"])
def test_before_the_first_build_there_is_a_status_and_nothing_to_migrate(
    engine: Engine, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    assert run(url, "status").exit_code == 0
    assert run(url, "migrate").exit_code == 0


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """URL for a role that may connect and no more."""
    role = sql.Identifier(READER)
    with connect(database) as session:
        session.execute(sql.SQL("drop role if exists {0}; create role {0} login password 'reads'").format(role))
        yield as_user(database, f"{READER}:reads")
        session.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))


@pytest.mark.parametrize(
    ("command", "code"),
    {**COMMANDS, "build": FAILED, "rebuild-rollups": FAILED, "migrate": FAILED, "demo": FAILED}.items(),
)
def test_a_role_that_may_not_is_told_so(reader: str, command: str, code: int) -> None:
    result = run(reader, command)
    assert result.exit_code == code
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "may not" in last or "permission denied" in last


def test_a_role_that_may_not_sees_what_it_may(reader: str) -> None:
    result = run(reader, "status")
    assert result.exit_code == 0
    assert "time series  not to be seen by this role" in result.stdout
    said = json.loads(run(reader, "status --json").stdout)
    assert (said["is_running"], said["state"], said["time_series"]) == (True, "running", "not to be seen by this role")


# a shell that runs the tests in its background has SIGINT ignored
INTERRUPTIBLE = """
import signal
from orchestration.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@pytest.fixture(scope="module")
def read(database: str) -> str:
    """URL of the database, for which a process that builds finds the project read."""
    read_for_process(database)
    return database


@contextmanager
def stopped(url: str, command: str, relation: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, waiting for a lock on the relation."""
    with (
        connect(url, autocommit=False) as other,
        connect(url) as session,
        tempfile.TemporaryFile("w+") as usage,
    ):
        usage.write(USAGE)
        usage.seek(0)
        other.execute(f"lock table {relation} in access exclusive mode".encode())
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *command.split()],
            env=os.environ | {"GOVERNANCE_DATABASE_URL": url},
            stdin=usage,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = "select exists (select from pg_locks where not granted and relation = %s::regclass)"
        assert wait_until(lambda: session.execute(waiting, [relation]).fetchone() == (True,), 60)
        yield process
        process.kill()


RULES, STATE, LEDGER = "verification.rules", "internal.rollup_state", "internal.schema_changes"
WAITING = [
    ("refresh", STATE, FAILED),
    ("retain", STATE, FAILED),
    ("verify", RULES, COULD_NOT_ASK),
    ("ingest - --format csv", "internal.quarantine", FAILED),
    ("migrate", LEDGER, FAILED),
    ("build", LEDGER, FAILED),
]


@pytest.mark.parametrize(("command", "relation", "code"), WAITING)
def test_a_command_survives_its_server_in_one_sentence(read: str, command: str, relation: str, code: int) -> None:
    with stopped(read, command, relation) as process, connect(read) as admin:
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_locks where not granted and relation = %s::regclass",
            [relation],
        )
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert "error: " in errors
    assert "terminating connection due to administrator command" in errors


@pytest.mark.parametrize(("command", "relation"), [(command, relation) for command, relation, _ in WAITING])
def test_ctrl_c_ends_a_command_in_one_sentence(read: str, command: str, relation: str) -> None:
    with stopped(read, command, relation) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, errors
    assert "Traceback" not in errors
    assert "interrupted: run the same command again" in errors.splitlines()[-1]
    with connect(read) as session:
        left = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        assert wait_until(lambda: session.execute(left).fetchone() == (0,), 10)


def test_an_error_that_only_a_fault_of_ours_can_cause_stays_one(database: str) -> None:
    from orchestration.lib.errors import explained

    with pytest.raises(psycopg.errors.SyntaxError), explained(), connect(database) as session:
        session.execute("selec 1")


def test_psql_opens_the_database_in_use(database: str) -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "governance", "psql", "-XAt", "-c", "select count(*) from core.roles"],
        env=os.environ | {"GOVERNANCE_DATABASE_URL": database},
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("7\n", "")
