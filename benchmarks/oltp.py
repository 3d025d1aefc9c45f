"""The reports on people, teams, sessions, alerts and policies, and the audit trail, in a large organisation.

    python -m benchmarks.oltp
    python -m benchmarks.oltp --users 10000 --sessions 100000 --audit-rows 1000000

Every row is written by the way an application writes it, so each change has its audit row and each audit row its
checksum. Times of reports are the server's own for planning and running, the best of several, without the transfer of
rows; times of writes and lookups are the client's. Loading the defaults takes about ten minutes and 15 GB.
"""

import json
import sys
import time
from collections.abc import Callable

import click

from benchmarks.organisation import ROOT_SIZE, Connection, Size, load_organisation
from benchmarks.warehouse import built_warehouse, heading, percentile, print_figures, progress
from orchestration.lib.database.connection import connect
from orchestration.lib.warehouse.refresh import refresh

Figure = tuple[str, str, str, bool | None]
SOME = 10_000
AUDIT_WRITE = (
    "insert into core.audit_logs (actor_type, actor_id, action, resource_type, resource_id, metadata)"
    " values ('user', md5('user-' || %s)::uuid, 'reports.read', 'reports', md5('report-' || %s)::uuid, '{}')"
)
AUDIT_LOOKUP = "select * from core.audit_logs where {} = md5('{}-' || %s)::uuid order by recorded_at desc limit 50"


def server_milliseconds(connection: Connection, query: str, rounds: int) -> tuple[float, int]:
    """Planning and running time of a query, best of `rounds`, and its rows."""
    best, rows = float("inf"), 0
    for _ in range(rounds):
        row = connection.execute(f"explain (analyze, timing off, format json) {query}".encode()).fetchone()
        assert row is not None
        [plan] = row[0]
        best = min(best, plan["Planning Time"] + plan["Execution Time"])
        rows = round(plan["Plan"]["Actual Rows"])
    return best, rows


def client_milliseconds(work: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile of `work(1)`, `work(2)` …"""
    times = []
    for n in range(1, rounds + 1):
        begin = time.perf_counter()
        work(n)
        times.append((time.perf_counter() - begin) * 1000)
    return percentile(times, 0.5), percentile(times, 0.95)


def report_figures(connection: Connection, size: Size, rounds: int) -> list[Figure]:
    """Each report for one and for all, with its goal where there is one."""
    some = min(SOME, size.users)
    one = "where user_id = md5('user-60')::uuid"
    # an array, for a join can't reach into a report
    many = f"where user_id = any (array(select md5('user-' || n)::uuid from generate_series(1, {some}) as n))"
    root = f"where root_team_id = md5('team-{size.teams // 2 // ROOT_SIZE * ROOT_SIZE}')::uuid"
    reports: list[tuple[str, str, float | None]] = [
        ("permissions of one user", f"user_permissions_view {one}", 5),
        (f"permissions of {some:,} users", f"user_permissions_view {many}", 50),
        ("team hierarchy, one root", f"team_hierarchy_view {root}", 20),
        ("team hierarchy, all", "team_hierarchy_view", 100),
        ("activity of one user", f"user_activity_summary_view {one}", 5),
        (f"activity of {some:,} users", f"user_activity_summary_view {many}", 200),
        ("activity of all users", "user_activity_summary_view", None),
        ("policy compliance", "policy_compliance_view", 50),
        ("active sessions of one user", f"active_sessions_view {one}", 5),
        ("active sessions of all", "active_sessions_view", None),
        ("alert summary", "alert_summary_view", None),
    ]
    figures: list[Figure] = []
    for what, report, goal in reports:
        ms, rows = server_milliseconds(connection, f"select * from reporting.{report}", rounds)
        verdict = (f"<= {goal} ms", ms <= goal) if goal else ("", None)
        figures.append((f"{what} ({rows:,} rows)", f"{ms:,.1f} ms", *verdict))
    return figures


def audit_figures(connection: Connection) -> list[Figure]:
    """Writes and lookups of the audit trail by the rows that it holds."""
    measures: list[tuple[str, Callable[[int], object], float]] = [
        ("audit write with its checksum", lambda n: connection.execute(AUDIT_WRITE, [n, n]), 2),
        (
            "audit trail of one actor, 50 newest",
            lambda n: connection.execute(AUDIT_LOOKUP.format("actor_id", "user").encode(), [n * 7]).fetchall(),
            5,
        ),
        (
            "audit trail of one resource, 50 newest",
            lambda n: connection.execute(AUDIT_LOOKUP.format("resource_id", "key").encode(), [n * 7]).fetchall(),
            5,
        ),
    ]
    figures: list[Figure] = []
    for what, work, goal in measures:
        runs = [client_milliseconds(work, 500) for _ in range(3)]
        median, p95 = min(run[0] for run in runs), min(run[1] for run in runs)
        figures.append((f"{what}, median", f"{median:,.2f} ms", "", None))
        figures.append((f"{what}, p95", f"{p95:,.2f} ms", f"< {goal} ms", p95 < goal))
    row = connection.execute(
        "select count(*), pg_table_size('core.audit_logs') / count(*), pg_indexes_size('core.audit_logs') / count(*)"
        " from core.audit_logs"
    ).fetchone()
    assert row is not None
    return [*figures, (f"bytes an audit row, of {row[0]:,}: table + indexes", f"{row[1]} + {row[2]}", "", None)]


@click.command()
@click.option("--users", default=100_000, show_default=True)
@click.option("--teams", default=1_000, show_default=True, help="On ten levels, a hundred below each root.")
@click.option("--sessions", default=1_000_000, show_default=True, help="Of 90 days; one in two hundred is live.")
@click.option("--audit-rows", default=10_000_000, show_default=True, help="In total, with those of the other rows.")
@click.option("--requests", default=1_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--policies", default=100, show_default=True, help="With two versions and 20 assignments each.")
@click.option("--alerts", default=100_000, show_default=True)
@click.option("--roles", default=40, show_default=True, help="Besides the seven of the system.")
@click.option("--rounds", default=7, show_default=True, help="The best of so many counts.")
@click.option("--loaded", is_flag=True, help="$GOVERNANCE_BENCHMARK_URL was loaded before with the same sizes.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(
    users: int,
    teams: int,
    sessions: int,
    audit_rows: int,
    requests: int,
    policies: int,
    alerts: int,
    roles: int,
    rounds: int,
    loaded: bool,
    as_json: bool,
) -> None:
    """Measures the reports and the audit trail; exit code 1 if a goal is missed."""
    size = Size(users, teams, sessions, alerts, policies, roles, requests, audit_rows)
    with built_warehouse() as url, connect(url) as connection:
        if not loaded:
            begin = time.perf_counter()
            load_organisation(connection, size, progress)
            progress(f"loaded in {time.perf_counter() - begin:,.0f} s; rollups and statistics")
            refresh(url)
            connection.execute("vacuum analyze")
        figures = report_figures(connection, size, rounds) + audit_figures(connection)
        version = connection.execute("show server_version").fetchone()
    assert version is not None
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        print_figures(heading(f"PostgreSQL {version[0]}", f"{users:,} users"), figures)
    sys.exit(1 if any(met is False for *_, met in figures) else 0)


if __name__ == "__main__":
    main()
