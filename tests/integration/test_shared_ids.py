"""One request that two sources deliver, or one source with its time spelt otherwise, is one request."""

import base64
import csv
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from usage_loads import RECENT, query

from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.shared_ids import SharedIds
from orchestration.lib.usage.sources.values import response_id

pytestmark = [pytest.mark.usefixtures("emptied"), pytest.mark.engines("postgres")]
ID = "chatcmpl-C0ffeeC0ffeeC0ffee00"
Write = Callable[..., str]
Call = tuple[str, float]
"""The provider's id, and seconds after RECENT."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    numbers = itertools.count()

    def write(content: str, name: str) -> str:
        path = tmp_path / f"{next(numbers)}-{name}"
        path.write_text(content)
        return str(path)

    return write


def at(seconds: float) -> datetime:
    return RECENT + timedelta(seconds=seconds)


def litellm(calls: Sequence[Call], cost: str = "0.01", tokens: int = 20) -> str:
    lines = [
        "request_id,call_type,spend,prompt_tokens,completion_tokens,startTime,model,model_group,custom_llm_provider"
    ]
    lines += [
        f"{name},acompletion,{cost},{tokens},10,{at(seconds):%Y-%m-%d %H:%M:%S.%f},gpt-4o,gpt-4o,openai"
        for name, seconds in calls
    ]
    return "\n".join(lines) + "\n"


def otlp(calls: Sequence[Call], first_span: int = 1) -> str:
    def span(number: int, name: str, seconds: float) -> dict[str, Any]:
        begin = int(at(seconds).timestamp() * 1_000_000) * 1000
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": {"stringValue": "chat"},
            "gen_ai.provider.name": {"stringValue": "openai"},
            "gen_ai.response.model": {"stringValue": "gpt-4o-2024-08-06"},
            "gen_ai.response.id": {"stringValue": name},
            "gen_ai.usage.input_tokens": {"intValue": "20"},
            "gen_ai.usage.output_tokens": {"intValue": "10"},
        }
        return {
            "traceId": "4acf188681969d669cc3b128c07931ba",
            "spanId": f"{number:016x}",
            "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(begin + 1_500_000_000),
            "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
            "status": {},
        }

    spans = [span(number, name, seconds) for number, (name, seconds) in enumerate(calls, first_span)]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"


def langfuse(calls: Sequence[Call], digits: int = 3) -> str:
    """Written by LiteLLM: the time and the provider's id are the observation's id."""
    return "".join(
        json.dumps(
            {
                "id": f"time-10-00-00-123456_{name}",
                "traceId": "t",
                "type": "GENERATION",
                "startTime": f"{at(seconds):%Y-%m-%dT%H:%M:%S}.{at(seconds).microsecond:06d}"[: 20 + digits] + "Z",
                "model": "openai/gpt-4o",
                "usageDetails": {"input": 20, "output": 10, "total": 30},
                "calculatedTotalCost": 0.011,
            }
        )
        + "\n"
        for name, seconds in calls
    )


def load(database: str, path: str, source: str, **options: Any) -> tuple[int, int, int]:
    report = ingest_files(database, [path], source=source, **options)
    assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
    assert not report.quarantined, report.reasons
    return report.loaded, report.duplicate, report.changed


def stored(database: str) -> list[tuple[Any, ...]]:
    return query(database, "select source, cost_amount, total_tokens from core.llm_metrics order by time, source")


FILES: dict[str, tuple[Callable[[Sequence[Call]], str], str, float]] = {
    # what the gateway sees 80 ms after the application, and the tracer 3 ms after the gateway
    "litellm": (litellm, "spend.csv", 0.08),
    "otlp": (otlp, "traces.jsonl", 0),
    "langfuse": (langfuse, "observations.jsonl", 0.083),
}


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)), ids="-".join)
def test_a_request_of_several_sources_is_stored_once(database: str, write: Write, order: tuple[str, ...]) -> None:
    """Three calls, of which each source saw two and all saw one: the first source to say it is believed."""
    seen = {"litellm": (0, 1), "otlp": (1, 2), "langfuse": (0, 1)}
    known: set[int] = set()
    for source in order:
        make, name, delay = FILES[source]
        path = write(make([(f"{ID}{n}", 60 * n + delay) for n in seen[source]]), name)
        new = [n for n in seen[source] if n not in known]
        loaded, duplicate, changed = load(database, path, source)
        assert (loaded, duplicate + changed) == (len(new), 2 - len(new))
        # the gateway's cost of a call that had none is worth telling; other costs than the first one's too
        known.update(new)
    assert query(database, "select count(*), sum(total_tokens) from core.llm_metrics") == [(3, 90)]


@pytest.mark.parametrize("decision", ["keep", "replace"])
def test_the_cost_of_the_gateway_for_a_request_of_the_application(database: str, write: Write, decision: str) -> None:
    load(database, write(otlp([(ID, 0)]), "traces.jsonl"), "otlp")
    path = write(litellm([(ID, 0.08)]), "spend.csv")
    assert load(database, path, "litellm", on_conflict=decision) == (0, 0, 1)
    is_replaced = decision == "replace"
    assert query(
        database,
        "select source, model, cost_amount, cost_source, total_tokens, latency_ms, time from core.llm_metrics",
    ) == [
        (
            *("otlp", "gpt-4o-2024-08-06"),
            # 20 tokens read and 10 written at the list's 2.50 and 10 a million, until the gateway's cost replaces it
            *((Decimal("0.01"), "estimated") if is_replaced else (Decimal("0.00015"), "computed")),
            *(30, 1500, RECENT),
        )
    ]
    assert load(database, path, "litellm", on_conflict=decision) == ((0, 1, 0) if is_replaced else (0, 0, 1))


def test_what_each_source_has_of_its_own_is_no_change(database: str, write: Write) -> None:
    """Latency, model, application, metadata and cost_source differ; tokens and cost are the same."""
    load(database, write(litellm([(ID, 0)]), "spend.csv"), "litellm")
    assert load(database, write(otlp([(ID, 0)]), "traces.jsonl"), "otlp") == (0, 1, 0)
    assert stored(database) == [("litellm", Decimal("0.01"), 30)]
    # but other tokens are
    load(database, write(litellm([(f"{ID}2", 0)], tokens=21), "spend.csv"), "litellm")
    assert load(database, write(otlp([(f"{ID}2", 0.1)]), "traces.jsonl"), "otlp") == (0, 0, 1)


def test_the_same_observation_with_fewer_digits_of_its_time(database: str, write: Write) -> None:
    calls = [(f"{ID}{n}", n + 0.123456) for n in range(5)]
    assert load(database, write(langfuse(calls, 6), "o.jsonl"), "langfuse") == (5, 0, 0)
    assert load(database, write(langfuse(calls, 3), "o.jsonl"), "langfuse") == (0, 5, 0)
    assert load(database, write(langfuse(calls, 6), "o.jsonl"), "langfuse") == (0, 5, 0)


def test_ids_that_are_no_more_than_a_number(database: str, write: Write) -> None:
    """A local server that draws three digits: each source has its requests of its own."""
    assert response_id("chatcmpl-123") is None
    load(database, write(litellm([("chatcmpl-123", 0)]), "spend.csv"), "litellm")
    assert load(database, write(otlp([("chatcmpl-123", 0.1)]), "traces.jsonl"), "otlp") == (1, 0, 0)


def test_an_answer_from_a_cache_has_the_id_of_the_first(database: str, write: Write) -> None:
    """The application sees two calls by one id, the gateway calls the second by another; nothing is lost or doubled."""
    traces = write(otlp([(ID, 0), (ID, 300)]), "traces.jsonl")
    assert load(database, traces, "otlp") == (2, 0, 0)
    assert load(database, traces, "otlp") == (0, 2, 0)
    assert load(database, write(otlp([(ID, 600)], 3), "traces.jsonl"), "otlp") == (1, 0, 0)
    # the nearest of them
    spend = write(litellm([(ID, 0.08), (f"{ID}_cache_hit1764324000.1", 300)]), "spend.csv")
    assert load(database, spend, "litellm") == (1, 0, 1)
    assert query(database, "select time from core.llm_metrics where source = 'otlp' order by 1") == [
        (at(0),),
        (at(300),),
        (at(600),),
    ]


@pytest.mark.parametrize(("seconds", "loaded"), [(-3600, 0), (3600, 0), (3600.001, 1), (-3600.001, 1)])
def test_how_far_apart_the_times_may_be(database: str, write: Write, seconds: float, loaded: int) -> None:
    load(database, write(litellm([(ID, 0)]), "spend.csv"), "litellm")
    assert load(database, write(otlp([(ID, seconds)]), "t.jsonl"), "otlp") == (loaded, 1 - loaded, 0)


def test_a_trial_knows_them_too(database: str, write: Write) -> None:
    load(database, write(litellm([(ID, 0)]), "spend.csv"), "litellm")
    trials: list[Any] = []
    path = write(otlp([(ID, 0.1), (f"{ID}2", 1)]), "t.jsonl")
    assert load(database, path, "otlp", trials=trials) == (1, 1, 0)
    assert [row["request_id"] for row in trials[0].rows] == [f"{ID}2"]
    assert load(database, path, "otlp") == (1, 1, 0)


def test_a_load_that_was_taken_back_knows_nothing(database: str, write: Write) -> None:
    path = write(litellm([(ID, 0)]), "spend.csv")
    load(database, path, "litellm")
    undo(database, path)
    assert load(database, write(otlp([(ID, 0.1)]), "t.jsonl"), "otlp") == (1, 0, 0)


def test_files_without_a_source_are_known_by_id_and_time(database: str, write: Write) -> None:
    load(database, write(litellm([(ID, 0)]), "spend.csv"), "litellm")
    path = write(f"time,provider,model,request_id\n{at(0.1).isoformat()},openai,gpt-4o,{ID}\n", "own.csv")
    report = ingest_files(database, [path])
    assert (report.loaded, report.duplicate) == (1, 0)


@pytest.mark.not_on_pglite("it has one session at a time")
def test_two_sources_at_once(database: str, write: Write) -> None:
    calls = [(f"{ID}{n:04}", n * 0.01) for n in range(3_000)]
    later = [(name, seconds + 0.08) for name, seconds in calls]
    paths = {"litellm": write(litellm(later), "spend.csv"), "otlp": write(otlp(calls), "t.jsonl")}
    # so that the two know of each other from the start
    for source in paths:
        make, name, _ = FILES[source]
        load(database, write(make([(f"{source}-{'x' * 20}", -9000)]), name), source)
    reports: list[IngestReport] = []
    threads = [
        threading.Thread(
            target=lambda source=source, path=path: reports.append(
                ingest_files(database, [path], source=source, batch_rows=250)
            )
        )
        for source, path in paths.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.read for report in reports) == 6_000
    assert query(database, "select count(*), count(distinct request_id) from core.llm_metrics") == [(3_002, 3_002)]


def test_ids_that_litellm_wraps() -> None:
    inner = "resp_0123456789abcdef0123456789abcdef"
    wrapped = base64.b64encode(f"litellm:custom_llm_provider:openai;model_id:m-1;response_id:{inner}".encode()).decode()
    assert response_id(f"resp_{wrapped}") == inner
    assert response_id(f"time-10-00-00-123456_{ID}") == ID
    assert response_id("resp_bGl0ZWxsbTpjnotbase64") == "resp_bGl0ZWxsbTpjnotbase64"
    assert response_id("x" * 201) is None


@pytest.mark.parametrize("source", ["openrouter", "helicone"])
def test_the_others_that_have_ids_of_their_own(database: str, write: Write, source: str, kept_for_long: None) -> None:
    """The same file, its times written with fewer digits."""
    (small,) = (Path(__file__).parents[1] / "fixtures" / "sources").glob(f"{source}.csv")
    with small.open() as file:
        rows = list(csv.DictReader(file))
    name, moment = ("generation_id", "created_at") if source == "openrouter" else ("request_id", "request_created_at")
    rows = [{**row, name: f"{row[name]}-0123456789abcdef0123"} for row in rows[:1]]

    def as_csv(time: str) -> str:
        lines = [list(rows[0]), list({**rows[0], moment: time}.values())]
        return (
            "\n".join(",".join(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in line) for line in lines) + "\n"
        )

    assert load(database, write(as_csv("2026-11-20T09:00:00.123Z"), "a.csv"), source) == (1, 0, 0)
    assert load(database, write(as_csv("2026-11-20T09:00:00Z"), "b.csv"), source) == (0, 1, 0)


def test_nothing_is_looked_up_where_no_other_load_has_rows_of_the_time(
    database: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    holds = SharedIds._holds

    def watched(self: SharedIds, question: str) -> bool:
        asked.append(holds(self, question))
        return asked[-1]

    monkeypatch.setattr(SharedIds, "_holds", watched)
    for make, source, seconds, expected in (
        (litellm, "litellm", 0, [False, False]),
        (otlp, "otlp", 40_000, [True, False]),
        (otlp, "otlp", 3_000, [True, True]),
    ):
        asked.clear()
        load(database, write(make([(f"{ID}{seconds}", seconds)]), FILES[source][1]), source)
        assert asked == expected
