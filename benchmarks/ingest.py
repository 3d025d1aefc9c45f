"""Ingestion against a bare COPY of the same rows into the same table, and its memory for a large file.

    python benchmarks/ingest.py --rows 400000 --megabytes 1024

Each load goes into a database of its own, a copy of one freshly built, on a server of its own with its usual (safe)
settings. The file of the ingestion holds one bad record in a thousand besides. Beside it OTLP spans and LiteLLM's
database. Gates: ratio >= 0.4, memory < 300 MB, 30,000 spans and 20,000 rows of LiteLLM a second.
"""

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.usage.load import ingest_files

GOAL_RATIO = 0.4
GOAL_MEGABYTES = 300
# rows a second
GOAL_RATES = {"otlp": 30_000, "litellm": 20_000}
DAYS = 30
COLUMNS = (
    "time,request_id,trace_id,user_id,team_id,api_key_id,provider,model,application,environment,input_tokens,"
    "cache_read_tokens,output_tokens,cost_amount,currency,cost_source,status,latency_ms,time_to_first_token_ms,tags"
)
TAGS = ['"{""feature"": ""search"", ""tier"": ""%s""}"'.replace("%s", tier) for tier in "abc"]
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


def write_files(folder: Path, rows: int) -> tuple[Path, Path, Path]:
    """The good rows; the same with a bad one in a thousand; the same without request ids."""
    good, mixed, unnamed = folder / "good.csv", folder / "mixed.csv", folder / "unnamed.csv"
    names = COLUMNS.split(",")
    with good.open("w") as plain, mixed.open("w") as other, unnamed.open("w") as third:
        plain.write(COLUMNS + "\n")
        other.write(COLUMNS + "\n")
        third.write(COLUMNS.replace("request_id", NO_REQUEST_ID) + "\n")
        for number, line in enumerate(usage_lines(rows)):
            plain.write(line)
            other.write(line)
            third.write(line)
            if number % 1_000 == 0:
                # a different field is wrong each time, of those that refuse the row
                fields = line.rstrip("\n").split(",", len(names) - 1)
                fields[names.index(REFUSING[number // 1_000 % len(REFUSING)])] = "?" * 300
                other.write(",".join(fields) + "\n")
    return good, mixed, unnamed


def write_spans(file: Path, count: int) -> None:
    """Calls to models as the OpenTelemetry SDK writes them, a hundred in an export request."""
    dice = random.Random(7)
    begin = int((datetime.now(UTC) - timedelta(days=DAYS)).timestamp()) * 10**9
    resource = _attributes({"service.name": "shop", "deployment.environment.name": "production"})
    with file.open("w") as data:
        for number in range(0, count, 100):
            spans = []
            for place in range(number, min(number + 100, count)):
                time = begin + place * (DAYS * 86_400 * 10**9 // count)
                attributes: dict[str, str | int] = {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o",
                    "server.address": "api.example.com",
                    "server.port": 443,
                    "gen_ai.response.model": "gpt-4o-2024-08-06",
                    "gen_ai.response.id": f"chatcmpl-{dice.getrandbits(96):024x}",
                    "gen_ai.usage.input_tokens": dice.randrange(1_000, 9_000),
                    "gen_ai.usage.output_tokens": dice.randrange(100, 900),
                    "gen_ai.usage.cache_read.input_tokens": dice.randrange(1_000),
                    "gen_ai.usage.reasoning.output_tokens": dice.randrange(100),
                    "openai.response.service_tier": "default",
                    "user.id": f"user-{dice.randrange(1_000)}@example.com",
                }
                ids = {"traceId": f"{dice.getrandbits(128):032x}", "spanId": f"{dice.getrandbits(64):016x}"}
                times = {"startTimeUnixNano": str(time), "endTimeUnixNano": str(time + dice.randrange(10**10))}
                spans.append({**ids, "name": "chat", **times, "attributes": _attributes(attributes), "status": {}})
            scope = {"scope": {"name": "benchmark"}, "spans": spans}
            request = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}
            data.write(json.dumps(request, separators=(",", ":")) + "\n")


def _attributes(said: Mapping[str, str | int]) -> list[dict[str, object]]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in said.items()
    ]


def make_litellm(url: str, count: int) -> None:
    """LiteLLM's table with as many requests, without the columns that aren't read."""
    with connect(url) as connection:
        connection.execute(
            'create table "LiteLLM_SpendLogs" (request_id text primary key, call_type text, api_key text,'
            ' spend double precision, prompt_tokens integer, completion_tokens integer, "startTime" timestamp(3),'
            ' "endTime" timestamp(3), model text, model_group text, custom_llm_provider text, "user" text,'
            " metadata jsonb, cache_hit text, request_tags jsonb, team_id text, status text)"
        )
        connection.execute(
            f"""
            insert into "LiteLLM_SpendLogs"
            select 'chatcmpl-' || md5(n::text), 'acompletion', sha256(('key-' || n % 3000)::bytea)::text, n * 1e-7,
                n % 5000 + 500, n % 1000, begin, begin + interval '2 seconds', 'azure/gpt-4o', 'gpt-4o', 'azure',
                'user-' || n % 1000, '{{"usage_object": {{"prompt_tokens_details": {{"cached_tokens": 400}}}}}}',
                'False', '["prod"]', 'team-' || n % 60, 'success'
            from generate_series(1, {count}) as n,
                lateral (select (now() at time zone 'UTC') - interval '{DAYS} days' * (n / {count}.0)) as t (begin)
            """
        )
        connection.execute('create index on "LiteLLM_SpendLogs" ("startTime", request_id)')


def bare_copy(url: str, file: Path) -> None:
    """What COPY alone does with the good rows."""
    statement = f"copy core.llm_metrics ({COLUMNS}) from stdin (format csv, header true)"
    with (
        connect(url) as connection,
        file.open("rb") as data,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        while block := data.read(1 << 18):
            copy.write(block)


def timed(server: str, template: str, load: Callable[[str], object]) -> float:
    """Seconds of a load into a fresh copy of the template."""
    with connect(server) as admin:
        admin.execute("drop database if exists benchmark_ingest with (force)")
        ensure_database(server, "benchmark_ingest", template=template)
        admin.execute("checkpoint")
    begin = time.perf_counter()
    load(with_database(server, "benchmark_ingest"))
    return time.perf_counter() - begin


def peak_megabytes(url: str, file: Path, megabytes: int) -> tuple[float, float]:
    """Peak memory in MB and rows a second of the command loading a file of a given size."""
    with file.open("w") as data:
        data.write(COLUMNS + "\n")
        lines = usage_lines()
        while data.tell() < megabytes << 20:
            data.writelines(line for _, line in zip(range(10_000), lines, strict=False))
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, "ingest", str(file)],
        env=os.environ | {"GOVERNANCE_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begin
    summary, peak = result.stdout.splitlines()
    read = int(summary.split()[1].replace(",", ""))
    return int(peak.split()[1]) / 1024, read / seconds


@click.command()
@click.option("--rows", default=400_000, show_default=True, help="Rows of the comparison.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of the comparison; the median counts.")
@click.option("--megabytes", default=1024, show_default=True, help="Size of the large file; 0 leaves that out.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(rows: int, rounds: int, megabytes: int, as_json: bool) -> None:
    """Measures ingestion; exit code 1 if a goal is missed."""
    home = Path(tempfile.mkdtemp(prefix="governance-benchmark-"))
    home.chmod(0o711)
    server = EmbeddedServer(home, notify=lambda message: click.echo(message, err=True))
    try:
        server.up()
        admin = server.url("postgres")
        built = server.url()
        assert admin is not None
        assert built is not None
        ensure_database(admin, "llm_governance")
        run_dbt(["build", "--resource-type", "model", "seed"], built, quiet=True)
        with connect(built) as connection:
            # the bare COPY is given its partitions, so both load into the same table
            connection.execute(
                f"select internal.ensure_partitions('core.llm_metrics', now() - interval '{DAYS + 1} days', now())"
            )
        template = "llm_governance"
        good, mixed, unnamed = write_files(home, rows)
        spans, litellm = home / "spans.jsonl", with_database(admin, "benchmark_litellm")
        write_spans(spans, rows)
        ensure_database(admin, "benchmark_litellm")
        make_litellm(litellm, rows)
        names = ("bare COPY", "ingest", "ingest again", "without request_id", "otlp", "litellm")
        seconds: dict[str, list[float]] = {name: [] for name in names}

        def ingest_twice(url: str) -> None:
            begin = time.perf_counter()
            report = ingest_files(url, [str(mixed)])
            assert (report.loaded, report.duplicate) == (rows, 0), report
            middle = time.perf_counter()
            report = ingest_files(url, [str(mixed)])
            assert (report.loaded, report.duplicate) == (0, rows), report
            seconds["ingest"].append(middle - begin)
            seconds["ingest again"].append(time.perf_counter() - middle)

        def ingest_unnamed(url: str) -> None:
            report = ingest_files(url, [str(unnamed)])
            assert report.loaded == rows, report

        def ingest_source(source: str, location: str) -> Callable[[str], None]:
            def ingest(url: str) -> None:
                report = ingest_files(url, [location], source=source)
                assert report.loaded == rows, report

            return ingest

        for number in range(rounds):
            click.echo(f"round {number + 1} of {rounds}", err=True)
            seconds["bare COPY"].append(timed(admin, template, lambda url: bare_copy(url, good)))
            timed(admin, template, ingest_twice)
            seconds["without request_id"].append(timed(admin, template, ingest_unnamed))

            seconds["otlp"].append(timed(admin, template, ingest_source("otlp", str(spans))))
            seconds["litellm"].append(timed(admin, template, ingest_source("litellm", litellm)))

        figures: dict[str, float] = {}
        bare = statistics.median(seconds["bare COPY"])
        for name, values in seconds.items():
            figures[f"{name}, rows/s"] = rows / statistics.median(values)
        for name in names[1:]:
            figures[f"{name} / bare COPY"] = bare / statistics.median(seconds[name])
        if megabytes:
            for size in sorted({max(megabytes // 16, 1), megabytes}):
                ensure_database(admin, f"benchmark_{size}", template=template)
                click.echo(f"loading {size} MB", err=True)
                peak, rate = peak_megabytes(with_database(admin, f"benchmark_{size}"), home / "large.csv", size)
                figures[f"{size} MB file, peak MB"] = peak
                figures[f"{size} MB file, rows/s"] = rate
    finally:
        server.destroy()
        subprocess.run(["rm", "-rf", str(home)], check=True)

    missed = (
        figures["ingest / bare COPY"] < GOAL_RATIO
        or any(value >= GOAL_MEGABYTES for name, value in figures.items() if name.endswith("peak MB"))
        or any(figures[f"{name}, rows/s"] < goal for name, goal in GOAL_RATES.items())
    )
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        click.echo(f"{platform.machine()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}, {rows:,} rows")
        for name, value in figures.items():
            click.echo(f"  {name:<32}{value:>12,.{2 if '/ bare' in name else 0}f}")
        click.echo("a goal is missed" if missed else "every goal is met")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
