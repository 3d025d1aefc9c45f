"""Usage as other systems write it, OTLP spans and LiteLLM's database, against a bare COPY of as many rows.

    python -m benchmarks.sources
    python -m benchmarks.sources --rows 20000 --rounds 1    (a first look, in under a minute)

Each load goes into a copy of one freshly built, bench_sources.
"""

import json
import random
import statistics
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from psycopg import sql

from benchmarks.figures import Figure, at_least, server_name, server_options, show, told
from benchmarks.ingest import COPY, DAYS, bare_copy, ensure_partitions, timed, write_files
from benchmarks.warehouse import built_warehouse, progress
from orchestration.lib.database.connection import connect, ensure_database, parameters, with_database
from orchestration.lib.usage.load import ingest_files

# rows a second
GOALS = {"otlp": 30_000, "litellm": 20_000}


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


@click.command()
@server_options
@click.option("--rows", default=300_000, show_default=True, help="Requests of each source.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of the comparison; the median counts.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures the sources; exit code 1 if a goal is missed."""
    with built_warehouse(url, "sources", []) as built, tempfile.TemporaryDirectory() as folder:
        ensure_partitions(built)
        admin, name = with_database(built, "postgres"), parameters(built)["dbname"] + "_litellm"
        good, *_ = write_files(Path(folder), rows)
        spans, litellm = Path(folder) / "spans.jsonl", with_database(built, name)
        write_spans(spans, rows)
        ensure_database(admin, name)
        try:
            make_litellm(litellm, rows)

            def ingest(source: str, location: str) -> Callable[[str], None]:
                def load(target: str) -> None:
                    report = ingest_files(target, [location], source=source)
                    assert report.loaded == rows, report

                return load

            loads: dict[str, Callable[[str], object]] = {
                COPY: lambda target: bare_copy(target, good),
                "otlp": ingest("otlp", str(spans)),
                "litellm": ingest("litellm", litellm),
            }
            seconds: dict[str, list[float]] = {name: [] for name in loads}
            for number in range(rounds):
                progress(f"round {number + 1} of {rounds}")
                for name_of_load, load in loads.items():
                    seconds[name_of_load].append(timed(built, load))
        finally:
            with connect(admin) as connection:
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        with connect(built) as connection:
            server = server_name(connection)
    figures: list[Figure] = []
    for source, values in seconds.items():
        rate = rows / statistics.median(values)
        what = f"{source}, rows a second"
        figures.append(at_least(what, rate, GOALS[source], "", 0) if source in GOALS else told(what, rate, "", 0))
        if source in GOALS:
            # within a round, so that a busy minute counts for both
            ratio = statistics.median(copied / took for copied, took in zip(seconds[COPY], values, strict=True))
            figures.append(told(f"{source} / {COPY}", ratio, "x", 2))
    show(figures, server, f"{rows:,} rows", as_json=as_json)


if __name__ == "__main__":
    main()
