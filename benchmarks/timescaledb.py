"""What TimescaleDB makes of usage: compression, loading, and raw rows against plain PostgreSQL's.

    python -m benchmarks.timescaledb --url postgresql://…        (a server with TimescaleDB, Community edition)
    python -m benchmarks.timescaledb --url … --rows 100000       (a first look, in about a minute)

Makes a database bench_timescaledb on that server and drops it at the end. The same week of usage is loaded into an
embedded PostgreSQL beside it. The defaults take about 15 minutes and 10 GB.
"""

import tempfile
import time
from datetime import timedelta

import click

from benchmarks.figures import Figure, at_least, at_most, server_name, server_options, show, timed, told
from benchmarks.timing import Time, measured
from benchmarks.usage import COLUMNS, Usage
from benchmarks.warehouse import built_warehouse, is_timescaledb, progress
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.refresh import refresh

# as docs/operations.md says for the default number of rows, and for fewer to have something to compress
OPTIONS = ["--vars", "{partition_width: 1 day}"]
# with the function that each engine has for it, as in the rollups
HOUR = {"timescaledb": "public.time_bucket('1 hour', time)", "postgres": "date_trunc('hour', time, 'UTC')"}
DAY_BY_HOUR = """
    select {}, count(*), sum(total_tokens), sum(cost_amount)
    from core.llm_metrics
    where time >= '{}' and time < '{}'
    group by 1
    order by 1
"""
ROLLUPS = (
    "select format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)"
    " from timescaledb_information.continuous_aggregates where view_schema = 'rollups' and view_name like %s"
)
Answer = list[tuple[object, ...]]


def value(connection: Connection, query: str, *parameters: object) -> float:
    [(number,)] = connection.execute(query.encode(), parameters or None)
    return float(number)


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
        at_most("bytes a row, compressed (text request ids)", compressed / rows, 95, "B"),
        told("compression, rows a second", rows / seconds, "", 0),
    ]


def rollup_figures(connection: Connection) -> list[Figure]:
    """Bytes of the rollups by raw row, as they are written and in the columnstore."""

    def bytes_of(name: str) -> float:
        return value(connection, f"select sum(public.hypertable_size(h::regclass)) from ({ROLLUPS}) as s (h)", name)

    requests = value(connection, "select count(*) from core.llm_metrics")
    grains = value(connection, "select count(*) from rollups.llm_metrics_hourly")
    heap, all_heap = bytes_of("llm_metrics_hourly_stored"), bytes_of("llm_%")
    for (rollup,) in connection.execute(ROLLUPS.encode(), ["llm_%"]).fetchall():
        connection.execute("select public.compress_chunk(c) from public.show_chunks(%s::regclass) as s (c)", [rollup])
    columnstore, all_columnstore = bytes_of("llm_metrics_hourly_stored"), bytes_of("llm_%")
    return [
        told("hourly rollup: raw rows a row of it", requests / grains, "", 2),
        told("hourly rollup: bytes a raw row, heap", heap / requests, "B"),
        at_most("hourly rollup: bytes a raw row, columnstore", columnstore / requests, 17, "B"),
        told("all rollups of usage: bytes a raw row, heap", all_heap / requests, "B"),
        told("the same, columnstore", all_columnstore / requests, "B"),
    ]


def day_by_hour(connection: Connection, usage: Usage, engine: str) -> tuple[Time, Answer]:
    """A day by hour from raw rows, the last of the week that is compressed as a whole, and the answer."""
    day = usage.today - timedelta(days=14)
    query = DAY_BY_HOUR.format(HOUR[engine], day, day + timedelta(days=1))
    return measured(connection, {"day": query}, 9)["day"], connection.execute(query.encode()).fetchall()


def plain_postgres(usage: Usage) -> tuple[Time, Answer, float, float]:
    """The same day on an embedded PostgreSQL that holds the same week; its bytes a row, and those of the rollups."""
    day = usage.today - timedelta(days=14)
    with built_warehouse(None, "plain", OPTIONS) as url, connect(url) as connection:
        progress("the same week on plain PostgreSQL")
        usage.load(connection, usage.number(day - timedelta(days=3)), usage.number(day + timedelta(days=4)))
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
        return *day_by_hour(connection, usage, "postgres"), size, rollups


def measure(connection: Connection, url: str, usage: Usage, rounds: int) -> list[Figure]:
    begin = time.perf_counter()
    usage.load(connection, notify=progress)
    rate = usage.rows / (time.perf_counter() - begin)
    progress("rollups")
    begin = time.perf_counter()
    refresh(url)
    first_refresh = usage.rows / (time.perf_counter() - begin)
    connection.execute("vacuum analyze")
    progress("compression")
    chunks = chunk_figures(connection, usage)
    compressed, answer = day_by_hour(connection, usage, "timescaledb")
    rollups = rollup_figures(connection)
    plain, same_answer, plain_size, plain_rollups = plain_postgres(usage)
    assert answer == same_answer, "both engines must give the same answer"
    progress("COPY and stage")
    copied, staged = copy_rates(connection, usage, min(200_000, usage.rows // 10), rounds)
    return [
        *chunks,
        *rollups,
        told("plain PostgreSQL: bytes a row, with indexes", plain_size, "B"),
        told("plain PostgreSQL: all rollups of usage, bytes a raw row", plain_rollups, "B"),
        told("load by INSERT … SELECT, rows a second", rate, "", 0),
        told("first refresh of all rollups, raw rows a second", first_refresh, "", 0),
        told("COPY into the table, rows a second", copied, "", 0),
        told("COPY into a stage and INSERT, rows a second", staged, "", 0),
        at_least("its ratio", staged / copied, 0.85, "x"),
        timed("a day by hour from raw rows, plain PostgreSQL", plain),
        timed("the same, compressed", compressed),
        at_most("compressed / plain PostgreSQL", compressed.best / plain.best, 0.5, "x", 2),
    ]


@click.command()
@server_options
@click.option("--rows", default=5_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--rounds", default=5, show_default=True, help="Of loads.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures TimescaleDB; exit code 1 if a goal is missed."""
    usage = Usage(rows)
    with built_warehouse(url, "timescaledb", OPTIONS) as built, connect(built) as connection:
        if not is_timescaledb(built):
            raise GovernanceError("there is no TimescaleDB on that server: name another one with --url")
        figures = measure(connection, built, usage, rounds)
        server = server_name(connection)
    show(figures, server, f"{rows:,} requests", as_json=as_json)


if __name__ == "__main__":
    main()
