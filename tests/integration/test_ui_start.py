"""What `governance ui` becomes, and the first password that it makes up."""

import os
import signal
import sys
from pathlib import Path

import pytest
from parsed import read_for_process

from orchestration.cli import ui
from orchestration.lib.database.connection import connect
from orchestration.lib.identity.accounts import ADMIN_EMAIL

# whatever the engine
pytestmark = pytest.mark.engines("postgres")

PASSWORD = "a password of the test's own"


def test_ui_becomes_dagster_and_makes_the_first_password_up_where_it_must(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the moment at which the process becomes another program."""
    started: dict[str, str] = {}

    def become(program: str, arguments: list[str], environment: dict[str, str]) -> None:
        started.update(environment, program=program, arguments=" ".join(arguments))
        raise SystemExit

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    monkeypatch.setenv("DBT_WRITE_JSON", "true")
    read_for_process(database)
    monkeypatch.chdir(Path.cwd())
    said: list[str] = []
    # as a script's `&` has it: Dagster would then ignore SIGTERM too
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit):
            ui.open_ui(3999, said.append)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)
    assert started["program"] == sys.executable
    assert started["arguments"].endswith(
        "-m dagster dev --host 127.0.0.1 --port 3999 --log-level warning --module-name orchestration.definitions"
    )
    assert (Path(started["DAGSTER_HOME"]) / "dagster.yaml").exists()
    assert any(started["GOVERNANCE_ADMIN_PASSWORD"] in sentence for sentence in said)

    # given, or the account there: nothing to make up
    monkeypatch.setenv("GOVERNANCE_ADMIN_PASSWORD", PASSWORD)
    said.clear()
    with pytest.raises(SystemExit):
        ui.open_ui(3999, said.append)
    assert started["GOVERNANCE_ADMIN_PASSWORD"] == PASSWORD
    with connect(database) as connection:
        connection.execute("insert into core.users (email, display_name) values (%s, 'Administrator')", [ADMIN_EMAIL])
    monkeypatch.delenv("GOVERNANCE_ADMIN_PASSWORD")
    with pytest.raises(SystemExit):
        ui.open_ui(3999, said.append)
    assert "password" not in " ".join(said)
