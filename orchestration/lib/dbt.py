"""Runs dbt in this process, against the database in use."""

import os

from orchestration.lib.database import database_url, dbt_environment
from orchestration.lib.errors import GovernanceError


def run_dbt(args: list[str], url: str | None = None, *, quiet: bool = False) -> None:
    """Run `dbt <args>` on the database at `url` (default: the one in use).

    Raises GovernanceError with the first failing nodes and their messages; with `quiet` dbt itself prints errors only.
    """
    from dbt.cli.main import dbtRunner

    os.environ.update(dbt_environment(url or database_url()))
    result = dbtRunner().invoke([*(["--quiet"] if quiet else []), *args])
    if result.success:
        return
    if result.exception is not None:
        raise GovernanceError(f"dbt {args[0]} could not run: {result.exception}")
    failures = [
        f"{node.node.name}: {(node.message or node.status).strip()}"
        for node in getattr(result.result, "results", [])
        if node.status in ("error", "fail", "runtime error")
    ]
    raise GovernanceError(f"dbt {args[0]} failed in {len(failures)} nodes:\n  " + "\n  ".join(failures[:10]))
