"""Usage as other systems write it, files and LiteLLM's database, against a bare COPY of as many rows.

    python -m benchmarks.sources
    python -m benchmarks.sources --rows 20000 --rounds 1 --megabytes 16    (a first look, in under a minute)

Each load goes into a copy of one freshly built, bench_sources.
"""

import base64
import csv
import itertools
import json
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg import sql

from benchmarks.figures import Figure, at_least, at_most, server_name, server_options, show, told
from benchmarks.ingest import (
    COPY,
    DAYS,
    bare_copy,
    ensure_partitions,
    fresh_copy,
    ingest_command,
    timed,
    write_files,
)
from benchmarks.warehouse import built_warehouse, progress
from orchestration.lib.database.connection import connect, ensure_database, parameters, with_database
from orchestration.lib.usage.load import ingest_files

# rows a second
GOALS = {"jsonl": 30_000, "otlp": 30_000, "litellm": 20_000}
SPANS = 100


def export_requests(count: int | None = None) -> Iterator[dict[str, Any]]:
    """Calls to models as the OpenTelemetry SDK writes them, a hundred in an export request; endless without `count`."""
    dice = random.Random(7)
    begin = int((datetime.now(UTC) - timedelta(days=DAYS)).timestamp()) * 10**9
    step = DAYS * 86_400 * 10**9 // (count or 10_000_000)
    resource = _attributes({"service.name": "shop", "deployment.environment.name": "production"})
    for first in range(0, count, SPANS) if count else itertools.count(0, SPANS):
        spans = []
        for place in range(first, min(first + SPANS, count or first + SPANS)):
            time = begin + place * step
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
        yield {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}


def write_spans(file: Path, count: int | None, megabytes: int = 0) -> None:
    """A file of so many spans, else of such a size."""
    with file.open("w") as data:
        for request in export_requests(count):
            data.write(json.dumps(request, separators=(",", ":")) + "\n")
            if count is None and data.tell() >= megabytes << 20:
                return


def write_protobuf(file: Path, count: int) -> None:
    """The same as the Collector writes them with `format: proto`."""
    with file.open("wb") as data:
        for request in export_requests(count):
            spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
            for span in spans:
                for name in ("traceId", "spanId"):
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
            body = ParseDict(request, ExportTraceServiceRequest()).SerializeToString()
            data.write(len(body).to_bytes(4, "big") + body)


def write_table(csv_file: Path, lines: Path, parquet: Path) -> None:
    """The rows of a CSV file as JSON Lines and as Parquet, numbers as numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with csv_file.open() as data, lines.open("w") as other:
        rows = [_typed(row) for row in csv.DictReader(data)]
        for row in rows:
            other.write(json.dumps(row) + "\n")
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    columns["tags"] = [json.dumps(tags) if tags else None for tags in columns["tags"]]
    pq.write_table(pa.table(columns), parquet)


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = {name: value or None for name, value in row.items()}
    for name, value in row.items():
        if name.endswith(("_tokens", "_ms")):
            typed[name] = int(value)
    typed["cost_amount"] = float(row["cost_amount"])
    typed["tags"] = json.loads(row["tags"]) if row["tags"] else None
    return typed


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


@click.command()
@server_options
@click.option("--rows", default=300_000, show_default=True, help="Requests of each source.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of the comparison; the median counts.")
@click.option("--megabytes", default=256, show_default=True, help="Size of the large OTLP file; 0 leaves that out.")
def main(url: str | None, rows: int, rounds: int, megabytes: int, as_json: bool) -> None:
    """Measures the sources; exit code 1 if a goal is missed."""
    with built_warehouse(url, "sources", []) as built, tempfile.TemporaryDirectory() as name:
        ensure_partitions(built)
        folder = Path(name)
        admin, named = with_database(built, "postgres"), parameters(built)["dbname"] + "_litellm"
        progress("writing files")
        good, *_ = write_files(folder, rows)
        files = {
            "csv": (good, None),
            "jsonl": (folder / "usage.jsonl", None),
            "parquet": (folder / "usage.parquet", None),
            "otlp": (folder / "spans.jsonl", "otlp"),
            "otlp, protobuf": (folder / "spans.pb", "otlp"),
        }
        write_table(good, files["jsonl"][0], files["parquet"][0])
        write_spans(files["otlp"][0], rows)
        write_protobuf(files["otlp, protobuf"][0], rows)
        litellm = with_database(built, named)
        ensure_database(admin, named)
        try:
            make_litellm(litellm, rows)

            def ingest(location: str, source: str | None) -> Callable[[str], None]:
                def load(target: str) -> None:
                    report = ingest_files(target, [location], source=source)
                    assert report.loaded == rows, report

                return load

            loads: dict[str, Callable[[str], object]] = {
                COPY: lambda target: bare_copy(target, good),
                **{format_name: ingest(str(file), source) for format_name, (file, source) in files.items()},
                "litellm": ingest(litellm, "litellm"),
            }
            seconds: dict[str, list[float]] = {name: [] for name in loads}
            for number in range(rounds):
                progress(f"round {number + 1} of {rounds}")
                for name_of_load, load in loads.items():
                    seconds[name_of_load].append(timed(built, load))
        finally:
            with connect(admin) as connection:
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(named)))
        with connect(built) as connection:
            server = server_name(connection)
        figures: list[Figure] = []
        for source, values in seconds.items():
            rate = rows / statistics.median(values)
            what = f"{source}, rows a second"
            figures.append(at_least(what, rate, GOALS[source], "", 0) if source in GOALS else told(what, rate, "", 0))
            if source != COPY:
                # within a round, so that a busy minute counts for both
                ratio = statistics.median(copied / took for copied, took in zip(seconds[COPY], values, strict=True))
                figures.append(told(f"{source} / {COPY}", ratio, "x", 2))
        for size in sorted({max(megabytes // 4, 1), megabytes}) if megabytes else []:
            progress(f"loading {size} MB")
            write_spans(folder / "large.jsonl", None, size)
            with fresh_copy(built) as copy:
                peak, _ = ingest_command(copy, folder / "large.jsonl", "--source", "otlp", "--no-refresh")
            figures.append(at_most(f"memory of the command, OTLP file of {size:,} MB", peak, 300, "MB", 0))
    show(figures, server, f"{rows:,} rows", as_json=as_json)


if __name__ == "__main__":
    main()
