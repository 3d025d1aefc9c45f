"""Loading of usage: what is accepted and refused, that nothing counts twice or is lost, and what a crash leaves."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.database.in_use import start
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.processes import wait_until
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.usage.encoding import trimmed
from orchestration.lib.usage.load import IngestError, Progress, ingest_files, ingest_rows
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.warehouse.refresh import refresh

NOW = datetime.now(UTC).replace(microsecond=0)
RECENT = NOW - timedelta(days=3)
T = RECENT.isoformat()
Load = Callable[..., IngestReport]


@pytest.fixture(autouse=True)
def emptied(database: str) -> Iterator[None]:
    yield
    with connect(database) as connection:
        connection.execute("delete from core.llm_metrics")
        connection.execute("delete from internal.quarantine")


@pytest.fixture
def load(database: str, tmp_path: Path) -> Load:
    """Loads lines as a file of the given name."""

    def load(lines: Sequence[str], name: str = "usage.csv", **options: Any) -> IngestReport:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", newline="")
        report = ingest_files(database, [str(path)], **options)
        assert report.read == report.loaded + report.duplicate + report.quarantined
        return report

    return load


def counts(report: IngestReport) -> tuple[int, int, int]:
    return report.loaded, report.duplicate, report.quarantined


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with connect(database) as connection:
        return connection.execute(text).fetchall()


def quarantined(database: str) -> list[tuple[Any, ...]]:
    return query(database, "select line, reasons, row_data from internal.quarantine order by source, line, id")


# what a file may say


def test_targets_are_the_columns_of_the_table_in_its_order(database: str) -> None:
    columns = query(
        database,
        "select attname from pg_attribute where attrelid = 'core.llm_metrics'::regclass and attnum > 0"
        " and not attisdropped and attgenerated = '' and attname <> 'ingested_at' order by attnum",
    )
    assert [name for (name,) in columns] == list(TARGETS)


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
MICROSECONDS = int(RECENT.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("target", "text", "value"),
    [
        # with ids of their own: one that holds the time of day would differ from worker to worker
        *[
            pytest.param("time", text, RECENT, id=f"time-{form}")
            for form, text in {
                "T-Z": f"{RECENT:%Y-%m-%dT%H:%M:%SZ}",
                "blank": f"{RECENT:%Y-%m-%d %H:%M:%S}",
                "t-z": f"{RECENT:%Y-%m-%dt%H:%M:%S.000z}",
                "nine-digits": f"{RECENT:%Y-%m-%dT%H:%M:%S.000000000}",
                "+00": f"{RECENT:%Y-%m-%d %H:%M:%S}+00",
                "+05:30": f"{RECENT + timedelta(hours=5, minutes=30):%Y-%m-%dT%H:%M:%S}+05:30",
                "comma": f'"{RECENT:%Y-%m-%dT%H:%M:%S},000Z"',
                "-0800": f"{RECENT - timedelta(hours=8):%Y-%m-%d %H:%M:%S} -0800",
                "seconds": str(int(RECENT.timestamp())),
                "seconds-and-parts": f"{int(RECENT.timestamp())}.000",
                "milliseconds": str(MICROSECONDS // 1_000),
                "microseconds": str(MICROSECONDS),
                "nanoseconds": str(MICROSECONDS * 1_000),
            }.items()
        ],
        *[
            pytest.param("time", text, RECENT + timedelta(microseconds=after), id=f"time-{form}-rounded")
            for form, text, after in (
                ("ISO", f"{RECENT:%Y-%m-%dT%H:%M:%S}.1234567Z", 123457),
                ("seconds", f"{int(RECENT.timestamp())}.123456", 123456),
                ("nanoseconds", f"{MICROSECONDS * 1000 + 123456999}", 123456),
            )
        ],
        ("provider", "  open ai ", "open ai"),
        ("model", "моделъ-9", "моделъ-9"),
        ("request_id", "r" * 200, "r" * 200),
        ("error_code", "e" * 1000, "e" * 1000),
        ("user_id", UUID, UUID),
        ("user_id", UUID.upper(), UUID),
        ("team_id", UUID.replace("-", ""), UUID),
        ("trace_id", "{" + UUID + "}", UUID),
        ("operation", "embedding", "embedding"),
        ("operation", "Embedding", "embedding"),
        ("status", "ERROR", "error"),
        ("policy_decision", "flag", "flag"),
        ("input_tokens", "0", 0),
        ("input_tokens", "999999999999", 999_999_999_999),
        ("output_tokens", "123.0", 123),
        ("output_tokens", "123.", 123),
        *[("output_tokens", text, 1200) for text in ("1.2e3", "12E2", "+1200", "1200.00", "001200", "12000e-1")],
        ("cache_read_tokens", " 7 ", 7),
        ("latency_ms", "812", 812),
        ("latency_ms", "812.5", 813),
        ("time_to_first_token_ms", "0.4", 0),
        ("cost_amount", "0", Decimal(0)),
        ("cost_amount", "0.1", Decimal("0.1")),
        ("cost_amount", ".5", Decimal("0.5")),
        ("cost_amount", "0.123456789012345678901234567890", Decimal("0.123456789012345678901234567890")),
        ("cost_amount", "999999999999.99", Decimal("999999999999.99")),
        ("cost_amount", "2.5e-07", Decimal("0.00000025")),
        *[
            ("cost_amount", text, Decimal(text))
            for text in (
                "1E3", "12E-6", "1e11", "1.5E-005", "-0", "-0.0", "+0.5", "5.", ".5", "00.5", "1e-100", "0e999",
                "12.5e-7", "1.2499999999999999e-05", "0.0000000000000000000000000000012345",
            )
        ],
        ("currency", "eur", "EUR"),
        ("tags", '"{""a"": [1, 1.10]}"', {"a": [1, 1.1]}),
        ("metadata", '" {} "', {}),
        ("source", "gateway", "gateway"),
        *[("model", f"{blank}gpt-4o {blank}", "gpt-4o") for blank in ("\t", "\xa0", "\u200b", "\ufeff", "\u3000")],
        ("model", '"gpt-4o\n"', "gpt-4o"),
        ("model", '"\r\n gpt\n4 "', "gpt\n4"),
        ("model", "GPT-4o", "GPT-4o"),
        ("provider", "OpenAI", "openai"),
    ],
)  # fmt: skip
def test_accepted_values(database: str, load: Load, target: str, text: str, value: object) -> None:
    given = {"time": T, "provider": "p", "model": "m"} | {target: text}
    report = load([",".join(given), ",".join(given.values())])
    assert counts(report) == (1, 0, 0), quarantined(database)
    ((found,),) = query(database, f"select {target} from core.llm_metrics")
    assert (str(found) if target.endswith("_id") else found) == value


NOT_A_TIME = "time is neither an ISO 8601 timestamp nor a Unix time"
NO_COUNT = "input_tokens is not a whole number of 0 or more below 10^12"


@pytest.mark.parametrize(
    ("target", "text", "reason"),
    [
        ("time", "", "time is missing"),
        ("time", "   ", "time is missing"),
        *[
            ("time", text, NOT_A_TIME)
            for text in (
                "now", "infinity", "-infinity", "today", "epoch", "yesterday 10:00", "2026-02-30 10:00:00",
                "2026-13-01T10:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01", "01/02/2026 10:00:00",
                "02-03-2026 10:00:00", "2026-01-01T10:00:00 PST", "2026-01-01 10:00:00 Europe/Berlin",
                "2026-01-01 10:00:00 BC", "20260101T100000Z", "1700000000000000000000", "170000000", "-1700000000",
                "1.7e9", "2026-01-01T10:00:00+99:00", "2026-11-20T10:00:00Z+02:00", "2026-11-20T10:00:00Z+0200",
                "2026-11-20T10:00:00z+02", "2026-11-20T10:00:00+01:00+02:00", "2026-11-20T10:00:00+01:00Z",
                "2026-11-20T10:00:00ZZ", "2026-11-20T10:60:00Z", "2026-11-20T10:60", "2026-11-20T10:00:60Z",
                "2026-11-20T10:00:61Z", "2026-11-20T10:00:00+25:00", "2026-11-20T10:00:00+05:60",
                "2026-11-20T10:00:00+1", "2026-11-20T10:00:00+053", "2026-11-20T10:00:00+05:30:15",
                "2026-11-20T24:00:01Z", "2026-11-20T10:00.5Z", "2026-11-20T10:00:00.Z", "2026-11-20T10Z",
                "2026-11-20TT10:00:00", "2026-11-20  10:00:00", "2026-11-2010:00:00", "2026-1-2T10:00:00",
                "2026-11-20T10:00:00 AM", "2026-11-20T10:00:00 -  08", "2026-11-20T10:00:00 +-08",
                "0000-01-01 00:00:00", "J2451187", "20260101", "10:00:00",
            )
        ],
        ("time", "2001-01-01T00:00:00Z", "time is older than the raw retention"),
        ("time", "1000000000", "time is older than the raw retention"),
        ("time", "2999-01-01T00:00:00Z", "time is more than a day in the future"),
        ("provider", "", "provider is missing"),
        ("model", "  ", "model is missing"),
        ("model", "m" * 201, "model is longer than 200 characters"),
        ("request_id", "r" * 3000, "request_id is longer than 200 characters"),
        ("provider", "p" * 201, "provider is longer than 200 characters"),
        *[
            ("input_tokens", text, NO_COUNT)
            for text in ("-1", "1.5", "0x10", "1_000", "1000000000000", "NaN", "1 000", "٣", "true", ".1", "1e12")
        ],
        *[
            ("cost_amount", text, f"cost_amount {problem}")
            for problem, texts in {
                "is negative: a credit or refund is no request, keep it out of usage": ("-0.01", "-1e-9"),
                "is 10^12 or more": ("1000000000000", "1e99", "1e400", "1E+0012"),
                "is not an amount below 10^12 with 100 decimals at most": ("1e99999", "1e-99999", "0." + "1" * 500),
                "has more than 100 decimals": ("1e-101", "0." + "1" * 101),
                "is not a finite number": ("NaN", "Infinity", "-inf"),
                "is a word for no value: leave it empty where no cost is known": (
                    "null", "NULL", r"\N", "N/A", "None", "-",
                ),
                "has a comma or a separator of thousands: write 1234.5": (
                    '"0,5"', '"1,000.00"', "1 000", "1_000", "1'000", "1\u202f000", '"1 000,5"',
                ),
                "has more than the number: give the currency as currency": ("$0.25", "0.25 USD", "€0.25", "US$ 3"),
                "is not a number": (".", "1.2.3", "0x10", "\u0660.\u0665", "--5", "free", "1e"),
            }.items()
            for text in texts
        ],
        ("currency", "EURO", "currency is not a code of three letters"),
        ("currency", "€$£", "currency is not a code of three letters"),
    ],
)  # fmt: skip
def test_refused_values(database: str, load: Load, target: str, text: str, reason: str) -> None:
    """The row beside it is loaded, also where its batch looked plain at first."""
    fine = {"time": T, "provider": "p", "model": "m", "request_id": "fine"}
    bad = fine | {target: text}
    lines = [",".join(row.get(name, "") for name in bad) for row in (fine, bad)]
    report = load([",".join(bad), *lines])
    assert counts(report) == (1, 0, 1)
    assert report.reasons == {reason: 1}
    ((line, reasons, row),) = quarantined(database)
    assert (line, reasons) == (3, [reason])
    if text.strip():
        assert row[target].strip() == text.strip('" ').replace('""', '"').strip()


def test_all_reasons_against_a_row_are_given(database: str, load: Load) -> None:
    lines = ["time,provider,model,input_tokens,status,cost_amount", "now,,m,-1,weird,x", f"{T},p,m,1,success,1"]
    assert counts(load(lines)) == (1, 0, 1)
    assert quarantined(database) == [
        (
            2,
            [
                NOT_A_TIME,
                "provider is missing",
                NO_COUNT,
                "cost_amount is not a number",
            ],
            {"time": "now", "model": "m", "input_tokens": "-1", "status": "weird", "cost_amount": "x"},
        )
    ]


def test_what_a_row_does_not_say(database: str, load: Load) -> None:
    lines = [
        "time,provider,model,operation,status,input_tokens,cost_amount,currency,cost_source,source",
        f"{T},p,free,,,,,,,",
        f"{T},p,priced,,,,1.5,,,",
        f"{T},p,computed,image,error,5,0,EUR,computed,elsewhere",
        f"{T},p,unpriced,,,,,EUR,unpriced,",
    ]
    assert counts(load(lines)) == (4, 0, 0)
    found = query(
        database,
        "select model, operation, status, input_tokens, total_tokens, cost_amount, currency, cost_source, source"
        " from core.llm_metrics order by model",
    )
    assert found == [
        ("computed", "image", "error", 5, 5, Decimal(0), "EUR", "computed", "elsewhere"),
        ("free", "chat", "success", 0, 0, None, "USD", "unpriced", "ingest"),
        ("priced", "chat", "success", 0, 0, Decimal("1.5"), "USD", "provider", "ingest"),
        ("unpriced", "chat", "success", 0, 0, None, "EUR", "unpriced", "ingest"),
    ]


def test_the_default_currency_is_the_setting(database: str, load: Load) -> None:
    with connect(database) as connection:
        connection.execute("update internal.settings set value = 'CHF' where name = 'default_currency'")
        try:
            load(["time,provider,model,cost_amount", f"{T},p,m,1"])
        finally:
            connection.execute("update internal.settings set value = 'USD' where name = 'default_currency'")
    assert query(database, "select currency from core.llm_metrics") == [("CHF",)]


@pytest.mark.parametrize(
    ("cost", "source"), [("1.5", "unpriced"), ("", "provider"), ("", "computed"), ("0", "unpriced")]
)
def test_unpriced_is_a_request_without_a_cost_and_no_other(database: str, load: Load, cost: str, source: str) -> None:
    report = load(["time,provider,model,cost_amount,cost_source", f"{T},p,m,{cost},{source}"])
    assert counts(report) == (0, 0, 1)
    ((_, reasons, _),) = quarantined(database)
    assert reasons == ["cost_source is unpriced where there is a cost_amount, or not unpriced where there is none"]


def test_a_cost_source_needs_a_cost_column(load: Load) -> None:
    lines = ["time,provider,model", f"{T},p,m"]
    assert counts(load(lines, constants={"cost_source": "computed"})) == (0, 0, 1)
    assert counts(load(lines, constants={"cost_source": "unpriced"})) == (1, 0, 0)


def test_times_without_a_zone_are_utc_whatever_the_session_says(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(f"time,provider,model\n{RECENT:%Y-%m-%d %H:%M:%S},p,m\n")
    ingest_files(f"{database}?options=-c%20timezone%3DEurope/Berlin%20-c%20datestyle%3Dgerman", [str(path)])
    assert query(database, "select time from core.llm_metrics") == [(RECENT,)]


def test_old_and_future_rows(database: str, load: Load) -> None:
    ((floor,),) = query(database, "select internal.raw_floor('llm_metrics')")
    times = [
        floor - timedelta(seconds=1),
        floor + timedelta(hours=1),
        NOW + timedelta(hours=23),
        NOW + timedelta(hours=25),
    ]
    report = load(["time,provider,model", *(f"{at.isoformat()},p,m" for at in times)])
    assert counts(report) == (2, 0, 2)
    assert [(line, reasons) for line, reasons, _ in quarantined(database)] == [
        (2, ["time is older than the raw retention"]),
        (5, ["time is more than a day in the future"]),
    ]
    # each row in a partition of its time, made before
    by_default = "select from core.llm_metrics where tableoid = to_regclass('core.llm_metrics_default')"
    assert query(database, by_default) == []


def test_rows_below_the_last_drop_are_old_too(database: str, load: Load) -> None:
    with connect(database) as connection:
        connection.execute("update internal.time_series set dropped_before = %s where name = 'llm_metrics'", [NOW])
        try:
            assert counts(load(["time,provider,model", f"{T},p,m", f"{NOW + timedelta(hours=1)},p,m"])) == (1, 0, 1)
        finally:
            connection.execute("update internal.time_series set dropped_before = '-infinity'")


def test_what_can_not_be_read_is_quarantined_as_it_is(database: str, load: Load) -> None:
    lines = ["time,provider,model", f"{T},p", f'{T},"p', f"{T},p,m"]
    assert counts(load(lines)) == (1, 0, 2)
    found = quarantined(database)
    assert [(line, row) for line, _, row in found] == [(2, f"{T},p"), (3, f'{T},"p')]
    assert found[0][1] == ["the record has 2 fields, the header has 3"]


def test_json_lines_keep_money_and_tags_exact(database: str, load: Load) -> None:
    start = f'"time": {RECENT.timestamp():.0f}, "provider": "p", "model": "m"'
    lines = [
        f'{{{start}, "request_id": "{number}", "cost": {{"total": {cost}}}, "tags": {{"n": {cost}}}}}'
        for number, cost in enumerate(["0.1", "0.2", "1e-7", "12345678.000000000000000001"])
    ]
    lines.append(json.dumps({"time": T, "provider": "p", "model": True, "input_tokens": [1], "tags": "x"}))
    assert counts(load(lines, "usage.jsonl", mapping={"cost_amount": "cost.total"})) == (4, 0, 1)
    total, tags = query(
        database,
        "select sum(cost_amount)::text, string_agg(tags ->> 'n', ' ' order by request_id) from core.llm_metrics",
    )[0]
    assert Decimal(total) == Decimal("12345678.300000100000000001")
    assert tags == "0.1 0.2 0.0000001 12345678.000000000000000001"
    assert quarantined(database)[0][1] == [
        "model is true or false",
        NO_COUNT,
    ]


def test_rows_of_a_program(database: str) -> None:
    rows = [(RECENT, f"r{number}", Decimal("0.10"), number, None, '{"a": 1}') for number in range(1, 6)]
    with connect(database) as connection:
        report = ingest_rows(
            connection,
            ["time", "request_id", "cost_amount", "input_tokens", "user_id", "tags"],
            [*rows, (RECENT, "x", "y", 1, None, None)],
            source="program",
            constants={"provider": "p", "model": "m", "source": "demo"},
        )
    assert counts(report) == (5, 0, 1)
    assert query(database, "select sum(cost_amount), sum(input_tokens), max(source) from core.llm_metrics") == [
        (Decimal("0.50"), 15, "demo")
    ]
    assert query(database, "select source, line, reasons from internal.quarantine") == [
        ("program", 6, ["cost_amount is not a number"])
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), max_size=30)
)
def test_any_text_arrives_as_it_is(database: str, texts: list[str]) -> None:
    rows = [(RECENT, str(number), text, json.dumps({"text": text})) for number, text in enumerate(texts)]
    with connect(database) as connection:
        report = ingest_rows(
            connection,
            ["time", "request_id", "application", "metadata"],
            rows,
            source="texts",
            constants={"provider": "p", "model": "m"},
        )
        assert counts(report) == (len(texts), 0, 0)
        found = connection.execute(
            "delete from core.llm_metrics returning request_id::integer, application, metadata ->> 'text'"
        ).fetchall()
    assert sorted(found) == [(number, trimmed(text) or None, text) for number, text in enumerate(texts)]


# once and no more


def test_a_request_is_known_by_its_id_and_its_time(database: str, load: Load) -> None:
    later = (RECENT + timedelta(seconds=1)).isoformat()
    header = "time,provider,model,request_id,input_tokens"
    assert counts(load([header, f"{T},p,m,a,1", f"{T},p,m,a,2", f"{later},p,m,a,4"])) == (2, 1, 0)
    assert counts(load([header, f"{T},p,m,a,8", f"{T},p,m,b,16"], "other.csv")) == (1, 1, 0)
    assert query(database, "select sum(input_tokens) from core.llm_metrics") == [(21,)]


def digest(row: dict[str, object], ordinal: int) -> str:
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(hashlib.sha256(text.encode()).digest() + str(ordinal).encode()).hexdigest()


def test_the_id_of_a_row_without_one_follows_from_what_it_says(database: str, load: Load) -> None:
    """Golden: another hash in a later release would load every old file a second time."""
    lines = [
        "When,provider,model,user_id,cost_amount,tags,region",
        f'{T},azure,"gp""t-é",{UUID.upper()},0.50,"{{""b"":1,""a"":[2]}}",',
    ]
    load(lines, mapping={"time": "When"}, constants={"input_tokens": "7.0"})
    ((request_id,),) = query(database, "select request_id from core.llm_metrics")
    text = (
        f'{{"time":{MICROSECONDS},"user_id":"{UUID}","provider":"azure","model":"gp\\"t-é","input_tokens":7,'
        '"cost_amount":0.5,"tags":{"a": [2], "b": 1}}'
    )
    inner = hashlib.sha256(text.encode()).digest()
    assert request_id == hashlib.sha256(inner + b"1").hexdigest()


# the number of a row's kind: two good ones that differ in their time, one that differs otherwise, one that is refused
KINDS: list[dict[str, object]] = [
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": 1},
    {"time": MICROSECONDS + 1_000_000, "provider": "p", "model": "m", "input_tokens": 1},
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": 2},
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": -1},
]


def as_csv(kinds: Sequence[int]) -> list[str]:
    return ["time,provider,model,input_tokens", *(",".join(str(value) for value in KINDS[k].values()) for k in kinds)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.integers(0, 3), max_size=25),
    batches=st.tuples(st.integers(1, 26), st.integers(1, 26)),
    cut=st.integers(0, 25),
)
def test_ids_do_not_depend_on_batches_or_on_where_a_load_broke_off(
    database: str, load: Load, kinds: list[int], batches: tuple[int, int], cut: int
) -> None:
    good = [kind for kind in kinds if kind != 3]
    expected = {digest(KINDS[kind], good[: place + 1].count(kind)) for place, kind in enumerate(good)}
    begun = load(as_csv(kinds[:cut]), "part.csv", batch_rows=batches[0])
    assert begun.duplicate == 0
    report = load(as_csv(kinds), batch_rows=batches[0])
    assert counts(report) == (len(good) - begun.loaded, begun.loaded, len(kinds) - len(good))
    again = load([json.dumps(KINDS[kind]) for kind in kinds], "again.jsonl", batch_rows=batches[1])
    assert counts(again) == (0, len(good), len(kinds) - len(good))
    with connect(database) as connection:
        found = connection.execute("delete from core.llm_metrics returning request_id").fetchall()
    assert {request_id for (request_id,) in found} == expected
    assert len(found) == len(good)


def test_files_of_one_command_that_overlap(load: Load, database: str, tmp_path: Path) -> None:
    """Identical rows are counted file by file: an overlap of two exports is the same requests."""
    paths = []
    for name, kinds in (("a.csv", [0, 0, 1]), ("b.csv", [0, 1, 2])):
        path = tmp_path / name
        path.write_text("\n".join(as_csv(kinds)))
        paths.append(str(path))
    assert counts(ingest_files(database, paths)) == (4, 2, 0)


def test_every_header_is_looked_at_before_the_first_file_is_loaded(database: str, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("\n".join(as_csv([0])))
    (tmp_path / "bad.csv").write_text("time,model\n")
    with pytest.raises(GovernanceError, match=r"nothing in .*bad\.csv is known to be the provider"):
        ingest_files(database, [str(tmp_path / "good.csv"), str(tmp_path / "bad.csv")])
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


# quarantine


def test_quarantine_holds_a_refused_row_once(database: str, load: Load) -> None:
    lines = as_csv([0, 3, 3])
    for expected in ((1, 0, 2), (0, 1, 2)):
        assert counts(load(lines)) == expected
    first = query(database, "select id, line, quarantined_at from internal.quarantine order by line")
    assert [line for _, line, _ in first] == [3, 4]
    # another file of that name: line 3 is bad in another way, line 4 is good
    load(["time,provider,model,input_tokens", f"{T},p,m,7", f"{T},p,m,x", f"{T},p,m,8"])
    assert query(database, "select line, row_data ->> 'input_tokens' from internal.quarantine order by line, id") == [
        (3, "-1"),
        (3, "x"),
        (4, "-1"),
    ]


def test_a_row_that_loads_after_all_leaves_quarantine(database: str, load: Load) -> None:
    """It was refused by a rule of the operator's own, which holds a row back but not its batch."""
    lines = ["time,provider,model,input_tokens"]
    lines += [f"{T},p,{'forbidden' if number in (0, 7, 49) else 'm'},{number}" for number in range(50)]
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics add constraint allowed check (model <> 'forbidden') not valid")
        try:
            report = load(lines, batch_rows=20)
        finally:
            connection.execute("alter table core.llm_metrics drop constraint allowed")
    assert counts(report) == (47, 0, 3)
    found = quarantined(database)
    assert [line for line, _, _ in found] == [2, 9, 51]
    assert all("the database refuses it" in reasons[0] and '"allowed"' in reasons[0] for _, reasons, _ in found)
    assert counts(load(lines)) == (3, 47, 0)
    assert quarantined(database) == []


