"""What becomes of values that other programs write: one bad attribute never costs the request and its money."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import shared_fixtures
from usage_loads import FINE, Load, T, counts, query

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.spellings import SPELLINGS

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_json


NOT_UTF8 = "has bytes that are not UTF-8 text, or a NUL character"


@pytest.mark.parametrize(
    ("target", "value", "flaw"),
    [
        *[
            (target, "default_user_id", f"{target} is not a uuid")
            for target in ("trace_id", "session_id", "price_id", "policy_id")
        ],
        *[
            (target, "default_user_id", f"{target} is not a uuid, so it is looked up as a name")
            for target in ("user_id", "team_id", "api_key_id")
        ],
        ("user_id", 77, "user_id is not a uuid, so it is looked up as a name"),
        # as long as a uuid
        ("user_id", "zf8fad5b-d9cb-469f-a165-70867728950e", "user_id is not a uuid, so it is looked up as a name"),
        ("user_id", "{0f8fad5b-d9cb-469f-a165-70867728950e", "user_id is not a uuid, so it is looked up as a name"),
        ("user_id", "0f8fad5bd9cb-469f-a165-7086772-8950e", "user_id is not a uuid, so it is looked up as a name"),
        ("status", "weird", "status 'weird' is none of success, error, blocked, rate_limited, taken as success"),
        ("status", "302", "status '302' is none of success, error, blocked, rate_limited, taken as success"),
        ("status", "user-1a2b", "status is none of success, error, blocked, rate_limited, taken as success"),
        (
            "operation",
            "dance",
            "operation 'dance' is none of chat, completion, embedding, image, audio, rerank, moderation, taken as chat",
        ),
        ("policy_decision", "maybe", "policy_decision 'maybe' is none of allow, flag, block"),
        ("cost_source", "me", "cost_source 'me' is none of provider, computed, estimated, unpriced"),
        ("latency_ms", "-1", "latency_ms is not a number of milliseconds of 0 or more below 10^9"),
        ("latency_ms", "999999999.5", "latency_ms is not a number of milliseconds of 0 or more below 10^9"),
        ("latency_ms", "fast", "latency_ms is not a number of milliseconds of 0 or more below 10^9"),
        ("application", "a" * 201, "application is longer than 200 characters"),
        ("error_code", "e" * 1001, "error_code is longer than 1000 characters"),
        ("region", {"name": "eu"}, "region is an object"),
        ("environment", True, "environment is true or false"),
        ("application", "a\0b", f"application {NOT_UTF8}"),
        ("tags", "prod,web", "tags is not JSON"),
        ("tags", '{"a": 1', "tags is not JSON"),
        ("tags", "x", "tags is not JSON"),
        ("tags", 5, "tags is not a JSON object"),
        ("tags", [{"key": "a"}], "tags is a list of more than texts"),
        ("tags", ["a", None], "tags is a list of more than texts"),
        ("metadata", [1], "metadata is not a JSON object"),
        ("metadata", '{"a": NaN}', "metadata is not JSON"),
        pytest.param(
            *("metadata", '{"a":' + "[" * 20_000 + "]" * 20_000 + "}", "metadata is not JSON"),
            marks=pytest.mark.not_on_pglite("its stack is too small for JSON nested thousands deep"),
        ),
    ],
)  # fmt: skip
def test_a_bad_attribute_is_kept_aside(database: str, load: Load, target: str, value: object, flaw: str) -> None:
    report = load([FINE | {"request_id": "fine"}, FINE | {target: value}])
    assert counts(report) == (2, 0, 0)
    assert report.notes == {f"{flaw}: kept in metadata.source_values": 1}
    said = value if isinstance(value, str) else json.dumps(value)
    if target == "api_key_id":
        said = "sha256:" + hashlib.sha256(said.encode()).hexdigest()
    found = query(
        database,
        f"select {target}, metadata - 'unresolved_owner', cost_amount from core.llm_metrics where metadata is not null",
    )
    default = {"status": "success", "operation": "chat", "cost_source": "provider"}.get(target)
    if target == "metadata":
        default = found[0][0]
    assert found == [(default, {"source_values": {target: said.replace("\0", r"\x00")}}, Decimal("0.25"))]
    # said again it is the same request
    assert counts(load([FINE | {target: value}], "again.jsonl")) == (0, 1, 0)


def test_a_key_in_the_place_of_its_id_is_kept_nowhere(database: str, load: Load) -> None:
    key = "sk-proj-CANARY0123456789"
    report = load([FINE | {"api_key_id": key}, FINE | {"api_key_id": key, "cost_amount": "much"}])
    assert counts(report) == (1, 0, 1)
    kept = "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    assert query(database, "select metadata #>> '{source_values,api_key_id}' from core.llm_metrics") == [(kept,)]
    assert query(database, "select row_data ->> 'api_key_id' from internal.quarantine") == [(kept,)]
    for table in ("core.llm_metrics", "internal.quarantine", "internal.loads"):
        assert query(database, f"select from {table} as t where t::text like '%CANARY%'") == []


def test_requests_that_differ_in_what_is_kept_aside_are_two(database: str, load: Load) -> None:
    assert counts(load([FINE | {"user_id": "alice"}], "a.jsonl")) == (1, 0, 0)
    assert counts(load([FINE | {"user_id": "bob"}], "b.jsonl")) == (1, 0, 0)
    assert query(database, "select metadata #>> '{source_values,user_id}' from core.llm_metrics order by 1") == [
        ("alice",),
        ("bob",),
    ]


def test_what_is_kept_joins_the_metadata_of_the_row(database: str, load: Load) -> None:
    said = {"a": 1, "source_values": {"b": "2"}}
    report = load([FINE | {"metadata": said, "user_id": "u", "status": "odd", "latency_ms": "1,5"}])
    assert sum(report.notes.values()) == 3
    assert query(database, "select metadata - 'unresolved_owner' from core.llm_metrics") == [
        ({"a": 1, "source_values": {"b": "2", "user_id": "u", "status": "odd", "latency_ms": "1,5"}},)
    ]


def test_a_row_that_is_refused_is_not_noted(load: Load) -> None:
    report = load([FINE | {"user_id": "u", "input_tokens": "-1"}, FINE])
    assert counts(report) == (1, 0, 1)
    assert not report.notes


@pytest.mark.parametrize("target", ["request_id", "provider", "model"])
@pytest.mark.parametrize(("value", "wrong"), [(True, "is true or false"), (["m"], "is a list"), ("a\0", NOT_UTF8)])
def test_what_names_a_request_is_never_guessed(load: Load, target: str, value: object, wrong: str) -> None:
    report = load([FINE, FINE | {target: value}])
    assert (counts(report), report.reasons) == ((1, 0, 1), {f"{target} {wrong}": 1})


def test_one_attribute_that_is_not_utf_8(database: str, tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(f"time,provider,model,application\n{T},p,m,caf\xe9\n".encode("latin-1"))
    report = ingest_files(database, [str(path)])
    assert counts(report) == (1, 0, 0)
    assert query(database, "select application, metadata from core.llm_metrics") == [
        (None, {"source_values": {"application": r"caf\xe9"}})
    ]


@pytest.mark.parametrize(
    ("text", "stored", "noted"),
    [
        (r'{"a": "x\u0000\u0000y"}', {"a": "x��y"}, True),
        (r'{"a\u0000": "\\\u0000"}', {"a�": "\\�"}, True),
        (r'{"a": "\\u0000"}', {"a": r"\u0000"}, False),
        (r'{"a": "\ud800"}', {"a": "�"}, True),
        (r'{"a": "\udc00x\uD83D\uDE00"}', {"a": "�x😀"}, True),
        (r'{"a": "\ud83d\ude00"}', {"a": "😀"}, False),
    ],
)
@pytest.mark.parametrize("target", ["tags", "metadata"])
def test_characters_that_jsonb_can_not_hold(
    database: str, load: Load, target: str, text: str, stored: object, noted: bool
) -> None:
    """Written in JSON Lines, and as the text of a CSV field."""
    fine = ", ".join(f'"{name}": "{value}"' for name, value in FINE.items())
    report = load([f'{{{fine}, "{target}": {text}}}'])
    note = {rf"{target} has \u0000 or half a surrogate pair, replaced by \ufffd": 1} if noted else {}
    assert (counts(report), report.notes) == ((1, 0, 0), note)
    assert query(database, f"select {target} from core.llm_metrics") == [(stored,)]
    field = '"' + text.replace('"', '""') + '"'
    again = load([",".join([*FINE, target]), ",".join([*FINE.values(), field])], "usage.csv")
    assert (counts(again), again.notes) == ((0, 1, 0), note)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (["prod", "User-Agent: curl"], {"prod": True, "User-Agent: curl": True}),
        (["prod", "prod", 7, 1.50, False], {"prod": True, "7": True, "1.50": True, "false": True}),
        ([], None),
        ("null", None),
        ({}, {}),
        ({"a": ["b"]}, {"a": ["b"]}),
    ],
)
def test_a_list_of_tags_is_an_object(database: str, load: Load, given: object, stored: object) -> None:
    line = json.dumps(FINE | {"tags": given}).replace("1.5,", "1.50,")
    report = load([line])
    assert (counts(report), report.notes) == ((1, 0, 0), {})
    assert query(database, "select tags from core.llm_metrics") == [(stored,)]


def spelled() -> Iterator[tuple[str, str, str]]:
    for target, choices in SPELLINGS.items():
        for choice, spellings in choices.items():
            yield from ((target, spelling, choice) for spelling in (choice, *spellings))
    for code, status in (("200", "success"), ("204", "success"), ("429", "rate_limited"), ("429.0", "rate_limited")):
        yield "status", code, status
    yield from (("status", code, "error") for code in ("400", "404", "500", "529"))


def test_values_of_other_programs(database: str, load: Load) -> None:
    """In lower and in upper case, with - and with blanks."""
    rows = []
    expected = {}
    for target, said, means in spelled():
        for spelling in {said, said.upper(), said.title().replace("_", "-"), said.replace("_", " ")}:
            name = f"{target} {spelling}"
            rows.append(FINE | {"request_id": name, target: spelling})
            expected[name] = means
    report = load(rows)
    assert (counts(report), report.notes) == ((len(rows), 0, 0), {})
    found = query(
        database,
        "select request_id, case split_part(request_id, ' ', 1) when 'status' then status"
        " when 'operation' then operation else policy_decision end from core.llm_metrics",
    )
    assert dict(found) == expected


def test_values_of_the_user(database: str, load: Load) -> None:
    """They go before what is built in, for any target; an empty text is none, on both sides."""
    values = {
        "status": {"weird": "error", "error": "blocked", "": "rate_limited"},
        "user_id": {"default_user_id": ""},
        "cost_amount": {"NULL": "", "free": "0"},
        "model": {"gpt": "gpt-4o"},
        "region": {"x": "y"},
    }
    said = [("weird", "NULL"), ("error", "free"), ("", "0.5"), ("OK", "1")]
    rows = [
        FINE | {"request_id": str(number), "model": "gpt", "user_id": "default_user_id", "status": s, "cost_amount": c}
        for number, (s, c) in enumerate(said)
    ]
    report = load(rows, values=values)
    assert (counts(report), report.notes) == ((4, 0, 0), {})
    found = query(database, "select status, cost_amount, model, user_id from core.llm_metrics order by request_id")
    assert found == [
        ("error", None, "gpt-4o", None),
        ("blocked", Decimal(0), "gpt-4o", None),
        ("rate_limited", Decimal("0.5"), "gpt-4o", None),
        ("success", Decimal(1), "gpt-4o", None),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"status": {"a": "b"}}, "--map-value status:a=b can't be used: status 'b' is none of"),
        ({"cost_amount": {"free": "nothing"}}, "cost_amount is not a number"),
        ({"statuss": {"a": "error"}}, "there is no target statuss: did you mean status"),
    ],
)
def test_values_that_can_not_be_used(load: Load, values: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(GovernanceError, match=message):
        load([FINE | {"status": "a"}], values=values)


def test_what_looks_plain_is_read_as_it_is_closely(database: str) -> None:
    """Else what a value says would depend on the values beside it."""
    numbers = [
        f"{sign}{whole}{point}{fraction}{exponent}"
        for sign in ("", "-", "+")
        for whole in ("", "0", "007", "999999999999", "1000000000000", "9" * 60)
        for point in ("", ".")
        for fraction in ("", "0", "50", "1" * 40, "1" * 101)
        for exponent in ("", "e1", "e-7", "E-39", "e-40", "e-99", "e11", "e-", "e99999")
    ]
    hours = ("00", "10", "23", "24", "25")
    times = [
        f"2026-11-20{between}{hour}:{rest}{zone}"
        for between in ("T", " ", "t", "  ", "")
        for hour in hours
        for rest in ("00", "60", "00:00", "00:60", "59:60", "00:61", "00:00.5", "00:00,5", "00:00.", "00.5", "0:0")
        for zone in ("", "Z", "z", "+00", "+0530", "+05:30", "-25:00", "+05:60", "Z+02", "+01:00Z", "+1", " Z", "UTC")
    ]
    words = ["", "success", "SUCCESS", "ok", "weird", "chat", "x" * 200, "x" * 201, "eur", "EUR", "EURO", "{}", "[]"]
    texts = sorted({*numbers, *times, *words})
    with connect(database) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create temporary table said (text text)")
        with connection.cursor().copy("copy said from stdin") as copy:
            for text in texts:
                copy.write_row([text])
        for target in TARGETS.values():
            differing = connection.execute(
                f"""
                select text from (
                    select
                        text,
                        case when {target.plain} then {target.flaw} end as flaw,
                        case when ({target.plain}) and ({target.flaw}) is null
                            then ({target.cast}) is distinct from ({target.value}) end as differs
                    from (select text, nullif(text, '') as {target.name} from said offset 0) as said
                    where text <> ''
                ) as judged
                where differs or flaw not like '%ISO 8601%' and flaw not like '%uuid' and flaw not like '%JSON%'
                """
            ).fetchall()
            assert differing == [], target.name


@pytest.mark.parametrize("name", ["USAGE.CSV.GZ", "usage.csv.Gz", "usage.CSV"])
def test_the_ending_of_a_name_in_any_case(database: str, tmp_path: Path, name: str) -> None:
    content = f"time,provider,model\n{T},p,m\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    assert counts(ingest_files(database, [str(tmp_path / name)])) == (1, 0, 0)


def test_a_long_column_that_is_not_loaded_or_is(database: str, load: Load) -> None:
    long = "w " * 100_000
    lines = ["time,provider,model,cost_amount,messages", f"{T},p,m,25.00,{long}", f"{T},p,m,0.01,short"]
    assert counts(load(lines, "usage.csv")) == (2, 0, 0)
    report = load(lines, "again.csv", mapping={"error_code": "messages"})
    assert counts(report) == (2, 0, 0)
    ((kept,),) = query(
        database, "select metadata #>> '{source_values,error_code}' from core.llm_metrics where metadata is not null"
    )
    assert kept == long.strip()


@pytest.mark.parametrize("after", ["T24:00:00Z", "T23:59:60Z"])
def test_the_second_that_ends_a_day(database: str, load: Load, after: str) -> None:
    day = datetime.now(UTC).date() - timedelta(days=3)
    assert counts(load([FINE | {"time": f"{day}{after}"}])) == (1, 0, 0)
    ((found,),) = query(database, "select time from core.llm_metrics")
    assert found == datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
