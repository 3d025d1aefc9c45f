"""Pages about money: spend, teams, a team, models, budgets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from orchestration.lib import money
from orchestration.lib.compliance.limits import is_nearly_used_up, is_used_up
from orchestration.lib.compliance.site.data import Data, Row, Span, Spent, plus
from orchestration.lib.compliance.site.listing import Listing, listing, share, state
from orchestration.lib.compliance.site.page import (
    Block,
    Card,
    Cards,
    Figure,
    Filter,
    Page,
    Part,
    figure,
    of_periods,
    team_page,
)
from orchestration.lib.compliance.site.plots import amount, burnt, largest, stacked
from orchestration.lib.words import counted

_OTHERS = "{} others"
_OF_MODELS = ("provider", "model", "currency", "requests", "failed_requests", "unpriced_requests", "cost")

_OF_BUDGETS = ("name", "target_kind", "period", "period_start", "limit_amount", "currency", "spent", "used_share")
_OF_RUNNING_BUDGETS = (
    *("name", "target_kind", "period", "last_day", "limit_amount", "currency", "spent", "used_share", "expected"),
    "runs_out_on",
)


def pages(data: Data) -> Iterator[Page]:
    """All of them."""
    for span in data.spans:
        yield _spend(data, span)
        yield _teams(data, span)
        yield _models(data, span)
    for team in data.teams:
        for span in data.spans:
            yield _team(data, team, span)
    yield _budgets(data, running=True)
    yield _budgets(data, running=False)


def by_team(data: Data, span: Span, currency: str) -> Figure | None:
    """Spend by day, of each team."""
    series = {}
    for (team, of), rows in data.by_team.items():
        if of == currency and (daily := data.daily(span, currency, [team])):
            series[data.team_name(rows[0])] = daily
    return _by_day("spend-by-day-and-team", f"Spend by day and team, {currency}", span, series, currency)


def burn(budgets: Sequence[Row], title: str, name: str, about: str = "") -> Figure | None:
    """What was spent of these budgets, which have one period and currency, and where it leads."""
    first = budgets[0]
    length = (first["period_end"] - first["period_start"]).days
    days = [f"{first['period_start'] + timedelta(days=number)}" for number in range(length)]
    spent = [money.total(each) for each in zip(*(row["daily_spend"] for row in budgets), strict=True)]
    limit = money.total(row["limit_amount"] for row in budgets)
    expected = (
        None if any(row["expected"] is None for row in budgets) else money.total(row["expected"] for row in budgets)
    )
    plot = burnt(title, days, spent, limit, expected, first["currency"])
    if plot is None:
        return None
    plot = replace(plot, text=f"{plot.text}{about}")
    return figure(name, plot, days[: len(spent)], [("spent", dict(zip(days, spent, strict=False)))])


def spent_by_team(data: Data, span: Span, name: str, at_most: int | None = None) -> Listing:
    """Spend of each team at the time of the request, deleted and unknown ones too."""
    rows = []
    for (team, currency), of_days in data.by_team.items():
        spent = data.sums[span.suffix].get(team, {}).get(currency)
        if spent is None:
            continue
        leads_to = team_page(data.teams[team], span) if team is not None and team in data.teams else None
        rows.append({"team": data.team_name(of_days[0]), "page": leads_to, "currency": currency, **_sums(spent)})
    return listing(
        name,
        f"Spend by team, {span.name}",
        _by_cost(data, rows, "team")[:at_most],
        ("team", "currency", "cost", "requests", "unpriced_requests"),
        bar="cost",
        about="The team is the one at the time of the request.",
        empty="No request in these days.",
    )


def _spend(data: Data, span: Span) -> Page:
    charts = [chart for currency in data.currencies if (chart := by_team(data, span, currency))]
    return Page(
        f"spend{span.suffix}",
        "spend",
        "Spend",
        f"What requests of {_days(span)} cost, by day, team and model. Currencies are never added together.",
        [
            Cards(_cards(data.spent(span))),
            *charts,
            Part(spent_by_team(data, span, "teams")),
            Part(_by_model(data, _of_span(data.rows["models"], span), f"Spend by model, {span.name}", "models")),
        ],
        [of_periods(data, "spend")],
    )


def _teams(data: Data, span: Span) -> Page:
    rows = []
    for team, row in data.teams.items():
        own, below = data.spent(span, [team]), data.spent(span, data.below[team])
        for currency in below or [row["currency"]]:
            is_of_budget = currency == row["currency"]
            rows.append(
                {
                    "team": data.path(row),
                    "page": team_page(row, span),
                    "members": row["total_members"],
                    "currency": currency,
                    "cost": own[currency].cost if currency in own else Decimal(0),
                    "with_teams_below": below[currency].cost if currency in below else Decimal(0),
                    "requests": below[currency].requests if currency in below else 0,
                    "budget": _budget(row) if is_of_budget else None,
                    "used_share": row["used_share"] if is_of_budget else None,
                }
            )
    columns = ("team", "members", "currency", "cost", "with_teams_below", "requests", "budget", "used_share")
    table = listing(
        "teams",
        f"Teams, {span.name}",
        rows,
        columns,
        bar="with_teams_below",
        about="Cost is the team's own; requests are those with the teams below it, as the tree is today. A budget is "
        "of its running period.",
        empty="There is no team.",
    )
    lead = f"{counted(len(data.teams), 'team')}, what they spent in {_days(span)}, and how far their budgets are used."
    return Page(f"teams{span.suffix}", "teams", "Teams", lead, [Part(table)], [of_periods(data, "teams")])


def _team(data: Data, team: str, span: Span) -> Page:
    row = data.teams[team]
    children = [each for each in data.teams.values() if each["parent"] == team]
    own, below = data.spent(span, [team]), data.spent(span, data.below[team])
    blocks: list[Block] = [Cards([*_cards(below), *_budget_card(row)])]
    for currency in below:
        parts = {row["name"]: data.daily(span, currency, [team])}
        for child in children:
            name = child["name"] if child["name"] not in parts else f"{child['name']} ({child['slug']})"
            parts[name] = data.daily(span, currency, data.below[child["id"]])
        parts = {name: daily for name, daily in parts.items() if daily}
        chart = _by_day(f"spend-by-day-{currency}", f"Spend by day, {currency}", span, parts, currency)
        blocks += [chart] if chart else []
    limits = [each for each in data.rows["budgets"] if each["target_kind"] == "team" and each["target"] == team]
    for limit in limits:
        if limit["is_running"]:
            title = f"Budget of this {limit['period']}, {limit['currency']}"
            chart = burn([limit], title, f"budget-{limit['period']}-{limit['currency']}")
            blocks += [chart] if chart else []
    if children:
        rows = []
        for child in children:
            spent = data.spent(span, data.below[child["id"]])
            named = {"team": child["name"], "page": team_page(child, span)}
            rows += [{**named, "currency": currency, **_sums(of)} for currency, of in spent.items()]
            rows += [] if spent else [{**named, "currency": child["currency"], **_sums(Spent())}]
        title = f"Teams below, {span.name}"
        columns = ("team", "currency", "cost", "requests", "unpriced_requests")
        blocks.append(Part(listing("below", title, rows, columns, bar="cost", about="Each with those below it.")))
    wanted = set(data.below[team])
    models = [each for each in data.team_models(span) if each["team_id"] in wanted]
    blocks.append(Part(_by_model(data, models, f"Models, {span.name}", "models")))
    if limits:
        blocks.append(Part(of_budgets("budgets", "Budgets", limits)))
    above = [data.teams[each] for each in row["path_ids"] if each in data.teams and each != team]
    crumbs = [("Teams", f"teams{span.suffix}"), *((each["name"], team_page(each, span)) for each in above)]
    alone = f", {_money(own)} of it by the team itself" if children and below else ""
    lead = f"{counted(row['total_members'], 'member')}. {_money(below) or 'Nothing spent'} in {_days(span)}{alone}."
    return Page(team_page(row, span), "teams", row["name"], lead, blocks, [of_periods(data, team_page(row))], crumbs)


def _models(data: Data, span: Span) -> Page:
    rows = _of_span(data.rows["models"], span)
    blocks: list[Block] = []
    for currency in data.currencies:
        series: dict[str, dict[str, Decimal]] = {}
        for row in rows:
            if row["currency"] == currency and row["cost"]:
                daily = series.setdefault(f"{row['provider']}/{row['model']}", {})
                daily[f"{row['day']}"] = money.plus(daily.get(f"{row['day']}", Decimal(0)), row["cost"])
        chart = _by_day(f"spend-by-day-{currency}", f"Spend by day and model, {currency}", span, series, currency)
        blocks += [chart] if chart else []
    blocks.append(Part(_by_model(data, rows, f"Spend by model, {span.name}", "models")))
    if span is data.recent:
        columns = ("model", "provider", "first_day", "last_day", "requests_30d", "unpriced_requests", "is_on_allowlist")
        inventory = listing(
            "inventory", "Models that were ever used", data.rows["inventory"], columns, empty="No model was used."
        )
        columns = ("model", "provider", "day", "requests", "error_share", "latency_p50_ms", "latency_p95_ms")
        latency = listing(
            "latency", "How fast, and how often they failed, yesterday", data.rows["latency"], columns,
            empty="No request with a measured latency yesterday.",
        )  # fmt: skip
        blocks += [Part(inventory), Part(latency)]
    lead = f"Which models answered in {_days(span)}, and what they cost."
    return Page(f"models{span.suffix}", "models", "Models", lead, blocks, [of_periods(data, "models")])


def _budgets(data: Data, *, running: bool) -> Page:
    limits = [row for row in data.rows["budgets"] if row["is_running"] == running]
    blocks: list[Block] = []
    if running:
        over, near = sum(map(is_used_up, limits)), sum(map(is_nearly_used_up, limits))
        out = sum(row["runs_out_on"] is not None and not is_used_up(row) for row in limits)
        blocks.append(
            Cards(
                [
                    Card("Running budgets", f"{len(limits):,}"),
                    Card("Used up", f"{over:,}", state="problem" if over else "ok"),
                    Card("Used to 80 % or more", f"{near:,}", state="attention" if near else "ok"),
                    Card("Will run out before their end", f"{out:,}", state="attention" if out else "ok"),
                ]
            )
        )
    title = "Running budgets" if running else "Budgets of earlier periods"
    blocks.append(Part(of_budgets("budgets", title, limits, data, _OF_RUNNING_BUDGETS if running else _OF_BUDGETS)))
    if running:
        columns = (
            *("name", "target_kind", "crossed_at", "threshold", "limit_amount", "currency", "spent", "crossed_by"),
            "request_id",
        )
        title = "Crossings of 50, 80 and 100 % in the last 90 days"
        empty = "No limit was crossed in the last 90 days."
        crossings = [_leading_to_team(row, data) for row in data.rows["breaches"]]
        blocks.append(Part(listing("crossings", title, crossings, columns, empty=empty)))
    name = "budgets" if running else "budgets-earlier"
    lead = (
        "How far limits are used, and where spending leads."
        if running
        else f"How limits were kept since {data.spans[-1].first if len(data.spans) > 1 else data.recent.first}."
    )
    filters = [Filter("Show", [("running", "budgets"), ("earlier", "budgets-earlier")])]
    return Page(name, "budgets", "Budgets", lead, blocks, filters)


def of_budgets(
    name: str, title: str, limits: Sequence[Row], data: Data | None = None, columns: Sequence[str] = _OF_BUDGETS
) -> Listing:
    """Limits, with what was spent of them."""
    rows = limits if data is None else [_leading_to_team(row, data) for row in limits]
    about = "Expected is what the period will have cost at its end." if "expected" in columns else ""
    return listing(name, title, rows, columns, bar="used_share", about=about, empty="There is none.")


def _leading_to_team(row: Row, data: Data) -> Row:
    """A limit or crossing; a live team's leads to its page, and has a name that no other has."""
    team = row["target"]
    if row["target_kind"] != "team" or team not in data.teams:
        return row
    return {**row, "name": data.shown_name(team), "page": team_page(data.teams[team])}


