"""Pages about who may do what and what came of it: access, policies, alerts, verification."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC
from decimal import Decimal

from orchestration.lib.compliance.rules import explained_findings
from orchestration.lib.compliance.site.data import Data, Row
from orchestration.lib.compliance.site.listing import listing, total
from orchestration.lib.compliance.site.page import Block, Card, Cards, Filter, Page, Part, figure
from orchestration.lib.compliance.site.plots import largest, stacked
from orchestration.lib.compliance.tables import DORMANT, Table, as_text
from orchestration.lib.words import counted

_ACCOUNTS: dict[str, tuple[str, str, Callable[[Row], bool]]] = {
    "all": ("", "Accounts", lambda row: True),
    "privileged": ("-privileged", "Privileged accounts", lambda row: row["is_privileged"]),
    "without a second factor": (
        "-without-second-factor",
        "Accounts without a second factor",
        lambda row: row["mfa_enabled"] is False,
    ),
    "dormant": (
        "-dormant",
        f"Accounts dormant for {DORMANT} days",
        lambda row: (row["dormant_days"] or 0) >= DORMANT,
    ),
    "self-granted": (
        "-self-granted",
        "Accounts that granted a role to themselves",
        lambda row: row["self_granted_roles"],
    ),
}
_ALERTS: dict[str, tuple[str, str, Callable[[Row], bool]]] = {
    "open": ("", "Open alerts", lambda row: row["open"] > 0),
    "all": ("-all", "All alerts", lambda row: True),
}
_FINDINGS: dict[str, tuple[str, str, Callable[[Row], bool]]] = {
    "open": ("", "Open findings", lambda row: row["resolved_at"] is None and row["accepted_by"] is None),
    "errors and warnings": (
        "-urgent",
        "Open errors and warnings",
        lambda row: row["resolved_at"] is None and row["accepted_by"] is None and row["severity"] != "info",
    ),
    "accepted": (
        "-accepted",
        "Findings that somebody accepted",
        lambda row: row["resolved_at"] is None and row["accepted_by"] is not None,
    ),
    "resolved": ("-resolved", "Findings resolved in the last 90 days", lambda row: row["resolved_at"] is not None),
}
_OF_FINDINGS = ("rule", "severity", "subject", "message", "fix", "first_seen", "resolved_at", "accepted_by")


def pages(data: Data) -> Iterator[Page]:
    """All of them."""
    for chosen in _ACCOUNTS:
        yield _access(data, chosen)
    yield _keys(data)
    yield _policies(data)
    for chosen in _ALERTS:
        yield _alerts(data, chosen)
    for chosen in _FINDINGS:
        yield _verification(data, chosen)


def open_findings(data: Data) -> list[Row]:
    """Those that nobody accepted."""
    return [row for row in data.rows["findings"] if _FINDINGS["open"][2](row)]


def _access(data: Data, chosen: str) -> Page:
    suffix, title, wanted = _ACCOUNTS[chosen]
    people = data.rows["accounts"]
    counts = {name: sum(bool(each(row)) for row in people) for name, (_, _, each) in _ACCOUNTS.items()}
    privileged, dormant, own = (counts[name] for name in ("privileged", "dormant", "self-granted"))
    bare = sum(row["is_privileged"] and row["mfa_enabled"] is False for row in people)
    keys = data.rows["keys"]
    faulty = sum(bool(row["issues"]) for row in keys)
    of_privileged, of_dormant = f"{bare:,} of them without a second factor", f"no sign-in or request for {DORMANT} days"
    of_own, of_keys = "accounts with such a role", f"{faulty:,} with something to do"
    cards = [
        Card("Accounts", f"{len(people):,}", "that are not deactivated", href="access"),
        Card("Privileged", f"{privileged:,}", of_privileged, "problem" if bare else "ok", "access-privileged"),
        Card("Dormant", f"{dormant:,}", of_dormant, "attention" if dormant else "ok", "access-dormant"),
        Card("Granted to themselves", f"{own:,}", of_own, "problem" if own else "ok", "access-self-granted"),
        Card("Keys", f"{len(keys):,}", of_keys, "attention" if faulty else "ok", "access-keys"),
    ]
    columns = (
        *("email", "display_name", "status", "roles", "is_privileged", "mfa_enabled", "last_login_at"),
        *("last_request_at", "dormant_days", "self_granted_roles"),
    )
    rows = [row for row in people if wanted(row)]
    part = Part(listing("accounts", title, rows, columns, empty="No account is such."))
    lead = "Who has access and what for. The decisions of a review are taken in the report's access_review.csv."
    return Page(f"access{suffix}", "access", "Access", lead, [Cards(cards), part], [_access_filter()])


def _keys(data: Data) -> Page:
    issues = Counter(issue for row in data.rows["keys"] for issue in (row["issues"] or "").split(", ") if issue)
    columns = ("key_prefix", "name", "owner_email", "team", "issues", "last_used_at", "expires_at", "created_at")
    blocks: list[Block] = [
        Cards([Card(issue.capitalize(), f"{count:,}", "keys", "attention") for issue, count in issues.most_common()])
    ]
    empty = "No key can be used."
    blocks.append(Part(listing("keys", "Keys that can be used", data.rows["keys"], columns, empty=empty)))
    lead = "API keys that still work, and what is wrong with them. The secret itself is stored nowhere."
    return Page("access-keys", "access", "Keys", lead, blocks if issues else blocks[1:], [_access_filter()])


def _access_filter() -> Filter:
    links = [(name, f"access{suffix}") for name, (suffix, _, _) in _ACCOUNTS.items()]
    return Filter("Show", [*links, ("keys", "access-keys")])


def _policies(data: Data) -> Page:
    series: dict[str, dict[str, Decimal]] = {}
    for row in data.rows["blocks"]:
        daily = series.setdefault(f"{row['provider']}/{row['model']}", {})
        daily[f"{row['day']}"] = daily.get(f"{row['day']}", Decimal(0)) + row["blocked_requests"]
    in_force = [row for row in data.rows["policies"] if row["state"] == "in force"]
    refused = [row for row in data.rows["inventory"] if row["is_on_allowlist"] is False]
    used = [row for row in refused if row["requests_30d"]]
    blocked = total(data.rows["blocks"], "blocked_requests")
    cards = [
        Card("Policies in force", f"{len(in_force):,}"),
        Card("Blocked", f"{blocked:,}", "requests in 30 days"),
        Card("On no allow-list", f"{len(used):,}", "models used in 30 days", "problem" if used else "ok"),
    ]
    blocks: list[Block] = [Cards(cards)]
    shown = largest(series, "{} other models")
    plot = stacked("Requests blocked by day, last 30 days", data.recent.days, shown, "requests", whole=True)
    if plot:
        blocks.append(figure("blocked-by-day", plot, data.recent.days, shown, "counts"))
    columns: tuple[str, ...] = (
        *("slug", "version", "policy_type", "enforcement", "team_coverage", "user_coverage"),
        *("requests_evaluated", "requests_flagged", "requests_blocked", "compliance_rate"),
        "last_violation_day",
    )
    about = "The shares of teams and of people are whom it reaches; requests are all since it exists."
    blocks.append(
        Part(listing("policies", "Policies in force", in_force, columns, about=about, empty="No policy is in force."))
    )
    others = [row for row in data.rows["policies"] if row["state"] != "in force"]
    if others:
        columns = ("slug", "version", "state", "policy_type", "enforcement", "requests_evaluated", "requests_blocked")
        blocks.append(Part(listing("others", "Drafts, and policies that ended", others, columns)))
    columns = ("model", "provider", "first_day", "last_day", "requests_30d")
    empty = "Every model that was used is on an allow-list, or there is none."
    blocks.append(Part(listing("models", "Models on no allow-list", refused, columns, empty=empty)))
    lead = "What is forbidden, whom it reaches, and what it stopped."
    return Page("policies", "policies", "Policies", lead, blocks)


def _alerts(data: Data, chosen: str) -> Page:
    suffix, title, wanted = _ALERTS[chosen]
    rows = data.rows["alerts"]
    urgent = total(rows, "open", lambda row: row["severity"] in ("critical", "high"))
    waiting = total(rows, "open")
    oldest = min((row["oldest_open_at"] for row in rows if row["oldest_open_at"] is not None), default=None)
    cards = [
        Card("Open", f"{waiting:,}", "nobody has taken them on", "attention" if waiting else "ok"),
        Card("Critical or high", f"{urgent:,}", "of the open ones", "problem" if urgent else "ok"),
        Card("Oldest open", f"{oldest:%d %b %Y}" if oldest else "none"),
        Card("Raised in 7 days", f"{total(rows, 'raised_7d'):,}", f"{total(rows, 'raised_30d'):,} in 30 days"),
    ]
    columns = (
        *("alert_type", "severity", "open", "acknowledged", "resolved", "oldest_open_at", "hours_to_acknowledge"),
        *("hours_to_resolve", "raised_7d", "raised_30d"),
    )
    part = Part(listing("alerts", title, [row for row in rows if wanted(row)], columns, empty="No alert is open."))
    filters = [Filter("Show", [(name, f"alerts{of}") for name, (of, _, _) in _ALERTS.items()])]
    lead = "What was raised, how much of it waits, and how long people take."
    return Page(f"alerts{suffix}", "alerts", "Alerts", lead, [Cards(cards), part], filters)


def _verification(data: Data, chosen: str) -> Page:
    suffix, title, wanted = _FINDINGS[chosen]
    found = Counter(row["severity"] for row in open_findings(data))
    asked = data.rows["asked"]
    last = max((row["last_asked"].astimezone(UTC) for row in asked), default=None)
    cards = [
        Card("Errors", f"{found['error']:,}", "something is broken or open", "problem" if found["error"] else "ok"),
        Card("Warnings", f"{found['warn']:,}", "somebody should look at it", "attention" if found["warn"] else "ok"),
        Card("Facts", f"{found['info']:,}", "worth knowing"),
        Card("Last asked", f"{last:%d %b %H:%M} UTC", counted(len(asked), "rule")) if last
        else Card("Last asked", "never", "let governance verify run each night", "attention"),
    ]  # fmt: skip
    cells = [[as_text(row[name]) for name in _OF_FINDINGS] for row in data.rows["findings"] if wanted(row)]
    rows = explained_findings(Table("findings", title, list(_OF_FINDINGS), cells)).dicts()
    columns: tuple[str, ...] = ("rule", "severity", "subject", "condition", "recommendation", "first_seen", "effect")
    columns += {"accepted": ("accepted_by",), "resolved": ("resolved_at",)}.get(chosen, ())
    empty = "Nothing." if asked else "Nothing was looked at: run governance verify."
    blocks: list[Block] = [Cards(cards), Part(listing("findings", title, rows, columns, empty=empty))]
    if not suffix:
        names = ("rule", "last_asked")
        blocks.append(Part(listing("asked", "When each rule was asked last", asked, names, empty="No rule was asked.")))
    filters = [Filter("Show", [(name, f"verification{of}") for name, (of, _, _) in _FINDINGS.items()])]
    lead = "What the warehouse finds wrong with its data, its schema and its server, and what to do about it."
    return Page(f"verification{suffix}", "verification", "Verification", lead, blocks, filters)
