"""Runs that fail are alerts until their job succeeds, and a run whose process was killed has failed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs.alerting import lost_runs
from orchestration.defs.alerting.runs import runs_sensor
from orchestration.defs.scheduled import limits
from orchestration.lib.database.connection import connect
from orchestration.lib.embedded.processes import lived_at

pytestmark = pytest.mark.not_on_pglite("the sensor connects beside the test")
# read here, for no test sees the variables of the shell
ROUNDS = int(os.environ.get("GOVERNANCE_KILL_ROUNDS") or 1)
SLEEPER = Path(__file__).with_name("sleeping_job.py")


@dg.op(config_schema={"fails": dg.Noneable(str)})
def work(context: dg.OpExecutionContext) -> None:
    if context.op_config["fails"]:
        raise dg.Failure(context.op_config["fails"], allow_retries=False)


@dg.job(tags=limits(10, severity="critical"))
def worked_job() -> None:
    work()


class Watch:
    """Runs of a job and ticks of the sensor."""

    def __init__(self, instance: dg.DagsterInstance, url: str) -> None:
        self.instance, self.url = instance, url
        self.cursor: str | None = None

    def run(self, fails: str | None, partition: str | None = None) -> str:
        tags = {} if partition is None else {"dagster/partition": partition}
        config = {"ops": {"work": {"config": {"fails": fails}}}}
        return worked_job.execute_in_process(config, instance=self.instance, raise_on_error=False, tags=tags).run_id

    def tick(self) -> str:
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        ticked: Any = runs_sensor(context)
        [skipped] = ticked
        self.cursor = context.cursor
        return str(skipped.skip_message)

    def alerts(self) -> list[tuple[Any, ...]]:
        with connect(self.url) as connection:
            return connection.execute(
                "select title, severity, status, (details ->> 'failures')::integer from core.alerts"
                " where alert_type = 'job_failed' order by created_at, title"
            ).fetchall()


@pytest.fixture
def watch(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    with connect(database) as connection:
        connection.execute("delete from core.alerts")
    with dg.instance_for_test() as instance:
        yield Watch(instance, database)


def test_a_cause_is_one_alert_until_the_job_succeeds(watch: Watch) -> None:
    watch.run("disk 7 is full since 10:31")
    watch.tick()
    open_once = ("worked_job failed: disk 7 is full since 10:31", "critical", "open", 1)
    assert watch.alerts() == [open_once]
    # the same cause, whatever its numbers are
    watch.run("disk 9 is full since 10:33")
    assert watch.tick() == "1 run failed, 0 of them were lost; 0 alerts resolved"
    assert watch.alerts() == [(*open_once[:3], 2)]
    watch.run("no such table")
    watch.tick()
    assert [alert[2] for alert in watch.alerts()] == ["open", "open"]
    watch.run(None)
    assert watch.tick() == "0 runs failed, 0 of them were lost; 2 alerts resolved"
    assert [alert[2:] for alert in watch.alerts()] == [("resolved", 2), ("resolved", 1)]


def test_a_tick_that_is_repeated_tells_nothing_twice(watch: Watch) -> None:
    watch.run("no such table")
    watch.run("no such table")
    watch.run(None)
    watch.tick()
    told = watch.alerts()
    assert [alert[2:] for alert in told] == [("resolved", 2)]
    # as after a kill between the database and the cursor
    watch.cursor = None
    watch.tick()
    assert watch.alerts() == told


def test_a_period_is_resolved_by_its_own_success(watch: Watch) -> None:
    watch.run("no such table", partition="2026-10-01")
    watch.run(None, partition="2026-11-01")
    watch.tick()
    assert watch.alerts() == [("worked_job of 2026-10-01 failed: no such table", "critical", "open", 1)]
    watch.run(None, partition="2026-10-01")
    watch.tick()
    assert [alert[2] for alert in watch.alerts()] == ["resolved"]


def test_what_cannot_be_told_is_told_when_the_database_is_back(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.run("no such table\x1b[31m\u202e and more words than a title has room for" * 9)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert watch.tick().startswith("1 run ended and can't be told: cannot connect to ")
    assert watch.cursor is None
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", watch.url)
    watch.tick()
    [(title, *_)] = watch.alerts()
    assert len(title) == 300
    assert title.startswith("worked_job failed: no such table [31m and more")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_run_whose_process_was_killed_is_an_alert_at_the_next_tick(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Killed with everything that could have said so: nothing but the record of the run is left."""
    environment = os.environ | {"DAGSTER_HOME": watch.instance.root_directory}
    with subprocess.Popen([sys.executable, SLEEPER], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        monkeypatch.setattr(lost_runs, "_SILENT_SECONDS", 0)
        watch.tick()
        [run] = watch.instance.get_runs()
        assert run.status == dg.DagsterRunStatus.STARTED
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert watch.tick() == "1 run failed, 1 of them was lost; 0 alerts resolved"
    [run] = watch.instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
    [(title, *_)] = watch.alerts()
    assert title.startswith("sleeping_job failed: The process of the run is gone: it was killed, or ")


def test_a_run_whose_process_was_killed_before_the_run_began_is_an_alert(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the definitions first, and has said which process it is."""
    with subprocess.Popen(["true"]) as process:
        pass
    run = watch.instance.create_run_for_job(worked_job, status=dg.DagsterRunStatus.STARTING)
    said: list[tuple[int, float]] = []
    monkeypatch.setattr(lost_runs, "processes_of", lambda *_: iter(said))
    watch.tick()
    assert watch.alerts() == []
    said.append((process.pid, time.time() - 60))
    assert watch.tick() == "1 run failed, 1 of them was lost; 0 alerts resolved"
    assert watch.instance.get_runs()[0].run_id == run.run_id
    [(title, *_)] = watch.alerts()
    assert title.startswith("worked_job failed: The process of the run is gone: ")


def test_a_later_process_of_the_same_number_is_not_the_run() -> None:
    assert lived_at(os.getpid(), time.time())
    # of a container that was restarted: the number is taken, by one that began later
    assert not lived_at(os.getpid(), time.time() - 3600 * 24 * 365)
