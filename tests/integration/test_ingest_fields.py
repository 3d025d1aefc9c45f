"""What a file may say of a request: what is accepted as which value, what is refused and why."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import shared_fixtures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from usage_loads import MICROSECONDS, NO_COUNT, NOW, RECENT, UUID, Load, T, counts, quarantined, query

from orchestration.lib.database.connection import connect
from orchestration.lib.usage.encoding import trimmed
from orchestration.lib.usage.load import ingest_files, ingest_rows
from orchestration.lib.usage.record import TARGETS

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_csv


# what a file may say


def test_targets_are_the_columns_of_the_table_in_its_order(database: str) -> None:
    columns = query(
        database,
        "select attname from pg_attribute where attrelid = 'core.llm_metrics'::regclass and attnum > 0"
        " and not attisdropped and attgenerated = '' and attname not in"
        " ('ingested_at', 'list_cost_amount', 'computed_cost_amount', 'source_cost_amount') order by attnum",
    )
    assert [name for (name,) in columns] == list(TARGETS)


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


@pytest.mark.parametrize(
    ("target", "text", "reason"),
    [
        ("time", "", "time is missing"),
        ("time", "   ", "time is missing"),
        *[
            ("time", text, NOT_A_TIME)
            for text in (
                "now", "infinity", "-infinity", "today", "epoch", "yesterday 10:00", "2026-02-30 10:00:00",
                "2026-13-01T10:00:00Z", "2026-01-01T25:00:00Z",
                "2026-01-01T10:00:00 PST", "2026-01-01 10:00:00 Europe/Berlin",
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
        *[
            ("time", text, "time begins with day or month: write 2026-11-28 10:00:00")
            for text in ("01/02/2026 10:00:00", "02-03-2026 10:00:00", "28.11.2026 10:00", "1/2/26")
        ],
        ("time", "2026-01-01", "time is a day without a time of day: write 2026-11-28 10:00:00"),
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
                "has a comma or a separator of thousands: write 1234.5, or say --decimal": (
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


def changed_time(at: int, text: str) -> str:
    """A time with a piece of it replaced."""
    plain = f"{RECENT:%Y-%m-%dT%H:%M:%S}.25+01:00"
    return plain[: at % len(plain)] + text + plain[at % len(plain) + len(text) :]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(
        st.builds(changed_time, st.integers(0, 30), st.text("0123456789-+:.,TtZ \n6", max_size=3)),
        min_size=1,
        max_size=20,
    )
)
def test_times_are_judged_together_as_each_alone(database: str, times: list[str]) -> None:
    rows = [(text, str(number)) for number, text in enumerate(times)]
    with connect(database) as connection:
        ingest_rows(connection, ["time", "request_id"], rows, source="times", constants={"provider": "p", "model": "m"})
        loaded = {int(number) for (number,) in connection.execute("delete from core.llm_metrics returning request_id")}
        refused: dict[int, list[str]] = dict(
            connection.execute(
                "delete from internal.quarantine where source = 'times' returning (line - 1)::integer, reasons"
            ).fetchall()
        )
        judged = f"select {TARGETS['time'].flaw} from (select btrim(%s, e' \\n') as time) as alone"
        for number, text in enumerate(times):
            (flaw,) = connection.execute(judged.encode(), [text]).fetchone() or (None,)
            old_or_new = {"time is older than the raw retention", "time is more than a day in the future"}
            found = [reason for reason in refused.get(number, []) if reason not in old_or_new]
            assert found == ([flaw] if flaw else []), text
            assert (number in loaded) == (number not in refused), text
