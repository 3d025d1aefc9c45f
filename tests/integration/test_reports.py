"""The compliance report: numbers that are those of the requests, files that prove themselves, periods without data."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from core_rows import add
from engines import Engine

from orchestration.lib.audit import sign
from orchestration.lib.audit.seal import seal
from orchestration.lib.compliance import render
from orchestration.lib.compliance.report import verify_report, write_report
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("postgres")

# the last instants of September and October in UTC, and the first of October and November
REQUESTS = [
    ("{before}-01T00:00:00Z", "before", "1.25", "success", "USD"),
    ("{month}-01T00:00:00Z", "first", "0.1", "success", "USD"),
    ("{month}-15T12:00:00Z", "failed", "0.2", "error", "USD"),
    ("{month}-15T12:00:01Z", "unpriced", None, "success", "USD"),
    ("{month}-15T12:00:02Z", "euro", "0.000000001", "success", "EUR"),
    ("{month}-{last}T23:59:59.999999Z", "last", "0.3", "success", "USD"),
    ("{after}-01T00:00:00Z", "after", "9", "success", "USD"),
]


@pytest.fixture(scope="module")
def months(database: str) -> list[str]:
    """Three months that are over, and whose raw rows are kept, as 2026-10."""
    with connect(database) as connection:
        rows = connection.execute(
            "select to_char(date_trunc('month', now(), 'UTC') - months * interval '1 month', 'YYYY-MM')"
            " from generate_series(3, 0, -1) as months"
        ).fetchall()
    return [month for (month,) in rows]


@pytest.fixture(scope="module")
def warehouse(database: str, months: list[str]) -> str:
    before, month, after, _ = months
    first = datetime.fromisoformat(f"{after}-01T00:00:00Z")
    last = (first.replace(day=1) - (first - first.replace(hour=0))).toordinal()
    days = datetime.fromordinal(last - 1).day
    with connect(database) as connection:
        team = add(connection, "teams", name="=Team <b>", slug="team", cost_center="cc")
        for moment, request, cost, status, currency in REQUESTS:
            time = moment.format(before=before, month=month, after=after, last=f"{days:02}")
            connection.execute(
                "insert into core.llm_metrics"
                " (time, request_id, team_id, provider, model, cost_amount, cost_source, status, currency)"
                " values (%s, %s, %s, 'openai', %s, %s, %s, %s, %s)",
                [time, request, team, f"gpt {request}", cost, "provider" if cost else "unpriced", status, currency],
            )
    refresh(database)
    return database


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def reports(warehouse: str, months: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("reports")
    for month in months[:2]:
        write_report(warehouse, month, output)
    return output


def test_what_a_report_says_is_what_was_requested(reports: Path, months: list[str]) -> None:
    folder = reports / f"month-{months[1]}"
    euro, dollar = table(folder, "spend")
    assert (euro["currency"], Decimal(euro["cost"]), euro["cost_before"]) == ("EUR", Decimal("0.000000001"), "")
    assert Decimal(dollar["cost"]) == Decimal("0.6")
    assert (dollar["requests"], dollar["failed_requests"], dollar["unpriced_requests"]) == ("4", "1", "1")
    assert (Decimal(dollar["cost_before"]), dollar["requests_before"]) == (Decimal("1.25"), "1")
    for name in ("spend_by_team", "spend_by_model", "spend_by_day"):
        of_dollar = [row for row in table(folder, name) if row["currency"] == "USD"]
        assert sum(Decimal(row["cost"] or 0) for row in of_dollar) == Decimal("0.6")
    # of the page and of a spreadsheet
    assert {row["team"] for row in table(folder, "spend_by_team")} == {"'=Team <b>"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "=Team &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http-equiv", "")
    said = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [verdict["state"] for verdict in said["verdicts"] if verdict["subject"] == "Prices"] == ["attention"]
    assert [row["model"] for row in table(folder, "inventory") if row["is_new"] == "yes"] == [
        "gpt euro", "gpt failed", "gpt first", "gpt last", "gpt unpriced",
    ]  # fmt: skip


def test_a_report_is_checked_by_its_manifest_and_continues_the_one_before(reports: Path, months: list[str]) -> None:
    first, second = (reports / f"month-{month}" for month in months[:2])
    assert verify_report(first) == verify_report(second) == []
    manifest = json.loads((second / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["previous"]["folder"] == first.name
    # a copy in which each thing is changed
    kept = (second / "spend.csv").read_bytes()
    (second / "spend.csv").write_bytes(kept.replace(b"0.6", b"0.7"))
    (second / "more.txt").write_text("added")
    older = (first / "manifest.json").read_text(encoding="utf-8")
    (first / "manifest.json").write_text(f"{older} ", encoding="utf-8")
    assert verify_report(second) == [
        "spend.csv is not the file that was written",
        "more.txt was added",
        f"the report before it, {first.name}, is not the one it continues",
    ]
    (second / "spend.csv").write_bytes(kept)
    (second / "more.txt").unlink()
    (first / "manifest.json").write_text(older, encoding="utf-8")
    assert verify_report(second) == []


def test_a_closed_period_says_the_same_again(warehouse: str, reports: Path, months: list[str], tmp_path: Path) -> None:
    again, contents = write_report(warehouse, months[1], tmp_path)
    before = reports / again.name
    of_period = [f"{name}.csv" for name, table in contents.tables.items() if table.of_period]
    assert {"spend.csv", "findings.csv", "inventory.csv"} <= set(of_period)
    for name in of_period:
        assert (again / name).read_bytes() == (before / name).read_bytes()


def test_an_empty_period_says_so_and_one_to_come_is_refused(warehouse: str, tmp_path: Path) -> None:
    folder, contents = write_report(warehouse, "2001-05", tmp_path)
    assert contents.verdicts[0].state == "no data"
    assert "No data" in (folder / "report.html").read_text(encoding="utf-8")
    assert table(folder, "spend") == []
    with pytest.raises(GovernanceError, match="is there already"):
        write_report(warehouse, "2001-05", tmp_path)
    with pytest.raises(GovernanceError, match="has not begun"):
        write_report(warehouse, "2999-01", tmp_path)


def test_findings_have_condition_criteria_effect_and_recommendation(warehouse: str, tmp_path: Path) -> None:
    assert verify(warehouse).violations
    folder, contents = write_report(warehouse, f"{datetime.now(UTC):%Y}", tmp_path)
    rows = table(folder, "findings")
    assert rows
    for row in rows:
        for column in ("condition", "criteria", "effect", "recommendation"):
            assert row[column], row
    states = {verdict.subject: verdict.state for verdict in contents.verdicts}
    assert states["Verification"] in ("attention", "problem")
    # nobody looked at a period in which nothing ran
    _, before = write_report(warehouse, "2001-07", tmp_path)
    assert {verdict.subject: verdict.state for verdict in before.verdicts}["Verification"] == "no data"
    assert any(verdict.subject == "Period" and verdict.state == "attention" for verdict in contents.verdicts)


@pytest.fixture
def signed(engine: Engine, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    with engine.database("reports_signed") as url:
        seal(url)
        yield url, tmp_path


def test_the_audit_trail_is_verified_where_it_is_signed(signed: tuple[str, Path]) -> None:
    url, folder = signed
    public = sign.create_key(folder / "key", "test")
    sign.sign(url, folder / "key", [folder / "anchor"])
    _, contents = write_report(url, "2001-01", folder / "one", keys=[public], checkpoints=[folder / "anchor"])
    assert contents.verdicts[-1].message.startswith("OK: ")
    with connect(url) as connection:
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute("delete from core.audit_logs where id = (select min(id::text) from core.audit_logs)::uuid")
    _, contents = write_report(url, "2001-01", folder / "two", keys=[public], checkpoints=[folder / "anchor"])
    assert contents.verdicts[-1].message.startswith("MISSING: ")
    assert contents.state == "problem"


def test_nothing_is_left_of_a_report_that_failed(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(report: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(render, "html", broken)
    with pytest.raises(OSError, match="No space left"):
        write_report(warehouse, "2001-06", tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []
