"""Probes of the roles of the database: what each may and may not is tried as each, and rolled back.

role_probes.toml has them.
"""

from collections.abc import Sequence
from pathlib import Path

import psycopg

from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.errors import explained
from orchestration.lib.evidence.result import Rule, Verification, Violation
from orchestration.lib.verification.probing import Probe, become, outcomes, read_probes

RULE = Rule("role_probe", "probes", "error")
ROLES = ("owner", "migrator", "dbt", "app", "sealer", "auditor", "reader")
ROLE_PROBES = read_probes(Path(__file__).with_suffix(".toml"))
_FIX = "Run `governance roles apply`, which puts rights right, and look at who changed them."


def probe_roles(url: str, /) -> Verification:
    """Try all of ROLE_PROBES as each role of the database at `url`; nothing where it has no roles of ours.

    What could not be tried stands in `not_run`: roles that the connecting one may not become, and locks.
    """
    with explained(), connect(url) as connection:
        if not _has_roles(connection):
            return Verification([], [])
        return try_as_roles(connection, ROLE_PROBES)


def try_as_roles(connection: Connection, probes: Sequence[Probe]) -> Verification:
    """Try these as each role."""
    violations: list[Violation] = []
    not_run: dict[str, str] = {}
    for role in ROLES:
        if (reason := _cannot_become(connection, role)) is not None:
            not_run[f"role_probe as governance_{role}"] = reason
            continue
        for each, refused in refusals(connection, probes, role):
            if isinstance(refused, str):
                not_run[f"{each.name} as governance_{role}"] = refused
            elif refused == (role in each.allowed):
                subject = f"governance_{role}: {each.name}"
                wrong = "was refused, though its work needs it" if refused else "was not refused"
                violations.append(Violation(RULE.rule, RULE.severity, subject, f"{each.tries} {wrong}.", _FIX))
    return Verification([RULE], violations, not_run=not_run)


def refusals(connection: Connection, probes: Sequence[Probe], role: str) -> list[tuple[Probe, bool | str]]:
    """Whether the role is refused for want of a privilege, by probe; or why that could not be tried."""
    return [
        # another error than that one means that it had the right
        (each, tried if isinstance(tried, str) else isinstance(tried.error, psycopg.errors.InsufficientPrivilege))
        for each, tried in outcomes(connection, probes, role=f"governance_{role}")
    ]


def as_table() -> str:
    """The probes and who may, as a table of Markdown."""
    lines = ["| tried | " + " | ".join(ROLES) + " |", "|---" * (len(ROLES) + 1) + "|"]
    for each in ROLE_PROBES:
        cells = ["allowed" if role in each.allowed else "refused" for role in ROLES]
        lines.append(f"| {each.tries} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _has_roles(connection: Connection) -> bool:
    query = "select from internal.settings where name = 'database_roles' and value = 'true'"
    return has_relation(connection, "internal.settings") and connection.execute(query).fetchone() is not None


def _cannot_become(connection: Connection, role: str) -> str | None:
    try:
        with connection.transaction(force_rollback=True):
            become(connection, f"governance_{role}")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
        return f"{error.diag.message_primary}; connect as a superuser, or as one who is a member of it"
    return None
