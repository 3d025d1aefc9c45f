"""Probes: what must be refused is tried, what must happen is made to happen, in transactions that are rolled back.

probes.toml has them.
"""

from collections.abc import Sequence
from pathlib import Path

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.evidence.result import Rule, Verification, Violation
from orchestration.lib.verification.probing import Outcome, Probe, outcomes, read_probes

RULE = Rule("probe", "probes", "error")
PROBES = read_probes(Path(__file__).with_suffix(".toml"))
_FIX = "Run `governance verify --deep`, which names what guards it and how to put it back."


def probe_database(url: str, /) -> Verification:
    """Try all of PROBES on the database at `url`, each in a transaction of its own that is rolled back.

    A probe that could not be tried stands in `not_run`. Raises GovernanceError where the role isn't the owner: who may
    do less is refused for another reason.
    """
    with explained(), connect(url) as connection:
        _assert_owner(connection)
        return run_probes(connection, PROBES)


def run_probes(connection: Connection, probes: Sequence[Probe]) -> Verification:
    """Try these."""
    violations: list[Violation] = []
    not_run: dict[str, str] = {}
    for each, outcome in outcomes(connection, probes):
        if isinstance(outcome, str):
            not_run[each.name] = outcome
        elif wrong := _wrong(each, outcome):
            violations.append(Violation(RULE.rule, RULE.severity, each.name, f"{each.tries}: {wrong}.", _FIX))
    return Verification([RULE], violations, not_run=not_run)


def _wrong(probe: Probe, outcome: Outcome) -> str | None:
    if (error := outcome.error) is None:
        if probe.sqlstate:
            return f"it was not refused, though {probe.guard} should"
        return None if outcome.holds else "it did not happen"
    refusal = f"{error.sqlstate} {error.diag.message_primary}"
    if not probe.sqlstate:
        return f"it failed with {refusal}"
    if error.sqlstate == probe.sqlstate and _came_from(error, probe.guard):
        return None
    return f"it was refused, but not by {probe.guard}: {refusal}"


def _came_from(error: psycopg.Error, guard: str) -> bool:
    # the constraint of a partition or chunk ends in the name of the table's
    return (error.diag.constraint_name or "").endswith(guard) or f"{guard}(" in (error.diag.context or "")


def _assert_owner(connection: Connection) -> None:
    row = connection.execute(
        "select pg_get_userbyid(relowner), pg_has_role(relowner, 'usage') from pg_class"
        " where oid = to_regclass('core.audit_logs')"
    ).fetchone()
    if row is None:
        raise NotBuiltError(
            f"the database {connection.info.dbname} holds no warehouse yet; run `governance build` first"
        )
    owner, is_owner = row
    if not is_owner:
        raise GovernanceError(
            f"probes try what not even the owner may do, so they need the owner: connect as {owner}, not as "
            f"{connection.info.user}"
        )
