"""What verification found is kept: what is new, what is gone, what was accepted, and nobody changes it afterwards."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest
from click.testing import CliRunner
from engines import Engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.evidence.result import Rule, Verification, Violation
from orchestration.lib.evidence.store import collect, drop_old_evidence
from orchestration.lib.verification.run import verify

RULES = [Rule(name, "made up", "warn") for name in ("a", "b")]


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("evidence") as url:
        yield url


def found(*keys: tuple[str, str], said: str = "It is wrong.", asked: str = "ab") -> Verification:
    rules = [rule for rule in RULES if rule.rule in asked]
    return Verification(rules, [Violation(rule, "warn", subject, said, "Mend it.") for rule, subject in keys])


def record(url: str, verification: Verification, program: str | None = "test") -> Verification:
    return collect(url, [lambda _url, /: verification], program=program)


def findings(url: str) -> list[tuple[str, str, bool]]:
    """Rule, subject and whether it is open, in the order in which they appeared."""
    with connect(url) as connection:
        query = (
            "select rule, subject, resolved_at is null from verification.findings order by first_seen, rule, subject"
        )
        return connection.execute(query).fetchall()


def count(url: str, table: str) -> int:
    with connect(url) as connection:
        [(rows,)] = connection.execute(sql.SQL("select count(*) from internal.{}").format(sql.Identifier(table)))
    return int(rows)


def accept(url: str, rule: str, subject: str) -> None:
    with connect(url) as connection:
        connection.execute(
            "insert into seeds.verification_exceptions values (%s, %s, 'known (Kim)', current_date + 1)",
            [rule, subject],
        )


def test_a_finding_appears_stays_goes_and_comes_back(warehouse: str) -> None:
    first = record(warehouse, found(("a", "x"), ("b", "y")))
    assert (first.new, first.resolved, first.history.last_run) == ([], [], None), "there was nothing to compare with"
    same = record(warehouse, found(("a", "x"), ("b", "y")))
    assert (same.new, same.resolved) == ([], [])
    assert count(warehouse, "verification_findings") == 2, "a run that finds nothing new adds no finding"
    other = record(warehouse, found(("a", "x"), ("a", "z")))
    assert ([each.subject for each in other.new], other.resolved) == (["z"], [("b", "y")])
    back = record(warehouse, found(("b", "y"), asked="b"))
    assert [each.subject for each in back.new] == ["y"]
    assert back.resolved == [], "what wasn't asked isn't gone"
    assert findings(warehouse) == [("a", "x", True), ("b", "y", False), ("a", "z", True), ("b", "y", True)]
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select f.subject, f.first_seen = first.ended_at, f.last_seen = last.ended_at, f.run from"
            " verification.findings as f, internal.verification_runs as first, internal.verification_runs as last"
            " where f.rule = 'a' and first.id = case f.subject when 'x' then 1 else 3 end and last.id = 3 order by 1"
        ).fetchall()
    assert rows == [("x", True, True, 3), ("z", True, True, 3)]


def test_what_is_said_last_is_shown_and_what_was_said_before_is_kept(warehouse: str) -> None:
    record(warehouse, found(("a", "x"), said="One is wrong."))
    record(warehouse, found(("a", "x"), said="Two are wrong."))
    with connect(warehouse) as connection:
        [(message,)] = connection.execute("select message from verification.findings").fetchall()
        said = connection.execute("select message from internal.verification_findings order by id").fetchall()
    assert message == "Two are wrong."
    assert said == [("One is wrong.",), ("Two are wrong.",)]


def test_a_rule_that_gave_no_answer_resolves_nothing(warehouse: str) -> None:
    record(warehouse, found(("a", "x")))
    broken = Verification(RULES, not_run={"a": "it took longer than 1 s"})
    assert record(warehouse, broken).resolved == []
    assert findings(warehouse) == [("a", "x", True)]


def test_one_rule_of_matching_accepts_whatever_found_it(warehouse: str) -> None:
    """Of * it makes any text, and of nothing else: % _ [ and \\ are themselves."""
    for subject in ("grant * to gateway", "100%", "a_b", "[x]", "back\\slash"):
        accept(warehouse, "a", subject)
    accepted = ("grant select on core.teams to gateway", "100%", "a_b", "[x]", "back\\slash")
    refused = ("grant x to gateways", "1000", "axb", "x", "backslash")
    verification = record(warehouse, found(*[("a", subject) for subject in (*accepted, *refused)]))
    assert {each.subject for each in verification.excused} == set(accepted)
    assert {each.accepted_by for each in verification.excused} == {"known (Kim)"}
    assert {each.subject for each in verification.violations} == set(refused)
    with connect(warehouse) as connection:
        rows = connection.execute("select subject from verification.findings where accepted_by = 'known (Kim)'")
        assert {subject for (subject,) in rows} == set(accepted)


def test_exceptions_of_probes_and_drift_name_rules_that_there_are(warehouse: str) -> None:
    for rule in ("deep_drift", "probe", "nothing"):
        accept(warehouse, rule, "x")
    (stale,) = verify(warehouse, ["stale_exceptions"]).violations
    assert stale.subject == "nothing: x"


def test_the_evidence_is_append_only_until_its_retention(warehouse: str) -> None:
    record(warehouse, found(("a", "x"), ("a", "y")))
    record(warehouse, found(("a", "x")))
    with connect(warehouse) as connection:
        for table in ("verification_runs", "verification_findings"):
            for statement in ("delete from {}", "update {} set id = default", "truncate {} cascade"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
                    connection.execute(sql.SQL(statement).format(sql.Identifier("internal", table)))
    assert drop_old_evidence(warehouse) == 0
    with connect(warehouse) as connection:
        connection.execute("update internal.settings set value = '0 seconds' where name = 'verification_retention'")
    # y is resolved: both of its rows go; the runs stay, the first for what is still found, the last as the last
    assert drop_old_evidence(warehouse) == 2
    assert findings(warehouse) == [("a", "x", True)]
    assert count(warehouse, "verification_runs") == 2
    for _ in range(3):
        record(warehouse, found(("a", "x")))
    assert drop_old_evidence(warehouse) == 3
    result = CliRunner(env={"GOVERNANCE_DATABASE_URL": warehouse}).invoke(main, ["retain"])
    assert (result.exit_code, result.output) == (0, "nothing is older than its retention\n"), result.output


def test_a_run_that_is_not_recorded_leaves_no_trace(warehouse: str) -> None:
    record(warehouse, found(("a", "x")))
    read_only = warehouse + ("&" if "?" in warehouse else "?") + "options=-c%20default_transaction_read_only%3Don"
    for url, program in ((warehouse, None), (read_only, "test")):
        assert [each.subject for each in record(url, found(("a", "y")), program).new] == ["y"]
    assert count(warehouse, "verification_runs") == 1


def test_the_command_says_what_is_new_and_what_is_gone(warehouse: str) -> None:
    future = "insert into core.llm_metrics (time, request_id, provider, model, source)"
    future += " values (now() + interval '1 hour', '1', 'p', 'm', 'edge')"
    run = partial(CliRunner(env={"GOVERNANCE_DATABASE_URL": warehouse}).invoke, main)
    assert "Since the last run" not in run(["verify", "-s", "clock_skew"]).output
    with connect(warehouse) as connection:
        connection.execute(future.encode())
        lines = run(["verify", "-s", "clock_skew"]).output.splitlines()
        assert lines[1].split()[:4] == ["warn", "new", "clock_skew", "edge"]
        assert lines[-1].endswith(": 1 new, 0 resolved")
        again = run(["verify", "-s", "clock_skew"]).output.splitlines()
        assert again[1].split()[:2] == ["warn", f"{datetime.now(UTC):%Y-%m-%d}"]
        connection.execute("delete from core.llm_metrics")
    gone = json.loads(run(["verify", "-s", "clock_skew", "--json"]).stdout)
    assert gone["resolved"] == [{"rule": "clock_skew", "subject": "edge"}]
    assert gone["summary"] == {
        "error": 0, "warn": 0, "info": 0, "accepted": 0, "new": 0, "resolved": 1, "rules": 1,
    }  # fmt: skip
    with connect(warehouse) as connection:
        runs = connection.execute("select program, answered, ended_at >= started_at from internal.verification_runs")
        assert runs.fetchall() == [("governance verify", ["clock_skew"], True)] * 4


KEYS = st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z"])))


@pytest.mark.engines("postgres")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs=st.lists(st.tuples(KEYS, st.sampled_from(["a", "b", "ab"])), min_size=1, max_size=8))
def test_what_is_open_is_what_was_found_last(shared: str, runs: list[tuple[set[tuple[str, str]], str]]) -> None:
    """Against a small oracle: a set of open findings, and how often each appeared."""
    with connect(shared) as connection:
        connection.execute("alter table internal.verification_runs disable trigger all")
        connection.execute("alter table internal.verification_findings disable trigger all")
        connection.execute("truncate internal.verification_runs, internal.verification_findings")
    still_open: set[tuple[str, str]] = set()
    appeared = 0
    for keys, asked in runs:
        there = {key for key in keys if key[0] in asked}
        expected = still_open & {key for key in still_open if key[0] in asked}
        verification = record(shared, found(*sorted(there), asked=asked))
        assert set(verification.resolved) == expected - there
        appeared += len(there - still_open)
        still_open = (still_open - expected) | there
    rows = findings(shared)
    assert {(rule, subject) for rule, subject, is_open in rows if is_open} == still_open
    assert len(rows) == appeared


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Iterator[str]:
    with engine.database("evidence_shared") as url:
        yield url
