"""Usage of known sources in the database: loaded with one command, once, and what its source says of owners is kept."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdk_calls import EMBEDDING, RESPONSE, USAGE, write_calls
from usage_loads import counts, query

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import IngestError, ingest_files

GOLDEN = Path(__file__).parents[1] / "fixtures" / "sources"
FILES = sorted(path for path in GOLDEN.iterdir() if path.is_file())
TOKENS = ("input", "cache_read", "cache_write", "output", "reasoning", "audio_input", "audio_output")
Run = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("emptied", "kept_for_long")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_loaded_once(database: str, path: Path) -> None:
    expected = json.loads((GOLDEN / "expected" / f"{path.stem}.json").read_text())
    good = [request for request in expected if "wrong" not in request and int(request.get("input_tokens", 0)) >= 0]
    report = ingest_files(database, [str(path)], source=path.stem.split(".")[0])
    assert counts(report) == (len(good), 0, len(expected) - len(good))
    assert not report.notes
    ((*tokens, cost, sources),) = query(
        database,
        # what our prices make of a request that came without a cost isn't the source's
        f"select {', '.join(f'sum({name}_tokens)' for name in TOKENS)},"
        " sum(cost_amount) filter (where price_id is null or computed_cost_amount is not null),"
        " array_agg(distinct source)"
        " from core.llm_metrics",
    )
    assert tokens == [sum(int(request.get(f"{name}_tokens", 0)) for request in good) for name in TOKENS]
    costs = [Decimal(request["cost_amount"]) for request in good if "cost_amount" in request]
    assert (cost, sources) == (sum(costs) if costs else None, [path.stem.split(".")[0]])
    again = ingest_files(database, [str(path)], source=path.stem.split(".")[0])
    assert counts(again) == (0, len(good), len(expected) - len(good))


@pytest.mark.usefixtures("emptied_and_refreshed")
def test_what_the_sdk_wrote_sums_up_to_what_the_provider_said(database: str, tmp_path: Path, run_ingest: Run) -> None:
    """From the call to the report: two chats, a response and an embedding, and two calls that failed."""
    file = tmp_path / "traces.json"
    write_calls(file)
    result = run_ingest(str(file))
    assert (result.exit_code, result.stdout) == (0, "read 6 = loaded 6 + duplicate 0 + changed 0 + quarantined 0\n")
    prompt = 2 * USAGE["prompt_tokens"] + RESPONSE["usage"]["input_tokens"] + EMBEDDING["usage"]["prompt_tokens"]
    completion = 2 * USAGE["completion_tokens"] + RESPONSE["usage"]["output_tokens"]
    assert query(
        database,
        "select sum(input_tokens + cache_read_tokens)::integer, sum(output_tokens + reasoning_tokens)::integer,"
        " count(*) filter (where status <> 'success')::integer from core.llm_metrics",
    ) == [(prompt, completion, 2)]
    assert query(
        database, "select sum(requests)::integer, sum(total_tokens)::integer from reporting.cost_summary_view"
    ) == [(6, prompt + completion)]
    assert counts(ingest_files(database, [str(file)], source="otlp")) == (0, 6, 0)


def test_what_the_source_says_of_owners_is_kept(database: str, run_ingest: Run) -> None:
    result = run_ingest("--source", "litellm", "--no-refresh", str(GOLDEN / "litellm.csv"))
    assert result.exit_code == 0, result.output
    assert query(
        database,
        "select metadata #>> '{source_owner,user}', metadata #>> '{source_owner,team}',"
        " metadata #>> '{source_owner,end_user}', user_id, team_id, api_key_id"
        " from core.llm_metrics where request_id = 'chatcmpl-a3'",
    ) == [("someone@corp.example", "team-alpha", "customer-9", None, None, None)]


def test_a_file_is_recognised_and_said_to_be(database: str, run_ingest: Run) -> None:
    result = run_ingest("--no-refresh", str(GOLDEN / "otlp.jsonl"))
    assert result.exit_code == 0, result.output
    assert "read as a file of otlp: OpenTelemetry traces" in result.stderr
    assert result.stdout.endswith("quarantined 1\n")


def test_map_set_and_ignore_win(database: str, tmp_path: Path) -> None:
    path = str(GOLDEN / "litellm.csv")
    ingest_files(
        database,
        [path],
        {"application": "model_group", "team_id": "team_id"},
        {"provider": "us", "environment": "test", "cost_amount": "7"},
        ignored=["tags"],
        source="litellm",
    )
    assert query(
        database,
        "select provider, environment, application, team_id::text, tags, cost_amount, cost_source"
        " from core.llm_metrics where request_id = 'chatcmpl-a1'",
    ) == [("us", "test", "gpt-4o", "5f4d1f0e-0000-4000-8000-000000000001", None, 7, "provider")]


def test_a_mapped_attribute_of_a_span(database: str) -> None:
    ingest_files(database, [str(GOLDEN / "otlp.jsonl")], {"application": "user.id"}, source="otlp")
    assert query(database, "select application from core.llm_metrics where application is not null order by 1") == [
        ("alice@example.com",),
        ("u-7",),
    ]


def test_gzip_and_standard_names(database: str, tmp_path: Path) -> None:
    packed = tmp_path / "traces.json.gz"
    with gzip.open(packed, "wb") as file, (GOLDEN / "otlp.jsonl").open("rb") as plain:
        shutil.copyfileobj(plain, file)
    assert counts(ingest_files(database, [str(packed)])) == (10, 0, 1)
    assert counts(ingest_files(database, [str(GOLDEN / "otlp.jsonl")])) == (0, 10, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--source", "optl", str(GOLDEN / "otlp.jsonl")],
            "there is no source optl: did you mean otlp? there are otlp, ",
        ),
        (["--source", "x", str(GOLDEN / "otlp.jsonl")], "there is no source x: there are otlp, litellm, "),
        (
            ["--map", "time=nothing", str(GOLDEN / "litellm.csv")],
            "it looks like a file of litellm: try --source litellm",
        ),
        (["--source", "otlp", str(GOLDEN / "litellm.csv")], "is csv, and otlp is read from jsonl"),
        (["--source", "litellm", "--ignore", "spend", str(GOLDEN / "litellm.csv")], "litellm fills no spend"),
        (["--source", "litellm", "--map", "application=app", str(GOLDEN / "litellm.csv")], "has no column app"),
    ],
)
def test_what_can_not_be_loaded(database: str, run_ingest: Run, arguments: list[str], message: str) -> None:
    result = run_ingest(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr.replace("\n", " ")
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


def test_a_request_that_contradicts_itself_is_refused_with_its_numbers(database: str) -> None:
    report = ingest_files(database, [str(GOLDEN / "otlp.jsonl")])
    why = (
        "the source contradicts itself: its tokens read from a cache are more than its input tokens, which include them"
    )
    assert report.reasons == {why: 1}
    ((kept,),) = query(database, "select row_data from internal.quarantine")
    assert (kept["input_tokens"], kept["cache_read_tokens"], kept["request_id"]) == ("20", "80", "0000000000000011")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_as_far_as_it_goes(
    database: str, tmp_path: Path, path: Path, data: st.DataObject
) -> None:
    """Bytes cut out, put in or doubled: what is read is loaded, there already, or refused with a reason."""
    content = path.read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, min(begin + 400, len(content))))
        into = data.draw(
            st.sampled_from([b"", b"\0", b"\xff\xfe", b"\r", b"\n", b'"', b"\\", b"}{", b"[", b"9" * 30, b"-1"])
            | st.just(content[begin:end] * 2)
        )
        content = content[:begin] + into + content[end:]
    damaged = tmp_path / path.name
    damaged.write_bytes(content)
    try:
        report = ingest_files(database, [str(damaged)], source=path.stem.split(".")[0])
    except GovernanceError as error:
        # where the header or the first line itself is damaged the file isn't begun
        if isinstance(error, IngestError) and path.suffix != ".parquet":
            raise
        return
    assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
    assert sum(report.reasons.values()) >= report.quarantined
    assert all(re.search("[a-z]{4}", reason) for reason in report.reasons)
