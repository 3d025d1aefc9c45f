"""The audit trail is checked as a whole, some days at a time; the newest entries at each run."""

from collections.abc import Iterator

import pytest
from engines import Engine

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.evidence.compared import Searched
from orchestration.lib.verification.audit import check
from orchestration.lib.verification.rules import ask_rules, chosen_rules
from orchestration.lib.verification.run import verify

RULE = "audit_checksum_mismatch"
DAYS = (1, 50, 400, 401)  # ago; one entry each


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("audit_checks") as url:
        with connect(url) as connection:
            connection.execute(
                "insert into core.audit_logs (id, actor_type, action, resource_type, metadata)"
                " select md5(days::text)::uuid, 'system', 'report.export', 'report', jsonb_build_object('days', days)"
                " from unnest(%s::integer[]) as days",
                [list(DAYS)],
            )
            past_the_triggers(
                connection,
                "update core.audit_logs set recorded_at = now() - (metadata ->> 'days')::integer * interval '1 day'"
                " where metadata ? 'days'",
            )
            past_the_triggers(connection, f"update core.audit_logs set checksum = {CHECKSUM}")
        yield url


CHECKSUM = """core.generate_audit_checksum(
    checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label, action,
    resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
)"""


def past_the_triggers(connection: Connection, statement: str, parameters: list[object] | None = None) -> None:
    with connection.transaction():
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute(statement.encode(), parameters)
        connection.execute("alter table core.audit_logs enable trigger user")
        for trigger in ("checksum", "append_only", "append_only_row"):
            connection.execute(f"alter table core.audit_logs enable always trigger audit_logs_{trigger}".encode())


def alter(connection: Connection, days: int, label: str | None) -> None:
    past_the_triggers(
        connection, "update core.audit_logs set actor_label = %s where id = md5(%s::text)::uuid", [label, days]
    )


def shown(url: str) -> int:
    """By the rule alone, as a reader of the schema asks it."""
    return len(ask_rules(url, rules=chosen_rules(url, [RULE]), timeout_seconds=30).violations)


def found(url: str) -> int:
    verification = verify(url, [RULE])
    assert verification.not_run == {}
    return len(verification.violations)


def make_due(connection: Connection) -> None:
    connection.execute("update internal.audit_checks set checked_at = checked_at - interval '2 days'")


def test_every_day_is_checked_once_a_day(warehouse: str) -> None:
    with connect(warehouse) as connection:
        days = max(DAYS)
        assert check(connection, seconds=0) == Searched(0, days, 0)
        assert check(connection, seconds=60) == Searched(days, 0, 0)
        assert check(connection, seconds=60) == Searched(0, 0, 0)
        make_due(connection)
        assert check(connection, seconds=60) == Searched(days, 0, 0)


def test_an_old_entry_that_was_altered_is_found_and_gone_once_it_is_right(warehouse: str) -> None:
    with connect(warehouse) as connection:
        alter(connection, 400, "nobody")
        assert shown(warehouse) == 0, "the rule alone sees the newest"
        assert found(warehouse) == 1
        assert shown(warehouse) == 1
        alter(connection, 400, None)
        assert shown(warehouse) == 0
        # a day with altered entries is checked again each time
        check(connection, seconds=60)
        assert connection.execute("select count(*) from internal.audit_checks where altered <> '{}'").fetchone() == (0,)
        # and one that was right, a day later
        alter(connection, 401, "nobody")
        assert found(warehouse) == 0
        make_due(connection)
        assert found(warehouse) == 1


def test_a_new_entry_that_was_altered_is_found_at_once(warehouse: str) -> None:
    with connect(warehouse) as connection:
        alter(connection, 1, "nobody")
    assert shown(warehouse) == 1
