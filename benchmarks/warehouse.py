"""A throw-away server with a built warehouse, and timers, for the other benchmarks."""

import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer


@contextmanager
def empty_server() -> Iterator[EmbeddedServer]:
    """A running embedded server with its usual, crash-safe settings, removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="governance-benchmark-"))
    home.chmod(0o711)
    server = EmbeddedServer(home, notify=progress)
    try:
        server.up()
        yield server
    finally:
        server.destroy()
        shutil.rmtree(home)


@contextmanager
def built_warehouse() -> Iterator[str]:
    """URL of a built warehouse without usage; $GOVERNANCE_BENCHMARK_URL names an empty database to build it in."""
    given = os.environ.get("GOVERNANCE_BENCHMARK_URL")
    if given:
        run_dbt(["build", "--resource-type", "model", "seed"], given, quiet=True)
        yield given
        return
    with empty_server() as server:
        url = server.url()
        assert url is not None
        run_dbt(["build", "--resource-type", "model", "seed"], url, quiet=True)
        yield url


def milliseconds(work: Callable[[], object], rounds: int = 7) -> float:
    """Median time of a piece of work, after one round that isn't counted (unless it is the only one)."""
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times[1:] or times)


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies (nearest rank)."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def progress(message: str) -> None:
    """A line on stderr."""
    click.echo(message, err=True)


def heading(*more: str) -> str:
    """Machine, date and whatever else the figures depend on."""
    return ", ".join([platform.machine(), f"{os.cpu_count()} cores", f"{datetime.now(UTC):%Y-%m-%d}", *more])


def print_figures(title: str, figures: list[tuple[str, str, str, bool | None]]) -> bool:
    """Print (what, measured, goal, met) as a table; True if no goal is missed. `met` is None where nothing gates."""
    click.echo(title)
    for what, measured, goal, met in figures:
        verdict = {True: "met", False: "MISSED", None: ""}[met]
        click.echo(f"  {what:<62}{measured:>14}  {goal:<22}{verdict}")
    return all(met is not False for *_, met in figures)
