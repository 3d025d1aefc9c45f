"""What is asked of the reports, for the benchmarks that time them: (what, question, goal in milliseconds or None)."""

from datetime import timedelta

from benchmarks.organisation import ROOT_SIZE, Size
from benchmarks.usage import Usage

Question = tuple[str, str, float | None]


def usage_questions(usage: Usage) -> list[Question]:
    """Spend and time series, with and without the running day."""
    today, month, week, yesterday = (usage.today - timedelta(days=days) for days in (0, 30, 7, 1))
    days = f"day >= date '{month:%F}' and day < date '{today:%F}'"
    last_days = f"day >= date '{week:%F}'"
    user, team = "md5('user-60')::uuid", "md5('team-7')::uuid"
    hours = "rollups.llm_metrics_hourly where bucket >= '{}' and bucket < '{}' group by 1 order by 1"
    spend = "currency, requests, cost"
    measures = f"{spend}, total_tokens"
    return [
        (
            "spend by team, 30 days",
            f"select day, team_id, {spend} from reporting.spend_by_team_view where {days}",
            50,
        ),
        (
            "spend by team and model, 30 days",
            f"select day, team_id, provider, model, {measures} from reporting.spend_by_team_model_view where {days}",
            50,
        ),
        (
            "spend by user, 30 days",
            f"select day, user_id, {measures} from reporting.spend_by_user_view where {days}",
            None,
        ),
        (
            "spend by key, 7 days and today",
            f"select day, api_key_id, {measures} from reporting.spend_by_key_view where {last_days}",
            None,
        ),
        (
            "spend by provider and model, 30 days",
            f"select day, provider, model, {measures} from reporting.spend_by_model_view where {days}",
            None,
        ),
        (
            "spend by team, today",
            f"select team_id, {spend} from reporting.spend_by_team_view where day = date '{today:%F}'",
            None,
        ),
        (
            "cost summary, one day's sum by bucket",
            "select currency, sum(cost) from reporting.cost_summary_view"
            # a range, for which TimescaleDB leaves out the live tail; it doesn't for an equality
            f" where bucket >= '{yesterday}' and bucket < '{today}' group by 1",
            5,
        ),
        (
            "cost summary, one day's sum by day",
            "select currency, sum(cost) from reporting.cost_summary_view"
            f" where day >= date '{yesterday:%F}' and day < date '{today:%F}' group by 1",
            None,
        ),
        (
            "cost summary, one user's 30 days",
            f"select day, sum(cost) from reporting.cost_summary_view where user_id = {user} and {days} group by 1",
            None,
        ),
        (
            "cost summary, one team's 30 days by model",
            f"select model, sum(cost) from reporting.cost_summary_view where team_id = {team} and {days} group by 1",
            None,
        ),
        (
            "a day by hour, from the hourly rollup",
            "select bucket, sum(total_tokens), sum(cost_amount) from " + hours.format(yesterday, today),
            100,
        ),
        (
            "30 days by hour, from a small hourly rollup",
            "select bucket, sum(total_tokens), sum(cost_amount) from "
            + hours.format(month, today).replace("llm_metrics_hourly", "llm_model_hourly"),
            500,
        ),
        (
            "30 days by hour, from the finest hourly rollup",
            "select bucket, sum(total_tokens), sum(cost_amount) from " + hours.format(month, today),
            None,
        ),
        ("how complete each source is", "select * from reporting.usage_sources", 100),
    ]


def money_questions(usage: Usage) -> list[Question]:
    """Reports on budgets, tags and charges, and the questions about spend that aren't by day."""
    days = f"day >= date '{usage.today - timedelta(days=30):%F}'"
    reports = (
        "budget_status",
        "budget_status where is_running",
        "budget_breaches",
        f"cost_by_tag where tag_key = 'feature' and {days}",
        "chargeback",
        "month_to_date",
        "top_movers",
        f"cost_of_outcomes where {days}",
        "latency_by_model",
    )
    return [
        (report.replace(f" and {days}", ", 30 days"), f"select * from reporting.{report}", 50) for report in reports
    ]


def people_questions(size: Size) -> list[Question]:
    """Reports on people, teams, sessions, alerts and policies, for one and for all."""
    some = min(10_000, size.users)
    one = "where user_id = md5('user-60')::uuid"
    # an array, for a join can't reach into a report
    many = f"where user_id = any (array(select md5('user-' || n)::uuid from generate_series(1, {some}) as n))"
    root = f"where root_team_id = md5('team-{size.teams // 2 // ROOT_SIZE * ROOT_SIZE}')::uuid"
    reports: list[Question] = [
        ("permissions of one user", f"user_permissions_view {one}", 5),
        (f"permissions of {some:,} users", f"user_permissions_view {many}", 50),
        ("team hierarchy, one root", f"team_hierarchy_view {root}", 20),
        ("team hierarchy, all", "team_hierarchy_view", 100),
        ("activity of one user", f"user_activity_summary_view {one}", 5),
        (f"activity of {some:,} users", f"user_activity_summary_view {many}", 200),
        ("activity of all users", "user_activity_summary_view", None),
        ("policy compliance", "policy_compliance_view", 50),
        ("active sessions of one user", f"active_sessions_view {one}", 5),
        ("active sessions of all", "active_sessions_view", None),
        ("alert summary", "alert_summary_view", None),
    ]
    return [(what, f"select * from reporting.{report}", goal) for what, report, goal in reports]
