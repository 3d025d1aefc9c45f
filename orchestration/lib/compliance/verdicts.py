"""The verdicts of a report, its figures and what it finds itself, all drawn from its tables."""

import statistics
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.lib.compliance.cells import cell, percent
from orchestration.lib.compliance.limits import is_nearly_used_up, is_used_up
from orchestration.lib.compliance.sections import Contents, Figure, Verdict
from orchestration.lib.compliance.tables import DORMANT
from orchestration.lib.words import counted

_SEVERITIES = {"problem": "error", "attention": "warn"}
# what is wrong with keys, as key_hygiene says it
_ISSUES = {
    "unused": "keys unused",
    "without expiry": "keys without expiry",
    "over ": "keys too old",
    "owner": "keys without an active owner",
}
_TIMES = {
    "hours_to_acknowledge": "hours to acknowledge, median",
    "hours_to_resolve": "hours to resolve, median",
}

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
            f"{counted(len(tables['inventory']), 'model')} in use, {len(new)} new in the period, "
            f"{len(refused)} on no allow-list."
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
    message = (
        f"Of {counted(len(alerts), 'alert')} {len(left)} were open at the end, {len(grave)} of them critical or high."
    )
    message = message if alerts else "No alert was open in the period."
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
    of_all = f"{percent(unpriced, requests)} of {requests:,}"
    message = f"Requests without a price: {unpriced:,} ({of_all}); their cost is unknown."
    message = message if unpriced else f"Each of {counted(requests, 'request')} has a price."
    say(Verdict("Prices", "attention" if unpriced else "ok", message, "spend_by_model"))
    without = _sum([row for row in tables["spend_by_team"] if row["team_id"] is None], "requests")
    message = f"Requests without a team: {without:,} ({percent(without, requests)})."
    message = message if without else f"Each of {counted(requests, 'request')} has a team."
    say(Verdict("Owners", "attention" if without else "ok", message, "spend_by_team"))


def _judge_budgets(budgets: list[Row], say: Say) -> None:
    if not budgets:
        say(Verdict("Budgets", "no data", "There is no budget of this time.", "budget"))
        return
    over, near = list(filter(is_used_up, budgets)), list(filter(is_nearly_used_up, budgets))
    state = "problem" if over else "attention" if near else "ok"
    message = f"{counted(len(budgets), 'budget')}, {len(over)} used up, {len(near)} used to 80 % or more."
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
    open_at_end = f"{counted(errors, 'error')} and {counted(warnings, 'warning')}"
    message = f"Of {counted(runs, 'run')}: {open_at_end} were open at the end of the period."
    say(Verdict("Verification", state, message, "findings"))


def _judge_access(tables: dict[str, list[Row]], say: Say) -> None:
    people = tables["accounts"]
    privileged = [row for row in people if row["is_privileged"] == "yes"]
    bare = [row for row in privileged if row["mfa_enabled"] == "no"]
    dormant = _dormant(people)
    own = [row for row in people if row["self_granted_roles"]]
    message = (
        f"{counted(len(people), 'account')}, {len(privileged)} privileged, {len(bare)} of them without a second "
        f"factor; {len(dormant)} dormant for {DORMANT} days; {len(own)} granted a role to themselves."
    )
    say(Verdict("Access", "problem" if bare or own else "attention" if dormant else "ok", message, "accounts"))
    given = [row for row in tables["grants"] if row["is_self_granted"] == "yes"]
    if given:
        message = f"{counted(len(given), 'role was', 'roles were')} granted by those who got them in the period."
        say(Verdict("Grants", "problem", message, "grants"))
    faulty = [row for row in tables["keys"] if row["issues"]]
    state = "attention" if faulty else "ok" if tables["keys"] else "no data"
    message = f"{counted(len(tables['keys']), 'key')} in use, {len(faulty)} of them with something to do."
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
        f"missed by a type of policy; {counted(_sum(tables['violations'], 'blocked'), 'request was', 'requests were')} "
        f"blocked and {_sum(tables['violations'], 'flagged'):,} flagged in the period."
    )
    say(Verdict("Policies", "attention" if gaps else "ok", message, "policy_gaps"))


