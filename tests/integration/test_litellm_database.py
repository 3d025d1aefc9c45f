"""Requests read from LiteLLM's own database, built from the migrations that LiteLLM ships."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from click.testing import Result
from usage_loads import counts, query

from orchestration.lib.database.connection import connect, ensure_database, with_database, without_password
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.reconcile import reconcile

pytestmark = [pytest.mark.usefixtures("emptied"), pytest.mark.engines("postgres")]
BEGIN = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=20)
COST = Decimal("1.2499999999999999e-05")
ALL = "select count(*), sum(cost_amount), sum(total_tokens) from core.llm_metrics"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def migrated(server_url: str) -> Iterator[str]:
    """A database as LiteLLM's proxy makes it."""
    ensure_database(server_url, "litellm")
    url = with_database(server_url, "litellm")
    # as Prisma does it: each migration by itself, in the order of their names
    migrations = files("litellm_proxy_extras") / "migrations"
    with psycopg.connect(url, autocommit=True, options="-c search_path=public") as connection:
        for folder in sorted((path for path in migrations.iterdir() if path.is_dir()), key=lambda path: path.name):
            connection.execute((folder / "migration.sql").read_text().encode())
    yield url
    with connect(server_url) as connection:
        connection.execute("drop database litellm with (force)")


@pytest.fixture
def litellm(migrated: str, database: str) -> Iterator[str]:
    yield migrated
    with connect(migrated) as connection:
        connection.execute('delete from public."LiteLLM_SpendLogs"')
    with connect(database) as connection:
        connection.execute("delete from internal.source_marks")


def write(url: str, numbers: range, **values: Any) -> None:
    """Requests, one a minute, of known cost and tokens."""
    usage = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1}}
    row = {
        "call_type": "acompletion",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "spend": 1.2499999999999999e-05,
        "total_tokens": 30,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "model": "azure/gpt-4o",
        "model_group": "gpt-4o",
        "custom_llm_provider": "azure",
        "user": "ann",
        "team_id": "team-alpha",
        "status": "success",
        "metadata": json.dumps({"usage_object": usage, "user_api_key_alias": "ci-key"}),
        "request_tags": '["prod"]',
        **values,
    }
    names = ["request_id", "startTime", "endTime", *row]
    quoted = ", ".join(f'"{name}"' for name in names)
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f'insert into public."LiteLLM_SpendLogs" ({quoted}) values ({", ".join(["%s"] * len(names))})',
            [
                (f"chatcmpl-{n}", BEGIN + timedelta(minutes=n), BEGIN + timedelta(minutes=n, seconds=2), *row.values())
                for n in numbers
            ],
        )


def load(database: str, location: str, **options: Any) -> IngestReport:
    return ingest_files(database, [location], source="litellm", **options)


def test_what_is_new_is_loaded_and_nothing_twice(database: str, litellm: str) -> None:
    write(litellm, range(5000))
    assert counts(load(database, litellm)) == (5000, 0, 0)
    assert query(database, ALL) == [(5000, 5000 * COST, 150_000)]
    write(litellm, range(5000, 5100))
    # a day before the latest is read again: it had 1,440 minutes
    assert counts(load(database, litellm)) == (100, 1441, 0)
    # it began long before, but was written only now
    write(litellm, range(-300, -200))
    assert counts(load(database, litellm)) == (0, 1441, 0)
    late = range(5000 - 600, 5000 - 590)
    with connect(litellm) as connection:
        connection.execute(
            "update public.\"LiteLLM_SpendLogs\" set request_id = request_id || '-late' where request_id = any(%s)",
            [[f"chatcmpl-{n}" for n in late]],
        )
    assert counts(load(database, litellm)) == (10, 1431, 0)


def test_rows_as_litellm_says_them(database: str, litellm: str) -> None:
    write(litellm, range(1))
    load(database, litellm, mapping={"application": "metadata.user_api_key_alias"})
    assert query(
        database,
        "select time, provider, model, requested_model, input_tokens, cache_read_tokens, output_tokens,"
        " reasoning_tokens, cost_amount, cost_source, latency_ms, tags, application, source,"
        " metadata -> 'source_owner' from core.llm_metrics",
    ) == [
        (
            *(BEGIN.replace(tzinfo=UTC), "azure", "gpt-4o", "gpt-4o", 16, 4, 9, 1),
            *(COST, "estimated", 2000, {"prod": True}, "ci-key", "litellm"),
            {
                "user": "ann",
                "team": "team-alpha",
                "key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
                "key_name": "ci-key",
            },
        )
    ]


def test_what_is_refused_is_in_quarantine_once(database: str, litellm: str) -> None:
    write(litellm, range(10))
    write(litellm, range(10, 13), prompt_tokens=-1)
    assert counts(load(database, litellm)) == (10, 0, 3)
    assert counts(load(database, litellm)) == (0, 10, 3)
    (kept,) = query(database, "select count(*), min(source) from internal.quarantine")
    assert kept == (3, without_password(litellm))


def test_a_load_that_is_only_tried_or_taken_back_leaves_no_mark(database: str, litellm: str) -> None:
    write(litellm, range(3000))
    trials: list[Any] = []
    assert counts(load(database, litellm, trials=trials)) == (3000, 0, 0)
    assert query(database, "select count(*) from internal.source_marks") == [(0,)]
    load(database, litellm)
    assert undo(database, without_password(litellm)).rows == 3000
    assert counts(load(database, litellm)) == (3000, 0, 0)


def test_a_clock_that_is_ahead_hides_nothing(database: str, litellm: str) -> None:
    write(litellm, range(10))
    write(litellm, range(10_000_000, 10_000_001))
    assert counts(load(database, litellm)) == (10, 0, 1)
    now = int((datetime.now(UTC).replace(tzinfo=None) - BEGIN) / timedelta(minutes=1))
    write(litellm, range(now - 30, now))
    assert load(database, litellm).loaded == 30


def test_killed_at_any_point_and_run_again(database: str, litellm: str) -> None:
    write(litellm, range(12_000))
    program = (
        "import sys; from orchestration.lib.usage.load import ingest_files\n"
        "ingest_files(sys.argv[1], [sys.argv[2]], source='litellm', batch_rows=500,"
        " progress=lambda p: print(p.report.read, flush=True))"
    )
    for after in (1, 3, 2, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", program, database, litellm], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        for _ in range(after):
            process.stdout.readline()
        time.sleep(0.005 * after)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    load(database, litellm)
    assert query(database, ALL) == [(12_000, 12_000 * COST, 360_000)]
    assert query(litellm, 'select count(*), sum(total_tokens) from public."LiteLLM_SpendLogs"') == [(12_000, 360_000)]


def test_the_command_and_its_url(database: str, litellm: str, run_ingest: Run) -> None:
    write(litellm, range(3))
    location = f"{litellm}?schema=public&connection_limit=5"
    result = run_ingest("--source", "litellm", "--no-refresh", location)
    assert result.exit_code == 0, result.output
    assert result.stdout == "read 3 = loaded 3 + duplicate 0 + changed 0 + quarantined 0\n"
    shown = run_ingest("--loads").stdout
    assert without_password(litellm) in shown
    password = re.search(":([^:@]+)@", litellm)
    assert password
    assert password[1] not in shown + result.output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "usage is read from a database with --source litellm only"),
        ("otlp", "usage is read from a database with --source litellm only"),
        ("litellm", "has no table LiteLLM_SpendLogs that its user may read: is it LiteLLM's database?"),
    ],
)
def test_databases_that_can_not_be_read(database: str, source: str | None, message: str) -> None:
    with pytest.raises(GovernanceError, match=re.escape(message)):
        ingest_files(database, [database], source=source)


# beside LiteLLM's own sums

KEY = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
DAY = BEGIN.date()
# so many of the requests, one a minute from noon, are on their first day, the others on the next
FIRST = 720


def sum_up(url: str, table: str, day: date, requests: int, **values: Any) -> None:
    """A row as LiteLLM's writer leaves it of so many of the requests that `write` makes."""
    team = {"team_id": "team-alpha"} if table == "LiteLLM_DailyTeamSpend" else {"user_id": "ann"}
    row = {
        **team,
        "date": str(day),
        "api_key": KEY,
        "model": "azure/gpt-4o",
        "model_group": "gpt-4o",
        "custom_llm_provider": "azure",
        "mcp_namespaced_tool_name": "",
        "endpoint": "/chat/completions",
        "prompt_tokens": 20 * requests,
        "completion_tokens": 10 * requests,
        "cache_read_input_tokens": 4 * requests,
        # as it adds: one double after the other
        "spend": sum([1.2499999999999999e-05] * requests),
        "api_requests": requests,
        "successful_requests": requests,
        **values,
    }
    names = ", ".join(f'"{name}"' for name in row)
    with connect(url) as connection:
        connection.execute(
            f'insert into public."{table}" (id, updated_at, {names}) values (gen_random_uuid()::text, now(), '
            f"{', '.join(['%s'] * len(row))})".encode(),
            list(row.values()),
        )


@pytest.fixture
def summed_up(litellm: str) -> Iterator[str]:
    """Requests of two days with LiteLLM's own sums of them."""
    write(litellm, range(FIRST + 500))
    for table in ("LiteLLM_DailyUserSpend", "LiteLLM_DailyTeamSpend"):
        sum_up(litellm, table, DAY, FIRST)
        sum_up(litellm, table, DAY + timedelta(days=1), 500)
    yield litellm
    with connect(litellm) as connection:
        for table in ("LiteLLM_DailyUserSpend", "LiteLLM_DailyTeamSpend"):
            connection.execute(f'delete from public."{table}"'.encode())


def test_its_own_sums_are_the_same(database: str, summed_up: str, run_governance: Run) -> None:
    load(database, summed_up)
    result = run_governance("reconcile", "litellm", summed_up)
    assert result.exit_code == 0, result.output
    assert result.stdout.count(f"2 sums by day, key and model, 0 with a difference; requests {FIRST + 500}, ") == 2


