"""What grows with a year of usage: sizes, and the times of questions, refreshes and upkeep.

    python -m benchmarks.year --url postgresql://…
    python -m benchmarks.year --url … --rows 1000000            (a first look)

The last month is loaded and measured first, then the months before it, as one that comes to this warehouse with its
history would, and all is measured again. Makes a database bench_year and drops it at the end. The defaults take about
half an hour and 20 GB on a server with TimescaleDB.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from benchmarks.answers import SIZE, refresh_time
from benchmarks.figures import UNKNOWN, Figure, server_name, server_options, show, told
from benchmarks.organisation import load_organisation
from benchmarks.reports import money_questions, people_questions, usage_questions
from benchmarks.timing import Time, measured
from benchmarks.upkeep import GOALS, Upkeep, upkeep
from benchmarks.usage import Usage
from benchmarks.warehouse import build_options, built_warehouse, is_timescaledb, progress, settle
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh

SIZES = {
    True: """
        select 'core.llm_metrics', public.hypertable_size('core.llm_metrics')
        union all
        select
            format('rollups.%s', view_name),
            public.hypertable_size(
                format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
            )
        from timescaledb_information.continuous_aggregates
        where view_schema = 'rollups'
    """,
    False: """
        select 'core.llm_metrics', sum(pg_total_relation_size(relid)) from pg_partition_tree('core.llm_metrics')
        union all
        select format('rollups.%s', relname), pg_total_relation_size(oid)
        from pg_class
        where relnamespace = 'rollups'::regnamespace and relkind = 'r'
    """,
}


@dataclass(frozen=True)
class Stage:
    """What was measured with as much usage as there was: bytes of relations, times of questions, upkeep."""

    bytes: dict[str, int]
    times: dict[str, Time]
    refresh: Time
    upkeep: Upkeep


def stage(connection: Connection, url: str, usage: Usage, options: list[str], rounds: int) -> Stage:
    settle(connection, url, options)
    sizes = {name: int(size) for name, size in connection.execute(SIZES[is_timescaledb(url)].encode()).fetchall()}
    progress("questions")
    questions = [*usage_questions(usage), *money_questions(usage), *people_questions(SIZE)]
    times = measured(connection, {what: question for what, question, _ in questions}, rounds)
    return Stage(sizes, times, refresh_time(connection, usage), upkeep(connection, url, options))


def week_of(moment: datetime) -> datetime:
    """Where the chunk of a week begins that TimescaleDB puts a moment into."""
    epoch = datetime.fromtimestamp(0, UTC)
    return epoch + (moment - epoch) // timedelta(days=7) * timedelta(days=7)


def months_before(usage: Usage, moment: datetime) -> Iterator[tuple[int, int]]:
    """Numbers of the rows before a moment that begins a week, the oldest first: four weeks at a time."""
    first, last, end = 1, usage.number(moment) - 1, week_of(usage.begin)
    while first <= last:
        end += timedelta(days=28)
        following = min(usage.number(end) - 1, last)
        yield first, following
        first = following + 1


def grown(what: str, before: float, after: float, unit: str, digits: int = 1, cpu: str = "") -> Figure:
    """From the first month to the year, and how many times as much that is."""
    factor = f"{after / before:,.2f} x" if before else UNKNOWN
    return Figure(what, f"{before:,.{digits}f} → {after:,.{digits}f} {unit}, {factor}", cpu)


def grown_time(what: str, before: Time, after: Time) -> Figure:
    cpu = UNKNOWN if before.cpu is None or after.cpu is None else f"{before.cpu:,.2f} → {after.cpu:,.2f} ms"
    return grown(what, before.best, after.best, "ms", 2, cpu)


def grown_work(what: str, before: tuple[float, float | None], after: tuple[float, float | None]) -> Figure:
    cpu = UNKNOWN if before[1] is None or after[1] is None else f"{before[1]:,.1f} → {after[1]:,.1f} s"
    figure = grown(what, before[0], after[0], "s", 1, cpu)
    goal = GOALS.get(what)
    return figure if goal is None else Figure(what, figure.measured, cpu, f"≤ {goal:g} s", after[0] <= goal)


@click.command()
@server_options
@click.option("--rows", default=20_000_000, show_default=True, help="Usage of 365 days.")
@click.option("--rounds", default=5, show_default=True, help="The best of so many counts.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures what grows in a year; exit code 1 if a goal is missed."""
    usage = Usage(rows, 365, governed=True)
    options = build_options(rows / usage.days)
    with built_warehouse(url, "year", options) as built, connect(built) as connection:
        load_organisation(connection, SIZE, progress)
        # no chunk is in both, for what comes late into a compressed one is slow
        month = week_of(usage.end - timedelta(days=30))
        usage.load(connection, usage.number(month), notify=progress)
        first = stage(connection, built, usage, options, rounds)
        loaded = refreshed = 0.0
        for begin, end in months_before(usage, month):
            started = time.perf_counter()
            usage.load(connection, begin, end, progress)
            middle = time.perf_counter()
            refresh(built)
            loaded, refreshed = loaded + middle - started, refreshed + time.perf_counter() - middle
        year = stage(connection, built, usage, options, rounds)
        server = server_name(connection)
    older = usage.number(month) - 1
    slowest = sorted(year.upkeep.tests, key=lambda test: year.upkeep.tests[test], reverse=True)[:5]
    figures = [
        told("load of the older months, rows a second", older / loaded, "", 0),
        told("refresh of their rollups, raw rows a second", older / refreshed, "", 0),
        *(grown(name, first.bytes[name] / 2**20, year.bytes[name] / 2**20, "MB") for name in sorted(year.bytes)),
        grown_time("hourly refresh after 15 minutes", first.refresh, year.refresh),
        *(grown_time(what, first.times[what], year.times[what]) for what in year.times),
        *(grown_work(what, first.upkeep.works[what], year.upkeep.works[what]) for what in year.upkeep.works),
        *(grown(f"test {name}", first.upkeep.tests[name], year.upkeep.tests[name], "s", 2) for name in slowest),
    ]
    show(figures, server, f"{rows:,} requests of 365 days", as_json=as_json)


if __name__ == "__main__":
    main()
