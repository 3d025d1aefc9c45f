"""What keeps a warehouse right, timed on the data that it holds: refresh, verify, the tests of a build, a build."""

import json
from dataclasses import dataclass

from benchmarks.figures import Figure, worked
from benchmarks.timing import seconds
from benchmarks.warehouse import progress
from orchestration.lib.database.connection import Connection
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.settings import dbt_target
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.refresh import refresh

GOALS = {"governance verify": 10.0, "tests of the build": 10.0}


@dataclass(frozen=True)
class Upkeep:
    """Seconds by the clock and of CPU on the server, of each piece of work; seconds of each test by its name."""

    works: dict[str, tuple[float, float | None]]
    tests: dict[str, float]


def upkeep(connection: Connection, url: str, options: list[str]) -> Upkeep:
    """Each once. The tests are timed as dbt counts them, without reading the project, and the build as a whole."""
    progress("refresh, verify, tests and build")
    refreshed = seconds(connection, lambda: refresh(url))
    # of this it compares closed days and passwords for up to 8 seconds
    verified = seconds(connection, lambda: verify(url, timeout_seconds=600))
    _, tests_cpu = seconds(connection, lambda: run_dbt(["test", *options], url, quiet=True))
    run = json.loads((dbt_target() / "run_results.json").read_text())
    built = seconds(connection, lambda: build_warehouse(options, url, quiet=True))
    return Upkeep(
        {
            "refresh with nothing to do": refreshed,
            "governance verify": verified,
            "tests of the build": (run["elapsed_time"], tests_cpu),
            "governance build": built,
        },
        {test["unique_id"].split(".")[2]: test["execution_time"] for test in run["results"]},
    )


def upkeep_figures(done: Upkeep) -> list[Figure]:
    slowest = max(done.tests, key=lambda test: done.tests[test])
    return [
        *(worked(what, took, GOALS.get(what)) for what, took in done.works.items()),
        Figure("slowest test", f"{done.tests[slowest]:.1f} s, {slowest}"),
    ]