def test_every_difference_is_listed(database: str, summed_up: str, run_governance: Run) -> None:
    load(database, summed_up)
    # three came later, one of them on a key of its own
    write(summed_up, range(-30, -28))
    write(summed_up, range(-28, -27), api_key="other", model="gpt-4o", custom_llm_provider="", team_id=None)
    sum_up(summed_up, "LiteLLM_DailyUserSpend", DAY, 2, endpoint="/responses")
    sum_up(summed_up, "LiteLLM_DailyUserSpend", DAY, 1, api_key="other", model="openai/gpt-4o", custom_llm_provider="")
    found = reconcile(database, summed_up)
    assert [(d.table, d.day, d.key, d.provider, d.model, d.measure, d.here - d.there) for d in found.differences] == [
        ("LiteLLM_DailyUserSpend", str(DAY), key, provider, "gpt-4o", measure, -difference)
        for key, provider, count in ((KEY, "azure", 2), ("other", "openai", 1))
        for measure, difference in (
            ("requests", Decimal(count)),
            ("prompt tokens", 20 * count),
            ("completion tokens", 10 * count),
            ("cache read tokens", 4 * count),
        )
    ]
    # 0.000025 dollars, within the tolerance; one of 0 tells it
    assert {d.measure for d in reconcile(database, summed_up, tolerance=Decimal(0)).differences} >= {"spend"}
    result = run_governance("reconcile", "litellm", "--json", summed_up)
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert len(said["differences"]) == len(found.differences)
    assert said["tables"][0]["differing"] == 2
    shown = run_governance("reconcile", "litellm", summed_up)
    assert re.search(rf"{DAY} +{KEY[:12]} +azure/gpt-4o +requests +\d+ +\d+ +-2\n", shown.stdout)


def test_what_our_prices_make_of_an_unknown_model_is_no_difference(database: str, litellm: str) -> None:
    """LiteLLM says 0 of a model that its list doesn't know, and ours may: compared is what it said."""
    write(litellm, range(10), spend=0.0)
    sum_up(litellm, "LiteLLM_DailyUserSpend", DAY, 10, spend=0.0)
    sum_up(litellm, "LiteLLM_DailyTeamSpend", DAY, 10, spend=0.0)
    load(database, litellm)
    (cost,) = query(database, "select sum(cost_amount) from core.llm_metrics where cost_source = 'computed'")[0]
    assert cost > 0
    found = reconcile(database, litellm, until=DAY)
    with connect(litellm) as connection:
        for table in ("LiteLLM_DailyUserSpend", "LiteLLM_DailyTeamSpend"):
            connection.execute(f'delete from public."{table}"'.encode())
    assert found.differences == []


def test_what_was_lost_or_counted_twice_here_is_found(database: str, summed_up: str) -> None:
    load(database, summed_up)
    with connect(database) as connection:
        connection.execute("update core.llm_metrics set cost_amount = 0.5 where request_id = 'chatcmpl-3'")
        connection.execute("delete from core.llm_metrics where request_id = 'chatcmpl-4'")
    found = reconcile(database, summed_up, until=DAY).differences
    spend = [d.here - d.there for d in found if d.measure == "spend"]
    assert [round(amount, 4) for amount in spend] == [Decimal("0.5000")] * 2
    assert [d.here - d.there for d in found if d.measure == "requests"] == [-1, -1]
    assert {d.team for d in found} == {"", "team-alpha"}


def test_calls_that_the_proxy_made_for_itself_cost_but_are_no_requests(database: str, litellm: str) -> None:
    write(litellm, range(1), team_id=None, metadata=json.dumps({"internal_call_origin": "auto_router"}))
    write(litellm, range(1, 2), team_id=None, metadata=json.dumps({"billed_retry_attempt": True}))
    load(database, litellm)
    sum_up(
        *(litellm, "LiteLLM_DailyUserSpend", DAY, 2),
        api_requests=0,
        successful_requests=0,
        cache_read_input_tokens=0,
    )
    try:
        assert [d.table for d in reconcile(database, litellm).differences] == []
    finally:
        with connect(litellm) as connection:
            connection.execute('delete from public."LiteLLM_DailyUserSpend"')


def test_what_was_not_read_yet_is_said(database: str, summed_up: str, run_governance: Run) -> None:
    result = run_governance("reconcile", "litellm", summed_up)
    assert result.exit_code == 1
    assert "was never read here: `governance ingest --source litellm " in result.stderr
    load(database, summed_up)
    result = run_governance("reconcile", "litellm", summed_up)
    assert f"was read up to {DAY + timedelta(days=1)}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "has no table LiteLLM_DailyUserSpend that its user may read"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], "there is no whole day to compare"),
        (["--tolerance", "-1"], "is not an amount of 0 or more"),
    ],
)
def test_what_can_not_be_compared(database: str, run_governance: Run, arguments: list[str], message: str) -> None:
    result = run_governance("reconcile", "litellm", *arguments, database)
    assert result.exit_code == 2
    assert message in result.stderr
