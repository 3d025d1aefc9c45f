"""Ingestion against a bare COPY of the same rows into the same table, and its memory for a large file.

    python -m benchmarks.ingest
    python -m benchmarks.ingest --url postgresql://…
    python -m benchmarks.ingest --rows 20000 --rounds 1 --megabytes 16    (a first look, in under a minute)

Each load goes into a copy of one freshly built, bench_ingest. The file of the ingestion holds one
bad record in a thousand besides.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from psycopg import sql

from benchmarks.figures import Figure, at_least, at_most, server_name, server_options, show, told
from benchmarks.warehouse import built_warehouse, is_timescaledb, progress
from orchestration.lib.database.connection import Connection, connect, ensure_database, parameters, with_database
from orchestration.lib.usage.load import ingest_files

DAYS = 30
COLUMNS = (
    "time,request_id,trace_id,user_id,team_id,api_key_id,provider,model,application,environment,input_tokens,"
    "cache_read_tokens,output_tokens,cost_amount,currency,cost_source,status,latency_ms,time_to_first_token_ms,tags"
)
TAGS = ['"{""feature"": ""search"", ""tier"": ""%s""}"'.replace("%s", tier) for tier in "abc"]
CONFLICT = "on conflict (request_id, time) do nothing"
COPY, STAGE, INGEST = "bare COPY", "COPY into a stage and INSERT", "ingest"
NO_REQUEST_ID = "no_request_id"
REFUSING = ("time", "request_id", "provider", "model", "input_tokens", "cost_amount", "currency")
# the command, which says at its end how much memory it had at most
COMMAND = """
from pathlib import Path
from orchestration.cli.main import main
try:
    main()
finally:
    print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


def usage_lines(rows: int | None = None) -> Iterator[str]:
    """CSV lines of the demo's shape: heavy-tailed users, a quarter of the requests tagged; endless without `rows`."""
    dice = random.Random(7)

    def ids(count: int) -> list[str]:
        return [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(count)]

    users, teams, keys = ids(1_000), ids(60), ids(3_000)
    models = [("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4"), ("google", "gemini")]
    begin = datetime.now(UTC) - timedelta(days=DAYS)
    step = timedelta(days=DAYS) / (rows or 10_000_000)
    number = 0
    while rows is None or number < rows:
        user = int(dice.paretovariate(1)) % 1_000
        provider, model = dice.choice(models)
        tokens_in, cached, tokens_out = dice.randrange(5_000), dice.randrange(500), dice.randrange(1_000)
        tags = dice.choice(TAGS) if number % 4 == 0 else ""
        ids_of_request = f"req-{dice.getrandbits(128):032x},{uuid.UUID(int=dice.getrandbits(128))}"
        yield (
            f"{(begin + step * number).isoformat()},{ids_of_request},"
            f"{users[user]},{teams[user % 60]},{keys[user * 3 + number % 3]},{provider},{model},app-{user % 30},"
            f"{dice.choice(('production', 'staging', ''))},{tokens_in},{cached},{tokens_out},"
            f"0.{tokens_in * 25 + tokens_out * 100:07},USD,computed,success,{dice.randrange(100, 9_000)},"
            f"{dice.randrange(50, 900)},{tags}\n"
        )
        number += 1


