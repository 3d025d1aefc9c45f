"""Seven questions and what the seven reporting views answer to them; reads nothing but the views and settings."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TextIO

import psycopg
from psycopg.rows import TupleRow
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.cli.tables import print_table
from orchestration.cli.terminal import visible
from orchestration.lib.database.connection import connect
from orchestration.lib.words import counted

WIDTH = 100
_SHOWN = 4

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True)
class Answer:
    """A question in words, the view that answers it, and the answer: a sentence and perhaps a few rows."""

    view: str
    question: str
    sentence: str
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)


def answers(url: str) -> list[Answer]:
    """One answer from each of the seven views, also where there is little or nothing to tell."""
    questions: tuple[Callable[[Connection], Answer], ...] = (
        _who_can_delete_policies,
        _teams_near_their_budget,
        _cost_by_provider,
        _sessions_without_second_factor,
        _answered_alerts,
        _busiest_policies,
        _unused_access,
    )
    with connect(url) as connection:
        return [question(connection) for question in questions]


def print_summary(
    heading: str, given: list[Answer], further: list[tuple[str, str]], file: TextIO | None = None
) -> None:
    """Print the answers, with colour on a terminal and plain elsewhere, then where to look further."""
    console = Console(file=file or sys.stdout, highlight=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print(Text(visible(heading), style="bold"))
    for number, answer in enumerate(given, 1):
        console.print()
        console.print(Text.assemble((f"{number}. {answer.question}", "bold cyan"), (f"  {answer.view}", "dim")))
        console.print(Text(visible(answer.sentence)))
        if answer.rows:
            table = Table(box=None, pad_edge=False, header_style="dim")
            for position, column in enumerate(answer.columns):
                is_number = all(row[position][:1].isdigit() or row[position] == "-" for row in answer.rows[:_SHOWN])
                table.add_column(column, justify="right" if is_number and position else "left")
            for row in answer.rows[:_SHOWN]:
                table.add_row(*(Text(visible(cell)) for cell in row))
            print_table(console, table)
            if len(answer.rows) > _SHOWN:
                console.print(Text(f"and {len(answer.rows) - _SHOWN:,} more", style="dim"))
    console.print()
    console.print(Text("Look further", style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    for command, purpose in further:
        table.add_row(Text(command, style="cyan", no_wrap=True), Text(purpose))
    print_table(console, table)


def _who_can_delete_policies(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select
            permissions.email,
            coalesce(teams.path, 'everywhere'),
            permissions.granted_via_role,
            permissions.inherited_from_role,
            permissions.resource = '*' as is_wildcard
        from reporting.user_permissions_view as permissions
        left join reporting.team_hierarchy_view as teams on teams.team_id = permissions.team_id
        where permissions.resource in ('policies', '*') and permissions.action in ('delete', '*')
        order by permissions.team_id is not null, permissions.email
        """
    ).fetchall()
    people = len({row[0] for row in rows})
    return Answer(
        "user_permissions_view",
        "Who can delete policies, and why?",
        f"{counted(people, 'person', 'people')}." if rows else "Nobody.",
        ("who", "where", "because of the role"),
        [
            (
                email,
                scope,
                role + (f", inherited from {parent}" if parent else ", which may do anything" if wildcard else ""),
            )
            for email, scope, role, parent, wildcard in rows
        ],
    )


def _teams_near_their_budget(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select path, total_spend, budget_amount, currency, budget_period, budget_used_share
        from reporting.team_hierarchy_view
        where budget_used_share is not null
        order by budget_used_share desc, path
        """
    ).fetchall()
    over = sum(row[5] >= 1 for row in rows)
    verb = "is" if over == 1 else "are"
    return Answer(
        "team_hierarchy_view",
        "Which teams are past their budget, or closest to it?",
        f"{over} of {counted(len(rows), 'team')} with a budget {verb} past it."
        if rows
        else "No team has a budget and spend to compare.",
        ("team, with those below it", "spent", "budget", "used"),
        [
            (
                path,
                _money(spend, currency),
                f"{_money(budget, currency)} a {period}",
                _share(share),
            )
            for path, spend, budget, currency, period, share in rows
        ],
    )


def _cost_by_provider(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select provider, currency, sum(requests)::bigint, sum(cost), sum(unpriced_requests)::bigint
        from reporting.cost_summary_view
        where day > (
            select (now() at time zone value)::date - 30 from internal.settings where name = 'reporting_timezone'
        )
        group by provider, currency
        order by currency = 'USD' desc, currency, sum(cost) desc nulls last, provider
        """
    ).fetchall()
    requests, unpriced = sum(row[2] for row in rows), sum(row[4] for row in rows)
    currencies = sorted({row[1] for row in rows})
    if not rows:
        sentence = "There were no requests."
    elif unpriced:
        sentence = (
            f"{unpriced:,} of {requests:,} requests ({_share(Decimal(unpriced) / requests, 1)}) have no price: "
            "what they cost is unknown, not 0."
        )
    else:
        sentence = f"All {requests:,} requests have a price."
    if len(currencies) > 1:
        sentence += f" {' and '.join(currencies)} are never added up."
    return Answer(
        "cost_summary_view",
        "What did the last 30 days cost, and how much of it is unknown?",
        sentence,
        ("provider", "cost", "requests", "without a price"),
        [
            (provider, "-" if cost is None else _money(cost, currency), f"{count:,}", f"{missing:,}")
            for provider, currency, count, cost, missing in rows
        ],
    )


