"""By what a request without an id is known: what it says, whatever its spelling, and as earlier releases said it."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest
import shared_fixtures
from usage_loads import FINE, Load, T, counts, query

from orchestration.lib.database.connection import connect

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_json


# one request, however it is written

SAID = {
    "time": T,
    "provider": "openai",
    "model": "gpt-4o",
    "cost_amount": "0.10",
    "input_tokens": "10",
    "tags": '{"a": 1, "b": {"c": [2.5, "1.0"]}}',
}


@pytest.mark.parametrize(
    "change",
    [
        {"time": T.replace("T", " ").replace("+00:00", ".000Z")},
        {"provider": "OpenAI"},
        {"provider": " OPENAI\t"},
        {"status": "success"},
        {"status": "OK"},
        {"operation": "chat"},
        {"operation": "chat_completion"},
        {"currency": "usd"},
        {"cost_source": "provider"},
        {"source": "ingest"},
        *[{f"{name}_tokens": "0"} for name in ("output", "cache_read", "cache_write", "reasoning", "audio_input")],
        {"audio_output_tokens": "0.0"},
        {"input_tokens": "1e1"},
        {"cost_amount": "1E-1"},
        {"cost_amount": "+.1000"},
        {"tags": '{"b":{"c":[2.50,"1.0"]},"a":1.0}'},
        {"tags": '{"a": 10e-1, "b": {"c": [25e-1, "1.0"]}}'},
        dict.fromkeys(("status", "operation", "currency", "user_id", "output_tokens", "latency_ms"), ""),
    ],
    ids=lambda change: "time" if "time" in change else str(change),
)
def test_another_spelling_is_the_same_request(database: str, load: Load, change: dict[str, str]) -> None:
    assert counts(load([SAID])) == (1, 0, 0)
    assert counts(load([SAID | change], "again.jsonl")) == (0, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "GPT-4o"},
        {"status": "error"},
        {"currency": "EUR"},
        {"cost_amount": "0.1000001"},
        {"cost_source": "computed"},
        {"tags": '{"a": 1, "b": {"c": [2.5, "1"]}}'},
        {"tags": '{"a": 10, "b": {"c": [2.5, "1.0"]}}'},
        {"tags": '{"a": 1, "b": {"c": [2.05, "1.0"]}}'},
    ],
    ids=str,
)
def test_another_request_is_another_request(load: Load, change: dict[str, str]) -> None:
    assert counts(load([SAID])) == (1, 0, 0)
    assert counts(load([SAID | change], "again.jsonl")) == (1, 0, 0)


def test_an_unpriced_request_that_says_so(load: Load) -> None:
    said = {name: value for name, value in SAID.items() if name != "cost_amount"}
    assert counts(load([said])) == (1, 0, 0)
    assert counts(load([said | {"cost_source": "unpriced"}], "again.jsonl")) == (0, 1, 0)


@pytest.fixture
def upgraded(database: str) -> Iterator[None]:
    """A database that was built by an earlier release and is upgraded now."""
    with connect(database) as connection:
        connection.execute("update internal.schema_changes set kind = 'applied', applied_at = now() where id = 8")
        yield
        connection.execute("update internal.schema_changes set kind = 'baseline' where id = 8")


OLD = (
    '{"time":%s,"provider":"OpenAI","model":"m","operation":"chat","input_tokens":0,"cost_amount":0.5,"currency":"USD",'
    '"cost_source":"provider","status":"success","tags":{"a": 1.0},"source":"ingest"}'
)


EXPLICIT = FINE | {
    "provider": "OpenAI", "operation": "chat", "input_tokens": "0", "cost_amount": "0.50", "currency": "USD",
    "cost_source": "provider", "status": "SUCCESS", "tags": '{"a": 1.0}', "source": "ingest",
}  # fmt: skip


IMPLICIT = FINE | {"provider": "OpenAI", "cost_amount": "0.50", "tags": '{"a": 1.0}'}


def names_by_spelling(count: int) -> list[str]:
    inner = hashlib.sha256((OLD % (int(datetime.fromisoformat(T).timestamp()) * 1_000_000)).encode()).digest()
    return [hashlib.sha256(inner + str(ordinal).encode()).hexdigest() for ordinal in range(1, count + 1)]


@pytest.mark.usefixtures("upgraded")
@pytest.mark.parametrize("odd", ["", "odd"], ids=["plain", "closely"])
def test_what_an_earlier_release_loaded_is_known_again(database: str, load: Load, odd: str) -> None:
    """It called a row without a request_id by the spelling of its values. Golden: such rows are in databases."""
    with connect(database) as connection:
        for name in names_by_spelling(2):
            connection.execute(
                "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source,"
                " ingested_at) values (%s, %s, 'OpenAI', 'm', 0.5, 'provider', now() - interval '1 hour')",
                [T, name],
            )
    rows = [EXPLICIT | {"latency_ms": ""}, EXPLICIT, EXPLICIT]
    # the third is another request than the two; one that is read closely takes its batch along or not
    others = [EXPLICIT | {"model": "n", "user_id": odd}]
    assert counts(load([*rows, *others])) == (2, 2, 0)
    assert counts(load([*rows, *others], "again.jsonl")) == (0, 4, 0)
    # the same three without what they needn't say, of which the first two were known by their spelling only
    assert query(database, "select count(*), sum(cost_amount) from core.llm_metrics") == [(4, Decimal("2.0"))]


@pytest.mark.usefixtures("upgraded")
def test_names_by_spelling_do_not_hide_requests_that_are_new(database: str, load: Load) -> None:
    assert counts(load([EXPLICIT, IMPLICIT])) == (2, 0, 0)
    assert counts(load([IMPLICIT, EXPLICIT, IMPLICIT], "more.jsonl")) == (1, 2, 0)
    assert query(database, "select count(*) from core.llm_metrics") == [(3,)]
