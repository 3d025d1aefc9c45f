"""The data tests of the core tables: quiet over what is allowed, and each finds what it is for."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from core_rows import add, add_policy, add_team, add_user

from orchestration.lib.database import connect
from orchestration.lib.dbt import run_dbt
from orchestration.lib.errors import GovernanceError

NOW = datetime.now(UTC)
SELECTED = ["test", "--select", "path:tests/singular/core"]


def test_the_data_tests_find_what_they_are_for_and_nothing_else(database: str) -> None:
    with connect(database) as connection:
        team, user = add_team(connection), add_user(connection, mfa_enabled=True)
        secret = {"secret_ciphertext": b"\0" + os.urandom(60), "encryption_key_id": "k"}
        second_factor = add(connection, "mfa_secrets", user_id=user, confirmed_at=NOW, **secret)
        add(connection, "mfa_secrets", user_id=add_user(connection), **secret)
        first = add_policy(connection, slug="limits", is_active=True, effective_from=NOW - timedelta(days=9))
        add(connection, "policy_assignments", policy_id=first, team_id=team, effective_from=NOW - timedelta(days=9))
        add_policy(connection, slug="limits", version=2, is_active=True)
        draft = add_policy(connection, slug="limits", version=3)
        add(connection, "policy_assignments", policy_id=draft, team_id=team)
        run_dbt(SELECTED, database, quiet=True)

        connection.execute("update core.mfa_secrets set confirmed_at = null where id = %s", [second_factor])
        add(connection, "policy_assignments", policy_id=first, team_id=team)
        rules = {"require_mfa": True}
        add_policy(connection, slug="limits", version=4, policy_type="security", rules=rules)
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute(
            "update core.audit_logs set actor_label = 'nobody' where ctid = (select min(ctid) from core.audit_logs)"
        )
        with pytest.raises(GovernanceError, match="failed in 4 nodes") as failure:
            run_dbt(SELECTED, database, quiet=True)
        assert str(failure.value).count("Got 1 result, configured to fail if != 0") == 4
