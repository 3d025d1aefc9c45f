"""The page that is opened each morning."""

from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from typing import Any

from orchestration.lib.compliance.limits import is_used_up
from orchestration.lib.compliance.site.data import Data
from orchestration.lib.compliance.site.governance import open_findings
from orchestration.lib.compliance.site.listing import Listing, listing, share, total
from orchestration.lib.compliance.site.page import Block, Card, Cards, Columns, Figure, Note, Page, Part
from orchestration.lib.compliance.site.plots import amount
from orchestration.lib.compliance.site.spending import burn, by_team, of_budgets, spent_by_team
from orchestration.lib.words import counted

_MOVERS = _LIMITS = 8
_TEAMS = 12


def pages(data: Data) -> Iterator[Page]:
    """The one."""
    blocks: list[Block] = [Cards([*_money(data), _budgets(data)]), Cards(list(_state(data)))]
    for currency in data.currencies:
        beside: list[Block] = [
            chart for chart in (by_team(data, data.recent, currency), _burn(data, currency)) if chart
        ]
        if beside:
            blocks.append(Columns(beside))
    blocks.append(Columns([Part(_limits(data)), Part(_movers(data))]))
    blocks.append(Part(spent_by_team(data, data.recent, "teams", at_most=_TEAMS)))
    blocks.append(Part(_sources(data)))
    lead = "What was spent, by whom, whether it is within its limits, and what somebody should look at."
    yield Page("index", "index", "Overview", lead, blocks)


def _money(data: Data) -> Iterator[Card]:
    months = {row["currency"]: row for row in data.rows["months"]}
    for currency in data.currencies:
        if (row := months.get(currency)) is None:
            continue
        so_far, before, finished = row["month_so_far"], row["same_days_of_last_month"], row["finished_days"]
        detail = "no such days last month to compare with"
        if before and finished is not None:
            detail = f"{(finished - before) / before:+.1%} against the same days of last month".replace("%", " %")
        value = "unknown" if so_far is None else f"{amount(so_far)} {currency}"
        yield Card("This month so far", value, detail, href="spend")
    if not months:
        yield Card("This month so far", "no data", "no request in this month or the last", href="spend")


def _budgets(data: Data) -> Card:
    running = [row for row in data.rows["budgets"] if row["is_running"]]
    if not running:
        return Card("Budgets", "no data", "there is no running budget", href="budgets")
    over = sum(map(is_used_up, running))
    soon = sum(not is_used_up(row) and row["runs_out_on"] is not None for row in running)
    level = "problem" if over else "attention" if soon else "ok"
    return Card("Budgets used up", f"{over:,} of {len(running):,}", f"{soon:,} more will run out", level, "budgets")


def _state(data: Data) -> Iterator[Card]:
    spent = data.spent(data.recent)
    requests = sum(each.requests for each in spent.values())
    unpriced = sum(each.unpriced for each in spent.values())
    unowned = sum(each.requests for each in data.spent(data.recent, [None]).values())
    for label, part, href in (("Without a price", unpriced, "models"), ("Without a team", unowned, "spend")):
        if requests:
            detail = f"{part:,} of {requests:,} requests in 30 days"
            yield Card(label, share(part, requests), detail, "attention" if part else "ok", href)
        else:
            yield Card(label, "no data", "no request in 30 days", href=href)
    blocked = total(data.rows["blocks"], "blocked_requests")
    yield Card("Blocked", f"{blocked:,}", "requests by policies in 30 days", href="policies")
    waiting = total(data.rows["alerts"], "open")
    urgent = total(data.rows["alerts"], "open", lambda row: row["severity"] in ("critical", "high"))
    level = "problem" if urgent else "attention" if waiting else "ok"
    yield Card("Open alerts", f"{waiting:,}", f"{urgent:,} critical or high", level, "alerts")
    yield verdict(data)
    yield _freshness(data)


def verdict(data: Data) -> Card:
    """What verification says."""
    if not data.rows["asked"]:
        return Card("Verification", "no data", "let governance verify run each night", "attention", "verification")
    found = [row["severity"] for row in open_findings(data)]
    errors, warnings = found.count("error"), found.count("warn")
    level = "problem" if errors else "attention" if warnings else "ok"
    last = max(row["last_asked"] for row in data.rows["asked"]).astimezone(UTC)
    value = counted(errors, "error") if errors or not warnings else counted(warnings, "warning")
    more = f"{counted(warnings, 'warning')}; " if errors and warnings else ""
    return Card("Verification", value, f"{more}asked {last:%d %b %H:%M} UTC", level, "verification")


def _freshness(data: Data) -> Card:
    moments = [row["last_request_at"] for row in data.rows["sources"] if row["last_request_at"] is not None]
    if not moments:
        return Card("Newest request", "no data", "no usage was loaded", href="index#sources")
    silent = [row for row in data.rows["sources"] if row["is_stale"]]
    newest = max(moments).astimezone(UTC)
    detail = f"{newest:%d %B}; {counted(len(silent), 'source') if silent else 'no source is'} silent"
    return Card("Newest request", f"{newest:%H:%M} UTC", detail, "attention" if silent else "ok", "index#sources")


def _burn(data: Data, currency: str) -> Figure | Note | None:
    """The narrowest team budgets of this month, so that no spend is counted twice."""
    monthly = {
        row["target"]: row
        for row in data.rows["budgets"]
        if row["is_running"]
        and row["period"] == "month"
        and row["target_kind"] == "team"
        and row["currency"] == currency
    }
    chosen = [
        row
        for team, row in monthly.items()
        if not any(below in monthly for below in data.below.get(team, []) if below != team)
    ]
    if not chosen:
        return Note(f"No team has a monthly budget in {currency}, so there is no line to keep below.")
    title = f"This month against {counted(len(chosen), 'team budget')}, {currency}"
    about = " A team's own budget counts where no team below it has one." if len(monthly) > len(chosen) else ""
    return burn(chosen, title, f"budgets-of-this-month-{currency}", about)


def _limits(data: Data) -> Listing:
    running = [row for row in data.rows["budgets"] if row["is_running"] and row["used_share"] is not None]
    title = "Budgets closest to their limit"
    return of_budgets("budgets", title, running[:_LIMITS], data, ("name", "period", "spent", "currency", "used_share"))


def _movers(data: Data) -> Listing:
    def size(row: Any) -> tuple[int, Decimal]:
        return data.currencies.index(row["currency"]) if row["currency"] in data.currencies else 0, -abs(row["change"])

    # who it was is on other pages
    kinds = ("team", "model", "application")
    named = [{**row, "name": row["name"] or f"no {row['kind']}"} for row in data.rows["movers"] if row["kind"] in kinds]
    rows = sorted(named, key=size)
    columns = ("name", "kind", "cost", "currency", "change_share")
    about = "Cost of the last seven days against the seven before them."
    empty = "No cost changed between the last two weeks."
    return listing("movers", "What changed most in a week", rows[:_MOVERS], columns, about=about, empty=empty)


def _sources(data: Data) -> Listing:
    columns = (
        *("source", "last_request_at", "last_loaded_at", "is_stale", "requests_24h", "requests_30d", "gap_hours"),
        *("unowned_share", "unpriced_share"),
    )
    about = "How fresh and how complete usage is; times are UTC, shares of 30 days."
    return listing(
        "sources", "Sources of usage", data.rows["sources"], columns, about=about, empty="No usage was loaded."
    )