def test_a_new_reason_replaces_the_old_one(database: str, load: Load) -> None:
    lines = ["time,provider,model", f"{NOW - timedelta(days=9)},p,m"]
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics add constraint never check (model <> 'm') not valid")
        try:
            load(lines)
            before = quarantined(database)
        finally:
            connection.execute("alter table core.llm_metrics drop constraint never")
        connection.execute("update internal.time_series set dropped_before = now() where name = 'llm_metrics'")
        try:
            load(lines)
        finally:
            connection.execute("update internal.time_series set dropped_before = '-infinity'")
    assert "never" in before[0][1][0]
    assert [reasons for _, reasons, _ in quarantined(database)] == [["time is older than the raw retention"]]


# the real trace


TRACE = Path(
    os.environ.get("GOVERNANCE_TRACE_CSV")
    or project_dir().parent / "shared" / "data" / "azure-llm-inference-2023" / "conv.csv"
)
needs_trace = pytest.mark.skipif(
    not TRACE.exists(), reason="the Azure LLM inference trace 2023 isn't there: GOVERNANCE_TRACE_CSV names conv.csv"
)
TRACE_OPTIONS: dict[str, Any] = {
    "mapping": {"time": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
    "constants": {"provider": "azure", "model": "conversation"},
}


@pytest.mark.not_on_pglite("it is too slow for bulk")
@needs_trace
def test_the_real_trace_is_too_old_as_it_stands(database: str) -> None:
    report = ingest_files(database, [str(TRACE)], **TRACE_OPTIONS)
    assert counts(report) == (0, 0, 19_366)
    assert report.reasons == {"time is older than the raw retention": 19_366}
    assert query(database, "select min(line), max(line), count(*) from internal.quarantine") == [(2, 19_367, 19_366)]


@pytest.mark.not_on_pglite("it is too slow for bulk")
@needs_trace
def test_the_real_trace_comes_out_of_the_cost_summary_exactly(database: str, load: Load) -> None:
    header, *lines = TRACE.read_text().splitlines()
    days = (NOW.date() - timedelta(days=30)) - date.fromisoformat(lines[0][:10])
    moved = [header, *(f"{date.fromisoformat(line[:10]) + days}{line[10:]}" for line in lines)]
    assert counts(load(moved, batch_rows=5_000, **TRACE_OPTIONS)) == (19_366, 0, 0)
    refresh(database)
    expected = [(19_366, 22_361_870, 4_088_665, None, 19_366)]
    summary = (
        "select sum(requests), sum(input_tokens), sum(output_tokens), sum(cost), sum(unpriced_requests)"
        " from reporting.cost_summary_view"
    )
    assert query(database, summary) == expected
    assert counts(load(moved, "again.csv", **TRACE_OPTIONS)) == (0, 19_366, 0)
    refresh(database)
    assert query(database, summary) == expected


# several at once, and crashes


def numbered(count: int) -> list[str]:
    lines = [f"{(RECENT + timedelta(seconds=number)).isoformat()},p,m,r{number},{number}" for number in range(count)]
    return ["time,provider,model,request_id,input_tokens", *lines]


@pytest.mark.not_on_pglite("it has one session at a time")
def test_two_processes_that_load_the_same_file(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([*numbered(30_000), "now,p,m,bad,1"]))
    command = [sys.executable, "-c", "from orchestration.cli.main import main; main()", "ingest", str(path)]
    environment = os.environ | {"GOVERNANCE_DATABASE_URL": database}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    figures = [[int(word.replace(",", "")) for word in out.split() if word[0].isdigit()] for out, _ in outputs]
    assert all(read == loaded + duplicate + bad == 30_001 for read, loaded, duplicate, bad in figures)
    assert sum(loaded for _, loaded, _, _ in figures) == 30_000
    assert query(database, "select count(*), sum(input_tokens) from core.llm_metrics") == [(30_000, sum(range(30_000)))]
    assert query(database, "select count(*) from internal.quarantine") == [(1,)]


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_batch_that_loses_a_deadlock_is_merged_again(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([*numbered(100), "now,p,m,bad,1"]))

    def insert(writer: "psycopg.Connection[Any]", number: int) -> None:
        at = RECENT + timedelta(seconds=number)
        writer.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values (%s, %s, 'p', 'm')",
            [at, f"r{number}"],
        )

    with connect(database) as watcher, connect(database, autocommit=False) as writer, ThreadPoolExecutor(1) as executor:
        # the loser is who looks first, and that is done once, this long after the wait began
        writer.execute("set deadlock_timeout = '60s'")
        insert(writer, 99)
        loading = executor.submit(ingest_files, f"{database}?options=-c%20deadlock_timeout%3D3s", [str(path)])
        waiting = "select count(*) from pg_locks where not granted"
        while watcher.execute(waiting).fetchone() == (0,):
            assert not loading.done()
            time.sleep(0.01)
        insert(writer, 0)
        writer.commit()
        report = loading.result()
    assert counts(report) == (98, 2, 1)
    assert query(database, "select count(*) from internal.quarantine") == [(1,)]