def write_files(folder: Path, rows: int) -> tuple[Path, Path, Path, Path]:
    """The good rows; the same with a bad one in a thousand; the same without request ids; one in a hundred of them."""
    good, mixed, unnamed, some = (folder / f"{name}.csv" for name in ("good", "mixed", "unnamed", "some"))
    names = COLUMNS.split(",")
    with good.open("w") as plain, mixed.open("w") as other, unnamed.open("w") as third, some.open("w") as fourth:
        for file in (plain, other, fourth):
            file.write(COLUMNS + "\n")
        third.write(COLUMNS.replace("request_id", NO_REQUEST_ID) + "\n")
        dice = random.Random(11)
        for number, line in enumerate(usage_lines(rows)):
            plain.write(line)
            other.write(line)
            third.write(line)
            if dice.random() < 0.01:
                fourth.write(line)
            if number % 1_000 == 0:
                # a different field is wrong each time, of those that refuse the row
                fields = line.rstrip("\n").split(",", len(names) - 1)
                fields[names.index(REFUSING[number // 1_000 % len(REFUSING)])] = "?" * 300
                other.write(",".join(fields) + "\n")
    return good, mixed, unnamed, some


def copy(connection: Connection, file: Path, table: str) -> None:
    statement = f"copy {table} ({COLUMNS}) from stdin (format csv, header true)"
    with file.open("rb") as data, connection.cursor() as cursor, cursor.copy(statement.encode()) as rows:
        while block := data.read(1 << 18):
            rows.write(block)


def bare_copy(url: str, file: Path) -> None:
    """What COPY alone does with the good rows."""
    with connect(url) as connection:
        copy(connection, file, "core.llm_metrics")


def stage_and_insert(url: str, file: Path, conflict: str = "") -> None:
    """The least that a load by way of a stage takes."""
    with connect(url) as connection, connection.transaction():
        columns = f"select {COLUMNS} from core.llm_metrics with no data"
        connection.execute(f"create temporary table stage on commit drop as {columns}".encode())
        copy(connection, file, "stage")
        connection.execute(f"insert into core.llm_metrics ({COLUMNS}) select {COLUMNS} from stage {conflict}".encode())


@contextmanager
def fresh_copy(built: str) -> Iterator[str]:
    """URL of a copy of the built warehouse, dropped at the end."""
    name = parameters(built)["dbname"] + "_copy"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with connect(with_database(built, "postgres")) as admin:
        admin.execute(drop)
        if is_timescaledb(built):
            # a database can be copied while nobody is in it, TimescaleDB's scheduler neither
            with connect(built) as connection:
                connection.execute("select _timescaledb_functions.stop_background_workers()")
        ensure_database(with_database(built, "postgres"), name, template=parameters(built)["dbname"])
        admin.execute("checkpoint")
        try:
            yield with_database(built, name)
        finally:
            admin.execute(drop)


def ensure_partitions(built: str) -> None:
    """Gives the bare COPY its partitions, so that all load into the same table."""
    if not is_timescaledb(built):
        with connect(built) as connection:
            connection.execute(
                f"select internal.ensure_partitions('core.llm_metrics', now() - interval '{DAYS + 1} days', now())"
            )


def timed(built: str, load: Callable[[str], object], before: Path | None = None) -> float:
    """Seconds of a load into a fresh copy, or where the rows of a file are `before`."""
    with fresh_copy(built) as url:
        if before:
            bare_copy(url, before)
            with connect(url) as connection:
                connection.execute("checkpoint")
        begin = time.perf_counter()
        load(url)
        return time.perf_counter() - begin


def peak_megabytes(url: str, file: Path, megabytes: int) -> tuple[float, float]:
    """Peak memory in MB and rows a second of the command loading a file of a given size."""
    with file.open("w") as data:
        data.write(COLUMNS + "\n")
        lines = usage_lines()
        while data.tell() < megabytes << 20:
            data.writelines(line for _, line in zip(range(10_000), lines, strict=False))
    return ingest_command(url, file)


def ingest_command(url: str, file: Path, *options: str) -> tuple[float, float]:
    """Peak memory in MB and records a second of the command loading a file."""
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, "ingest", *options, str(file)],
        env=os.environ | {"GOVERNANCE_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begin
    summary, peak = result.stdout.splitlines()
    read = int(summary.split()[1].replace(",", ""))
    return int(peak.split()[1]) / 1024, read / seconds


def load_seconds(built: str, files: tuple[Path, ...], rows: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each load, once in every round."""
    good, mixed, unnamed, some = files
    with some.open() as lines:
        there = sum(1 for _ in lines) - 1
    seconds: dict[str, list[float]] = {}

    def ingest(file: Path, loaded: int, duplicate: int) -> Callable[[str], None]:
        def load(url: str) -> None:
            report = ingest_files(url, [str(file)])
            assert (report.loaded, report.duplicate) == (loaded, duplicate), report

        return load

    loads: dict[str, tuple[Callable[[str], object], Path | None]] = {
        COPY: (lambda url: bare_copy(url, good), None),
        STAGE: (lambda url: stage_and_insert(url, good), None),
        "the same, on conflict do nothing": (lambda url: stage_and_insert(url, good, CONFLICT), None),
        INGEST: (ingest(mixed, rows, 0), None),
        "ingest, 1 % duplicates": (ingest(mixed, rows - there, there), some),
        "ingest, all duplicates": (ingest(mixed, 0, rows), good),
        "ingest without request_id": (ingest(unnamed, rows, 0), None),
    }
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name, (load, before) in loads.items():
            seconds.setdefault(name, []).append(timed(built, load, before))
    return seconds


@click.command()
@server_options
@click.option("--rows", default=300_000, show_default=True, help="Rows of the comparison.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of the comparison; the median counts.")
@click.option("--megabytes", default=1024, show_default=True, help="Size of the large file; 0 leaves that out.")
def main(url: str | None, rows: int, rounds: int, megabytes: int, as_json: bool) -> None:
    """Measures ingestion; exit code 1 if a goal is missed."""
    with built_warehouse(url, "ingest", []) as built, tempfile.TemporaryDirectory() as folder:
        with connect(built) as connection:
            server = server_name(connection)
        ensure_partitions(built)
        seconds = load_seconds(built, write_files(Path(folder), rows), rows, rounds)
        figures: list[Figure] = [
            told(f"{name}, rows a second", rows / statistics.median(values), "", 0) for name, values in seconds.items()
        ]
        goals = {STAGE: 0.85, INGEST: 0.4}
        for name in list(seconds)[1:]:
            # within a round, so that a busy minute counts for both
            ratio = statistics.median(copied / took for copied, took in zip(seconds[COPY], seconds[name], strict=True))
            what = f"{name} / {COPY}"
            figures.append(at_least(what, ratio, goals[name], "x") if name in goals else told(what, ratio, "x", 2))
        for size in sorted({max(megabytes // 16, 1), megabytes}) if megabytes else []:
            progress(f"loading {size} MB")
            with fresh_copy(built) as copy:
                peak, value = peak_megabytes(copy, Path(folder) / "large.csv", size)
            figures.append(at_most(f"memory of the command, file of {size:,} MB", peak, 300, "MB", 0))
            figures.append(told(f"file of {size:,} MB, rows a second", value, "", 0))
    show(figures, server, f"{rows:,} rows", as_json=as_json)


if __name__ == "__main__":
    main()
