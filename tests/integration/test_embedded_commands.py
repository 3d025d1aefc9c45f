"""The commands about the embedded server."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from embedded_homes import answer, data_folder, new_home, running

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded.server import EmbeddedServer

# the command line


def governance(home: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env={"GOVERNANCE_HOME": str(home)})


def test_commands_of_a_running_server(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    password = (home / "password").read_text().strip()
    assert governance(home, "url").stdout.splitlines()[-1] == url
    status = governance(home, "status")
    assert status.exit_code == 0
    for fact in ("running", "PostgreSQL 17.10 (embedded)", f"127.0.0.1:{server.status().port}", str(home), "MB"):
        assert fact in status.output
    again = governance(home, "up")
    assert again.exit_code == 0
    assert password not in status.output + again.output
    lines = governance(home, "env").stdout.splitlines()
    exports = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)
    assert exports["GOVERNANCE_DB_PASSWORD"] == password
    assert exports["GOVERNANCE_DB_PORT"] == str(server.status().port)
    assert governance(home, "up", "--port", "70000").exit_code == 2


def test_commands_of_a_stopped_server(server: EmbeddedServer, home: Path) -> None:
    assert governance(home, "down").exit_code == 0
    assert governance(home, "status").exit_code == 3
    for command in ("url", "env"):
        result = governance(home, command)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "start the embedded one with `governance up`" in result.stderr


def test_a_server_in_use_is_not_stopped_unless_told(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    with connect(url, application="a build"), connect(running(server, "postgres"), application="a build"):
        for command in (["down"], ["down", "--destroy", "--yes"]):
            refused = governance(home, *command)
            assert refused.exit_code == 1
            assert refused.stderr == (
                f"error: the embedded server of {home} is in use by a build on database llm_governance, a build on "
                "database postgres: end that first, or stop the server all the same with --force\n"
            )
        assert answer(url, "select 1") == 1
        stopped = governance(home, "down", "--force")
        port = server.status().port
        assert (stopped.exit_code, stopped.stderr) == (0, f"stopped the embedded server of {home} (port {port})\n")
    assert not server.status().running


def test_who_has_just_gone_does_not_use_it(server: EmbeddedServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaving, sleep = connect(start(server)), time.sleep

    def leave(seconds: float) -> None:
        leaving.close()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", leave)
    assert governance(home, "down").exit_code == 0


def test_a_server_with_a_ui_on_it_is_not_stopped_unless_told(server: EmbeddedServer, home: Path) -> None:
    start(server)
    become = "import os, sys; from pathlib import Path; from orchestration.lib.embedded.server import EmbeddedServer; "
    become += "EmbeddedServer(Path(sys.argv[1])).keep_for_ui(); os.execv('/bin/sleep', ['sleep', '60'])"
    uis = [subprocess.Popen([sys.executable, "-c", become, str(home)]) for _ in range(2)]
    try:
        while any(b"sleep" not in Path(f"/proc/{ui.pid}/comm").read_bytes() for ui in uis):
            time.sleep(0.01)
        for ui in uis:
            refused = governance(home, "down")
            assert refused.exit_code == 1
            assert "is in use by `governance ui`: end that first" in refused.stderr
            ui.kill()
            ui.wait()
        assert governance(home, "down").exit_code == 0
    finally:
        for ui in uis:
            ui.kill()
            ui.wait()


def test_down_leaves_the_server_of_the_variable_alone(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    with new_home() as other:
        result = CliRunner().invoke(main, ["down"], env={"GOVERNANCE_HOME": str(other), "GOVERNANCE_DATABASE_URL": url})
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: this is about the embedded server of {other}, not about GOVERNANCE_DATABASE_URL\n"
        f"the embedded server of {other} wasn't running\n"
    )
    assert answer(url, "select 1") == 1


def test_a_data_folder_of_an_earlier_release_logs_no_secret_either(server: EmbeddedServer) -> None:
    server.down()
    settings = data_folder(server) / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text(before + "log_error_verbosity = 'verbose'\nlog_min_error_statement = 'error'\n")
    try:
        url = start(server)
        names = ("log_error_verbosity", "log_min_error_statement", "log_parameter_max_length_on_error")
        with connect(url) as connection:
            shown = [connection.execute("select current_setting(%s)", [name]).fetchone() for name in names]
        assert shown == [("terse",), ("panic",), ("0",)]
    finally:
        settings.write_text(before)


def test_nothing_is_deleted_unasked(server: EmbeddedServer, home: Path) -> None:
    with connect(running(server)) as connection:
        connection.execute("create table if not exists public.precious (id integer)")
    for stdin in ("", "n\n"):
        result = governance(home, "down", "--destroy", stdin=stdin)
        assert result.exit_code == 1
        assert "nothing is deleted" in result.stderr
    governance(home, "down")
    assert answer(start(server), "select count(*) from public.precious") == 0


def test_destroy_deletes_when_told_to(server: EmbeddedServer, home: Path) -> None:
    """The last one of the module: its server is gone after it."""
    assert governance(home, "down", "--destroy", stdin="y\n").exit_code == 0
    assert [path.name for path in home.iterdir()] == ["lock"]
    assert "no embedded database" in governance(home, "down", "--destroy", "--yes").stderr
