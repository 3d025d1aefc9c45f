"""The parts of a report: page, PDF and files say the same, each number leads to its rows, each control is asked."""

import json
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from core_rows import add, add_policy, add_team, add_user
from pypdf import PdfReader

from orchestration.lib.compliance import controls, paper, render
from orchestration.lib.compliance.report import verify_report, write_report
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("postgres")

NOW = datetime.now(UTC)
# of the last whole month and the one before
MONTH = (NOW.replace(day=1) - timedelta(days=1)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
BEFORE = (MONTH - timedelta(days=1)).replace(day=1)


@pytest.fixture(scope="module")
def warehouse(database: str) -> str:
    """A month with something in each part: requests, a policy, an alert, the audit trail, people who came and went."""
    with connect(database) as connection:
        team = add_team(connection, name="データ <b> 🙂", budget_amount=1, budget_period="month", currency="USD")
        ann = add_user(connection, email="ann@example.com", status="active", created_at=MONTH + timedelta(days=2))
        add_user(
            connection,
            email="bob@example.com",
            status="deactivated",
            created_at=BEFORE,
            deleted_at=MONTH + timedelta(days=9),
        )
        policy = add_policy(connection, slug="pii", policy_type="content_filter", is_active=True, effective_from=BEFORE,
                            rules={"detect": ["email"], "action": "block"}, enforcement="block")  # fmt: skip
        add(connection, "policy_assignments", policy_id=policy, user_id=ann, effective_from=BEFORE)
        add(connection, "team_members", team_id=team, user_id=ann, joined_at=MONTH + timedelta(days=3))
        [(role,)] = connection.execute("select id from core.roles where slug = 'viewer'")
        add(connection, "user_roles", user_id=ann, role_id=role, granted_by=ann, granted_at=MONTH + timedelta(days=4))
        for number, (month, cost) in enumerate(((BEFORE, "1"), (MONTH, "0.5"), (MONTH, "1234.565"), (MONTH, None))):
            connection.execute(
                "insert into core.llm_metrics (time, request_id, team_id, provider, model, cost_amount, cost_source,"
                " policy_id, policy_decision) values (%s, %s, %s, 'openai', %s, %s, %s, %s, 'block')",
                [month + timedelta(days=number), f"r{number}", team, f"gpt-{number}", cost,
                 "provider" if cost else "unpriced", policy],
            )  # fmt: skip
        at = MONTH + timedelta(days=5)
        add(connection, "alerts", alert_type="budget", severity="critical", title="Over", created_at=at,
            status="resolved", acknowledged_at=at + timedelta(hours=2), resolved_at=NOW)  # fmt: skip
        add(connection, "alerts", alert_type="budget", severity="low", title="Nearly", created_at=at)
        for outcome in ("failure", "success"):
            connection.execute(
                "insert into core.audit_logs (occurred_at, actor_type, actor_label, action, resource_type, outcome)"
                " values (%s, 'user', 'ann@example.com', 'session.login', 'sessions', %s)",
                [at, outcome],
            )
    refresh(database)
    return database


@pytest.fixture(scope="module")
def report(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    output = tmp_path_factory.mktemp("reports")
    write_report(warehouse, f"{BEFORE:%Y-%m}", output)
    folder, _ = write_report(warehouse, f"{MONTH:%Y-%m}", output)
    return folder, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def rows(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    table = report["tables"][name]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_each_part_says_what_happened(report: tuple[Path, dict[str, Any]]) -> None:
    folder, said = report
    figures = {figure["label"]: figure["value"] for figure in said["figures"]}
    assert (figures["requests"], figures["without a price"], figures["models in use"]) == ("3", "1", "3")
    assert (figures["cost, USD"], figures["against the period before, USD"]) == ("1,235.06", "+123406.5%")
    assert (figures["accounts created"], figures["accounts deactivated"]) == ("1", "1")
    assert (figures["requests blocked"], figures["failed or refused"], figures["roles granted"]) == ("3", "1", "1")
    assert (figures["hours to acknowledge, median"], figures["hours to resolve, median"]) == ("2.0", "not yet")
    # open at the end of the month, whatever came later
    assert sorted(row["status"] for row in rows(said, "alerts")) == ["acknowledged", "open"]
    assert [row["outcome"] for row in rows(said, "refusals") if row["actor"] == "ann@example.com"] == ["failure"]
    assert [row["is_self_granted"] for row in rows(said, "grants")] == ["yes"]
    assert {row["event"] for row in rows(said, "joiners_and_leavers")} == {
        "account created", "account deactivated", "joined team",
    }  # fmt: skip
    assert all("content_filter" in row["types_without_policy"] for row in rows(said, "policy_gaps"))
    assert rows(said, "policy_gaps")
    own = {row["rule"]: row for row in rows(said, "findings")}
    assert {"report_prices", "report_grants", "report_alerts"} <= set(own)
    for row in own.values():
        assert all(row[name] for name in ("condition", "criteria", "cause", "effect", "recommendation"))
    changed = {row["what"]: (row["before"], row["now"]) for row in rows(said, "changes")}
    assert changed["cost, USD"] == ("1.00", "1,235.06")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["dbt_invocation"]
    assert manifest["rows_in"]["requests"] == 3
    assert manifest["period"]["start_local"].startswith(f"{MONTH:%Y-%m}-01T00:00:00")


def test_each_link_leads_somewhere(report: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = report
    page = (folder / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    places = set(re.findall(r' id="([^"]+)"', page))
    assert len(places) == len(re.findall(r' id="', page)), "an id twice"
    assert {link[1:] for link in links if link.startswith("#")} <= places
    assert {link for link in links if not link.startswith("#")} <= {path.name for path in folder.iterdir()}
    assert len(page) < 2_000_000
    assert "<script" not in page
    # headings one level at a time, tables and drawings with what a screen reader needs
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.count("<caption>") == page.count("<table>")
    assert page.count('role="img" aria-label="') == page.count("<svg") > 0


def test_page_and_pdf_say_the_same_numbers(report: tuple[Path, dict[str, Any]]) -> None:
    folder, said = report
    page = render.page(said)
    shown = [figure["value"] for part in page["parts"] for figure in part["figures"]]
    shown += [verdict["message"] for verdict in page["verdicts"]]
    shown += [cell for part in page["parts"] for table in part["tables"] for row in table["rows"] for cell in row]
    assert "1,235.06" in shown
    html = _squeezed(re.sub(r"<[^>]+>", "", (folder / "report.html").read_text(encoding="utf-8")))
    pdf = _squeezed("".join(each.extract_text() for each in PdfReader(folder / "report.pdf").pages))
    for text in shown:
        for number in re.findall(r"\d[\d,.]*", text):
            assert number.rstrip(".,") in pdf, (number, text)
            assert number.rstrip(".,") in html, (number, text)
    # a number that only one of them has would be told
    assert "7,654,321" not in pdf


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


def test_the_pdf_is_the_same_bytes_and_accessible(report: tuple[Path, dict[str, Any]]) -> None:
    folder, said = report
    written = (folder / "report.pdf").read_bytes()
    as_of = datetime.strptime(said["as_of"], "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    assert paper.pdf(render.page(said), as_of) == written
    reader = PdfReader(BytesIO(written))
    assert b"pdfuaid:part" in written
    assert reader.metadata is not None
    assert reader.metadata.title == f"Compliance report {MONTH:%Y-%m}"
    # what its fonts don't have is told, not lost without a word
    text = "".join(page.extract_text() for page in reader.pages)
    assert "shown as □" in text
    assert "データ" not in text
    assert "データ &lt;b&gt; 🙂" in (folder / "report.html").read_text(encoding="utf-8")


def test_without_typst_there_is_no_pdf_and_a_whole_report(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "is_installed", lambda: False)
    folder, _ = write_report(warehouse, "2001-03", tmp_path)
    assert not (folder / "report.pdf").exists()
    assert verify_report(folder) == []
    monkeypatch.setattr(paper, "is_installed", lambda: True)
    monkeypatch.setattr(paper, "_STANDARD", "no such standard")
    with pytest.raises((GovernanceError, ValueError)):
        write_report(warehouse, "2001-04", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_every_control_is_asked_and_none_says_that_it_complies(
    warehouse: str, report: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, said = report
    answered = {row["control"]: row for row in rows(said, "controls")}
    lines = list(controls.controls())
    assert set(answered) == {line.control for line in lines}
    assert {row["framework"].split()[0] for row in answered.values()} == {"SOC", "ISO/IEC", "NIST", "EU"}
    for row in answered.values():
        assert row["answer"] in ("supports", "exceptions to look at", "no evidence", "no data")
        assert (folder / row["file"]).exists(), row["control"]
    assert answered["soc2-cc6.3-self"]["answer"] == "exceptions to look at"
    assert answered["eu-ai-act-12-requests"]["result"] == "3"
    assert answered["soc2-cc7.1-verified"]["answer"] == "no evidence"
    for path in folder.iterdir():
        if path.suffix in (".html", ".csv", ".json"):
            assert "complies" not in path.read_text(encoding="utf-8").lower(), path.name
    # a month in which nothing was recorded has no data rather than an exception
    empty, _ = write_report(warehouse, "2001-02", tmp_path)
    nothing = json.loads((empty / "report.json").read_text(encoding="utf-8"))
    assert {row["control"]: row["answer"] for row in rows(nothing, "controls")}["eu-ai-act-12-requests"] == "no data"


def test_the_seed_is_what_the_report_asks(warehouse: str) -> None:
    with connect(warehouse) as connection:
        stored = connection.execute("select control, query, expected, file from seeds.controls").fetchall()
    assert sorted(stored) == sorted(
        (each.control, each.query, each.expected, each.file) for each in controls.controls()
    )


def test_what_is_of_the_period_says_the_same_at_another_moment(
    warehouse: str, report: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, said = report
    again, _ = write_report(warehouse, f"{MONTH:%Y-%m}", tmp_path)
    manifest = json.loads((again / "manifest.json").read_text(encoding="utf-8"))
    named = manifest["of_the_moment"]
    for path in folder.iterdir():
        if path.suffix == ".csv" and path.name not in named["files"]:
            assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    other = json.loads((again / "report.json").read_text(encoding="utf-8"))
    for each in (said, other):
        for field in named["fields"]:
            each.pop(field, None)
        for name in named["files"]:
            each["tables"].pop(name.removesuffix(".csv"), None)
    assert said == other


def test_causes_of_rules_are_known(warehouse: str, tmp_path: Path) -> None:
    assert verify(warehouse).violations
    _, contents = write_report(warehouse, f"{NOW:%Y-%m}", tmp_path)
    found = contents.tables["findings"].dicts()
    assert any(not (row["rule"] or "").startswith("report_") for row in found)
    for row in found:
        assert row["cause"], row
        assert "Not known" not in row["cause"], row["rule"]


def test_views_of_people_see_no_secret(connection: Connection) -> None:
    columns = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'reporting' and table_name in"
        " ('access_review_items', 'joiners_and_leavers', 'access_decisions')"
    ).fetchall()
    assert columns
    assert not [name for (name,) in columns if "hash" in name or "secret" in name]
