"""The reports on people, teams, sessions, alerts and policies, and the audit trail, in a large organisation.

    python -m benchmarks.oltp
    python -m benchmarks.oltp --url postgresql://… --users 10000 --sessions 100000 --audit-rows 0 --requests 300000
    python -m benchmarks.oltp --users 1000 --sessions 10000 --audit-rows 0 --requests 30000 --alerts 1000

Every row is written by the way an application writes it, so each change has its audit row and each audit row its
checksum. Times of reports are planning and running, without the transfer of rows; times of writes and lookups are the
client's. Makes a database bench_oltp and drops it at the end; the defaults take about fifteen minutes and 15 GB.
"""

from collections.abc import Callable

import click

from benchmarks.figures import Figure, at_most, server_name, server_options, show, timed, told
from benchmarks.organisation import Size, load_organisation
from benchmarks.reports import people_questions
from benchmarks.timing import latencies, measured
from benchmarks.warehouse import build_options, built_warehouse, progress, settle
from orchestration.lib.database.connection import Connection, connect

AUDIT_WRITE = (
    "insert into core.audit_logs (actor_type, actor_id, action, resource_type, resource_id, metadata)"
    " values ('user', md5('user-' || %s)::uuid, 'reports.read', 'reports', md5('report-' || %s)::uuid, '{}')"
)
AUDIT_LOOKUP = "select * from core.audit_logs where {} = md5('{}-' || %s)::uuid order by recorded_at desc limit 50"


def report_figures(connection: Connection, size: Size, rounds: int) -> list[Figure]:
    """Each report for one and for all, with its goal where there is one."""
    questions = people_questions(size)
    plans = {what: f"explain (analyze, timing off) {question}" for what, question, _ in questions}
    times = measured(connection, plans, rounds)
    rows = {what: connection.execute(question.encode()).rowcount for what, question, _ in questions}
    return [timed(f"{what} ({rows[what]:,} rows)", times[what], goal) for what, _, goal in questions]


def audit_figures(connection: Connection) -> list[Figure]:
    """Writes and lookups of the audit trail by the rows that it holds."""

    def lookup(column: str, kind: str) -> Callable[[int], object]:
        query = AUDIT_LOOKUP.format(column, kind).encode()
        return lambda n: connection.execute(query, [n * 7]).fetchall()

    median, p95 = latencies(lambda n: connection.execute(AUDIT_WRITE, [n, n]), 500)
    _, actor_p95 = latencies(lookup("actor_id", "user"), 500)
    _, resource_p95 = latencies(lookup("resource_id", "key"), 500)
    [row] = connection.execute(
        "select count(*), pg_table_size('core.audit_logs') / count(*), pg_indexes_size('core.audit_logs') / count(*)"
        " from core.audit_logs"
    )
    return [
        told("audit write with its checksum, median", median, "ms", 2),
        at_most("audit write with its checksum, p95", p95, 2, "ms", 2),
        at_most("audit trail of one actor, 50 newest, p95", actor_p95, 5, "ms", 2),
        at_most("audit trail of one resource, 50 newest, p95", resource_p95, 5, "ms", 2),
        Figure("bytes an audit row, table + indexes", f"{row[1]} + {row[2]}, of {row[0]:,}"),
    ]


@click.command()
@server_options
@click.option("--users", default=100_000, show_default=True)
@click.option("--teams", default=1_000, show_default=True, help="On ten levels, a hundred below each root.")
@click.option("--sessions", default=1_000_000, show_default=True, help="Of 90 days; one in two hundred is live.")
@click.option("--audit-rows", default=10_000_000, show_default=True, help="In total, with those of the other rows.")
@click.option("--requests", default=1_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--policies", default=100, show_default=True, help="With two versions and 20 assignments each.")
@click.option("--alerts", default=100_000, show_default=True)
@click.option("--roles", default=40, show_default=True, help="Besides the seven of the system.")
@click.option("--rounds", default=7, show_default=True, help="The best of so many counts.")
@click.option("--keep", is_flag=True, help="With --url: leave the database, and take it as it is the next time.")
def main(url: str | None, rounds: int, keep: bool, as_json: bool, **sizes: int) -> None:
    """Measures the reports and the audit trail; exit code 1 if a goal is missed."""
    size, options = Size(**sizes), build_options(sizes["requests"] / 30)
    with built_warehouse(url, "oltp", options, keep=keep) as built, connect(built) as connection:
        if connection.execute("select from core.llm_metrics limit 1").fetchone() is None:
            load_organisation(connection, size, progress)
        progress("rollups, columnstore and statistics")
        settle(connection, built, options)
        figures = report_figures(connection, size, rounds) + audit_figures(connection)
        server = server_name(connection)
    show(figures, server, f"{size.users:,} users", as_json=as_json)


if __name__ == "__main__":
    main()
