"""Dagster as it runs for users: its daemon and its webserver, each a process with children, on a database."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.cli.ui import dagster_environment, prepare_instance
from orchestration.defs.alerting.lost_runs import processes_of
from orchestration.lib.embedded.processes import lived_at
from orchestration.lib.settings import project_dir

DAEMON, WEBSERVER = "daemon", "webserver"
_READY_WITHIN = 180
_LAUNCH = """
mutation Launch($given: ExecutionParams!) {
  launchRun(executionParams: $given) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_PLACES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def wait_for(what: str, is_so: Callable[[], bool], seconds: float) -> float:
    """Waits until it is so, at most so many seconds; how long that took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


class Dagster:
    """The processes, which are started and killed by name, and the instance they share."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = prepare_instance(home / "dagster")
        self.environment = dagster_environment(self.home, None) | environment
        self.instance = dg.DagsterInstance.from_config(str(self.home))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._place: dict[str, str] | None = None

    def start(self, name: str) -> None:
        """As docker-compose.yml does. Waits until it answers, or its heart beats."""
        program = {
            DAEMON: ["dagster-daemon", "run"],
            WEBSERVER: ["dagster-webserver", "--host=127.0.0.1", f"--port={self.port}"],
        }[name]
        began = time.time()
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [Path(sys.executable).with_name(program[0]), *program[1:], "--module-name=orchestration.definitions"],
                cwd=project_dir(),
                env=self.environment,
                stdout=log,
                stderr=log,
                # a group of its own, which can be killed as a whole
                start_new_session=True,
            )
        wait_for(f"{name} is up", lambda: self._is_up(name, began), _READY_WITHIN)

    def _is_up(self, name: str, since: float) -> bool:
        if name == WEBSERVER:
            try:
                return bool(self._get("/server_info"))
            except (urllib.error.URLError, OSError):
                return False
        beats = self.instance.get_daemon_heartbeats()
        return "SENSOR" in beats and beats["SENSOR"].timestamp >= since

    def kill(self, name: str, *, with_children: bool) -> None:
        """As `kill -9` of the process, or of the container that it is in."""
        process = self.processes.pop(name)
        (os.killpg if with_children else os.kill)(process.pid, signal.SIGKILL)
        process.wait()

    def kill_run(self, run_id: str) -> int:
        """All processes of a run; how many there were."""
        killed = 0
        for pid, started in processes_of(self.instance, run_id):
            if lived_at(pid, started) and pid != os.getpid() and os.getpgid(pid) == self.processes[DAEMON].pid:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def stop(self) -> None:
        """Ends all, also what a killed daemon left behind."""
        for name in list(self.processes):
            self.kill(name, with_children=True)
        self.instance.dispose()

    def launch(self, job: str, assets: list[list[str]]) -> str:
        """Asks the webserver for a run, as its page does; the run's id."""
        if self._place is None:
            [node] = self._ask(_PLACES, {})["repositoriesOrError"]["nodes"]
            self._place = {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}
        selector = self._place | {"pipelineName": job, "assetSelection": [{"path": path} for path in assets]}
        said = self._ask(_LAUNCH, {"given": {"selector": selector, "runConfigData": {}, "mode": "default"}})[
            "launchRun"
        ]
        assert said["__typename"] == "LaunchRunSuccess", said
        return str(said["run"]["runId"])

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        answer = json.loads(self._get("/graphql", body))
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """Of the run, as it is recorded."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status