def _by_model(data: Data, rows: Iterable[Row], title: str, name: str) -> Listing:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["provider"], row["model"], row["currency"]
        sums = found.setdefault(
            key,
            dict(zip(_OF_MODELS, (*key, 0, 0, 0, None), strict=True)),
        )
        for count in ("requests", "failed_requests", "unpriced_requests"):
            sums[count] += row[count]
        sums["cost"] = plus(sums["cost"], row["cost"])
    columns = ("model", "provider", "currency", "cost", "requests", "failed_requests", "unpriced_requests")
    rows = _by_cost(data, found.values(), "model")
    return listing(name, title, rows, columns, bar="cost", empty="No request in these days.")


def _by_day(name: str, title: str, span: Span, series: dict[str, dict[str, Decimal]], currency: str) -> Figure | None:
    shown = largest(series, _OTHERS)
    plot = stacked(title, span.days, shown, currency)
    return (
        figure(f"{name}-{currency}" if not name.endswith(currency) else name, plot, span.days, shown) if plot else None
    )


def _cards(spent: dict[str, Spent]) -> list[Card]:
    requests, unpriced = sum(each.requests for each in spent.values()), sum(each.unpriced for each in spent.values())
    money = [
        Card(
            f"Spent, {currency}",
            "unknown" if each.cost is None else amount(each.cost),
            counted(each.requests, "request"),
        )
        for currency, each in spent.items()
    ]
    if not requests:
        return [Card("Requests", "0")]
    detail = "their cost is unknown, not 0" if unpriced else "each request has a cost"
    return [*money, Card("Without a price", share(unpriced, requests), detail, "attention" if unpriced else "ok")]


