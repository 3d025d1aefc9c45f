"""Builds the whole warehouse: what `governance build`, the demo and the tests share."""

import os

from orchestration.lib.accounts import ensure_admin
from orchestration.lib.database import connect, database_url
from orchestration.lib.dbt import run_dbt


def build_warehouse(
    dbt_args: list[str],
    url: str | None = None,
    *,
    quiet: bool = False,
    allow_default_password: bool = False,
    reapply: bool = False,
) -> str | None:
    """Run `dbt build` with `dbt_args` on the database at `url` and see to the first administrator.

    With `reapply` the DDL of every object is sent again, also where it is the one that was applied last.

    Returns the administrator's first password where one had to be made up, to be shown once; else None.
    """
    url = url or database_url()
    if reapply:
        _forget_applied(url)
    run_dbt(["build", *dbt_args], url, quiet=quiet)
    with connect(url) as connection:
        return ensure_admin(
            connection, password=os.environ.get("GOVERNANCE_ADMIN_PASSWORD"), allow_default=allow_default_password
        )


def _forget_applied(url: str) -> None:
    with connect(url) as connection:
        (is_built,) = connection.execute("select to_regclass('internal.schema_objects') is not null").fetchone() or (
            False,
        )
        if is_built:
            connection.execute("update internal.schema_objects set checksum = ''")
