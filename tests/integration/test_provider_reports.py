"""Reports of providers in the database: replaced as a whole by newer ones, never counted beside requests."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from usage_loads import RECENT, counts, query

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh

FOLDER = Path(__file__).parents[1] / "fixtures" / "reports"
COST = "select sum(cost_amount) from core.provider_usage"
pytestmark = pytest.mark.usefixtures("emptied_and_refreshed", "no_reports")


@pytest.fixture
def no_reports(database: str) -> Iterator[None]:
    yield
    with connect(database) as connection:
        connection.execute("delete from core.provider_usage")


def load(database: str, *files: str | Path, source: str, **options: Any) -> IngestReport:
    report = ingest_files(database, [str(file) for file in files], source=source, **options)
    assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
    return report


@pytest.mark.parametrize(
    ("source", "expected", "cost"),
    [
        ("openai-usage", (2, 0, 1), None),
        ("openai-costs", (3, 0, 1), "0.7058740000000000000123"),
        ("anthropic-usage", (1, 0, 1), None),
        ("anthropic-costs", (3, 0, 1), "11.1828912"),
        ("openrouter-activity", (2, 0, 1), "0.5150000000000000001"),
        ("focus", (3, 0, 1), "3.7400000001"),
        ("invoice", (3, 0, 0), "1200.1250000000000000001"),
    ],
)
def test_a_report_is_loaded_once(database: str, source: str, expected: tuple[int, int, int], cost: str | None) -> None:
    (file,) = FOLDER.glob(f"{source}.*")
    assert counts(load(database, file, source=source)) == expected
    assert query(database, COST) == [(cost and Decimal(cost),)]
    assert counts(load(database, file, source=source)) == (0, expected[0], expected[2])
    assert query(database, COST) == [(cost and Decimal(cost),)]
    assert query(database, "select count(*) from internal.quarantine") == [(expected[2],)]
    assert query(database, f"select distinct file = '{file}', line > 0, replaced_at from core.provider_usage") == [
        (True, True, None)
    ]


def page(*buckets: tuple[int, int, list[object]]) -> str:
    day = int(RECENT.timestamp()) // 86400 * 86400
    return json.dumps(
        {
            "object": "page",
            "data": [
                {
                    "object": "bucket",
                    "start_time": day + begin * 3600,
                    "end_time": day + end * 3600,
                    "results": [
                        {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}}
                        for value in values
                    ],
                }
                for begin, end, values in buckets
            ],
        }
    )


def test_a_newer_report_of_a_bucket_takes_the_place_of_the_older(database: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.jsonl"
    # the running day was fetched three times into one file
    pages = [page((0, 24, [1, 2]), (24, 48, [5])), page((24, 48, [6])), page((24, 48, [7, 1]))]
    file.write_text("\n".join(pages) + "\n")
    report = load(database, file, source="openai-costs")
    assert counts(report) == (4, 2, 0)
    assert query(database, COST) == [(11,)]
    later = tmp_path / "later.json"
    later.write_text(page((24, 48, [9])))
    assert counts(load(database, later, source="openai-costs")) == (1, 0, 0)
    assert query(database, COST) == [(12,)]


def test_buckets_of_another_width_would_count_twice(database: str, tmp_path: Path) -> None:
    day, hour = tmp_path / "day.json", tmp_path / "hour.json"
    day.write_text(page((0, 24, [1])))
    hour.write_text(page((0, 1, [1])))
    load(database, day, source="openai-costs")
    with pytest.raises(GovernanceError, match="so it would count twice"):
        load(database, hour, source="openai-costs")
    assert query(database, COST) == [(1,)]
    # two accounts are two reports
    assert counts(load(database, hour, source="openai-costs", constants={"account": "b"})) == (1, 0, 0)
    assert query(database, COST) == [(2,)]


def test_lines_of_a_csv_of_one_day_belong_together(database: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.csv"
    lines = [
        "1795132800,1795219200,1,usd,input",
        "1795132800,1795219200,2,usd,output",
        "1795132800,1795219200,-0.5,usd,",
    ]
    file.write_text("\n".join(["start_time,end_time,amount_value,amount_currency,line_item", *lines]))
    assert counts(load(database, file, source="openai-costs")) == (3, 0, 0)
    assert query(database, COST) == [(Decimal("2.5"),)]
    file.write_text("\n".join(["start_time,end_time,amount_value,amount_currency,line_item", *lines[:2]]))
    assert counts(load(database, file, source="openai-costs")) == (2, 0, 0)
    assert query(database, COST) == [(3,)]


def test_files_of_one_focus_export_belong_together(database: str, tmp_path: Path) -> None:
    header, first, second, *_ = (FOLDER / "focus.csv").read_text().splitlines()
    parts = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for part, line in zip(parts, (first, second), strict=True):
        part.write_text(f"{header}\n{line}\n")
    assert counts(load(database, *parts, source="focus")) == (2, 0, 0)
    assert query(database, COST) == [(Decimal("4.2400000001"),)]
    # restated
    assert counts(load(database, parts[1], source="focus")) == (1, 0, 0)
    assert query(database, COST) == [(1,)]


def test_it_is_not_counted_beside_the_requests_of_a_gateway(
    database: str, tmp_path: Path, write_usage: Callable[..., str]
) -> None:
    """The same dollar of OpenAI, once by request and once in its bill, is one dollar."""
    requests = write_usage("time,provider,model,cost_amount", f"{RECENT.isoformat()},openai,gpt-4o,1")
    bill = tmp_path / "bill.json"
    bill.write_text(page((0, 24, [1])))
    ingest_files(database, [requests])
    load(database, bill, source="openai-costs")
    refresh(database)
    assert query(database, "select sum(cost), sum(requests) from reporting.cost_summary_view") == [(1, 1)]
    assert query(database, COST) == [(1,)]


def test_it_is_listed_and_taken_back(database: str, tmp_path: Path, run_ingest: Callable[..., Result]) -> None:
    older, newer = tmp_path / "older.json", tmp_path / "newer.json"
    older.write_text(page((0, 24, [1, None]), (24, 48, [2, 3])))
    newer.write_text(page((24, 48, [7])))
    load(database, older, source="openai-costs")
    load(database, newer, source="openai-costs")
    assert query(
        database,
        "select l.source, b.loaded, b.duplicate, b.quarantined, b.cost_amount, l.ended_at is not null"
        " from internal.loads as l inner join internal.load_batches as b on b.load_id = l.id order by l.id",
    ) == [(str(older), 3, 0, 1, 6, True), (str(newer), 1, 0, 0, 7, True)]
    result = run_ingest("--undo", "newer.json")
    assert (result.exit_code, query(database, COST)) == (0, [(1,)])
    assert "load the older report again" in result.stderr
    result = run_ingest("--undo", "older.json")
    assert result.stdout.endswith(": 1 row, and 1 from quarantine\n")
    assert "2 other rows of it had been replaced by a newer report before" in result.stderr
    assert query(database, "select (select count(*) from core.provider_usage), count(*) from internal.quarantine") == [
        (0, 0)
    ]
    assert run_ingest("--undo", "older.json").exit_code == 1
    assert counts(load(database, older, source="openai-costs")) == (3, 0, 1)


def test_files_of_one_command_are_taken_back_one_by_one(database: str, tmp_path: Path) -> None:
    header, first, second, *_ = (FOLDER / "focus.csv").read_text().splitlines()
    parts = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for part, line in zip(parts, (first, second), strict=True):
        part.write_text(f"{header}\n{line}\n")
    load(database, *parts, source="focus")
    assert undo(database, "2.csv").rows == 1
    assert query(database, "select count(*) from core.provider_usage") == [(1,)]
    # the whole export again is what was there before
    assert counts(load(database, *parts, source="focus")) == (2, 0, 0)


def test_only_tried(database: str) -> None:
    assert counts(load(database, FOLDER / "focus.csv", source="focus", trials=[])) == (3, 0, 1)
    assert query(database, "select count(*) from core.provider_usage") == [(0,)]
    assert query(database, "select count(*) from internal.quarantine") == [(0,)]
    assert query(database, "select count(*) from internal.loads") == [(0,)]


def test_the_command(database: str, run_ingest: Callable[..., Result]) -> None:
    result = run_ingest("--source", "anthropic-costs", str(FOLDER / "anthropic-costs.json"))
    assert result.exit_code == 0, result.output
    assert result.stdout == "read 4 = loaded 3 + duplicate 0 + changed 0 + quarantined 1\n"
    assert "amount is not a number (1 row)" in result.stderr
    assert "it isn't counted beside requests" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mapping": {"model": "x"}}, "focus is a report, of which nothing can be mapped or left out"),
        ({"constants": {"provider": "x"}}, "of which only the account can be set, not provider"),
    ],
)
def test_what_a_report_has_no_use_for(database: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(GovernanceError, match=message):
        load(database, FOLDER / "focus.csv", source="focus", **options)


@pytest.mark.parametrize("content", ["{", "[1, null]", '{"data": [{"results": 1}]}', ""])
def test_what_is_no_page(database: str, tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    report = load(database, path, source="openai-costs")
    assert report.loaded == 0
    assert report.quarantined == report.read
