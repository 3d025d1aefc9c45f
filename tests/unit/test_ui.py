"""What `governance ui` sees to before it becomes Dagster."""

import os
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.cli.main import main
from orchestration.cli.ui import HOST, INSTANCE, dagster_environment, instance_home, prepare_instance
from orchestration.lib import settings
from orchestration.lib.dbt.manifest import is_current
from orchestration.lib.errors import GovernanceError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a manifest made after all else."""
    (tmp_path / "models" / "core").mkdir(parents=True)
    for name in ("dbt_project.yml", "models/core/users.sql", "models/core/teams.sql"):
        (tmp_path / name).touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1000, 1000))
    os.utime(tmp_path / "target" / "manifest.json", (2000, 2000))
    return tmp_path


def test_manifest_is_current_until_a_file_changes(project: Path) -> None:
    manifest = project / "target" / "manifest.json"
    assert is_current(manifest, project)
    os.utime(project / "models" / "core" / "users.sql", (3000, 3000))
    assert not is_current(manifest, project)


def test_manifest_is_not_current_after_a_file_left(project: Path) -> None:
    manifest = project / "target" / "manifest.json"
    (project / "models" / "core" / "teams.sql").unlink()
    assert not is_current(manifest, project)


def test_missing_manifest_is_not_current(project: Path) -> None:
    shutil.rmtree(project / "target")
    assert not is_current(project / "target" / "manifest.json", project)


def test_taken_port_is_one_sentence() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(main, ["ui", "--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: cannot listen on port {port}: Address already in use; choose another one with `governance ui --port`\n"
    )


def test_instance_is_made_once_and_then_the_users(tmp_path: Path) -> None:
    home = prepare_instance(tmp_path / "home" / "dagster")
    assert (home / "dagster.yaml").read_text() == INSTANCE
    # as an earlier release wrote it
    (home / "dagster.yaml").write_text(INSTANCE.partition("\nrun_monitoring:")[0])
    prepare_instance(home)
    assert (home / "dagster.yaml").read_text() == INSTANCE
    (home / "dagster.yaml").write_text("retention: {}\n")
    prepare_instance(home)
    assert (home / "dagster.yaml").read_text() == "retention: {}\n"


def test_each_database_has_a_history_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    # wherever the embedded server listens
    assert instance_home("127.0.0.1", 5001, "x") == instance_home("127.0.0.1", 5002, "x") == tmp_path / "dagster"
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", "postgresql://somewhere/else")
    places = [("db", 5432, "x"), ("db", 5432, "y"), ("db", 5433, "x"), ("other", 5432, "x"), ("db", 5432, "x/%ü y")]
    homes = [instance_home(*place) for place in places]
    assert len({tmp_path / "dagster", *homes}) == 6
    assert homes == [instance_home(*place) for place in places]
    assert all(re.fullmatch(r"dagster-[\w-]+-[0-9a-f]{8}", home.name, re.ASCII) for home in homes)
    assert {home.parent for home in homes} == {tmp_path}


def test_a_schedule_that_makes_no_sense_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_REFRESH_SCHEDULE", "sometimes")
    result = CliRunner().invoke(main, ["ui", "--port", "3999"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: GOVERNANCE_REFRESH_SCHEDULE is 'sometimes', which is no time: ")


def test_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GovernanceError, match="cannot write to .*: Not a directory; set GOVERNANCE_HOME"):
        prepare_instance(tmp_path / "file" / "dagster")


def test_dagster_finds_its_home_and_our_dbt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    environment = dagster_environment(tmp_path, None)
    assert environment["DAGSTER_HOME"] == str(tmp_path)
    assert "GOVERNANCE_ADMIN_PASSWORD" not in environment
    found = shutil.which("dbt", path=environment["PATH"])
    assert found is not None
    assert Path(found).parent == Path(sys.executable).parent
    assert dagster_environment(tmp_path, "made up")["GOVERNANCE_ADMIN_PASSWORD"] == "made up"


def test_dbt_writes_into_the_home_where_the_project_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    assert settings.dbt_target() == settings.project_dir() / "target"
    # root may write everywhere, so modes of files wouldn't do
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert settings.dbt_target() == tmp_path / "target"
    monkeypatch.setenv("DBT_TARGET_PATH", "elsewhere")
    assert settings.dbt_target() == settings.project_dir() / "elsewhere"
