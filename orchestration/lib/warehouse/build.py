"""Builds the whole warehouse, one build at a time: what `governance build`, the demo and the tests share."""

import argparse
from collections.abc import Callable
from contextlib import nullcontext

from orchestration.lib.database.connection import connect, has_relation
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.identity.accounts import ensure_admin
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock


def build_warehouse(
    dbt_args: list[str],
    url: str,
    *,
    quiet: bool = False,
    allow_default_password: bool = False,
    reapply: bool = False,
) -> str | None:
    """Run `dbt build` with `dbt_args` on the database at `url` and see to the first administrator.

    With `reapply` the DDL of every object is sent again, also where it is the one that was applied last.

    Returns the administrator's first password where one had to be made up, to be shown once; else None. Raises
    GovernanceError where another build is at work.
    """
    with build_lock(url):
        if reapply:
            with connect(url) as connection:
                if has_relation(connection, "internal.schema_objects"):
                    connection.execute("update internal.schema_objects set checksum = ''")
        return _build(dbt_args, url, quiet, allow_default_password)


def rebuild_rollups(dbt_args: list[str], url: str) -> str | None:
    """Store every rollup anew in one transaction, also in another zone, and build; returns what that does."""
    with build_lock(url):
        run_operation("rebuild_rollups", url=url, options=_vars_of(dbt_args), application=APPLICATION)
        return _build(dbt_args, url, quiet=False, allow_default_password=False)


def migrate(url: str, *, plan: bool = False, tell: Callable[[str], None] = lambda line: None) -> None:
    """Apply the pending schema changes, or only `tell` what would run; see macros/bootstrap/schema_changes.sql."""
    with nullcontext() if plan else build_lock(url, "governance migrate"):
        run_operation("migrate", url, {"plan": plan}, application=APPLICATION, tell=tell)


def _build(dbt_args: list[str], url: str, quiet: bool, allow_default_password: bool) -> str | None:
    run_dbt(["build", *dbt_args], url, quiet=quiet, application=APPLICATION)
    with connect(url) as connection:
        return ensure_admin(connection, allow_default=allow_default_password)


def _vars_of(dbt_args: list[str]) -> list[str]:
    """The option --vars among arguments of `dbt build`, the only one of them that a rebuild depends on."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--vars")
    known, _ = parser.parse_known_args(dbt_args)
    return [] if known.vars is None else ["--vars", known.vars]
