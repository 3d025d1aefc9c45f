"""What keeps a warehouse right, timed on the data that it holds: refresh, verify, the tests of a build, a build."""

import json
from collections.abc import Callable

from benchmarks.figures import Figure, worked
from benchmarks.timing import Connection, seconds
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.refresh import refresh


def upkeep_figures(
    connection: Connection, url: str, options: list[str], notify: Callable[[str], object] = lambda message: None
) -> list[Figure]:
    """Each once. The tests are timed as dbt counts them, without reading the project, and the build as a whole."""
    notify("refresh, verify, tests and build")
    refreshed = seconds(connection, lambda: refresh(url))
    verified = seconds(connection, lambda: verify(url, timeout_seconds=600))
    _, cpu = seconds(connection, lambda: run_dbt(["test", *options], url, quiet=True))
    tests = json.loads((project_dir() / "target" / "run_results.json").read_text())
    built = seconds(connection, lambda: build_warehouse(options, url, quiet=True))
    slowest = max(tests["results"], key=lambda result: result["execution_time"])
    name, took = slowest["unique_id"].split(".")[2], slowest["execution_time"]
    return [
        worked("refresh of all rollups with nothing to do", refreshed),
        worked("governance verify, of which up to 8 s compare closed days and passwords", verified, 10),
        worked(f"tests of the build, {len(tests['results'])} of them", (tests["elapsed_time"], cpu), 10),
        Figure("slowest test", f"{took:.1f} s, {name}"),
        worked("governance build again", built),
    ]
