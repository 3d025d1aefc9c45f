"""The verdicts of a report, its figures and what it finds itself, all drawn from its tables."""

import statistics
import tomllib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.lib.compliance.cells import cell
from orchestration.lib.compliance.sections import Contents, Figure, Verdict
from orchestration.lib.words import counted

# days without a sign-in or request
DORMANT = 90
_SEVERITIES = {"problem": "error", "attention": "warn"}

Row = dict[str, str | None]
Say = Callable[[Verdict], None]


def judge(contents: Contents, integrity: dict[str, Any]) -> None:
    """Draw the verdicts, add what the report finds itself to its findings, then the figures.

    The audit trail comes last, as `integrity` says.
    """
    tables = {name: table.dicts() for name, table in contents.tables.items()}
    say = contents.verdicts.append
    _judge_usage(contents, tables, say)
    _judge_budgets(tables["budget"], say)
    stale = [row["source"] or "" for row in tables["sources"] if row["is_stale"] == "yes"]
    if tables["sources"]:
        silent = f", silent: {', '.join(stale)}" if stale else ", none of them silent"
        message = f"{counted(len(tables['sources']), 'source')} of usage{silent}."
        say(Verdict("Sources", "attention" if stale else "ok", message, "sources"))
    else:
        say(Verdict("Sources", "no data", "No source has sent any usage.", "sources"))
    new = [row for row in tables["inventory"] if row["is_new"] == "yes"]
    refused = [row for row in tables["inventory"] if row["is_on_allowlist"] == "no"]
    if tables["inventory"]:
        message = (
            f"{len(tables['inventory'])} models in use, {len(new)} new in the period, {len(refused)} on no allow-list."
        )
        say(Verdict("Models", "problem" if refused else "ok", message, "inventory"))
    _judge_findings(tables["findings"], contents.runs, say)
    _judge_access(tables, say)
    _judge_policies(tables, say)
    late = [row["data"] or "" for row in tables["retention"] if row["state"] == "past its retention"]
    message = f"Past their retention: {', '.join(late)}." if late else "Nothing is kept past its retention."
    say(Verdict("Retention", "attention" if late else "ok", message, "retention"))
    alerts = tables["alerts"]
    left = [row for row in alerts if row["status"] == "open"]
    grave = [row for row in left if row["severity"] in ("critical", "high")]
    message = f"Of {len(alerts)} alerts {len(left)} were open at the end, {len(grave)} of them critical or high."
    say(Verdict("Alerts", "problem" if grave else "attention" if left else "ok", message, "alerts"))
    say(Verdict("Audit trail", integrity["state"], f"{integrity['verdict']}: {integrity['message']}", "part-audit"))
    _add_findings(contents)
    contents.figures.extend(_figures(tables))


def _judge_usage(contents: Contents, tables: dict[str, list[Row]], say: Say) -> None:
    requests = _sum(tables["spend"], "requests")
    if contents.as_of < contents.period.end:
        say(Verdict("Period", "attention", "The period is not over: what is below is a part of it.", "spend"))
    if not requests:
        say(Verdict("Usage", "no data", "No request was recorded in the period.", "spend"))
        return
    unpriced = _sum(tables["spend"], "unpriced_requests")
    share = f"{unpriced / requests:.1%} of {requests:,}"
    message = f"Requests without a price: {unpriced:,} ({share}); their cost is unknown."
    say(Verdict("Prices", "attention" if unpriced else "ok", message, "spend_by_model"))
    without = _sum([row for row in tables["spend_by_team"] if row["team_id"] is None], "requests")
    message = f"Requests without a team: {without:,} ({without / requests:.1%})."
    say(Verdict("Owners", "attention" if without else "ok", message, "spend_by_team"))


def _judge_budgets(budgets: list[Row], say: Say) -> None:
    if not budgets:
        say(Verdict("Budgets", "no data", "There is no budget of this time.", "budget"))
        return
    over = [row for row in budgets if Decimal(row["used_share"] or 0) >= 1]
    near = [row for row in budgets if Decimal("0.8") <= Decimal(row["used_share"] or 0) < 1]
    state = "problem" if over else "attention" if near else "ok"
    message = f"{len(budgets)} budgets, {len(over)} used up, {len(near)} used to 80 % or more."
    say(Verdict("Budgets", state, message, "budget"))


