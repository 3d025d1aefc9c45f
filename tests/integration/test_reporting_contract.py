"""What programs rely on: names and order of the columns, their comments, and that no secret can be read."""

from typing import Any

import pytest
import yaml
from core_rows import value

from orchestration.lib.database.connection import Connection
from orchestration.lib.settings import project_dir

CONTRACT = {
    "user_permissions_view": "user_id, email, team_id, resource, action, granted_via_role, inherited_from_role,"
    " inheritance_depth, granted_at, expires_at",
    "team_hierarchy_view": "team_id, team_name, slug, parent_team_id, root_team_id, level, path, path_ids,"
    " direct_member_count, total_member_count, child_team_count, currency, budget_amount, budget_period, spend,"
    " total_spend, budget_used_share",
    "cost_summary_view": "day, bucket, team_id, team_name, user_id, user_email, api_key_id, provider, model,"
    " application, environment, currency, requests, successful_requests, failed_requests, input_tokens,"
    " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, audio_input_tokens,"
    " audio_output_tokens, total_tokens, cost, unpriced_requests, cost_per_request, cost_per_1k_tokens",
    "active_sessions_view": "session_id, user_id, email, ip_address, user_agent, mfa_verified, created_at,"
    " last_seen_at, expires_at, age, idle_time, expires_in",
    "alert_summary_view": "alert_type, severity, open_count, acknowledged_count, resolved_count, suppressed_count,"
    " oldest_open_at, mean_time_to_acknowledge, mean_time_to_resolve, created_24h, created_7d, created_30d",
    "policy_compliance_view": "policy_id, slug, policy_name, policy_type, version, is_active, enforcement,"
    " assigned_teams, assigned_users, team_coverage, user_coverage, requests_evaluated, requests_flagged,"
    " requests_blocked, compliance_rate, last_violation_day",
    "user_activity_summary_view": "user_id, email, status, role_names, team_names, last_login_at, active_sessions,"
    " active_api_keys, requests_1d, requests_7d, requests_30d, tokens_30d, cost_1d, cost_7d, cost_30d,"
    " other_currencies, distinct_models_30d, last_request_at, dormant_days",
}
MODELS: dict[str, dict[str, Any]] = {
    model["name"]: model
    for path in (project_dir() / "models" / "reporting").glob("[!_]*.yml")
    for model in yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
}
READ_BY_REPORTS = """
    select distinct report.relname, source.relnamespace::regnamespace::text, source.relname, attname
    from pg_class as report
    join pg_rewrite on ev_class = report.oid
    join pg_depend on objid = pg_rewrite.oid and classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
    join pg_class as source on source.oid = refobjid and source.oid <> report.oid
    left join pg_attribute on attrelid = refobjid and attnum = refobjsubid and attnum > 0
    where report.relnamespace = 'reporting'::regnamespace
"""


def test_the_reports_are_the_documented_ones(connection: Connection) -> None:
    views = value(
        connection, "select array_agg(relname::text) from pg_class where relnamespace = 'reporting'::regnamespace"
    )
    assert set(views) == set(MODELS)


@pytest.mark.parametrize("view", CONTRACT)
def test_columns_and_their_order(connection: Connection, view: str) -> None:
    columns = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum",
        [f"reporting.{view}"],
    ).fetchall()
    promised = CONTRACT[view].split(", ")
    assert [name for (name,) in columns][: len(promised)] == promised


@pytest.mark.parametrize("view", MODELS)
def test_every_description_is_a_comment(connection: Connection, view: str) -> None:
    comments = connection.execute(
        "select attname, col_description(attrelid, attnum) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 order by attnum",
        [f"reporting.{view}"],
    ).fetchall()
    assert comments == [(column["name"], column["description"]) for column in MODELS[view]["columns"]]
    comment = value(connection, "select obj_description(%s::regclass, 'pg_class')", f"reporting.{view}")
    assert comment.strip() == MODELS[view]["description"].strip()


def test_no_report_reads_another_report(connection: Connection) -> None:
    schemas = {row[1] for row in connection.execute(READ_BY_REPORTS).fetchall()}
    assert schemas <= {"core", "rollups", "internal", "seeds"}


def test_no_report_reads_a_secret(connection: Connection) -> None:
    read = {(table, column) for _, _, table, column in connection.execute(READ_BY_REPORTS).fetchall()}
    assert ("users", "email") in read
    assert not {r for r in read if r[0] == "mfa_secrets"}
    assert not {r for r in read if r[1] and ("hash" in r[1] or "secret" in r[1])}
