"""Requests costed anew: an explicit act, whose effect is shown first and whose traces stay."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from core_rows import value
from price_rows import add_price
from usage_loads import NOW, counts

from orchestration.cli.main import main
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.reprice import Effect, Scope, begin, effect, proceed
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh

DAYS = 4
FIRST = (NOW - timedelta(days=20)).replace(hour=0, minute=0, second=0)
SCOPE = Scope(FIRST, NOW, provider="acme", model="rocket")


@pytest.fixture
def warehouse(database: str, load_json: Callable[..., IngestReport]) -> Iterator[Connection]:
    """Four days of requests, an hour of each; a million tokens cost 10, and 2 of another model."""
    with connect(database) as connection:
        add_price(connection, "input_tokens", "10")
        add_price(connection, "input_tokens", "2", model="plane")
        rows = [
            {
                "time": (FIRST + timedelta(days=day, hours=9, minutes=minute)).isoformat(),
                "request_id": f"{model}-{day}-{minute}",
                "provider": "acme",
                "model": model,
                "input_tokens": 1_000_000,
            }
            for day in range(DAYS)
            for minute in range(5)
            for model in ("rocket", "plane", "unknown")
        ]
        assert counts(load_json(rows)) == (DAYS * 15, 0, 0)
        refresh(database)
        yield connection
        connection.execute("set governance.managing_rows = 'on'")
        for table in ("price_revision_rows", "price_revisions", "applied_unit_prices", "applied_prices"):
            connection.execute(f"delete from core.{table}".encode())
        connection.execute("delete from core.model_prices where origin = 'test'")
        connection.execute("delete from core.llm_metrics")
        connection.execute("delete from internal.load_batches")
        connection.execute("delete from internal.loads")
    refresh(database)


def correct(connection: Connection, price: str = "8") -> None:
    """The price of the rocket was wrong."""
    connection.execute(
        "update core.model_prices set superseded_at = now() where provider = 'acme' and model = 'rocket'"
        " and superseded_at is null"
    )
    add_price(connection, "input_tokens", price)


def spend(connection: Connection) -> dict[str, Decimal]:
    rows = connection.execute(
        "select model, sum(cost) from reporting.spend_by_model_view where provider = 'acme' group by 1"
    )
    return dict(rows.fetchall())


def test_the_effect_comes_first_and_writes_nothing(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    assert effect(database, SCOPE) == [
        Effect("acme", "rocket", "USD", "USD", DAYS * 5, Decimal(200), Decimal(160), 0, 0)
    ]
    assert value(warehouse, "select sum(cost_amount) from core.llm_metrics where model = 'rocket'") == 200
    assert value(warehouse, "select count(*) from core.price_revisions") == 0


def test_a_repricing_keeps_what_it_replaces_and_touches_nothing_else(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    untouched = (
        "select md5(string_agg(m::text, '' order by request_id)) from core.llm_metrics as m where model <> 'rocket'"
    )
    before = value(warehouse, untouched)
    begin(database, SCOPE, "the list was wrong", "me")
    revision = proceed(database)
    assert revision.requests == DAYS * 5
    assert value(warehouse, untouched) == before
    kept = warehouse.execute(
        "select reason, requested_by, requests, old_totals, new_totals, finished_at is not null"
        " from core.price_revisions"
    ).fetchall()
    assert kept == [("the list was wrong", "me", DAYS * 5, {"USD": "200"}, {"USD": "160"}, True)]
    rows = warehouse.execute(
        "select old_cost_amount, new_cost_amount, old_price_id <> new_price_id, m.price_id = new_price_id,"
        " old_list_cost_amount, new_list_cost_amount"
        " from core.price_revision_rows as r join core.llm_metrics as m using (request_id, time)"
    ).fetchall()
    assert rows == [(10, 8, True, True, 10, 8)] * (DAYS * 5)
    refresh(database)
    assert spend(warehouse) == {"rocket": 160, "plane": 40, "unknown": None}
    # a second one finds nothing to do
    assert effect(database, SCOPE) == []


@pytest.mark.engines("postgres")
def test_only_the_touched_hours_are_refreshed(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    assert value(warehouse, "select count(*) from internal.invalidations") == 0
    begin(database, SCOPE, "the list was wrong", "me")
    proceed(database)
    slots = warehouse.execute("select distinct slot from internal.invalidations order by 1").fetchall()
    assert slots == [(FIRST + timedelta(days=day, hours=9),) for day in range(DAYS)]


def test_a_load_can_be_taken_back_after_it_was_repriced(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    begin(database, SCOPE, "the list was wrong", "me")
    proceed(database)
    assert undo(database, str(value(warehouse, "select max(id) from internal.loads"))).rows == DAYS * 15


def test_what_was_unpriced_gets_a_price(warehouse: Connection, database: str) -> None:
    add_price(warehouse, "input_tokens", "3", model="unknown")
    correct(warehouse)
    scope = Scope(FIRST, NOW, only_unpriced=True)
    (found,) = effect(database, scope)
    assert found == Effect("acme", "unknown", "USD", "USD", DAYS * 5, None, Decimal(DAYS * 15), DAYS * 5, 0)
    begin(database, scope, "the price came late", "me")
    proceed(database)
    refresh(database)
    assert spend(warehouse) == {"rocket": 200, "plane": 40, "unknown": 60}


def test_what_has_no_price_any_more_is_unpriced(warehouse: Connection, database: str) -> None:
    warehouse.execute("update core.model_prices set superseded_at = now() where model = 'rocket' and provider = 'acme'")
    (found,) = effect(database, SCOPE)
    assert found == Effect("acme", "rocket", "USD", "USD", DAYS * 5, Decimal(200), None, 0, DAYS * 5)
    begin(database, SCOPE, "it was never sold", "me")
    proceed(database)
    rows = warehouse.execute(
        "select distinct cost_amount, cost_source, price_id, list_cost_amount"
        " from core.llm_metrics where model = 'rocket'"
    ).fetchall()
    assert rows == [(None, "unpriced", None, None)]


def test_the_cost_of_a_source_stays_what_counts(
    warehouse: Connection, database: str, load_json: Callable[..., IngestReport]
) -> None:
    row = {"time": (FIRST + timedelta(days=9)).isoformat(), "provider": "acme", "model": "rocket", "request_id": "said"}
    load_json([row | {"input_tokens": 1_000_000, "cost_amount": 7, "cost_source": "estimated"}], "said.jsonl")
    correct(warehouse)
    begin(database, SCOPE, "the list was wrong", "me")
    proceed(database)
    found = warehouse.execute(
        "select cost_amount, cost_source, computed_cost_amount, list_cost_amount, source_cost_amount"
        " from core.llm_metrics where request_id = 'said'"
    ).fetchall()
    assert found == [(7, "estimated", 8, 8, None)]


_KILLED = """
import os, signal, sys
from orchestration.lib.pricing.reprice import proceed
proceed(sys.argv[1], lambda revision: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_killed_repricing_goes_on_where_it_was(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    number = begin(database, SCOPE, "the list was wrong", "me")
    killed = subprocess.run([sys.executable, "-c", _KILLED, database], check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    halfway = value(warehouse, "select count(*) from core.price_revision_rows")
    assert 0 < halfway < DAYS * 5
    with pytest.raises(GovernanceError, match=f"revision {number} .* has not ended: `governance reprice --resume`"):
        begin(database, SCOPE, "again", "me")
    # the prices may be others by then: what is done stays done
    assert proceed(database).requests == DAYS * 5
    assert value(warehouse, "select count(*) from core.price_revision_rows") == DAYS * 5
    assert value(warehouse, "select sum(cost_amount) from core.llm_metrics where model = 'rocket'") == 160
    with pytest.raises(GovernanceError, match="there is no revision that has not ended"):
        proceed(database)


@pytest.mark.engines("timescaledb")
def test_compressed_chunks_are_repriced_and_compressed_again(warehouse: Connection, database: str) -> None:
    compressed = "select count(*) from timescaledb_information.chunks where is_compressed"
    warehouse.execute(
        "select public.compress_chunk(c, true)"
        " from public.show_chunks('core.llm_metrics', older_than => interval '7 days') as c"
    )
    before = value(warehouse, compressed)
    assert before
    warehouse.execute("update internal.settings set value = '0' where name = 'late_rows_without_decompression'")
    correct(warehouse)
    begin(database, SCOPE, "the list was wrong", "me")
    proceed(database)
    assert value(warehouse, "select sum(cost_amount) from core.llm_metrics where model = 'rocket'") == 160
    assert value(warehouse, compressed) == before
    refresh(database)
    assert spend(warehouse)["rocket"] == 160


def run(database: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["reprice", *arguments], env={"GOVERNANCE_DATABASE_URL": database})


def test_the_command_shows_asks_and_says_what_it_did(warehouse: Connection, database: str) -> None:
    correct(warehouse)
    days = ["--from", f"{FIRST:%Y-%m-%d}", "--model", "rocket"]
    assert "give --reason" in run(database, *days).output
    shown = run(database, *days, "--reason", "wrong")
    assert shown.exit_code == 1
    assert "200.00 USD  160.00 USD" in shown.output
    assert "nothing is written: it wasn't confirmed (--yes does without the question)" in shown.output
    assert value(warehouse, "select count(*) from core.price_revisions") == 0
    done = run(database, *days, "--reason", "wrong", "--yes")
    assert done.exit_code == 0, done.output
    assert f"{DAYS * 5} requests have another cost" in done.output
    assert spend(warehouse)["rocket"] == 160
    assert "no request would cost something else" in run(database, *days, "--reason", "wrong").output


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "give --from, the first day, or --unpriced"),
        (
            ["--from", "2026-05-02", "--to", "2026-05-01", "--reason", "r"],
            "--to 2026-05-01 is not after --from 2026-05-02",
        ),
        (["--resume", "--reason", "r"], "--resume goes on with what was asked for"),
        (["--resume"], "there is no revision that has not ended"),
    ],
)
def test_a_wrong_call_is_one_clear_sentence(database: str, arguments: list[str], match: str) -> None:
    result = run(database, *arguments)
    assert result.exit_code != 0
    assert match in result.output


def test_no_figure_is_kept_twice(warehouse: Connection, database: str) -> None:
    """What repricing to and fro leaves is the first figures, and a trace of both acts."""
    figures = (
        "select md5(string_agg(concat(request_id, cost_amount, cost_source), '' order by request_id))"
        " from core.llm_metrics"
    )
    before = value(warehouse, figures)
    for price in ("8", "10"):
        correct(warehouse, price)
        begin(database, SCOPE, f"to {price}", "me")
        proceed(database)
    assert value(warehouse, figures) == before
    totals: list[Any] = warehouse.execute(
        "select old_totals ->> 'USD', new_totals ->> 'USD' from core.price_revisions order by id"
    ).fetchall()
    assert totals == [("200", "160"), ("160", "200")]