def _budget_card(team: Row) -> list[Card]:
    if team["used_share"] is None:
        return []
    used = team["used_share"]
    level = state(f"{used}", "used_share") or "ok"
    return [
        Card(
            f"Budget of this {team['budget_period']}",
            f"{used:.0%}".replace("%", " %"),
            f"of {_budget(team)}",
            level,
            used=used,
        )
    ]


def _budget(team: Row) -> str | None:
    if team["budget_amount"] is None:
        return None
    return f"{amount(team['budget_amount'])} {team['currency']} a {team['budget_period']}"


def _money(spent: dict[str, Spent]) -> str:
    return " and ".join(f"{amount(each.cost)} {currency}" for currency, each in spent.items() if each.cost is not None)


def _sums(spent: Spent) -> dict[str, Any]:
    return {"cost": spent.cost, "requests": spent.requests, "unpriced_requests": spent.unpriced}


def _by_cost(data: Data, rows: Iterable[Row], name: str) -> list[Row]:
    place = {currency: number for number, currency in enumerate(data.currencies)}
    return sorted(
        rows, key=lambda row: (place.get(row["currency"], 0), row["cost"] is None, -(row["cost"] or 0), row[name])
    )


def _of_span(rows: Iterable[Row], span: Span) -> list[Row]:
    return [row for row in rows if span.has(row["day"])]


def _days(span: Span) -> str:
    return span.name if span.suffix else f"the {span.name}"