def _add_findings(contents: Contents) -> None:
    """What the report finds itself, before what verification found of the same severity."""
    texts = tomllib.loads(Path(__file__).with_name("judgements.toml").read_text(encoding="utf-8"))
    table = contents.tables["findings"]
    rows = list(table.rows)
    for verdict in contents.verdicts:
        if verdict.subject in texts and verdict.state in _SEVERITIES:
            said = {"severity": _SEVERITIES[verdict.state], "subject": contents.period.name}
            said |= {"condition": verdict.message, **texts[verdict.subject]}
            rows.append([said.get(column) for column in table.columns])
    own = len(table.rows)
    ranks = {"error": 0, "warn": 1}
    places = sorted(range(len(rows)), key=lambda place: (ranks.get(rows[place][0] or "", 2), place < own, place))
    contents.tables["findings"] = replace(table, rows=[rows[place] for place in places])


def _figures(tables: dict[str, list[Row]]) -> list[Figure]:
    """In the order of the parts' tables. A key says the same thing in each report."""
    figures = list(_figures_of_spend(tables["spend"]))

    def count(part: str, table: str, label: str, number: int) -> None:
        figures.append(Figure(label, part, label, f"{number:,}", table))

    people, keys, alerts, moves = (tables[name] for name in ("accounts", "keys", "alerts", "joiners_and_leavers"))
    count("completeness", "spend_by_day", "requests", _sum(tables["spend"], "requests"))
    count("completeness", "spend_by_model", "without a price", _sum(tables["spend"], "unpriced_requests"))
    count("completeness", "loads", "records refused", _sum(tables["loads"], "refused"))
    count("inventory", "inventory", "models in use", len(tables["inventory"]))
    count("inventory", "inventory", "new in the period", _with(tables["inventory"], is_new="yes"))
    count("inventory", "inventory", "on no allow-list", _with(tables["inventory"], is_on_allowlist="no"))
    count("spend", "budget", "budgets used up", sum(map(is_used_up, tables["budget"])))
    count("access", "accounts", "accounts", len(people))
    count("access", "accounts", "privileged", _with(people, is_privileged="yes"))
    secured = f"{_with(people, mfa_enabled='yes') / len(people):.0%}" if people else "no data"
    figures.append(Figure("with a second factor", "access", "with a second factor", secured, "accounts"))
    count("access", "accounts", f"dormant for {DORMANT} days", len(_dormant(people)))
    count("access", "joiners_and_leavers", "accounts created", _with(moves, event="account created"))
    count("access", "joiners_and_leavers", "accounts deactivated", _with(moves, event="account deactivated"))
    for issue, label in _ISSUES.items():
        count("access", "keys", label, len([row for row in keys if issue in (row["issues"] or "")]))
    count("policies", "violations", "requests blocked", _sum(tables["violations"], "blocked"))
    count("policies", "violations", "requests flagged", _sum(tables["violations"], "flagged"))
    count("policies", "policy_gaps", "teams missed by a type", len(tables["policy_gaps"]))
    count("audit", "audit_changes", "changes", _sum(tables["audit_changes"], "entries"))
    count("audit", "refusals", "failed or refused", _sum(tables["refusals"], "entries"))
    count("audit", "grants", "roles granted", _with(tables["grants"], event="role granted"))
    count("audit", "grants", "roles revoked", _with(tables["grants"], event="role revoked"))
    count("audit", "exceptions", "exceptions in force", len(tables["exceptions"]))
    count("alerts", "alerts", "alerts", len(alerts))
    count("alerts", "alerts", "open at the end", _with(alerts, status="open"))
    for column, label in _TIMES.items():
        hours = [Decimal(row[column] or 0) for row in alerts if row[column] is not None]
        middle = f"{statistics.median(hours):,.1f}" if hours else "not yet" if alerts else "no data"
        figures.append(Figure(label, "alerts", label, middle, "alerts"))
    lines = len(tables["controls"])
    count("controls", "controls", f"of {lines} lines support a control", _with(tables["controls"], answer="supports"))
    return figures


def _figures_of_spend(spend: list[Row]) -> Iterator[Figure]:
    for row in spend:
        currency = row["currency"] or ""
        said = {
            "cost": cell(row["cost"], "cost"),
            "against the period before": row["change_share"] and f"{Decimal(row['change_share']):+.1%}",
            "expected at the end": row["forecast"] and cell(row["forecast"], "forecast"),
        }
        for label, value in said.items():
            if value is not None:
                yield Figure(f"{label}, {currency}", "spend", f"{label}, {currency}", value, "spend")


def _dormant(people: list[Row]) -> list[Row]:
    return [row for row in people if int(row["dormant_days"] or 0) >= DORMANT]


def _with(rows: list[Row], **said: str) -> int:
    return sum(all(row[column] == value for column, value in said.items()) for row in rows)


def _sum(rows: list[Row], column: str) -> int:
    return sum(int(row[column] or 0) for row in rows)
