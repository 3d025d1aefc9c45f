"""What costing adds to a load, and what repricing one model takes beside loading its requests.

    python -m benchmarks.pricing
    python -m benchmarks.pricing --url postgresql://…
    python -m benchmarks.pricing --rows 50000 --rounds 1    (a first look)

The requests are those of `benchmarks.ingest` without their cost; of its models the list that ships prices all but one.
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click

from benchmarks.figures import Figure, at_most, server_name, server_options, show, told
from benchmarks.ingest import COLUMNS, ensure_partitions, fresh_copy, usage_lines
from benchmarks.warehouse import built_warehouse, progress
from orchestration.lib.database.connection import connect
from orchestration.lib.pricing.reprice import Scope, begin, effect, proceed
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.warehouse.refresh import refresh

MILLION = 1_000_000
COST = ("cost_amount", "currency", "cost_source")
# a load that asks for no price
WITHOUT = """
    create or replace function internal.cost_requests(requests text, keeps boolean) returns table (
        line bigint, price_id uuid, list_cost numeric, computed_cost numeric, currency text, is_estimate boolean
    ) language sql as 'select null::bigint, null::uuid, null::numeric, null::numeric, null, null::boolean where false'
"""
PROVIDER, MODEL = "openai", "gpt-4o-mini"


def write_usage(folder: Path, rows: int) -> tuple[Path, Path, Path, int]:
    """The requests without what they cost: all, those of the model that is repriced, the others; how many it has."""
    names = COLUMNS.split(",")
    kept = [place for place, name in enumerate(names) if name not in COST]
    of_model = 0
    paths = folder / "all.csv", folder / "model.csv", folder / "others.csv"
    with paths[0].open("w") as whole, paths[1].open("w") as model, paths[2].open("w") as others:
        for file in (whole, model, others):
            file.write(",".join(names[place] for place in kept) + "\n")
        for line in usage_lines(rows):
            # the tags come last, and have commas
            fields = line.rstrip("\n").split(",", len(names) - 1)
            is_model = fields[names.index("model")] == MODEL
            of_model += is_model
            text = ",".join(fields[place] for place in kept) + "\n"
            whole.write(text)
            (model if is_model else others).write(text)
    return *paths, of_model


def load_seconds(built: str, file: Path, *, costs: bool) -> float:
    with fresh_copy(built) as url:
        if not costs:
            with connect(url) as connection:
                connection.execute(WITHOUT)
        started = time.perf_counter()
        ingest_files(url, [str(file)])
        return time.perf_counter() - started


def reprice_seconds(built: str, model: Path, others: Path, of_model: int) -> tuple[float, float, float]:
    """Seconds to show the effect, to reprice the model, and to load its requests into the days of the others.

    Each with the refresh of the rollups. Checks that no other request was touched.
    """
    with fresh_copy(built) as url:
        ingest_files(url, [str(others)])
        refresh(url)
        started = time.perf_counter()
        ingest_files(url, [str(model)])
        refresh(url)
        loaded = time.perf_counter() - started
        with connect(url) as connection:
            untouched = f"select sum(hashtextextended(m::text, 0)) from core.llm_metrics as m where model <> '{MODEL}'"
            before = connection.execute(untouched.encode()).fetchone()
            connection.execute(
                "insert into core.price_agreements (name, provider, model, discount_percent, valid_from, origin)"
                " values ('Benchmark', %s, %s, 10, now() - interval '1 year', 'benchmark')",
                [PROVIDER, MODEL],
            )
            now = datetime.now(UTC)
            scope = Scope(now - timedelta(days=31), now, PROVIDER, MODEL)
            started = time.perf_counter()
            (found,) = effect(url, scope)
            shown = time.perf_counter() - started
            assert found.requests == of_model, found
            assert found.old is not None
            assert found.new == found.old * Decimal("0.9"), found
            started = time.perf_counter()
            begin(url, scope, "benchmark", "benchmark")
            assert proceed(url).requests == of_model
            refresh(url)
            repriced = time.perf_counter() - started
            assert connection.execute(untouched.encode()).fetchone() == before
    return shown, repriced, loaded


@click.command()
@server_options
@click.option("--rows", default=MILLION, show_default=True, help="Requests.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of the loads; the median counts.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures costing and repricing; exit code 1 if a goal is missed."""
    with built_warehouse(url, "pricing", []) as built, tempfile.TemporaryDirectory() as folder:
        with connect(built) as connection:
            server = server_name(connection)
        ensure_partitions(built)
        file, model, others, of_model = write_usage(Path(folder), rows)
        pairs = []
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            pairs.append((load_seconds(built, file, costs=False), load_seconds(built, file, costs=True)))
        progress("repricing")
        shown, repriced, loaded = reprice_seconds(built, model, others, of_model)
    costing = statistics.median(costed - plain for plain, costed in pairs) * MILLION / rows
    figures: list[Figure] = [
        told("a load without costing, rows a second", rows / statistics.median(plain for plain, _ in pairs), "", 0),
        told("the same with costing", rows / statistics.median(costed for _, costed in pairs), "", 0),
        at_most("costing, of a million requests", costing, 15, "s", 1),
        at_most("load with costing / without", statistics.median(costed / plain for plain, costed in pairs), 2, "x", 2),
        told(f"effect of repricing {of_model:,} requests of one model", shown, "s", 1),
        told("repricing them, with the refresh of the rollups", repriced, "s", 1),
        at_most("repricing them / loading them, with the refresh", repriced / loaded, 1, "x", 2),
    ]
    show(figures, server, f"{rows:,} rows", as_json=as_json)


if __name__ == "__main__":
    main()
