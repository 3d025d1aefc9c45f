"""Questions (facts/questions.toml) and what the reporting views answer; reads only views and settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from psycopg.rows import TupleRow

from orchestration.demo.facts import QUESTIONS
from orchestration.lib.database.connection import connect
from orchestration.lib.words import counted, span

Cells = list[tuple[str, ...]]


@dataclass(frozen=True)
class Answer:
    """A question in words, the view that answers it, and the answer: a sentence and perhaps a few rows."""

    view: str
    question: str
    sentence: str
    columns: tuple[str, ...] = ()
    rows: Cells = field(default_factory=list)


def answers(url: str) -> list[Answer]:
    """One answer from each view that is asked, also where there is little or nothing to tell."""
    given = []
    with connect(url) as connection:
        for asked in QUESTIONS:
            rows = connection.execute(asked["query"].encode()).fetchall()
            [(total,)] = connection.execute(asked["total"].encode()) if "total" in asked else [(len(rows),)]
            sentence, cells = _ANSWERS[asked["view"]](rows, total)
            given.append(Answer(asked["view"], asked["question"], sentence, tuple(asked["columns"]), cells))
    return given


def _who_can_delete_policies(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    people = len({row[0] for row in rows})
    return f"{counted(people, 'person', 'people')}." if rows else "Nobody.", [
        (email, scope, role + (f", inherited from {parent}" if parent else ", which may do anything" if any_ else ""))
        for email, scope, role, parent, any_ in rows
    ]


def _teams_near_their_budget(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    over = sum(row[5] >= 1 for row in rows)
    sentence = f"{over} of {counted(total, 'team')} with a budget {'is' if over == 1 else 'are'} past it."
    return sentence if rows else "No team has a budget and spend to compare.", [
        (path, _money(spend, currency), f"{_money(budget, currency)} a {period}", _share(share))
        for path, spend, budget, currency, period, share in rows
    ]


def _cost_by_provider(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    requests, unpriced = sum(row[2] for row in rows), sum(row[4] for row in rows)
    currencies = sorted({row[1] for row in rows})
    sentence = f"All {requests:,} requests have a price." if rows else "There were no requests."
    if unpriced:
        share = _share(Decimal(unpriced) / requests, 1)
        sentence = f"{unpriced:,} of {requests:,} requests ({share}) have no price: what they cost is unknown, not 0."
    if len(currencies) > 1:
        sentence += f" {' and '.join(currencies)} are never added up."
    return sentence, [
        (provider, "-" if cost is None else _money(cost, currency), f"{count:,}", f"{missing:,}")
        for provider, currency, count, cost, missing in rows
    ]


def _sessions_without_second_factor(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    sentence = f"{len(rows)} of {counted(total, 'live session')}{', those idle longest first' if rows else ''}."
    return sentence if total else "Nobody is signed in.", [
        (email, address or "-", span(age), span(idle)) for email, address, age, idle in rows
    ]


def _answered_alerts(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    if not rows:
        return "There were no alerts.", []
    worst = rows[0][0]
    chosen = [row for row in rows if row[0] == worst]
    raised, unresolved = sum(row[2] for row in chosen), sum(row[3] for row in rows)
    return f"{counted(raised, f'{worst} alert')}; of all severities {unresolved} are unresolved.", [
        (kind, severity, str(count), span(acknowledged), span(resolved))
        for severity, kind, count, _, acknowledged, resolved in chosen
    ]


def _busiest_policies(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    first = f"{rows[0][0]}, with {rows[0][4]:,} of {rows[0][3]:,} requests" if rows else "None has blocked a request"
    return f"{first}; {total} policies are in force.", [
        (f"{name} v{version}", kind, f"{evaluated:,}", f"{blocked:,}", _share(rate, 1))
        for name, version, kind, evaluated, blocked, rate in rows
    ]


def _unused_access(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    never, keys = sum(row[1] is None for row in rows), sum(row[3] for row in rows)
    sentence = (
        f"{counted(total, 'active account')}, {never} of them never used; {counted(keys, 'key')} of theirs still "
    )
    sentence += "works." if keys == 1 else "work."
    return sentence if rows else "Everybody who has access uses it.", [
        (email, "never" if days is None else f"{counted(days, 'day')} ago", ", ".join(roles) or "-", str(live_keys))
        for email, days, roles, live_keys in rows
    ]


def _complete_sources(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    unjudged = sum(row[3] is None for row in rows)
    incomplete = sum(bool(row[3] or row[5]) for row in rows)
    sentence = f"{counted(len(rows), 'source')}, {incomplete or 'none'} of them with gaps or silent"
    sentence += f"; {unjudged} too new to be judged." if unjudged else "."
    return sentence if rows else "No usage was loaded.", [
        (
            name,
            f"{count:,}",
            "-" if age is None else f"{span(age)} ago",
            "-" if gap is None else f"{gap} h",
            "-" if share is None else _share(share, 1),
        )
        for name, count, age, gap, share, _ in rows
    ]


def _closed_months(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    closed, changed = len({row[0] for row in rows if row[1]}), len({row[0] for row in rows if row[5]})
    sentence = (
        f"{counted(closed, 'month')} closed; {changed} of them changed since, which the open month is charged for."
    )
    return sentence if closed else "No month is closed.", [
        (month, "closed" if is_closed else "open", *(_perhaps(amount, currency) for amount in amounts))
        for month, is_closed, currency, *amounts in rows
    ]


def _used_up_budgets(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    return f"{counted(len(rows), 'budget')}, the last one first." if rows else "None was used up.", [
        (
            name,
            f"{_money(limit, currency)} a {period}",
            _share(threshold),
            f"{at:%Y-%m-%d %H:%M}",
            _money(spent, currency),
        )
        for name, limit, currency, period, threshold, at, spent in rows
    ]


def _priced_later(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    requests = counted(sum(row[2] for row in rows), "request")
    is_priced = any(row[4] is not None for row in rows)
    sentence = f"{requests}, costed by `governance reprice` once its prices and a discount were known."
    return sentence if is_priced else f"{requests}, and no price yet.", [
        (month, f"{count:,}", *(_perhaps(amount, currency) for amount in amounts))
        for month, currency, count, *amounts in rows
    ]


def changed_prices(rows: list[TupleRow], total: int) -> tuple[str, Cells]:
    """A dated change of a price, as what the same tokens cost before and after; the total of rows is not needed."""
    changes = [
        f"A million {meter.lower()} cost {_price(before, currency)} until {until} "
        f"and {_price(after, currency)} since {since}"
        for (meter, _, _, until, _, before, _, _), (other, currency, since, _, _, after, _, _) in pairwise(rows)
        if meter == other
    ]
    sentence = f"{changes[0]}; each request has the price of its time." if changes else "No price changed."
    return sentence, [
        (
            meter,
            f"{first} to {last}",
            _price(listed, currency),
            _price(agreed, currency),
            f"{tokens:,.0f}",
            _money(cost, currency),
        )
        for meter, currency, first, last, listed, agreed, tokens, cost in rows
    ]


_ANSWERS: dict[str, Callable[[list[Any], int], tuple[str, Cells]]] = {
    "user_permissions_view": _who_can_delete_policies,
    "team_hierarchy_view": _teams_near_their_budget,
    "cost_summary_view": _cost_by_provider,
    "active_sessions_view": _sessions_without_second_factor,
    "alert_summary_view": _answered_alerts,
    "policy_compliance_view": _busiest_policies,
    "user_activity_summary_view": _unused_access,
    "usage_sources": _complete_sources,
    "period_totals": _closed_months,
    "budget_breaches": _used_up_budgets,
    "cost_basis": _priced_later,
    "focus_cost_and_usage": changed_prices,
}


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


def _price(amount: Decimal, currency: str) -> str:
    # with each of its digits: what is multiplied by a million isn't rounded
    return f"{amount:,.{max(2, -int(amount.normalize().as_tuple().exponent))}f} {currency}"


def _perhaps(amount: Decimal | None, currency: str) -> str:
    return "-" if amount is None else _money(amount, currency)


def _share(share: Decimal, decimals: int = 0) -> str:
    return f"{share * 100:.{decimals}f} %"
