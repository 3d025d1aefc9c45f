"""What Dagster is told of failed nodes, violations, drills and files that landed; nothing of it needs a database."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import dagster as dg
import pytest
from dagster_dbt import DbtCliInvocation

from orchestration.defs import failures
from orchestration.defs.backup import jobs as backup_jobs
from orchestration.defs.ingestion import landing
from orchestration.defs.verification import checks
from orchestration.defs.verification.violations import as_metadata, rule_of
from orchestration.defs.warehouse.failed_nodes import what_failed
from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.result import Verification, Violation
from orchestration.lib.landed import LandedFile, Landing


class Build:
    """A build that has ended with these results; None where dbt came to none."""

    def __init__(self, results: list[dict[str, Any]] | None) -> None:
        self.results = results

    def get_artifact(self, name: str) -> dict[str, Any]:
        assert name == "run_results.json"
        if self.results is None:
            raise FileNotFoundError(name)
        return {"results": self.results}


def node(unique_id: str, status: str, *, failures: int | None = None, message: str | None = None) -> dict[str, Any]:
    return {"unique_id": unique_id, "status": status, "failures": failures, "message": message}


def said(results: list[dict[str, Any]] | None, found: dict[str, dict[str, Any]] | None = None) -> str | None:
    return what_failed(cast("DbtCliInvocation", Build(results)), found or {})


def violations(count: int) -> list[Violation]:
    return [Violation("stale", "error", f"t{number}", "is old.", "Refresh it.") for number in range(count)]


def test_failed_nodes_are_told_with_rules_first_and_always_in_one_order() -> None:
    found = {"stale": as_metadata(Verification([], violations(3)))}
    results = [
        node("model.p.zones", "error", message="no\n  such column"),
        node("test.p.a_row.1f", "fail", failures=1_200),
        node("model.p.fine", "success"),
        node("test.p.no_stale.2e", "fail", failures=3),
        node("test.p.warned.3d", "warn", failures=1),
    ]
    told = [
        "2 checks and 1 model failed:",
        "no_stale: t0: is old. Refresh it. And 2 more.",
        "a_row: 1,200 rows that should not be there",
        "zones: no such column",
    ]
    assert said(results, found) == said(results[::-1], found) == "\n".join(told)


def test_the_first_ten_failed_nodes_are_told_and_how_many_more_there_are() -> None:
    results = [node(f"model.p.m{number:02}", "error", message="no") for number in range(12)]
    lines = (said(results) or "").splitlines()
    assert lines == ["12 models failed:", *(f"m{number:02}: no" for number in range(10)), "and 2 more"]
    assert (said(results[:10]) or "").splitlines() == ["10 models failed:", *lines[1:11]]


@pytest.mark.parametrize("results", [None, [], [node("model.p.fine", "success")]])
def test_a_build_without_a_failed_node_tells_none(results: list[dict[str, Any]] | None) -> None:
    assert said(results) is None


@pytest.mark.parametrize(("count", "shown"), [(1, None), (10, None), (11, "the first 10 of 11; `governance verify` ")])
def test_violations_are_a_table_of_the_first_ones(count: int, shown: str | None) -> None:
    metadata = as_metadata(Verification([], violations(count), excused=violations(2), not_run={"other": "too slow"}))
    assert (metadata["violations"], metadata["accepted"]) == (count, 2)
    assert len(metadata["what is wrong"].records) == min(count, 10)
    assert metadata["other could not run"] == "too slow"
    assert metadata.get("shown", "").startswith(shown) if shown else "shown" not in metadata


def test_only_the_check_of_its_emptiness_is_about_a_rule() -> None:
    rule = dg.AssetKey(["verification", "stale"])
    assert rule_of(dg.AssetCheckKey(rule, "no_stale")) == "stale"
    assert rule_of(dg.AssetCheckKey(rule, "not_null_stale_subject")) is None
    assert rule_of(dg.AssetCheckKey(dg.AssetKey(["core", "stale"]), "no_stale")) is None


@pytest.mark.parametrize(
    ("verification", "expected"),
    [
        (Verification([]), (True, "WARN")),
        (Verification([], violations(1)), (False, "ERROR")),
        (Verification([], not_run={"probe": "no rights"}), (False, "WARN")),
        (Verification([], violations(1), not_run={"probe": "no rights"}), (False, "ERROR")),
    ],
)
def test_a_deep_check_passes_only_where_all_was_asked_and_is_right(
    monkeypatch: pytest.MonkeyPatch, verification: Verification, expected: tuple[bool, str]
) -> None:
    monkeypatch.setattr(checks, "database_url", lambda: "postgresql://nowhere")
    monkeypatch.setattr(checks, "collect", lambda *_, **__: verification)
    result = checks.probe()
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity.value) == expected


def test_a_deep_check_that_cannot_run_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> str:
        raise GovernanceError("no database")

    monkeypatch.setattr(checks, "database_url", away)
    result = checks.probe()
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.metadata["could not run"].value == "no database"


@pytest.mark.parametrize(
    ("days", "passed", "words"),
    [(None, False, "No restore was tried here"), (34, True, ""), (36, False, "The last restore was tried on 2026-")],
)
def test_a_drill_is_recent_for_35_days(
    monkeypatch: pytest.MonkeyPatch, days: int | None, passed: bool, words: str
) -> None:
    later = datetime(2026, 12, 1, tzinfo=UTC) if days is None else datetime.now(UTC) + timedelta(days=days)
    with dg.DagsterInstance.ephemeral() as instance:
        if days is not None:
            instance.report_runless_asset_event(dg.AssetMaterialization(backup_jobs.DRILL))

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return later

        monkeypatch.setattr(backup_jobs, "datetime", Later)
        result = backup_jobs.drill_is_recent(dg.build_asset_check_context(instance=instance))
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is passed
    assert (result.description or "").startswith(words)
    assert passed or result.severity == dg.AssetCheckSeverity.WARN


def test_the_same_files_are_asked_for_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_796_000_400.0
    monkeypatch.setattr(time, "time", lambda: now)
    file = LandedFile("/landing/a.jsonl", 10, datetime(2026, 11, 28, tzinfo=UTC))
    key = landing.run_key(Landing([file]))
    assert landing.run_key(Landing([file])) == key
    others = (
        [replace(file, path="/landing/b.jsonl")],
        [replace(file, size=11)],
        [replace(file, modified_at=file.modified_at + timedelta(seconds=1))],
        [file, replace(file, path="/landing/b.jsonl")],
    )
    assert len({key, *(landing.run_key(Landing(other)) for other in others)}) == 5
    now += 3600
    assert landing.run_key(Landing([file])) != key


def test_each_pause_before_another_try_is_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that restarts is back within them: 155 seconds."""
    pauses = []
    for tried in range(failures.RETRIES):
        context = dg.build_op_context()
        monkeypatch.setattr(type(context), "retry_number", tried, raising=False)
        monkeypatch.setattr(dg.OpExecutionContext, "get", staticmethod(lambda context=context: context))
        with pytest.raises(dg.RetryRequested) as asked:
            failures.fail("the server is away", OSError(), transient=True)
        pauses.append(asked.value.seconds_to_wait)
    assert pauses == [5, 10, 20, 40, 80]
