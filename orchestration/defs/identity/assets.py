"""The first account: dbt can't make it, for its password is hashed in Python."""

from typing import Any

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.database.in_use import database_url
from orchestration.lib.identity.accounts import ADMIN_EMAIL, ensure_admin


@dg.asset(
    deps=[dg.AssetKey(["core", table]) for table in ("users", "roles", "user_roles")],
    group_name="identity",
    owners=["team:platform"],
    kinds={"python", "postgres"},
)
def admin_account() -> dg.MaterializeResult[None]:
    """The account admin@llmgovernance.local, Super Admin everywhere, with the password of GOVERNANCE_ADMIN_PASSWORD.

    The password must be changed at the first login. An account that is there stays as it is.
    """
    with explained(), connect(database_url()) as connection, connection.transaction():
        if ensure_admin(connection) is not None:
            # a password made up here would have to be shown, and what Dagster shows it also stores
            raise dg.Failure(
                f"{ADMIN_EMAIL} has no first password: set GOVERNANCE_ADMIN_PASSWORD and start Dagster again, or run "
                "`governance build`, which makes one up and shows it once",
                allow_retries=False,
            )
        account = made_account(connection)
    return dg.MaterializeResult(metadata=account)


def made_account(connection: Connection) -> dict[str, Any] | None:
    """What may be shown of the account, None without it."""
    if not has_relation(connection, "core.users"):
        return None
    rows = connection.execute(
        "select status, must_change_password, created_at from core.users where lower(email) = lower(%s)", [ADMIN_EMAIL]
    ).fetchall()
    if not rows:
        return None
    status, must_change_password, created_at = rows[0]
    return {
        "email": ADMIN_EMAIL,
        "status": status,
        "must change the password": must_change_password,
        "made at": dg.MetadataValue.timestamp(created_at),
    }
