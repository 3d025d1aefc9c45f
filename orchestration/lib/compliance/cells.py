"""How the values of a report are shown for reading; its CSV files have them exact."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

MONEY = {
    "cost", "cost_before", "change", "forecast", "limit_amount", "spent", "direct", "shared", "adjustment", "total",
    "expected", "expected_by_run_rate", "expected_by_weekday", "our_cost", "their_cost", "difference", "budget_amount",
    "with_teams_below",
}  # fmt: skip
SHARES = {
    "used_share", "change_share", "team_coverage", "user_coverage", "compliance_rate", "late_share", "unowned_share",
    "unpriced_share", "error_share", "threshold",
}  # fmt: skip
COUNTS = {
    "requests_24h", "requests_30d", "missing_requests", "requests", "failed_requests", "unpriced_requests",
    "requests_before", "gap_hours", "age_days", "dormant_days", "entries", "recorded_late", "records", "loaded",
    "duplicates", "refused", "requests_evaluated", "requests_flagged", "requests_blocked", "flagged", "blocked",
    "evaluated", "rows", "hours_to_acknowledge", "hours_to_resolve", "members", "uncovered_members", "loads",
    "failures", "changed", "addresses", "matched", "not_matched", "open", "acknowledged", "resolved", "raised_7d",
    "raised_30d", "latency_p50_ms", "latency_p95_ms",
}  # fmt: skip
_LONG = {
    "issues", "roles", "condition", "recommendation", "title", "team_path", "evidence", "requirement", "subject",
    "framework", "reason", "personal_data", "types_without_policy", "what", "source",
}  # fmt: skip
HEADINGS = {
    "mfa_enabled": "Second factor", "cost_before": "Cost before", "requests_30d": "Requests, 30 days",
    "used_share": "Used", "limit_amount": "Limit", "is_new": "New", "is_on_allowlist": "On allow-list",
    "is_privileged": "Privileged", "is_stale": "Silent", "change_share": "Change in %", "resource_type": "What",
    "is_self_granted": "By themselves",
}  # fmt: skip

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d):\d\dZ")


def is_number(column: str) -> bool:
    """Whether a column of this name is set to the right."""
    return column in MONEY | COUNTS | SHARES


def is_time(column: str) -> bool:
    """Whether a column of this name has times or days, which stay in one line."""
    names = ("day", "month", "oldest", "stored_up_to")
    return column.endswith(("_at", "_on", "_day", "_seen", "_start")) or column in names


def is_long(column: str) -> bool:
    """Whether a column of this name has sentences or lists."""
    return column in _LONG


def heading(column: str) -> str:
    """What stands above a column of this name."""
    return HEADINGS.get(column) or column.replace("_", " ").capitalize()


def percent(part: int, whole: int) -> str:
    """As percent; some is not none, and not all."""
    said = f"{part / whole:.1%}" if whole else "0.0%"
    if part and said == "0.0%":
        said = "under 0.1%"
    if part < whole and said == "100.0%":
        said = "over 99.9%"
    return said


def cell(value: str | None, column: str, nothing: str = "no data") -> str:
    """A value for reading: money to the cent, counts with separators, shares in percent, times to the minute.

    `nothing` where there is none.
    An amount that would show as 0.00 and isn't 0 shows all of its digits.
    """
    if value is None:
        return nothing
    if not value:
        return "none"
    if column in MONEY:
        amount = Decimal(value)
        cents = amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return f"{cents:,.2f}" if cents or not amount else f"{amount:f}"
    if column in SHARES:
        return f"{Decimal(value):.1%}"
    if column in COUNTS:
        number = Decimal(value)
        return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,}"
    return moment[1] + "Z" if (moment := _MOMENT.fullmatch(value)) else value
