"""What is read of providers' reports: amounts to the last digit, classes that don't overlap, a reason for the rest."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_source_tokens import JUNK, spoil

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.files import OpenReportFile, OpenUsageFile, UsageFile
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources.catalogue import REPORTS
from orchestration.lib.usage.sources.report import Row

FOLDER = Path(__file__).parents[1] / "fixtures" / "reports"
AMOUNTS = ("cost_amount", "effective_cost_amount", "list_cost_amount")
FILES = {path.stem: path for path in FOLDER.iterdir()}


def rows(name: str, path: Path | None = None) -> list[Row]:
    report = REPORTS[name]
    with OpenReportFile(UsageFile.named(str(path or FILES[name])), report) as file:
        return [row for _, _, _, said in file.said() if said for row in report.rows(said)]


def said(row: Row, *names: str) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in names)


def test_every_report_has_a_file_and_a_section() -> None:
    assert set(FILES) == set(REPORTS)
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    assert all(f"\n| `{name}` | " in page for name in REPORTS)


def test_anthropic_says_cents() -> None:
    """A decimal text in cents: 123.78912 is 1.2378912 dollars, not a hundred times that."""
    found = rows("anthropic-costs")
    assert [row["cost_amount"] for row in found[:3]] == [Decimal("1.2378912"), Decimal("10.00"), Decimal("-0.055")]
    assert said(found[0], "model", "line_item", "currency", "provider") == (
        "claude-opus-4-5",
        "Claude Opus 4.5 Usage - Input Tokens",
        "USD",
        "anthropic",
    )
    assert found[2]["list_cost_amount"] == Decimal("0.11")
    assert found[3]["wrong"] == ["amount is not a number"]


def test_openai_as_csv_of_the_dashboard(tmp_path: Path) -> None:
    """A credit is negative, and a day without costs has a line all the same."""
    path = tmp_path / "costs.csv"
    path.write_text(
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id\n"
        "1795132800,1795219200,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00,0.8958740000000000,usd,gpt-5-mini,proj_a,org-x\n"
        "1795219200,1795305600,2026-11-21T00:00:00+00:00,2026-11-22T00:00:00+00:00,,,,,\n"
        "1795305600,1795392000,2026-11-22T00:00:00+00:00,2026-11-23T00:00:00+00:00,-0.25,usd,credit,proj_a,org-x\n"
    )
    found = rows("openai-costs", path)
    assert [said(row, "report", "cost_amount", "currency", "line_item", "wrong") for row in found] == [
        ("costs", Decimal("0.8958740000000000"), "USD", "gpt-5-mini", None),
        ("costs", Decimal("-0.25"), "USD", "credit", None),
    ]
    path = tmp_path / "usage.csv"
    path.write_text(
        "start_time,end_time,project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,input_tokens,"
        "output_tokens,input_cached_tokens,input_audio_tokens,output_audio_tokens\n"
        "1795132800,1795219200,proj_a,120,user-AbC,key_XyZ,gpt-4o-2024-08-06,False,default,1000,200,400,50,5\n"
    )
    (row,) = rows("openai-usage", path)
    names = ("report", "requests", "input_tokens", "cache_read_tokens", "output_tokens", "audio_input_tokens")
    assert said(row, *names) == ("usage.completions", 120, 600, 400, 200, 50)
    assert row["dimensions"]["user"] == "user-AbC"
    assert "wrong" not in row


def test_openrouter_sums_up_days() -> None:
    first, _, contradictory = rows("openrouter-activity")
    assert said(first, "provider", "report", "model", "requests", "cost_amount", "currency") == (
        *("openrouter", "activity", "openai/gpt-4.1-2025-04-14", 5, Decimal("0.0150000000000000001"), "USD"),
    )
    assert said(first, "input_tokens", "output_tokens", "reasoning_tokens") == (50, 100, 25)
    day = (first["period_start"], first["period_end"])
    assert [str(moment) for moment in day] == ["2026-11-20 00:00:00+00:00", "2026-11-21 00:00:00+00:00"]
    assert first["dimensions"] == {
        "upstream_provider": "OpenAI",
        "endpoint": "550e8400-e29b-41d4-a716-446655440000",
        "byok_usage_inference": "0.012",
        "byok_requests": "1",
    }
    assert contradictory["wrong"] == [
        "the report contradicts itself: completion_tokens is less than the parts that it includes"
    ]


def test_openrouter_of_a_day_without_its_page(tmp_path: Path) -> None:
    page = json.loads(FILES["openrouter-activity"].read_text())
    path = tmp_path / "items.json"
    path.write_text(json.dumps(page["data"]))
    assert all("keep the whole answer of the API" in row["wrong"][0] for row in rows("openrouter-activity", path))


def test_openai_says_dollars_as_numbers_to_be_taken_as_written() -> None:
    found = rows("openai-costs")
    assert [row["cost_amount"] for row in found] == [
        Decimal("0.8958740000000000000123"),
        Decimal("0.06"),
        Decimal("-0.25"),
        None,
    ]
    assert found[0]["dimensions"] == {"project": "proj_a"}
    assert found[3]["wrong"] == ["amount.value is missing"]


def test_openais_input_includes_what_was_cached() -> None:
    found = rows("openai-usage")
    assert [said(row, "model", "requests", *TOKEN_CLASSES) for row in found] == [
        ("gpt-4o-2024-08-06", 120, 600, 400, None, 200, None, 50, 5),
        ("gpt-5-mini", 1, 10, 0, None, 2, None, 0, 0),
        ("gpt-4o", 1, 20, 80, None, 1, None, 0, 0),
    ]
    assert found[0]["dimensions"] == {
        "project": "proj_a",
        "key": "key_XyZ",
        "batch": "false",
        "service_tier": "default",
    }
    assert found[2]["wrong"] == ["the report contradicts itself: input_tokens is less than the parts that it includes"]


def test_anthropics_classes_are_apart() -> None:
    first, second = rows("anthropic-usage")
    assert said(first, *TOKEN_CLASSES) == (1500, 200, 1500, 500, None, None, None)
    assert first.get("requests") is None
    assert second["wrong"] == ["uncached_input_tokens is not a whole number of 0 or more below 10^12"]


def test_focus_has_the_lines_of_models_only() -> None:
    found = rows("focus")
    assert [said(row, *AMOUNTS) for row in found] == [
        (Decimal("3.2400000001"), Decimal("3.24"), Decimal("3.60")),
        (1, 1, 1),
        (Decimal("-0.5"), Decimal("-0.5"), 0),
        (None, 1, 1),
    ]
    assert found[0]["dimensions"]["tag:team"] == "alpha"
    assert said(found[0], "provider", "account") == ("aws", "123456789012")
    assert found[3]["wrong"] == ["BilledCost is missing"]


@pytest.mark.parametrize("name", REPORTS)
def test_without_source_the_error_says_which_to_try(name: str) -> None:
    with pytest.raises(
        GovernanceError, match=f"sums of a period, which are no requests: load it with --source {name}$"
    ):
        OpenUsageFile(UsageFile.named(str(FILES[name])), {}, {})


@pytest.mark.parametrize("name", REPORTS)
@settings(deadline=None, max_examples=70)
@given(data=st.data())
def test_no_record_stops_a_report(name: str, data: st.DataObject) -> None:
    """Whatever stands in the place of a value, a row is right or has a reason against it; no amount is a float."""
    report = REPORTS[name]
    if FILES[name].suffix == ".csv":
        import csv

        records: list[Any] = list(csv.DictReader(FILES[name].open()))
    else:
        records = [json.loads(FILES[name].read_text(), parse_float=str)]
    for record in records:
        spoilt = spoil(data.draw, record) if data.draw(st.booleans()) else {**record, "data": data.draw(JUNK)}
        if not isinstance(spoilt, dict):
            continue
        for row in report.rows(spoilt):
            assert all(isinstance(row.get(amount), Decimal | None) for amount in AMOUNTS)
            assert all(isinstance(row.get(tokens), int | None) for tokens in TOKEN_CLASSES)
            assert row.get("wrong") or all(row.get(n) for n in ("period_start", "period_end", "starts_at", "ends_at"))
        report.recognises(spoilt)
