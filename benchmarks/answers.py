"""Answers from the reports, refreshes, inserts and upkeep, on as much usage as is asked for.

    python -m benchmarks.answers
    python -m benchmarks.answers --url postgresql://… --rows 5000000
    python -m benchmarks.answers --rows 100000                            (a first look, in under a minute)

Makes a database bench_answers and drops it at the end. Inserts are the client's time with a commit each.
"""

import time

import click

from benchmarks.figures import Figure, at_least, at_most, server_name, server_options, show, timed, told
from benchmarks.organisation import Size, load_organisation
from benchmarks.reports import money_questions, usage_questions
from benchmarks.timing import Time, latencies, measured
from benchmarks.upkeep import upkeep, upkeep_figures
from benchmarks.usage import Usage
from benchmarks.warehouse import build_options, built_warehouse, progress, settle
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.verification.comparison import compare
from orchestration.lib.warehouse.refresh import refresh

SIZE = Size(users=1_000, teams=60, sessions=10_000, alerts=1_000, policies=40, roles=20, requests=0, audit_rows=20_000)
REFRESH = "call internal.refresh_rollup('llm_metrics_hourly')"
INSERT = (
    "insert into core.llm_metrics (time, request_id, user_id, team_id, provider, model, input_tokens, output_tokens,"
    " cost_amount, cost_source) select clock_timestamp(), md5(random()::text || n), md5('user-7')::uuid,"
    " md5('team-7')::uuid, 'openai', 'model-0', 1200, 300, 0.006, 'provider' from generate_series(1, %s) as n"
)
AUDIT_WRITE = (
    b"insert into core.audit_logs (actor_type, actor_label, action, resource_type)"
    b" values ('system', 'benchmark', 'benchmark.write', 'test')"
)


def refresh_time(connection: Connection, usage: Usage) -> Time:
    """Of the hourly refresh, and nothing else, after each of several times 15 minutes of new requests."""
    quarter = max(round(900 / usage.seconds), 1)
    # in the last closed hour: they touch stored buckets
    new = usage.rows - quarter, usage.rows - 1, "new"

    def fifteen_minutes(_: str) -> None:
        # of the time before are taken back, or the hour would grow from time to time
        usage.delete(connection, *new)
        usage.insert(connection, *new)

    return measured(connection, {"refresh": REFRESH}, before=fifteen_minutes)["refresh"]


def rollup_figures(connection: Connection, usage: Usage, rounds: int) -> list[Figure]:
    """The same questions to raw rows and to what the rollups hold of them."""
    span = f"{{0}} >= timestamptz '{usage.today}' - interval '{{1}} days' and {{0}} < '{usage.today}' group by 1"
    raw_hours = (
        "select date_trunc('hour', time, 'UTC'), sum(total_tokens), sum(cost_amount) from core.llm_metrics where "
    )
    raw = (
        "select date_trunc('day', time, 'UTC')::date, team_id, currency, sum(cost_amount) from core.llm_metrics where "
        + span.format("time", 30)
        + ", 2, 3 order by 1, 2, 3"
    )
    rollup = (
        "select day, team_id, currency, cost from reporting.spend_by_team_view"
        f" where day >= date '{usage.today:%F}' - 30 and day < date '{usage.today:%F}' order by 1, 2, 3"
    )
    answers = [connection.execute(query.encode()).fetchall() for query in (raw, rollup)]
    assert answers[0] == answers[1], "both must give the same answer"
    times = measured(connection, {"raw": raw, "rollup": rollup}, rounds)
    hours = measured(connection, {days: raw_hours + span.format("time", days) for days in ("1", "30")}, rounds)
    return [
        timed("spend by team, 30 days, from raw rows", times["raw"]),
        timed("the same from the report", times["rollup"]),
        at_least("raw rows / report", times["raw"].best / times["rollup"].best, 20, "x", 0),
        timed("a day by hour, from raw rows", hours["1"], 100),
        timed("30 days by hour, from raw rows", hours["30"], 500),
    ]


def write_figures(connection: Connection) -> list[Figure]:
    def insert(rows: int) -> tuple[float, float]:
        return latencies(lambda _: connection.execute(INSERT.encode(), [rows]), 500 if rows == 1 else 60)

    (single, single_p95), (_, hundred_p95) = insert(1), insert(100)
    _, audit_p95 = latencies(lambda _: connection.execute(AUDIT_WRITE), 300)
    return [
        told("single insert, median", single, "ms", 2),
        at_most("single insert, p95", single_p95, 1, "ms", 2),
        at_most("batch of 100, p95", hundred_p95, 10, "ms"),
        at_most("audit write with its checksum, p95", audit_p95, 2, "ms", 2),
    ]


def comparison_figure(connection: Connection) -> Figure:
    """Comparing every closed day of every rollup with what it is made of, as verify does some seconds at a time."""
    begin = time.perf_counter()
    comparison = compare(connection, seconds=3600)
    took = time.perf_counter() - begin
    assert (comparison.left, comparison.wrong) == (0, 0), comparison
    return Figure("comparing every day of every rollup with raw rows", f"{took:,.1f} s, {comparison.looked_at:,} days")


@click.command()
@server_options
@click.option("--rows", default=1_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--rounds", default=7, show_default=True, help="The best of so many counts.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures answers, refreshes, inserts and upkeep; exit code 1 if a goal is missed."""
    usage = Usage(rows, governed=True)
    options = build_options(rows / usage.days)
    with built_warehouse(url, "answers", options) as built, connect(built) as connection:
        load_organisation(connection, SIZE, progress)
        last_fifth = rows - rows // 5
        usage.load(connection, last_fifth + 1, notify=progress)
        refresh(built)
        connection.execute("vacuum analyze")
        small = refresh_time(connection, usage)
        usage.load(connection, 1, last_fifth, notify=progress)
        progress("rollups")
        refresh(built)
        connection.execute("vacuum analyze")
        large = refresh_time(connection, usage)
        settle(connection, built, options)
        progress("questions")
        questions = [*usage_questions(usage), *money_questions(usage)]
        times = measured(connection, {what: question for what, question, _ in questions}, rounds)
        figures = [
            *(timed(what, times[what], goal) for what, _, goal in questions),
            *rollup_figures(connection, usage, rounds),
            timed("hourly refresh after 15 minutes, on a fifth", small, 100),
            timed("the same on all", large, 100),
            at_most("its ratio", large.best / small.best, 1.5, "x", 2),
            *write_figures(connection),
            *upkeep_figures(upkeep(connection, built, options)),
            comparison_figure(connection),
        ]
        server = server_name(connection)
    show(figures, server, f"{rows:,} requests", as_json=as_json)


if __name__ == "__main__":
    main()