def _judge_findings(findings: list[Row], runs: int, say: Say) -> None:
    if not runs:
        message = "No run of verification was recorded in the period: let `governance verify` run each night."
        say(Verdict("Verification", "no data", message, "findings"))
        return
    left = [row for row in findings if row["resolved_at"] is None and row["accepted_by"] is None]
    errors = sum(row["severity"] == "error" for row in left)
    warnings = sum(row["severity"] == "warn" for row in left)
    state = "problem" if errors else "attention" if warnings else "ok"
    message = f"Of {runs} runs: {errors} errors and {warnings} warnings were open at the end of the period."
    say(Verdict("Verification", state, message, "findings"))


def _judge_access(tables: dict[str, list[Row]], say: Say) -> None:
    people = tables["accounts"]
    privileged = [row for row in people if row["is_privileged"] == "yes"]
    bare = [row for row in privileged if row["mfa_enabled"] == "no"]
    dormant = _dormant(people)
    own = [row for row in people if row["self_granted_roles"]]
    message = (
        f"{counted(len(people), 'account')}, {len(privileged)} privileged, {len(bare)} of them without a second factor; "
        f"{len(dormant)} dormant for {DORMANT} days; {len(own)} granted a role to themselves."
    )
    say(Verdict("Access", "problem" if bare or own else "attention" if dormant else "ok", message, "accounts"))
    given = [row for row in tables["grants"] if row["is_self_granted"] == "yes"]
    if given:
        message = f"{counted(len(given), 'role was', 'roles were')} granted by those who got them in the period."
        say(Verdict("Grants", "problem", message, "grants"))
    faulty = [row for row in tables["keys"] if row["issues"]]
    state = "attention" if faulty else "ok" if tables["keys"] else "no data"
    message = f"{len(tables['keys'])} keys in use, {len(faulty)} of them with something to do."
    say(Verdict("Keys", state, message, "keys"))
    decisions = tables["decisions"]
    undone = [row for row in decisions if row["outcome"] in ("not carried out", "granted again")]
    revoked = [row for row in decisions if row["outcome"] == "carried out"]
    kept = [row for row in decisions if row["decision"] == "keep"]
    if decisions:
        message = (
            f"Of {counted(len(decisions), 'decision')} {len(kept)} kept access, {len(revoked)} revoked it and are "
            f"carried out, {len(undone)} are not, or were undone."
        )
        say(Verdict("Decisions", "problem" if undone else "ok", message, "decisions"))
    else:
        message = "No decision of a review was recorded since the period began."
        say(Verdict("Decisions", "no data", message, "decisions"))


def _judge_policies(tables: dict[str, list[Row]], say: Say) -> None:
    if not tables["policies"]:
        say(Verdict("Policies", "no data", "No policy is in force.", "policies"))
        return
    gaps = len(tables["policy_gaps"])
    message = (
        f"{counted(len(tables['policies']), 'policy', 'policies')} in force; {counted(gaps, 'team is', 'teams are')} "
        f"missed by a type of policy; {_sum(tables['violations'], 'blocked'):,} requests were blocked and "
        f"{_sum(tables['violations'], 'flagged'):,} flagged in the period."
    )
    say(Verdict("Policies", "attention" if gaps else "ok", message, "policy_gaps"))


def _add_findings(contents: Contents) -> None:
    """What the report finds itself, before what verification found of the same severity."""
    texts = tomllib.loads(Path(__file__).with_name("judgements.toml").read_text(encoding="utf-8"))
    table = contents.tables["findings"]
    rows = list(table.rows)
    for verdict in contents.verdicts:
        if verdict.subject in texts and verdict.state in _SEVERITIES:
            said = {
                "severity": _SEVERITIES[verdict.state],
                "subject": contents.period.name,
                "condition": verdict.message,
            }
            said |= texts[verdict.subject]
            rows.append([said.get(column) for column in table.columns])
    own = len(table.rows)
    ranks = {"error": 0, "warn": 1}
    places = sorted(range(len(rows)), key=lambda place: (ranks.get(rows[place][0] or "", 2), place < own, place))
    contents.tables["findings"] = replace(table, rows=[rows[place] for place in places])


