"""Requests read from LiteLLM's own database, built from the migrations that LiteLLM ships."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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

pytestmark = [pytest.mark.usefixtures("emptied"), pytest.mark.engines("postgres")]
BEGIN = datetime.now(UTC).replace(microsecond=0, tzinfo=None) - timedelta(days=20)
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