@pytest.fixture(scope="module")
def fragile() -> Iterator[EmbeddedServer]:
    """A server of this module's own, to be killed, with the tables and rollups built."""
    home = Path(tempfile.mkdtemp(prefix="governance-tests-"))
    home.chmod(0o711)
    server = EmbeddedServer(home)
    try:
        url = start(server)
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as target:
            patch.setenv("DBT_TARGET_PATH", target)
            patch.setenv("DBT_LOG_PATH", target)
            run_dbt(["run", "--select", "llm_metrics"], url, quiet=True)
        yield server
    finally:
        server.destroy()
        shutil.rmtree(home)


@pytest.mark.not_on_pglite("the server that is killed is the embedded one")
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_a_load_during_which_the_server_is_killed(fragile: EmbeddedServer, tmp_path: Path, delay: float) -> None:
    url = fragile.url()
    assert url is not None
    with connect(url) as connection:
        connection.execute("delete from core.llm_metrics")
    # half the rows have no id of their own
    header, *lines = numbered(12_000)
    kinds = [line if number % 2 else line.replace(f",r{number},", ",,") for number, line in enumerate(lines)]
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([header, *(line for line in kinds for _ in range(2))]))
    killers: list[threading.Thread] = []

    def kill(pids: list[int]) -> None:
        time.sleep(delay)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def progress(state: Progress) -> None:
        if state.report.read >= 6_000 and not killers:
            postmaster = fragile.status().pid
            assert postmaster is not None
            children = [pid for (pid,) in query(url, "select pid from pg_stat_activity")]
            killers.append(threading.Thread(target=kill, args=([postmaster, *children],)))
            killers[0].start()

    with pytest.raises(
        IngestError, match="run the same command again, what is loaded already counts as dupl"
    ) as broken:
        ingest_files(url, [str(path)], batch_rows=2_000, progress=progress)
    killers[0].join()
    assert wait_until(lambda: not fragile.status().running, 10)
    assert 6_000 <= broken.value.report.read < 24_000
    assert start(fragile) == url
    report = ingest_files(url, [str(path)], batch_rows=3_000)
    assert report.read == 24_000
    assert report.duplicate >= broken.value.report.loaded + 6_000
    assert report.loaded == 18_000 - (report.duplicate - 6_000)
    # a request with an id counts once, one without as often as the file has it
    assert query(url, "select count(*), sum(input_tokens) from core.llm_metrics") == [
        (18_000, sum(number * (1 if number % 2 else 2) for number in range(12_000)))
    ]


