"""How long the compliance report takes over much usage, how much memory, and how large its page is."""

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.answers import SIZE
from benchmarks.figures import at_most, server_name, server_options, show, told
from benchmarks.organisation import load_organisation
from benchmarks.usage import Usage
from benchmarks.warehouse import build_options, built_warehouse, progress, settle
from orchestration.lib.database.connection import connect
from orchestration.lib.verification.run import verify

# in a process of its own, whose memory is that of the report alone
_REPORT = """
import resource, sys, time
from pathlib import Path
from orchestration.lib.compliance.report import write_report
began = time.perf_counter()
folder, _ = write_report(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print((folder / "report.html").stat().st_size / 1e6, (folder / "report.json").stat().st_size / 1e6)
"""


@click.command()
@server_options
@click.option("--rows", default=1_000_000, show_default=True, help="Usage of 30 days.")
def main(url: str | None, rows: int, as_json: bool) -> None:
    """Measures reports; exit code 1 if a goal is missed."""
    usage = Usage(rows, governed=True)
    options = build_options(rows / usage.days)
    figures = []
    with built_warehouse(url, "report", options) as built, connect(built) as connection:
        load_organisation(connection, SIZE, progress)
        usage.load(connection, notify=progress)
        settle(connection, built, options)
        verify(built)
        with tempfile.TemporaryDirectory() as output:
            for period in (f"{usage.end:%Y-%m}", f"{usage.end:%Y}"):
                progress(f"report of {period}")
                command = [sys.executable, "-c", _REPORT, built, period, str(Path(output) / period)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                seconds, memory, page, json = map(float, said)
                figures += [
                    at_most(f"report of {period}", seconds, 20, "s"),
                    at_most("its memory", memory, 500, "MB", 0),
                    at_most("report.html", page, 2, "MB", 2),
                    told("report.json", json, "MB", 2),
                ]
        server = server_name(connection)
    show(figures, server, f"{rows:,} requests", as_json=as_json)


if __name__ == "__main__":
    main()
