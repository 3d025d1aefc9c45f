"""A database that goes away, or a disk that is full, in the middle of a job: no double effect, nothing half written."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs import failures
from orchestration.defs.backup import jobs as backups
from orchestration.defs.compliance import jobs as compliance
from orchestration.defs.compliance.periods import KINDS
from orchestration.defs.retention import jobs as retention
from orchestration.lib.compliance import sections
from orchestration.lib.compliance.period import of_day
from orchestration.lib.compliance.report import MANIFEST, verify_report
from orchestration.lib.database.connection import Connection, connect

pytestmark = [
    pytest.mark.engines("postgres"),
    pytest.mark.not_on_pglite("another session ends the one of the job"),
]
DAILY = compliance.report_job(KINDS[0])
ROUNDS = int(os.environ.get("GOVERNANCE_KILL_ROUNDS") or 1)


@pytest.fixture
def home(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder, with the database in use."""
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    monkeypatch.setattr(failures, "FIRST_PAUSE", 0.01)
    return tmp_path


@pytest.fixture
def day(database: str) -> str:
    """Yesterday, which is a partition of the daily report."""
    with connect(database) as connection:
        [(day,)] = connection.execute("select (now() at time zone 'UTC' - interval '1 day')::date::text").fetchall()
    return str(day)


def end_sessions(url: str, application: str) -> None:
    """As a server that is restarted does."""
    with connect(url, application="test") as admin:
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and application_name = %s",
            [application],
        )


def tries(result: dg.ExecuteInProcessResult) -> int:
    return 1 + sum(event.event_type == dg.DagsterEventType.STEP_RESTARTED for event in result.all_events)


def test_a_report_is_whole_although_the_database_went_away(
    home: Path, database: str, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = sections.read, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            end_sessions(database, "governance report")
        return read(*arguments)

    monkeypatch.setattr(sections, "read", interrupted)
    result = DAILY.execute_in_process(partition_key=day)
    assert result.success
    assert (len(calls), tries(result)) == (2, 2)
    [folder] = (home / "reports").iterdir()
    assert (folder.name, verify_report(folder)) == (f"day-{day}", [])
    [event] = result.get_asset_materialization_events()
    assert event.partition == day
    assert event.materialization.metadata["verdict"].value in ("ok", "attention", "problem", "no data")


def test_a_report_that_is_there_is_taken_as_it_is_unless_it_was_changed(home: Path, day: str) -> None:
    """As after a kill between the folder and the event."""
    assert DAILY.execute_in_process(partition_key=day).success
    folder = home / "reports" / f"day-{day}"
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert DAILY.execute_in_process(partition_key=day).success
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    (folder / "report.html").write_text("nothing happened")
    said = reason(DAILY.execute_in_process(partition_key=day, raise_on_error=False))
    assert "report.html is not the file that was written" in said


def reason(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [failed] = result.get_step_failure_events()
    return str(failed.step_failure_data.user_failure_data)


def test_a_period_that_runs_in_the_reporting_zone_gets_no_report_by_schedule(
    home: Path, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the schedules have the clock of another zone, in which the month is over hours earlier."""
    running = of_day("month", date.fromisoformat(day) + timedelta(days=1), "UTC")
    monkeypatch.setattr(compliance, "period_of", lambda kind, key: running)
    said = reason(DAILY.execute_in_process(partition_key=day, raise_on_error=False))
    assert f"{running.name} has not ended in UTC, the zone of the reports: set GOVERNANCE_SCHEDULE_TIMEZONE" in said
    assert not (home / "reports" / f"month-{running.name}").exists()


def test_a_report_that_somebody_wrote_before_the_end_does_not_stand_for_the_whole(home: Path, day: str) -> None:
    assert DAILY.execute_in_process(partition_key=day).success
    manifest = home / "reports" / f"day-{day}" / MANIFEST
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"as_of": f"{day} 23:59:59Z"}))
    assert f"was written before {day} had ended: move it away" in reason(
        DAILY.execute_in_process(partition_key=day, raise_on_error=False)
    )


_FULL = """
import resource, signal, sys
from orchestration.defs.compliance.jobs import report_job
from orchestration.defs.compliance.periods import KINDS

# a write beyond it is an error, not the end of the process
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
result = report_job(KINDS[0]).execute_in_process(partition_key=sys.argv[1], raise_on_error=False)
for event in result.get_step_failure_events():
    print(event.step_failure_data.user_failure_data.description)
"""


def test_a_full_disk_leaves_no_report(home: Path, day: str) -> None:
    said = subprocess.run([sys.executable, "-c", _FULL, day], capture_output=True, text=True, check=True).stdout
    folder = home / "reports" / f"day-{day}"
    assert said == f"cannot write {folder}: File too large; see to that, then run it again\n"
    assert list((home / "reports").iterdir()) == []


@pytest.mark.parametrize("number", range(ROUNDS))
def test_raw_rows_are_dropped_once_although_the_database_went_away(home: Path, database: str, number: int) -> None:
    """While it waits for a reader of the partition, the session that drops is ended."""
    with connect(database) as connection:
        connection.execute("select internal.ensure_partitions('core.llm_metrics', '2020-01-07', '2020-01-07')")
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values ('2020-01-07', %s, 'p', 'm')",
            [f"old {number}"],
        )
    with (
        connect(database, autocommit=False, application="reader") as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        assert reader.execute("select count(*) from core.llm_metrics where time < '2021-01-01'").fetchone() == (1,)
        ended = pool.submit(_end_who_waits, database, reader)
        result = retention.retention_job.execute_in_process()
        assert ended.result() == 1
    assert (result.success, tries(result)) == (True, 2)
    [observation] = result.get_asset_observation_events()
    assert observation.asset_observation_data.asset_observation.metadata["rows dropped"].value == 1


def _end_who_waits(url: str, reader: Connection) -> int:
    """Ends the session that waits for the reader, then lets the reader go; how many it ended."""
    with connect(url, application="test") as admin:
        for _ in range(1000):
            ended = admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and application_name = 'governance' and wait_event_type = 'Lock'"
            ).fetchall()
            if ended:
                reader.rollback()
                return len(ended)
            time.sleep(0.02)
    return 0


def test_a_backup_and_a_drill_are_materializations_and_older_backups_go(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_BACKUP_KEEP", "1,0,0")
    with dg.DagsterInstance.ephemeral() as instance:
        made = [backups.backup_job.execute_in_process(instance=instance) for _ in range(2)]
        assert [event.asset_key for each in made for event in each.get_asset_materialization_events()] == [
            backups.BACKUP
        ] * 2
        assert len(list((home / "backups").iterdir())) == 1
        proven = backups.drill_job.execute_in_process(instance=instance)
        assert [event.asset_key for event in proven.get_asset_materialization_events()] == [
            backups.BACKUP,
            backups.DRILL,
        ]
