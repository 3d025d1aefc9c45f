"""Alerts and who is told about them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_policy, add_team, add_user, delete, refused
from psycopg.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

from orchestration.lib.database.connection import Connection

NOW = datetime.now(UTC)


def hour(n: int) -> datetime:
    return NOW + timedelta(hours=n)


def add_alert(connection: Connection, **values: Any) -> UUID:
    defaults = {"alert_type": "budget_exceeded", "severity": "high", "title": "Over budget", "created_at": hour(0)}
    return add(connection, "alerts", **defaults | values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({}, None),
        ({"status": "acknowledged", "acknowledged_at": hour(1)}, None),
        ({"status": "resolved", "resolved_at": hour(1)}, None),
        ({"status": "resolved", "acknowledged_at": hour(1), "resolved_at": hour(2)}, None),
        ({"status": "suppressed"}, None),
        ({"status": "acknowledged"}, "alerts: status acknowledged needs acknowledged_at"),
        ({"status": "resolved"}, "alerts: status resolved needs resolved_at"),
        ({"status": "open", "acknowledged_at": hour(1)}, "alerts: status open has neither"),
        (
            {"status": "acknowledged", "acknowledged_at": hour(1), "resolved_at": hour(1)},
            "acknowledged has no resolved_at",
        ),
        ({"status": "acknowledged", "acknowledged_at": hour(-1)}, "alerts_acknowledged_at_check"),
        ({"status": "resolved", "resolved_at": "infinity"}, "alerts_resolved_at_check"),
        ({"status": "closed"}, "alerts_status_check"),
        ({"severity": "urgent"}, "alerts_severity_check"),
        ({"alert_type": "Budget exceeded"}, "alerts_alert_type_check"),
        ({"title": " "}, "alerts.title is blank"),
        (
            {"status": "resolved", "acknowledged_at": hour(2), "resolved_at": hour(1)},
            "resolved_at is before acknowledged_at",
        ),
        ({"alert_type": "a" * 101}, "alerts_alert_type_check"),
        ({"details": '"text"'}, "alerts_details_check"),
    ],
)
def test_alerts(connection: Connection, values: dict[str, Any], constraint: str | None) -> None:
    if constraint is None:
        add_alert(connection, **values)
    else:
        with refused(connection, CheckViolation, constraint):
            add_alert(connection, **values)


def test_who_took_an_alert_on_goes_with_when(connection: Connection) -> None:
    user = add_user(connection)
    for column in ("acknowledged", "resolved"):
        with refused(connection, CheckViolation, f"alerts_{column}_by_check"):
            add_alert(connection, status="suppressed", **{f"{column}_by": user})


def test_the_same_thing_is_raised_once_until_it_is_resolved(connection: Connection) -> None:
    first = add_alert(connection, dedupe_key="budget:x")
    add_alert(connection, dedupe_key="budget:y")
    add_alert(connection)
    add_alert(connection)
    for state in ("status = 'open'", "status = 'acknowledged', acknowledged_at = now() + interval '1 hour'"):
        connection.execute(f"update core.alerts set {state} where id = %s".encode(), [first])
        with refused(connection, UniqueViolation, "alerts_dedupe_key_unresolved_key"):
            add_alert(connection, dedupe_key="budget:x")
    connection.execute(
        "update core.alerts set status = 'resolved', resolved_at = now() + interval '1 hour' where id = %s", [first]
    )
    again = add_alert(connection, dedupe_key="budget:x")
    with refused(connection, UniqueViolation, f"{first} cannot be opened again: {again} of the same dedupe_key"):
        connection.execute("update core.alerts set status = 'open', resolved_at = null where id = %s", [first])
    connection.execute("update core.alerts set status = 'suppressed' where id = %s", [again])
    connection.execute(
        "update core.alerts set status = 'open', acknowledged_at = null, resolved_at = null where id = %s", [first]
    )


def test_what_an_alert_is_about_stays_and_who_worked_on_it_may_go(connection: Connection) -> None:
    subjects = {"policies": add_policy(connection), "teams": add_team(connection), "users": add_user(connection)}
    worker = add_user(connection)
    add_alert(
        connection,
        policy_id=subjects["policies"],
        team_id=subjects["teams"],
        user_id=subjects["users"],
        status="resolved",
        acknowledged_at=hour(1),
        acknowledged_by=worker,
        resolved_at=hour(2),
        resolved_by=worker,
    )
    for table, row in subjects.items():
        with refused(connection, ForeignKeyViolation, "alerts_"):
            delete(connection, table, row)
    delete(connection, "users", worker)


@pytest.mark.parametrize(
    ("channel", "target", "is_taken"),
    [
        ("email", "someone@example.com", True),
        ("email", "#alerts", False),
        ("slack", "#alerts", True),
        ("slack", "https://hooks.example.com/T0/B0", True),
        ("slack", "alerts", False),
        ("webhook", "https://example.com/hook", True),
        ("webhook", "example.com/hook", False),
    ],
)
def test_a_target_fits_its_channel(connection: Connection, channel: str, target: str, is_taken: bool) -> None:
    subscription = {"user_id": add_user(connection), "alert_type": "*", "channel": channel, "target": target}
    if is_taken:
        add(connection, "alert_subscriptions", **subscription)
        with refused(connection, UniqueViolation, "alert_subscriptions_user_id_alert_type_channel_target_key"):
            add(connection, "alert_subscriptions", **subscription)
    else:
        with refused(connection, CheckViolation, "alert_subscriptions_target_check"):
            add(connection, "alert_subscriptions", **subscription)
