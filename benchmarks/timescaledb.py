"""What TimescaleDB makes of usage: compression, loading, refreshes, inserts, raw rows against plain PostgreSQL's.

    python -m benchmarks.timescaledb --url postgresql://…        (a server with TimescaleDB, Community edition)
    python -m benchmarks.timescaledb --url … --rows 500000

Makes a database bench_timescaledb on that server and drops it at the end; the jobs of its policies stand still, the
script does their work. The same week of usage is loaded into an embedded PostgreSQL beside it. The defaults take about
20 minutes and 10 GB.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from benchmarks.usage import COLUMNS, usage_rows
from benchmarks.warehouse import empty_server, heading, milliseconds, percentile, print_figures, progress
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.refresh import refresh

Connection = psycopg.Connection[TupleRow]
Figure = tuple[str, str, str, bool | None]
DATABASE = "bench_timescaledb"
DAYS = 30
# as docs/operations.md says for this many rows a day
BUILD = ["build", "--resource-type", "model", "seed", "--vars", "{partition_width: 1 day}"]
# with the function that each engine has for it, as in the rollups
HOUR = {"timescaledb": "public.time_bucket('1 hour', time)", "postgres": "date_trunc('hour', time, 'UTC')"}
DAY_BY_HOUR = """
    select {}, count(*), sum(total_tokens), sum(cost_amount)
    from core.llm_metrics
    where time >= %s and time < %s
    group by 1
    order by 1
