"""Activity of users, reach of policies, alerts."""

from datetime import timedelta
from decimal import Decimal

from core_rows import add, add_policy, add_role, add_team, add_user, value
from reporting_rows import add_request, noon, only, report

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh


def test_a_user_s_activity(database: str) -> None:
    with connect(database) as connection:
        user, idle = add_user(connection, status="active"), add_user(connection)
        for name in ("Search", "Search", "Ads"):
            add(connection, "team_members", user_id=user, team_id=add_team(connection, name=name))
        for name in ("Reader", "Auditor"):
            add(connection, "user_roles", user_id=user, role_id=add_role(connection, name=name))
        for n, revoked in enumerate([None, noon(1)]):
            session = {"token_hash": bytes([n]) * 32, "last_seen_at": noon(2), "created_at": noon(2)}
            add(connection, "sessions", user_id=user, expires_at=noon(-1), revoked_at=revoked, **session)
            add(connection, "api_keys", user_id=user, name="k", key_prefix="abcd", key_hash=bytes([n]) * 32)
        connection.execute("update core.users set last_login_at = %s where id = %s", [noon(2), user])
        for days_ago, cost in ((0, "1"), (6, "2"), (7, "4"), (29, "8"), (30, "16")):
            add_request(connection, noon(days_ago), user_id=user, cost_amount=Decimal(cost), input_tokens=10)
        add_request(connection, noon(3), user_id=user, cost_amount=Decimal(99), currency="EUR", model="mistral")
        add_request(connection, noon(40), user_id=idle, cost_amount=Decimal(1))
        refresh(database)

        row = only(report(connection, "user_activity_summary_view", user_id=user))
        assert row["team_names"] == ["Ads", "Search", "Search"]
        assert row["role_names"] == ["Auditor", "Reader"]
        assert (row["active_sessions"], row["active_api_keys"]) == (1, 2)
        assert (row["requests_1d"], row["requests_7d"], row["requests_30d"], row["tokens_30d"]) == (1, 3, 5, 40)
        assert (row["cost_1d"], row["cost_7d"], row["cost_30d"]) == (1, 3, 15)
        assert (row["other_currencies"], row["distinct_models_30d"]) == (True, 2)
        assert (row["last_request_at"], row["dormant_days"]) == (noon(0), 0)

        row = only(report(connection, "user_activity_summary_view", user_id=idle))
        assert (row["role_names"], row["team_names"], row["active_sessions"]) == ([], [], 0)
        assert (row["requests_30d"], row["cost_30d"], row["last_request_at"], row["dormant_days"]) == (
            0,
            0,
            noon(40),
            40,
        )


def test_somebody_who_never_came_is_not_dormant_for_any_number_of_days(connection: Connection) -> None:
    row = only(report(connection, "user_activity_summary_view", user_id=add_user(connection)))
    assert (row["dormant_days"], row["last_login_at"], row["last_request_at"], row["cost_30d"]) == (None, None, None, 0)


def test_a_published_version_takes_over_the_reach_of_the_one_before(connection: Connection) -> None:
    connection.execute("delete from core.policy_assignments")
    others = value(connection, "select count(*) from core.users where status <> 'deactivated'")
    root = add_team(connection)
    below = add_team(connection, parent_team_id=root)
    user = add_user(connection, status="active")
    add(connection, "team_members", team_id=below, user_id=user)
    teams = value(connection, "select count(*) from core.teams where deleted_at is null")
    now = value(connection, "select now()")
    first = add_policy(connection, slug="limits", is_active=True, effective_from=now - timedelta(days=9))
    add(connection, "policy_assignments", policy_id=first, team_id=root, effective_from=now - timedelta(days=9))

    def reach(version: int) -> list[int]:
        """Teams and users it is assigned to, teams and users it reaches."""
        row = only(report(connection, "policy_compliance_view", slug="limits", version=version))
        covered = [round(row["team_coverage"] * teams), round(row["user_coverage"] * (others + 1))]
        return [row["assigned_teams"], row["assigned_users"], *covered]

    assert reach(1) == [1, 0, 2, 1]
    add_policy(connection, slug="limits", version=2, is_active=True)
    assert reach(1) == [0, 0, 0, 0]
    assert reach(2) == [1, 0, 2, 1]


def test_compliance_is_the_share_of_requests_no_policy_stopped(connection: Connection) -> None:
    strict, calm, idle = (add_policy(connection) for _ in range(3))
    for decision in ("allow", "allow", "allow", "flag", "block"):
        add_request(connection, noon(0), policy_id=strict, policy_decision=decision)
    add_request(connection, noon(0), policy_id=calm, policy_decision="allow")
    facts = ("requests_evaluated", "requests_flagged", "requests_blocked", "compliance_rate", "last_violation_day")
    rows = {p: only(report(connection, "policy_compliance_view", policy_id=p)) for p in (strict, calm, idle)}
    assert {policy: tuple(row[fact] for fact in facts) for policy, row in rows.items()} == {
        strict: (5, 1, 1, Decimal("0.6"), noon(0).date()),
        calm: (1, 0, 0, 1, None),
        idle: (0, 0, 0, None, None),
    }


def test_alerts_are_counted_by_state_and_age(connection: Connection) -> None:
    now = value(connection, "select now()")
    for hours, state in ((1, {}), (25, {"status": "acknowledged", "acknowledged_at": now - timedelta(hours=24)})):
        created = now - timedelta(hours=hours)
        add(connection, "alerts", alert_type="probe", severity="high", title="t", created_at=created, **state)
    row = only(report(connection, "alert_summary_view", alert_type="probe"))
    assert (row["open_count"], row["acknowledged_count"], row["resolved_count"]) == (1, 1, 0)
    assert (row["created_24h"], row["created_7d"]) == (1, 2)
    assert (row["mean_time_to_acknowledge"], row["mean_time_to_resolve"]) == (timedelta(hours=1), None)
    assert row["oldest_open_at"] == now - timedelta(hours=1)
