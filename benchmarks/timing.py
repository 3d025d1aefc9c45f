"""Times: the client's clock for what a user waits, and the CPU time of the server, which other work disturbs less."""

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from orchestration.lib.database.connection import Connection

_CPU = re.compile(r"^!\t([\d.]+) s user, ([\d.]+) s system", re.MULTILINE)
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Time:
    """Milliseconds of several runs; `cpu` of the backend alone, None where the server doesn't tell; rows of one run."""

    best: float
    median: float
    cpu: float | None
    rows: int = 0


@contextmanager
def told_cpu(connection: Connection) -> Iterator[Callable[[], float | None]]:
    """A function that says how many milliseconds of CPU the backend took since it was asked last; for superusers.

    They are those of getrusage, which the server tells after each statement. Those of parallel workers aren't in it.
    """
    spent: list[float] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        spent.extend(1000 * (float(user) + float(system)) for user, system in _CPU.findall(notice.message_detail or ""))

    def told() -> float | None:
        milliseconds = sum(spent) if spent else None
        spent.clear()
        return milliseconds

    names = ("log_min_messages", "client_min_messages", "log_statement_stats")
    try:
        # nothing of it into the server's own log
        for name, value in zip(names, ("fatal", "log", "on"), strict=True):
            connection.execute(f"set {name} = {value}".encode())
    except psycopg.errors.InsufficientPrivilege:
        yield lambda: None
        return
    connection.add_notice_handler(hear)
    try:
        yield told
    finally:
        for name in reversed(names):
            connection.execute(f"reset {name}".encode())
        connection.remove_notice_handler(hear)


def measured(
    connection: Connection,
    questions: Mapping[str, str],
    rounds: int = 7,
    before: Callable[[str], object] = lambda name: None,
) -> dict[str, Time]:
    """Times of statements by their names: planned and run anew each time, their rows received but not looked at.

    They take turns, so that a busy moment hits all of them. The first round isn't counted. `before` isn't timed.
    """
    wall: dict[str, list[float]] = {name: [] for name in questions}
    cpu: dict[str, list[float]] = {name: [] for name in questions}
    rows: dict[str, int] = {}
    with told_cpu(connection) as told:
        for _ in range(rounds + 1):
            for name, question in questions.items():
                before(name)
                told()
                begin = time.perf_counter()
                # without preparing it is one message, and so one notice
                cursor = connection.execute(question.encode(), prepare=False)
                wall[name].append((time.perf_counter() - begin) * 1000)
                rows[name] = max(cursor.rowcount, 0)
                if (spent := told()) is not None:
                    cpu[name].append(spent)
    return {
        name: Time(min(wall[name][1:]), statistics.median(wall[name][1:]), min(cpu[name][1:], default=None), rows[name])
        for name in questions
    }


def latencies(work: Callable[[int], object], rounds: int, repeats: int = 3) -> tuple[float, float]:
    """Median and 95th percentile of `work(1)`, `work(2)` … in milliseconds, each the best of several repeats."""
    runs = []
    for _ in range(repeats):
        times = []
        for number in range(1, rounds + 1):
            begin = time.perf_counter()
            work(number)
            times.append((time.perf_counter() - begin) * 1000)
        runs.append((statistics.median(times), sorted(times)[int(rounds * 0.95)]))
    return min(median for median, _ in runs), min(p95 for _, p95 in runs)


def seconds(connection: Connection, work: Callable[[], object]) -> tuple[float, float | None]:
    """Seconds that a piece of work with sessions of its own takes, and of CPU that its sessions took on the server.

    The CPU is told by /proc, where the server is on this machine, else None. It is that of all processes of the server
    that end meanwhile, others' too.
    """
    before, begin = _ended_sessions(connection), time.perf_counter()
    work()
    wall = time.perf_counter() - begin
    # a session that was closed ends a moment later
    time.sleep(0.2)
    after = _ended_sessions(connection)
    return wall, None if before is None or after is None else after - before


def _ended_sessions(connection: Connection) -> float | None:
    """Seconds of CPU of a local server's processes that have ended."""
    host = connection.info.host
    if host not in _LOCAL and not host.startswith("/"):
        return None
    try:
        name, _, rest = _stat(connection.info.backend_pid).rpartition(")")
        if not name.endswith("(postgres"):
            return None
        postmaster = _stat(int(rest.split()[1])).rpartition(")")[2].split()
    except FileNotFoundError:
        # on this machine, but in a container
        return None
    # cutime and cstime, in ticks of 10 ms
    return (int(postmaster[13]) + int(postmaster[14])) / 100


def _stat(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text()
