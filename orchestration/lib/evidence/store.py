"""The evidence of verification: every collector's findings, matched with the exceptions once, and kept."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.rights import may
from orchestration.lib.errors import explained
from orchestration.lib.evidence.result import Collector, History, Verification, Violation, united

# PostgreSQL in WebAssembly takes no message over 64 KB
_AT_ONCE = 100
_NOT_BUILT = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)


def collect(url: str, collectors: Sequence[Collector], *, program: str | None) -> Verification:
    """What the collectors find in the database at `url`: what exceptions accept apart, with what earlier runs knew.

    It is recorded as a run of `program`, unless that is None, and only by a role that may write to the store. Raises
    GovernanceError.
    """
    started_at = datetime.now(UTC)
    found = united([collector(url) for collector in collectors])
    with explained(), connect(url) as connection:
        verification = replace(_accepted(connection, found), history=_history(connection))
        writes = {"internal.verification_runs": ["insert"], "internal.verification_findings": ["select", "insert"]}
        if program is not None and may(connection, writes):
            _record(connection, verification, program, started_at)
    return verification


def drop_old_evidence(url: str) -> int:
    """Drop what is past its retention in the database at `url`; returns how many runs and findings that was."""
    with explained(), connect(url) as connection:
        [(dropped,)] = connection.execute("select internal.drop_old_evidence()")
    return int(dropped)


def _accepted(connection: Connection, found: Verification) -> Verification:
    reasons: dict[tuple[str, str], str] = {}
    with suppress(*_NOT_BUILT):
        rules = {rule for (rule,) in connection.execute("select distinct rule from verification.exceptions_in_force")}
        for chunk in _chunks([each for each in found.violations if each.rule in rules]):
            rows = connection.execute(
                """
                select distinct on (found.rule, found.subject) found.rule, found.subject, accepted.reason
                from jsonb_to_recordset(%s::jsonb) as found (rule text, subject text)
                inner join verification.exceptions_in_force as accepted
                    on accepted.rule = found.rule and found.subject like accepted.pattern
                order by found.rule, found.subject, accepted.expires_on desc, accepted.pattern
                """,
                [chunk],
            )
            reasons |= {(rule, subject): reason for rule, subject, reason in rows}
    return replace(
        found,
        violations=[each for each in found.violations if each.key not in reasons],
        excused=[replace(each, accepted_by=reasons[each.key]) for each in found.violations if each.key in reasons],
    )


def _history(connection: Connection) -> History:
    """Empty before the first build with a store, and for who may not read it."""
    with suppress(*_NOT_BUILT, psycopg.errors.InsufficientPrivilege):
        rows = connection.execute(
            "select rule, subject, first_seen from verification.findings where resolved_at is null"
        ).fetchall()
        asked = connection.execute("select rule, last_asked from verification.asked").fetchall()
        return History(
            {(rule, subject): first_seen for rule, subject, first_seen in rows},
            frozenset(rule for rule, _ in asked),
            max((last for _, last in asked), default=None),
        )
    return History()


def _record(connection: Connection, verification: Verification, program: str, started_at: datetime) -> None:
    answered = sorted(verification.answered)
    with connection.transaction():
        # one recorder at a time, so that what is compared with is what was recorded last
        connection.execute("lock table internal.verification_findings in share row exclusive mode")
        [(run,)] = connection.execute(
            "insert into internal.verification_runs (started_at, program, answered, not_run)"
            " values (least(%s, clock_timestamp()), %s, %s, %s::jsonb) returning id",
            [started_at, program, answered, json.dumps(verification.not_run)],
        )
        connection.execute(
            "create temporary table verification_found"
            " (rule text, subject text, severity text, message text, fix text, accepted_by text) on commit drop"
        )
        for chunk in _chunks([*verification.violations, *verification.excused]):
            connection.execute(
                "insert into verification_found"
                " select * from jsonb_to_recordset(%s::jsonb) as found"
                " (rule text, subject text, severity text, message text, fix text, accepted_by text)",
                [chunk],
            )
        connection.execute(
            """
            insert into internal.verification_findings
                (run, rule, subject, severity, message, fix, accepted_by, is_resolved)
            select
                %(run)s,
                rule,
                subject,
                coalesce(found.severity, last.severity),
                coalesce(found.message, last.message),
                coalesce(found.fix, last.fix),
                case when found.severity is null then last.accepted_by else found.accepted_by end,
                found.severity is null
            from (
                select
                    rule, subject, min(severity) as severity, string_agg(distinct message, ' ') as message,
                    string_agg(distinct fix, ' ') as fix, min(accepted_by) as accepted_by
                from verification_found
                group by rule, subject
            ) as found
            full join (
                select distinct on (rule, subject) rule, subject, severity, message, fix, accepted_by, is_resolved
                from internal.verification_findings
                where rule = any(%(asked)s)
                order by rule, subject, id desc
            ) as last using (rule, subject)
            where case
                when found.severity is null then not last.is_resolved and rule = any(%(answered)s)
                else last.is_resolved is not false
                    or (found.severity, found.message, found.fix, found.accepted_by)
                        is distinct from (last.severity, last.message, last.fix, last.accepted_by)
            end
            """,
            {"run": run, "asked": [rule.rule for rule in verification.rules], "answered": answered},
        )


def _chunks(violations: Sequence[Violation]) -> Iterator[str]:
    for start in range(0, len(violations), _AT_ONCE):
        yield json.dumps([asdict(each) for each in violations[start : start + _AT_ONCE]])
