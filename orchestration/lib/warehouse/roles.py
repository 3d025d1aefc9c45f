"""The roles of the database: macros/security says which there are and what each may do."""

from dataclasses import dataclass

from orchestration.lib.dbt.runner import run_operation
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock

_IMPOSSIBLE = "not possible: "


@dataclass(frozen=True)
class Applied:
    """The statements that ran, or with a plan would, and a sentence for each thing that this role may not do."""

    statements: list[str]
    impossible: list[str]


def apply_roles(url: str, *, plan: bool = False) -> Applied:
    """Create the roles in the server of the database at `url` and give them owners' and other rights in it.

    Raises GovernanceError where a build is at work.
    """
    said: list[str] = []
    if plan:
        run_operation("apply_database_roles", url, {"plan": True}, application=APPLICATION, tell=said.append)
    else:
        with build_lock(url, "governance roles"):
            run_operation("apply_database_roles", url, application=APPLICATION, tell=said.append)
    impossible = [line.removeprefix(_IMPOSSIBLE) for line in said if line.startswith(_IMPOSSIBLE)]
    return Applied([line for line in said if not line.startswith(_IMPOSSIBLE)], impossible)
