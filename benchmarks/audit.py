"""What the audit trail costs: writes while it is sealed, sealing, and verifying an export without the database.

python -m benchmarks.audit
python -m benchmarks.audit --entries 20000 --seconds 5     (a first look, in under a minute)
"""

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from benchmarks.figures import at_most, server_name, server_options, show, told
from benchmarks.timing import latencies
from benchmarks.warehouse import built_warehouse, progress
from orchestration.lib.audit import sign
from orchestration.lib.audit.export import export
from orchestration.lib.audit.seal import seal
from orchestration.lib.database.connection import Connection, connect

COLUMNS = "(actor_type, actor_label, action, resource_type, after)"
VALUES = "select 'system', 'benchmark', 'benchmark.write', 'test', jsonb_build_object('number', n, 'state', 'active')"
WRITE = f"insert into {{table}} {COLUMNS} {VALUES} from generate_series(1, %s) as n"
WRITERS, RATE, BATCH = 16, 500, 50_000
# the same columns, indexes and checks without the triggers; what they fill comes from defaults
PLAIN = """
    create table public.plain (like core.audit_logs including all);
    alter table public.plain
        alter xid set default pg_current_xact_id(), alter epoch set default 1, alter db_user set default session_user,
        alter recorded_at set default clock_timestamp(), alter occurred_at set default clock_timestamp(),
        alter checksum set default decode(repeat('00', 32), 'hex'), alter checksum_version set default 1
"""


def paced(url: str, seconds: float) -> tuple[float, float, int]:
    """Median and 99th percentile in ms of single writes of all writers together at RATE a second, and how many."""
    times: list[float] = []
    begin = time.perf_counter() + 0.5

    def write(number: int) -> None:
        taken = []
        with connect(url) as connection:
            for turn in range(int(seconds * RATE / WRITERS)):
                due = begin + (turn * WRITERS + number) / RATE
                time.sleep(max(0.0, due - time.perf_counter()))
                started = time.perf_counter()
                connection.execute(WRITE.format(table="core.audit_logs").encode(), [1])
                taken.append(1000 * (time.perf_counter() - started))
        times.extend(taken)

    with ThreadPoolExecutor(WRITERS) as writers:
        for _ in writers.map(write, range(WRITERS)):
            """Errors are raised here."""
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100], len(times)


def while_sealed(url: str, work: Callable[[], tuple[float, float, int]]) -> tuple[float, float, int]:
    """The work while somebody seals every second."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(1):
            seal(url)

    with ThreadPoolExecutor(1) as sealer:
        sealing = sealer.submit(go_on)
        try:
            return work()
        finally:
            ended.set()
            sealing.result()


def trigger_ratio(connection: Connection) -> float:
    """A write with triggers over one without, single and with a commit each, taking turns."""
    connection.execute(PLAIN)
    best: dict[str, float] = {}
    for _ in range(5):
        for table in ("core.audit_logs", "public.plain"):
            statement = WRITE.format(table=table).encode()
            median, _ = latencies(lambda _, of=statement: connection.execute(of, [1]), 400, 1)  # type: ignore[misc]
            best[table] = min(median, best.get(table, median))
    return best["core.audit_logs"] / best["public.plain"]


@click.command()
@server_options
@click.option("--entries", default=1_000_000, show_default=True, help="Of the trail that is verified.")
@click.option("--seconds", default=30, show_default=True, help="Of writes by all writers.")
def main(url: str | None, entries: int, seconds: int, as_json: bool) -> None:
    """Measures the audit trail; exit code 1 if a goal is missed."""
    with (
        built_warehouse(url, "audit", []) as built,
        connect(built) as connection,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        progress("writes")
        ratio = trigger_ratio(connection)
        median, slow, count = while_sealed(built, lambda: paced(built, seconds))
        for first in range(0, entries, BATCH):
            progress(f"entries from {first:,}")
            connection.execute(WRITE.format(table="core.audit_logs").encode(), [min(BATCH, entries - first)])
        progress("sealing")
        began = time.perf_counter()
        sealed = seal(built)
        sealing = time.perf_counter() - began
        public = sign.create_key(folder / "key", "benchmark")
        (checkpoint,) = sign.sign(built, folder / "key", [folder / "anchor"]).kept_in
        progress("export")
        began = time.perf_counter()
        trail = export(built, folder / "trail")
        exporting = time.perf_counter() - began
        progress("verifying")
        proof = ["--key", f"{public}", "--checkpoint", f"{checkpoint}"]
        began = time.perf_counter()
        subprocess.run([sys.executable, f"{trail}/verify.py", f"{trail}", *proof], check=True, capture_output=True)
        verifying = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        figures = [
            at_most(f"write, median, {RATE} a second by {WRITERS} writers, sealed every second", median, 2, "ms", 2),
            at_most("its 99th percentile", slow, 10, "ms", 2),
            told("writes measured", count, "", 0),
            at_most("write / write without triggers", ratio, 1.25, "x", 2),
            told(f"sealing {sealed:,} entries", sealing, "s"),
            told("export", exporting, "s"),
            at_most("verifying it without the database", verifying, 10, "s"),
            told("memory of that", memory, "MB", 0),
        ]
        server = server_name(connection)
    show(figures, server, f"{entries:,} entries", as_json=as_json)


if __name__ == "__main__":
    main()
