"""What test_killed_loads.py loads, in what process, and what must be there afterwards."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from usage_loads import numbered, query

from orchestration.lib.database.connection import connect
from orchestration.lib.usage.files import OpenUsageFile, UsageFile
from orchestration.lib.usage.sources import litellm
from orchestration.lib.usage.sources.catalogue import REPORTS, SOURCES, source_named

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDS, BATCH_ROWS = 1_000, 100
KINDS = ("csv", "jsonl", "corrections", "litellm database", *SOURCES, *REPORTS)

# in a process that has imported everything: a load is a fork of it, begun within milliseconds
_PROGRAM = f"""
import json, os, signal, sys, time, traceback
from orchestration.lib.usage.load import ingest_files

for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if not pid:
        try:
            ingest_files(job["url"], [job["file"]], source=job["source"], batch_rows={BATCH_ROWS},
                         on_conflict=job["on_conflict"])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if job["after"] is not None:
        time.sleep(job["after"])
        # nobody else's number until it is waited for
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Loader:
    """Loads one file in a process of its own, which may be killed."""

    def __init__(self, process: "subprocess.Popen[str]", **job: Any) -> None:
        self._process, self._job = process, job

    def load(self, seconds: float | None = None) -> int:
        """Loads it, killed after so many seconds unless it has ended; returns the exit code, -9 where it was killed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({**self._job, "after": seconds}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def forking() -> Iterator["subprocess.Popen[str]"]:
    """The process that loads are forked from."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.communicate()


def moments(kind: str, rounds: int, seconds: float) -> Iterator[list[float]]:
    """When to kill, of each round: mostly once, now and then two or three times; the same ones in every run."""
    random = Random(f"killed {kind}")
    for _ in range(rounds):
        yield [random.uniform(0, seconds) for _ in range(random.choice((1, 1, 1, 2, 3)))]


def write_file(kind: str, folder: Path) -> tuple[Path, str | None]:
    """A file of that kind with some thousand records, and the source to load it as."""
    if kind in REPORTS:
        (path,) = (FIXTURES / "reports").glob(f"{kind}.*")
        return path, kind
    if kind in SOURCES:
        return _many(kind, folder), kind
    lines = numbered(RECORDS)
    # half have no id, some of them come twice, and some are no requests
    mixed = [line if n % 2 else re.sub(r",r\d+,", ",,", line) for n, line in enumerate(lines)]
    for place in range(10, RECORDS, 90):
        mixed[place] = mixed[place - 2 if place % 180 else place - 1]
        mixed[place + 3] = f"yesterday,p,m,bad{place},1"
    if kind == "corrections":
        # each third request twice more, with other tokens
        mixed += [f"{line}{n % 7}" for n, line in enumerate(lines[1::3] * 2)]
    path = folder / f"usage.{'jsonl' if kind == 'jsonl' else 'csv'}"
    if kind == "jsonl":
        names = mixed[0].split(",")
        mixed = [json.dumps(dict(zip(names, line.split(","), strict=True))) for line in mixed[1:]]
    path.write_text("\n".join(mixed) + "\n")
    return path, None


def _many(source: str, folder: Path) -> Path:
    """The records of the source's small file again and again, each time under other ids."""
    (small,) = (path for path in (FIXTURES / "sources").glob(f"{source}.*") if path.suffix in (".csv", ".jsonl")
                and path.name.count(".") == 1)  # fmt: skip
    text = small.read_text()
    with OpenUsageFile(UsageFile.named(str(small)), {}, {}, source=source_named(source)) as file:
        place = 3 + file.read.targets.index("request_id")
        names = {str(record[place]) for record in file.records() if record[place]}
    # one that is made of another begins with it
    ids = {name if name in text else _first_part(name, text) for name in names} - {""}
    found = re.compile("|".join(sorted(map(re.escape, ids), key=len, reverse=True)))
    header, body = text.split("\n", 1) if small.suffix == ".csv" else (None, text)
    path = folder / small.name
    with path.open("w") as many:
        if header:
            many.write(header + "\n")
        for copy in range(RECORDS // max(len(names), 1)):
            many.write(found.sub(lambda match, copy=copy: f"{match[0]}-{copy}", body).rstrip("\n") + "\n")  # type: ignore[misc]
    return path


def _first_part(name: str, text: str) -> str:
    return next((name[:end] for end in range(len(name), 7, -1) if name[:end] in text), "")


def fill_litellm(url: str, folder: Path) -> None:
    """LiteLLM's table, as far as it is read, with some thousand rows."""
    path, _ = write_file("litellm", folder)
    times = {"startTime", "endTime", "completionStartTime"}
    columns = ", ".join(f'"{name}" {"timestamp" if name in times else "text"}' for name in litellm.COLUMNS)
    with connect(url) as connection, path.open() as file:
        connection.execute(f'create table if not exists public."LiteLLM_SpendLogs" ({columns})')
        with connection.cursor().copy('copy public."LiteLLM_SpendLogs" from stdin') as copy:
            for row in csv.DictReader(file):
                copy.write_row([row[name] or None for name in litellm.COLUMNS])


def empty(database: str) -> None:
    """Leaves nothing of a load."""
    tables = ("core.llm_metrics", "core.provider_usage")
    internal = ("quarantine", "changed_requests", "source_marks", "load_batches", "loads")
    with connect(database) as connection:
        for table in (*tables, *(f"internal.{name}" for name in internal)):
            connection.execute(f"delete from {table}")


def outcome(database: str) -> list[Any]:
    """What is the same whenever and in how many pieces a file was loaded."""
    batches = query(
        database,
        "select coalesce(sum(b.loaded), 0) ="
        " (select count(*) from core.llm_metrics) + (select count(*) from core.provider_usage),"
        " coalesce(sum(b.cost_amount) filter (where l.mapping ->> 'report' is null), 0) ="
        " (select coalesce(sum(cost_amount), 0) from core.llm_metrics),"
        " coalesce(sum(b.tokens) filter (where l.mapping ->> 'report' is null), 0) ="
        " (select coalesce(sum(total_tokens), 0) from core.llm_metrics)"
        " from internal.load_batches as b inner join internal.loads as l on l.id = b.load_id",
    )
    assert batches == [(True, True, True)], "the ledger says what is stored"
    return [
        query(database, text)
        for text in (
            "select count(*), sum(cost_amount), sum(total_tokens) from core.llm_metrics",
            "select md5(string_agg((to_jsonb(m) - 'ingested_at')::text, '|' order by m.request_id, m.time))"
            " from core.llm_metrics as m",
            "select count(*), sum(cost_amount), sum(input_tokens) from core.provider_usage",
            "select source, line, reasons, row_data from internal.quarantine order by 1, 2, row_hash",
            "select source, high_water from internal.source_marks",
        )
    ]
