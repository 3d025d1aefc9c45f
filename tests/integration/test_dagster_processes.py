"""Dagster's processes and the database, killed while a run is under way: `make faults`, which takes an hour.

A load of a file that landed is the run: what it does can be counted. Each round kills something at a random moment of
it and starts that again, as systemd or Docker Compose do; then the run must end, and be an alert where it failed.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import dagster as dg
import pytest
from dagster_processes import DAEMON, WEBSERVER, Dagster, wait_for
from embedded_homes import kill, new_home
from parsed import read_for_process
from usage_loads import RECENT, query

from orchestration.defs.alerting.runs import SECONDS
from orchestration.defs.scheduled import SCHEDULED, variable
from orchestration.lib.database.in_use import start
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError

# read here, for no test sees the variables of the shell
ROUNDS = int(os.environ.get("GOVERNANCE_FAULT_ROUNDS") or 0)
KINDS = ("daemon", "webserver", "worker", "database", "everything")
pytestmark = pytest.mark.skipif(ROUNDS == 0, reason="takes an hour: make faults")
RECORDS = 4000
ASSET = ["usage", "drops"]
# by when a run must not look as if it were under way, and what a tick of the sensor may take beside its pause
STUCK, TICK = 300, SECONDS + 10


@dataclass
class Machine:
    """Dagster, its database, and what was seen: seconds from a kill to the end of the run, and to its alert."""

    dagster: Dagster
    server: EmbeddedServer
    url: str
    folder: Path
    landed: int = 0
    undisturbed: float = 0
    ended: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def land(self) -> None:
        """Puts a file with new requests where they are looked for."""
        lines = [
            json.dumps({"time": RECENT.isoformat(), "request_id": f"r{number}", "provider": "p", "model": "m"})
            for number in range(self.landed, self.landed + RECORDS)
        ]
        path = self.folder / f"{self.landed:07}.jsonl"
        path.with_suffix(".part").write_text("\n".join(lines) + "\n")
        path.with_suffix(".part").rename(path)
        self.landed += RECORDS

    def launch(self) -> str:
        """A run that loads what has landed."""
        return self.dagster.launch("__ASSET_JOB", [ASSET])

    def is_over(self, run_id: str) -> bool:
        """Whether the run has ended, by what is recorded of it."""
        return self.dagster.status(run_id) in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)

    def alerts(self, run_id: str) -> int:
        """How many alerts name the run."""
        of_run = f"select count(*) from core.alerts where details @> '{json.dumps({'runs': [run_id]})}'"
        try:
            [(number,)] = query(self.url, of_run)
        except GovernanceError:
            return 0
        return int(number)

    def fault(self, kind: str, run_id: str, *, with_children: bool) -> None:
        """Kills it, and starts it again."""
        if kind == "worker":
            self.dagster.kill_run(run_id)
            return
        names = [name for name in (DAEMON, WEBSERVER) if kind in (name, "everything")]
        for name in names:
            self.dagster.kill(name, with_children=with_children or kind == "everything")
        if kind in ("database", "everything"):
            port = int(self.url.rpartition(":")[2].partition("/")[0])
            kill(self.server)
            start(self.server, port)
        for name in reversed(names):
            self.dagster.start(name)


@pytest.fixture(scope="module")
def machine(dbt_folder: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("dagster")
    (home / "landing").mkdir()
    source = {"files": "landing/*.jsonl", "schedule": "off", "settle": "0 seconds"}
    (home / "sources.yml").write_text(json.dumps({"sources": {ASSET[1]: source}}))
    with new_home() as folder, pytest.MonkeyPatch.context() as patch:
        server = EmbeddedServer(folder)
        url = start(server)
        run_dbt(["build", "--resource-type", "model", "seed"], url, quiet=True)
        patch.setenv("DBT_WRITE_JSON", "true")
        read_for_process(url)
        environment = {variable(name): "off" for name in SCHEDULED} | {
            "GOVERNANCE_DATABASE_URL": url,
            "GOVERNANCE_HOME": str(home),
        }
        dagster = Dagster(home, environment)
        try:
            dagster.start(WEBSERVER)
            dagster.start(DAEMON)
            yield Machine(dagster, server, url, home / "landing")
        finally:
            dagster.stop()


def test_a_run_that_nothing_disturbs_succeeds(machine: Machine) -> None:
    machine.land()
    began = time.monotonic()
    run = machine.launch()
    wait_for("the run is over", lambda: machine.is_over(run), STUCK)
    machine.undisturbed = time.monotonic() - began
    assert machine.dagster.status(run) == dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_is_killed_leaves_no_run_behind_and_its_failure_is_told(machine: Machine, kind: str, number: int) -> None:
    machine.land()
    run = machine.launch()
    time.sleep(Random(f"{kind} {number}").random() * machine.undisturbed)
    killed = time.monotonic()
    # every other time as the container that it is in
    machine.fault(kind, run, with_children=number % 2 == 1)
    back = time.monotonic()
    wait_for(f"{run} is over", lambda: machine.is_over(run), STUCK - (back - killed))
    machine.ended.append(time.monotonic() - killed)
    if machine.dagster.status(run) == dg.DagsterRunStatus.FAILURE:
        machine.failed.append(run)
        over = time.monotonic()
        wait_for(f"an alert names {run}", lambda: machine.alerts(run) == 1, 2 * TICK)
        machine.told.append(time.monotonic() - over)


def test_nothing_was_lost_or_doubled(machine: Machine, say: Callable[[str], None]) -> None:
    machine.land()
    run = machine.launch()
    wait_for("the last run is over", lambda: machine.is_over(run), STUCK)
    assert machine.dagster.status(run) == dg.DagsterRunStatus.SUCCESS
    counts = "select count(*), count(distinct request_id) from core.llm_metrics"
    assert query(machine.url, counts) == [(machine.landed, machine.landed)]
    assert query(machine.url, "select sum(request_count) from rollups.llm_metrics_hourly") == [(machine.landed,)]
    assert query(machine.url, "select count(*) from internal.quarantine") == [(0,)]
    files = query(machine.url, "select count(*) from internal.landed_files where refused_because is null")
    assert files == [(machine.landed // RECORDS,)]
    # also of runs that others asked for
    assert [each.run_id for each in machine.dagster.instance.get_runs() if not each.is_finished] == []
    assert [machine.alerts(each) for each in machine.failed] == [1] * len(machine.failed)
    open_ones = "select count(*) from core.alerts where alert_type = 'job_failed' and status = 'open'"
    wait_for("the alerts are resolved", lambda: query(machine.url, open_ones) == [(0,)], 2 * TICK)
    slowest = [max(seconds, default=0) for seconds in (machine.ended, machine.told)]
    say(
        f"{len(machine.ended)} kills, after which {len(machine.failed)} runs failed; a run was over {slowest[0]:.0f} s"
        f" after its kill at the latest, and told {slowest[1]:.0f} s after that"
    )
