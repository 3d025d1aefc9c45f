"""How fast a month's charges are written by FOCUS, and what caching saved is told.

    python -m benchmarks.focus
    python -m benchmarks.focus --url postgresql://…
    python -m benchmarks.focus --teams 10    (a first look)

Each team uses each model on 28 days, with four classes of tokens: a team has 1,680 charges.
"""

import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from benchmarks.figures import Figure, at_least, at_most, server_name, server_options, show, told
from benchmarks.warehouse import built_warehouse, is_timescaledb, progress, settle
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.export.focus import export_focus

MODELS = 15
PRICES = """
with applied as (
    insert into core.applied_prices
        (id, provider, model, service_tier, context_above, currency, date_basis, is_estimate)
    select md5('price-' || n)::uuid, 'provider-' || n %% 5, 'model-' || n, 'standard', 0, 'USD', 'known', false
    from generate_series(1, %(models)s) as n
    returning id
)
insert into core.applied_unit_prices (price_id, unit, list_unit_price, unit_price, model_price_id)
select applied.id, prices.unit, prices.price, prices.price * 0.9, applied.id
from applied
cross join (values
    ('input_tokens', 2.5), ('cache_read_tokens', 0.25), ('cache_write_tokens', 3.125), ('output_tokens', 12.5),
    ('reasoning_tokens', 12.5), ('audio_input_tokens', 2.5), ('audio_output_tokens', 12.5)
) as prices (unit, price)
"""
USAGE = """
insert into core.llm_metrics (
    time, request_id, team_id, provider, model, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens,
    cost_amount, list_cost_amount, cost_source, price_id
)
select
    %(first)s + (day * 24 + 12) * interval '1 hour', day || '/' || team || '/' || model, md5('team-' || team)::uuid,
    'provider-' || model %% 5, 'model-' || model, 1000 + team, 500 + model, 100, 50, cost * 0.9, cost, 'computed',
    md5('price-' || model)::uuid
from generate_series(0, 27) as day
cross join generate_series(1, %(teams)s) as team
cross join generate_series(1, %(models)s) as model
cross join lateral (select ((1000 + team) * 2.5 + (500 + model) * 0.25 + 150 * 12.5) * 0.000001 as cost) as prices
"""
TEAMS = """
insert into core.teams (id, slug, name, cost_center)
select md5('team-' || n)::uuid, 'team-' || n, 'Team ' || n, n %% 7 from generate_series(1, %(teams)s) as n
"""


def fill(connection: Connection, url: str, teams: int) -> str:
    """A month of usage; returns it, such as 2026-10."""
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = (this_month - timedelta(days=1)).replace(day=1)
    values = {"first": first, "teams": teams, "models": MODELS}
    if not is_timescaledb(url):
        connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, now())", [first])
    for statement in (TEAMS, PRICES, USAGE):
        connection.execute(statement.encode(), values)
    settle(connection, url, [])
    return f"{first:%Y-%m}"


def written(url: str, month: str, folder: Path, file_format: str, version: str) -> tuple[float, int]:
    """Rows a second, of the best of three, and how many rows."""
    best, rows = 0.0, 0
    for number in range(3):
        path = folder / f"{file_format}-{version}-{number}"
        started = time.perf_counter()
        rows = export_focus(url, month, path, file_format=file_format, version=version).rows
        best = max(best, rows / (time.perf_counter() - started))
        path.unlink()
    return best, rows


def told_savings(connection: Connection) -> float:
    """Milliseconds of the question in docs/questions.md, the best of five."""
    question = (
        "select provider, model, currency, sum(saved) from reporting.cache_savings"
        " where day >= current_date - 90 group by 1, 2, 3"
    )
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        assert len(connection.execute(question.encode()).fetchall()) == MODELS
        best = min(best, time.perf_counter() - started)
    return best * 1000


@click.command()
@server_options
@click.option("--teams", default=100, show_default=True, help="Teams, each of which uses 15 models a day.")
def main(url: str | None, teams: int, as_json: bool) -> None:
    """Measures exports by FOCUS; exit code 1 if a goal is missed."""
    with (
        built_warehouse(url, "focus", []) as built,
        tempfile.TemporaryDirectory() as folder,
        connect(built) as connection,
    ):
        server = server_name(connection)
        progress("a month of usage")
        month = fill(connection, built, teams)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        progress("exports")
        plain, rows = written(built, month, Path(folder), "csv", "1.2")
        newer, _ = written(built, month, Path(folder), "csv", "1.4")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        columnar, _ = written(built, month, Path(folder), "parquet", "1.2")
        savings = told_savings(connection)
    figures: list[Figure] = [
        at_least("FOCUS 1.2 as CSV, rows a second", plain, 50_000, "", 0),
        at_least("FOCUS 1.4 as CSV, rows a second", newer, 50_000, "", 0),
        told("FOCUS 1.2 as Parquet, rows a second", columnar, "", 0),
        at_most("memory that the CSV takes", grown, 32, "MiB"),
        at_most("what caching saved, by model, from the report", savings, 50, "ms", 1),
    ]
    show(figures, server, f"{rows:,} charges of {teams} teams", as_json=as_json)


if __name__ == "__main__":
    main()