# the command


def run(database: str, *arguments: str, stdin: str = "") -> "Result":
    return CliRunner().invoke(
        main, ["ingest", *arguments], input=stdin, env={"GOVERNANCE_DATABASE_URL": database}, catch_exceptions=False
    )


def test_the_command_says_what_became_of_each_row(database: str, tmp_path: Path) -> None:
    path = tmp_path / "it's usage.csv"
    path.write_text("\n".join([*as_csv([0, 1, 3]), ",,,", "x"]))
    first = run(database, str(path))
    assert (first.exit_code, first.stdout) == (0, "read 5 = loaded 2 + duplicate 0 + quarantined 3\n")
    assert "governance refresh" not in first.stderr
    assert f"{NO_COUNT} (1 row)" in first.stderr
    statement = first.stderr.split("to look at them: ")[1].splitlines()[0]
    assert [row[1] for row in query(database, statement)] == [4, 5, 6]
    again = run(database, str(path))
    assert again.stdout == "read 5 = loaded 0 + duplicate 2 + quarantined 3\n"
    assert "governance refresh" not in again.stderr


def test_the_command_reads_standard_input(database: str) -> None:
    lines = "\n".join(json.dumps(kind) for kind in (KINDS[0], KINDS[3]))
    result = run(database, "-", "--format", "jsonl", "--set", "application=a=b", stdin=lines)
    assert result.stdout == "read 2 = loaded 1 + duplicate 0 + quarantined 1\n"
    assert query(database, "select application from core.llm_metrics") == [("a=b",)]
    assert query(database, "select source, line from internal.quarantine") == [("standard input", 2)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.csv"], 1, "error: there is no file absent.csv"),
        (["f.csv", "--map", "tim=x"], 1, "error: there is no target tim: did you mean time? the targets are time, "),
        (["f.csv", "--map", "total_tokens=x"], 1, "error: total_tokens is the sum of the token classes"),
        (["f.csv", "--set", "ingested_at=x"], 1, "error: ingested_at is the time of the load and can't be given"),
        (["f.csv", "--map", "model=x", "--set", "model=y"], 1, "error: model is given twice, by --map and by --set"),
        (["f.csv", "--set", "model= "], 1, "error: --set model= has no value: leave it out, or give it one"),
        (["f.csv", "--set", "team_id=x"], 1, "error: --set team_id=x can't be used: team_id is not a uuid"),
        (["f.csv", "--set", "cost_amount=-1"], 1, "error: --set cost_amount=-1 can't be used: cost_amount is negative"),
        (["f.csv", "--map", "model"], 2, "'model' is not TARGET=SOURCE"),
        (["f.csv", "--set", "=x"], 2, "'=x' is not TARGET=VALUE"),
        (["f.csv", "--set", "model=x", "--set", "model=y"], 2, "model is given twice"),
        ([], 2, "give files to load, or --loads, or --undo SOURCE"),
    ],
)
def test_the_command_refuses(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.csv").write_text("\n".join(as_csv([0])))
    result = run(database, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


@pytest.mark.not_on_pglite("it holds one database")
def test_a_database_that_is_not_built(server_url: str, database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(as_csv([0])))
    ensure_database(server_url, "test_ingest_not_built")
    result = run(with_database(server_url, "test_ingest_not_built"), str(path))
    assert (result.exit_code, result.stdout) == (1, "read 0 = loaded 0 + duplicate 0 + quarantined 0\n")
    assert "isn't built in the database" in result.stderr
    assert "run `governance build` first" in result.stderr


def test_progress_follows_each_batch(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(numbered(250)))
    seen: list[tuple[int, bool]] = []
    ingest_files(
        database,
        [str(path)],
        batch_rows=100,
        progress=lambda state: seen.append((state.report.read, state.position.done == state.position.total)),
    )
    assert [read for read, _ in seen] == [100, 200, 250]
    assert seen[-1][1]


def test_input_is_valid_agrees_with_the_cast(connection: "psycopg.Connection[Any]") -> None:
    rows = connection.execute(
        """
        select internal.input_is_valid(input, type_name)
        from (values
            (1, 'now', 'timestamptz'), (2, '2026-02-30 10:00', 'timestamptz'),
            (3, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'uuid'), (4, 'a0eebc99', 'uuid'),
            (5, '{"a": 1e400}', 'jsonb'), (6, '{', 'jsonb'), (7, null, 'uuid')
        ) as given (number, input, type_name)
        order by number
        """
    ).fetchall()
    assert [row[0] for row in rows] == [True, False, True, False, True, False, None]
    with pytest.raises(
        psycopg.errors.RaiseException, match="input_is_valid knows uuid, jsonb and timestamptz, not int"
    ):
        connection.execute("select internal.input_is_valid('1', 'int')")