def _figures(tables: dict[str, list[Row]]) -> list[Figure]:
    figures = []
    for row in tables["spend"]:
        currency = row["currency"] or ""
        figures.append(Figure(f"cost {currency}", "spend", f"cost, {currency}", cell(row["cost"], "cost"), "spend"))
        if row["change_share"] is not None:
            change = f"{Decimal(row['change_share']):+.1%}"
            figures.append(
                Figure(f"change {currency}", "spend", f"against the period before, {currency}", change, "spend")
            )
        if row["forecast"] is not None:
            forecast = cell(row["forecast"], "forecast")
            figures.append(
                Figure(f"forecast {currency}", "spend", f"expected at the end, {currency}", forecast, "spend")
            )

    def count(key: str, part: str, label: str, number: int, table: str) -> None:
        figures.append(Figure(key, part, label, f"{number:,}", table))

    people, keys, alerts = tables["accounts"], tables["keys"], tables["alerts"]
    count("requests", "completeness", "requests", _sum(tables["spend"], "requests"), "spend_by_day")
    count("unpriced", "completeness", "without a price", _sum(tables["spend"], "unpriced_requests"), "spend_by_model")
    count("refused", "completeness", "records refused", _sum(tables["loads"], "refused"), "loads")
    count("models", "inventory", "models in use", len(tables["inventory"]), "inventory")
    count("new models", "inventory", "new in the period", _with(tables["inventory"], is_new="yes"), "inventory")
    count(
        "off the allow-list",
        "inventory",
        "on no allow-list",
        _with(tables["inventory"], is_on_allowlist="no"),
        "inventory",
    )
    count(
        "budgets used up",
        "spend",
        "budgets used up",
        len([row for row in tables["budget"] if Decimal(row["used_share"] or 0) >= 1]),
        "budget",
    )
    count("accounts", "access", "accounts", len(people), "accounts")
    count("privileged", "access", "privileged", _with(people, is_privileged="yes"), "accounts")
    secured = f"{_with(people, mfa_enabled='yes') / len(people):.0%}" if people else "no data"
    figures.append(Figure("second factor", "access", "with a second factor", secured, "accounts"))
    count("dormant", "access", f"dormant for {DORMANT} days", len(_dormant(people)), "accounts")
    count(
        "joined",
        "access",
        "accounts created",
        _with(tables["joiners_and_leavers"], event="account created"),
        "joiners_and_leavers",
    )
    count(
        "left",
        "access",
        "accounts deactivated",
        _with(tables["joiners_and_leavers"], event="account deactivated"),
        "joiners_and_leavers",
    )
    for issue, label in (
        ("unused", "keys unused"),
        ("without expiry", "keys without expiry"),
        ("over ", "keys too old"),
        ("owner", "keys without an active owner"),
    ):
        count(label, "access", label, len([row for row in keys if issue in (row["issues"] or "")]), "keys")
    count("blocked", "policies", "requests blocked", _sum(tables["violations"], "blocked"), "violations")
    count("flagged", "policies", "requests flagged", _sum(tables["violations"], "flagged"), "violations")
    count("changes", "audit", "changes", _sum(tables["audit_changes"], "entries"), "audit_changes")
    count("refusals", "audit", "failed or refused", _sum(tables["refusals"], "entries"), "refusals")
    count("granted", "audit", "roles granted", _with(tables["grants"], event="role granted"), "grants")
    count("revoked", "audit", "roles revoked", _with(tables["grants"], event="role revoked"), "grants")
    count("exceptions", "audit", "exceptions in force", len(tables["exceptions"]), "exceptions")
    count("alerts", "alerts", "alerts", len(alerts), "alerts")
    count("open alerts", "alerts", "open at the end", _with(alerts, status="open"), "alerts")
    for column, label in (
        ("hours_to_acknowledge", "hours to acknowledge, median"),
        ("hours_to_resolve", "hours to resolve, median"),
    ):
        hours = [Decimal(row[column] or 0) for row in alerts if row[column] is not None]
        middle = f"{statistics.median(hours):,}" if hours else "not yet" if alerts else "no data"
        figures.append(Figure(column, "alerts", label, middle, "alerts"))
    supported = _with(tables["controls"], answer="supports")
    count("supported", "controls", f"of {len(tables['controls'])} lines support a control", supported, "controls")
    return figures


def _dormant(people: list[Row]) -> list[Row]:
    return [row for row in people if int(row["dormant_days"] or 0) >= DORMANT]


def _with(rows: list[Row], **said: str) -> int:
    return sum(all(row[column] == value for column, value in said.items()) for row in rows)


def _sum(rows: list[Row], column: str) -> int:
    return sum(int(row[column] or 0) for row in rows)