"""
INSERT = (
    "insert into core.llm_metrics (time, request_id, user_id, team_id, provider, model, input_tokens, output_tokens,"
    " cost_amount, cost_source) select clock_timestamp(), md5(random()::text || n), md5('user-7')::uuid,"
    " md5('team-7')::uuid, 'openai', 'model-0', 1200, 300, 0.006, 'provider' from generate_series(1, %s) as n"
)


def value(connection: Connection, query: str, *parameters: object) -> float:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return float(row[0])


def at_most(what: str, measured: float, goal: float, unit: str, digits: int = 1) -> Figure:
    return what, f"{measured:,.{digits}f} {unit}", f"<= {goal:g} {unit}", measured <= goal


def told(what: str, measured: float, unit: str, digits: int = 1) -> Figure:
    return what, f"{measured:,.{digits}f} {unit}", "", None


@contextmanager
def built_database(server: str) -> Iterator[str]:
    """URL of a database with a build and without usage, on the server with TimescaleDB; dropped at the end."""
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE))
    with connect(server) as admin:
        admin.execute(drop)
        ensure_database(server, DATABASE)
        url = with_database(server, DATABASE)
        try:
            run_dbt(BUILD, url, quiet=True)
            with connect(url) as connection:
                if connection.execute("select from timescaledb_information.hypertables").fetchone() is None:
                    raise GovernanceError("there is no TimescaleDB on that server: name another one with --url")
                connection.execute(
                    "select public.alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
                )
            yield url
        finally:
            admin.execute(drop)


class Usage:
    """30 days of usage up to the current hour, row by row evenly."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.begin = self.end - timedelta(days=DAYS)
        self.seconds = DAYS * 86_400 / rows
        # the last whole day of the week that is compressed as a whole
        self.day = self.end.replace(hour=0) - timedelta(days=14)

    def number(self, moment: datetime) -> int:
        """The first row that is not before a moment."""
        return round((moment - self.begin).total_seconds() / self.seconds)

    def select(self, first: int, last: int, salt: str = "") -> str:
        """SELECT of rows by their numbers, both included."""
        return usage_rows(self.begin, self.seconds, first, last, salt)

    def load(self, connection: Connection, first: int, last: int) -> None:
        """Insert rows by set-based SQL, a day at a time."""
        step = max(self.rows // DAYS, 1)
        for number in range(first, last + 1, step):
            query = self.select(number, min(number + step - 1, last))
            connection.execute(f"insert into core.llm_metrics ({COLUMNS}) {query}".encode())


def copy_rates(connection: Connection, usage: Usage, rows: int, rounds: int) -> tuple[float, float]:
    """Rows a second, best of the rounds, of COPY into the table, and of COPY into a stage and INSERT from it.

    Each load brings the newest rows once more under new ids, into chunks that aren't compressed.
    """
    seconds: dict[str, list[float]] = {"copy": [], "stage": []}
    first = max(usage.rows - rows + 1, 1)
    connection.execute(f"create temporary table stage as select {COLUMNS} from core.llm_metrics with no data".encode())
    for number in range(rounds):
        for kind in ("copy", "stage") if number % 2 else ("stage", "copy"):
            with tempfile.TemporaryFile() as file:
                query = f"copy ({usage.select(first, usage.rows, f'{kind}-{number}')}) to stdout (format csv)"
                with connection.cursor() as cursor, cursor.copy(query.encode()) as source:
                    for block in source:
                        file.write(block)
                file.seek(0)
                target = "core.llm_metrics" if kind == "copy" else "stage"
                begin = time.perf_counter()
                with connection.transaction(), connection.cursor() as cursor:
                    with cursor.copy(f"copy {target} ({COLUMNS}) from stdin (format csv)".encode()) as copy:
                        while block := file.read(1 << 18):
                            copy.write(block)
                    if kind == "stage":
                        cursor.execute(
                            f"insert into core.llm_metrics ({COLUMNS}) select {COLUMNS} from stage"
                            " on conflict (request_id, time) do nothing".encode()
                        )
                seconds[kind].append(time.perf_counter() - begin)
            connection.execute("truncate stage")
    return rows / min(seconds["copy"]), rows / min(seconds["stage"])


def refresh_milliseconds(connection: Connection, usage: Usage, rounds: int, salt: str) -> float:
    """Median of the hourly refresh after each of several times 15 minutes of new data in the last closed hour."""
    quarter = round(900 / usage.seconds)
    times = []
    for number in range(rounds + 1):
        query = usage.select(usage.rows - quarter, usage.rows - 1, f"{salt}-{number}")
        connection.execute(f"insert into core.llm_metrics ({COLUMNS}) {query}".encode())
        times.append(milliseconds(lambda: connection.execute("call internal.refresh_rollup('llm_metrics_hourly')"), 0))
    return statistics.median(times[1:])


def insert_figures(connection: Connection) -> list[Figure]:
    def p50_and_p95(rows: int, rounds: int) -> tuple[float, float]:
        """Each the best of three."""
        work = lambda: connection.execute(INSERT.encode(), [rows])  # noqa: E731
        runs = [[milliseconds(work, 0) for _ in range(rounds)] for _ in range(3)]
        return min(map(statistics.median, runs)), min(percentile(run, 0.95) for run in runs)

    (single, single_p95), (_, hundred_p95) = p50_and_p95(1, 500), p50_and_p95(100, 60)
    return [
        told("single insert, median", single, "ms", 2),
        at_most("single insert, p95", single_p95, 1, "ms", 2),
        at_most("batch of 100, p95", hundred_p95, 10, "ms"),
    ]


def chunk_figures(connection: Connection, usage: Usage) -> list[Figure]:
    """Bytes of the chunks older than a week, before and after compression."""
    name = "core.llm_metrics"
    chunks = "select public.show_chunks(%s::regclass, older_than => %s::timestamptz)"
    week_ago = usage.end - timedelta(days=7)
    rows = value(
        connection,
        f"select count(*) from {name} where time < (select max(range_end) from timescaledb_information.chunks as c"
        f" where format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass in ({chunks}))",
        name,
        week_ago,
    )
    raw = value(connection, f"select sum(pg_total_relation_size(c)) from ({chunks}) as s (c)", name, week_ago)
    begin = time.perf_counter()
    for (chunk,) in connection.execute(chunks.encode(), [name, week_ago]).fetchall():
        connection.execute("select public.compress_chunk(%s::regclass)", [chunk])
    seconds = time.perf_counter() - begin
    compressed = value(
        connection, "select sum(after_compression_total_bytes) from public.chunk_compression_stats(%s)", name
    )
    connection.execute("vacuum analyze core.llm_metrics")
    return [
        told("bytes a row, not compressed, with indexes", raw / rows, "B"),
        at_most(f"bytes a row, compressed (text request ids, {rows:,.0f} rows)", compressed / rows, 95, "B"),
        told("compression, rows a second", rows / seconds, "", 0),
    ]


def rollup_figures(connection: Connection) -> list[Figure]:
    """Bytes of the rollups by raw row, as they are written and in the columnstore."""
    stored = (
        "select format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)"
        " from timescaledb_information.continuous_aggregates where view_schema = 'rollups' and view_name like %s"
    )

    def bytes_of(name: str) -> float:
        return value(connection, f"select sum(public.hypertable_size(h::regclass)) from ({stored}) as s (h)", name)

    requests = value(connection, "select count(*) from core.llm_metrics")
    grains = value(connection, "select count(*) from rollups.llm_metrics_hourly")
    heap, all_heap = bytes_of("llm_metrics_hourly_stored"), bytes_of("llm_%")
    for (table,) in connection.execute(stored.encode(), ["llm_%"]).fetchall():
        connection.execute("select public.compress_chunk(c) from public.show_chunks(%s::regclass) as s (c)", [table])
    columnstore, all_columnstore = bytes_of("llm_metrics_hourly_stored"), bytes_of("llm_%")
    return [
        told("hourly rollup: raw rows a row of it", requests / grains, "", 2),
        told("hourly rollup: bytes a raw row, heap", heap / requests, "B"),
        at_most("hourly rollup: bytes a raw row, columnstore", columnstore / requests, 17, "B"),
        told("all rollups of usage: bytes a raw row, heap", all_heap / requests, "B"),
        told("the same, columnstore", all_columnstore / requests, "B"),
    ]


def answer_figures(connection: Connection, usage: Usage) -> list[Figure]:
    def best(query: str, *parameters: object) -> float:
        work = lambda: connection.execute(query.encode(), parameters).fetchall()  # noqa: E731
        return min(milliseconds(work, 0) for _ in range(9))

    span = (usage.day - timedelta(days=16), usage.day + timedelta(days=14))
    month = best(
        "select day, team_id, model, currency, sum(cost_amount) from rollups.llm_team_daily"
        " where bucket >= %s and bucket < %s group by 1, 2, 3, 4",
        *span,
    )
    day = best(
        # a range, for which TimescaleDB leaves out the live tail; it doesn't for an equality
        "select currency, sum(cost) from reporting.cost_summary_view where bucket >= %s and bucket < %s group by 1",
        span[1] - timedelta(days=2),
        span[1] - timedelta(days=1),
    )
    return [
        at_most("cost of 30 days by day, team and model", month, 50, "ms"),
        at_most("one day's sum through the view, by bucket", day, 5, "ms"),
    ]


def day_milliseconds(connection: Connection, usage: Usage, engine: str) -> tuple[float, list[tuple[object, ...]]]:
    """One day by hour from raw rows, best of several, and the answer."""
    query, span = DAY_BY_HOUR.format(HOUR[engine]).encode(), (usage.day, usage.day + timedelta(days=1))
    times = [milliseconds(lambda: connection.execute(query, span).fetchall(), 0) for _ in range(9)]
    return min(times), connection.execute(query, span).fetchall()


def plain_postgres(usage: Usage, first: int, last: int) -> tuple[float, list[tuple[object, ...]], float, float]:
    """The same day on an embedded PostgreSQL that holds the same week; its bytes a row, and those of the rollups."""
    with empty_server() as server:
        url = server.url()
        assert url is not None
        run_dbt(BUILD, url, quiet=True)
        with connect(url) as connection:
            connection.execute(
                "select internal.ensure_partitions('core.llm_metrics', %s, %s)",
                [usage.begin - timedelta(days=7), usage.end],
            )
            progress("the same week on plain PostgreSQL")
            usage.load(connection, first, last)
            refresh(url)
            connection.execute("vacuum analyze")
            size = value(
                connection,
                "select sum(pg_total_relation_size(inhrelid)) / (select count(*) from core.llm_metrics)"
                " from pg_inherits where inhparent = 'core.llm_metrics'::regclass and pg_relation_size(inhrelid) > 0",
            )
            rollups = value(
                connection,
                "select sum(pg_total_relation_size(oid)) / (select count(*) from core.llm_metrics) from pg_class"
                " where relnamespace = 'rollups'::regnamespace and relkind = 'r' and relname like 'llm%'",
            )
            return *day_milliseconds(connection, usage, "postgres"), size, rollups


def measure(url: str, usage: Usage, rounds: int) -> list[Figure]:
    with connect(url) as connection:
        fifth = usage.rows - usage.rows // 5
        progress(f"{usage.rows // 5:,} rows of the last days")
        usage.load(connection, fifth + 1, usage.rows)
        refresh(url)
        connection.execute("vacuum analyze")
        small = refresh_milliseconds(connection, usage, rounds, "small")
        progress(f"{fifth:,} rows of the days before")
        begin = time.perf_counter()
        usage.load(connection, 1, fifth)
        rate = fifth / (time.perf_counter() - begin)
        progress("rollups")
        begin = time.perf_counter()
        refresh(url)
        first_refresh = fifth / (time.perf_counter() - begin)
        connection.execute("vacuum analyze")
        large = refresh_milliseconds(connection, usage, rounds, "large")
        refresh(url)
        inserts = insert_figures(connection)
        progress("compression")
        chunks = chunk_figures(connection, usage)
        answers = answer_figures(connection, usage)
        compressed, answer = day_milliseconds(connection, usage, "timescaledb")
        rollups = rollup_figures(connection)
        first, last = usage.number(usage.day - timedelta(days=3)), usage.number(usage.day + timedelta(days=4))
        plain, same_answer, plain_size, plain_rollups = plain_postgres(usage, max(first, 1), last)
        assert answer == same_answer, "both engines must give the same answer"
        progress("COPY and stage")
        copied, staged = copy_rates(connection, usage, min(200_000, usage.rows // 10), rounds)
    ratio, day_ratio = staged / copied, compressed / plain
    return [
        *chunks,
        *rollups,
        told("plain PostgreSQL: bytes a row, with indexes", plain_size, "B"),
        told("plain PostgreSQL: all rollups of usage, bytes a raw row", plain_rollups, "B"),
        told("load by INSERT … SELECT, rows a second", rate, "", 0),
        told("first refresh of all rollups, raw rows a second", first_refresh, "", 0),
        told("COPY into the table, rows a second", copied, "", 0),
        (
            f"COPY into a stage and INSERT, {staged:,.0f} rows a second",
            f"{ratio:.2f} x COPY",
            ">= 0.85 x",
            ratio >= 0.85,
        ),
        at_most(f"hourly refresh after 15 minutes, {usage.rows // 5:,} rows", small, 100, "ms"),
        at_most(f"the same on {usage.rows:,} rows", large, 100, "ms"),
        at_most("its ratio", large / small, 1.5, "x", 2),
        *inserts,
        told("a day by hour from raw rows, plain PostgreSQL", plain, "ms"),
        told("the same, compressed", compressed, "ms"),
        at_most("its ratio", day_ratio, 0.5, "x", 2),
        *answers,
    ]


@click.command()
@click.option("--url", required=True, help="Of a database of a server with TimescaleDB, as a superuser.")
@click.option("--rows", default=5_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--rounds", default=5, show_default=True, help="Of refreshes and loads.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(url: str, rows: int, rounds: int, as_json: bool) -> None:
    """Measures TimescaleDB; exit code 1 if a goal is missed."""
    usage = Usage(rows)
    with built_database(url) as database:
        with connect(database) as connection:
            version = connection.execute(
                "select current_setting('server_version'), extversion from pg_extension where extname = 'timescaledb'"
            ).fetchone()
        assert version is not None
        figures = measure(database, usage, rounds)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        print_figures(heading(f"PostgreSQL {version[0]}", f"TimescaleDB {version[1]}", f"{rows:,} requests"), figures)
    sys.exit(1 if any(met is False for *_, met in figures) else 0)


if __name__ == "__main__":
    main()