def _sessions_without_second_factor(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select email, host(ip_address), age, idle_time
        from reporting.active_sessions_view
        where not mfa_verified
        order by idle_time desc, email
        """
    ).fetchall()
    (total,) = connection.execute("select count(*) from reporting.active_sessions_view").fetchone() or (0,)
    return Answer(
        "active_sessions_view",
        "Who is signed in without a second factor?",
        f"{len(rows)} of {counted(total, 'live session')}{', those idle longest first' if rows else ''}."
        if total
        else "Nobody is signed in.",
        ("who", "from", "signed in for", "idle for"),
        [(email, address or "-", _span(age), _span(idle)) for email, address, age, idle in rows],
    )


def _answered_alerts(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select
            severity,
            alert_type,
            open_count + acknowledged_count + resolved_count + suppressed_count,
            open_count + acknowledged_count,
            mean_time_to_acknowledge,
            mean_time_to_resolve
        from reporting.alert_summary_view
        order by array_position(array['critical', 'high', 'medium', 'low', 'info'], severity), alert_type
        """
    ).fetchall()
    worst = rows[0][0] if rows else ""
    chosen = [row for row in rows if row[0] == worst]
    unresolved = sum(row[3] for row in rows)
    return Answer(
        "alert_summary_view",
        "How fast are the worst alerts answered?",
        f"{counted(sum(row[2] for row in chosen), f'{worst} alert')}; of all severities {unresolved} are unresolved."
        if rows
        else "There were no alerts.",
        ("alert", "severity", "raised", "acknowledged after", "resolved after"),
        [
            (kind, severity, str(count), _span(acknowledged), _span(resolved))
            for severity, kind, count, _, acknowledged, resolved in chosen
        ],
    )


def _busiest_policies(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select policy_name, version, policy_type, requests_evaluated, requests_blocked, compliance_rate
        from reporting.policy_compliance_view
        where requests_blocked > 0
        order by requests_blocked desc, slug, version
        """
    ).fetchall()
    (total,) = connection.execute(
        "select count(*) from reporting.policy_compliance_view where is_active"
    ).fetchone() or (0,)
    return Answer(
        "policy_compliance_view",
        "Which policy blocks most?",
        f"{rows[0][0]}, with {rows[0][4]:,} of {rows[0][3]:,} requests; {total} policies are in force."
        if rows
        else f"None has blocked a request; {total} policies are in force.",
        ("policy", "type", "looked at", "blocked", "compliant"),
        [
            (f"{name} v{version}", kind, f"{evaluated:,}", f"{blocked:,}", _share(rate, 1))
            for name, version, kind, evaluated, blocked, rate in rows
        ],
    )


def _unused_access(connection: Connection) -> Answer:
    rows = connection.execute(
        """
        select email, dormant_days, role_names, active_api_keys
        from reporting.user_activity_summary_view
        where status = 'active' and coalesce(dormant_days >= 30, true)
        order by active_api_keys desc, dormant_days desc nulls last, email
        """
    ).fetchall()
    never = sum(row[1] is None for row in rows)
    keys = sum(row[3] for row in rows)
    return Answer(
        "user_activity_summary_view",
        "Who hasn't used their access for 30 days?",
        f"{counted(len(rows), 'active account')}, {never} of them never used; {counted(keys, 'key')} of theirs still "
        f"{'works' if keys == 1 else 'work'}."
        if rows
        else "Everybody who has access uses it.",
        ("who", "last seen", "roles", "live keys"),
        [
            (
                email,
                "never" if days is None else f"{counted(days, 'day')} ago",
                ", ".join(roles) or "-",
                str(keys_of_one),
            )
            for email, days, roles, keys_of_one in rows
        ],
    )


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


def _share(share: Decimal, decimals: int = 0) -> str:
    return f"{share * 100:.{decimals}f} %"


def _span(span: timedelta | None) -> str:
    """A span of time in its two largest units, minutes at least."""
    if span is None:
        return "-"
    minutes = round(span.total_seconds() / 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{counted(days, 'day')} {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
