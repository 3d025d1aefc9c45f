"""What `governance reconcile provider` prints."""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from orchestration.cli.tables import show_table
from orchestration.cli.terminal import tell, visible
from orchestration.lib.money import minus, total
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.usage.provider_costs import Compared, ProviderReconciliation


def as_json(found: "ProviderReconciliation") -> str:
    """All of it, amounts as exact texts."""
    return json.dumps({**asdict(found), "is_matched": found.is_matched}, indent=2, default=_text)


def print_comparison(found: "ProviderReconciliation", *, shows_all: bool) -> None:
    """The rows that differ, or all; then a line for each provider, source and currency, and what can't be compared."""
    shown = [row for row in found.rows if shows_all or row.status != "matched"]
    if shown:
        _print_table(shown)
        click.echo()
    groups: dict[tuple[str, str, str], list[Compared]] = {}
    for row in found.rows:
        groups.setdefault((row.provider, row.source, row.currency), []).append(row)
    for (provider, source, currency), rows in groups.items():
        matched = sum(row.status == "matched" for row in rows)
        ours = total(row.our_cost if row.converted_cost is None else row.converted_cost for row in rows)
        theirs, beyond = total(row.their_cost for row in rows), len(rows) - matched
        click.echo(
            visible(
                f"{provider} by {source}, {rows[0].day} to before {rows[-1].end_day} of {rows[0].zone}:"
                f" ours {ours:f}, theirs {theirs:f} {currency}, difference {minus(ours, theirs):+f};"
                f" {counted(matched, 'row')} matched, {beyond:,} not"
            )
        )
    for sentence in (*found.unknown_rates, *_unreached(found)):
        tell(visible(sentence))


def _unreached(found: "ProviderReconciliation") -> list[str]:
    return [
        f"{each.provider}: {each.cost:f} {each.currency} from {each.first} to {each.last} can't be compared, for "
        + ("its reports don't reach these days" if each.is_reported else f"no report about {found.period} is loaded")
        for each in found.unreached
    ]


def _print_table(rows: "list[Compared]") -> None:
    names, numbers = ("provider", "account", "source", "days", "currency"), ("ours", "theirs", "difference", "share")
    cells = []
    for row in rows:
        ours = "-" if row.our_cost is None else f"{row.our_cost:f}"
        if row.converted_cost is not None:
            rate = f"{row.exchange_rate:f} of {row.exchange_rate_day}"
            ours = f"{row.converted_cost:f} (from {row.converted_from} at {rate})"
        days = f"{row.day}" if (row.end_day - row.day).days == 1 else f"{row.day} … {row.end_day}"
        theirs = "-" if row.their_cost is None else f"{row.their_cost:f}"
        share = "" if row.difference_share is None else f"{row.difference_share:+.2%}"
        named = (row.provider, row.account or "", row.source, days, row.currency)
        cells.append((*named, ours, theirs, f"{row.difference:+f}", share, row.status, row.explained_by or ""))
    show_table((*names, *numbers, "status", "explained by"), cells, numbers=numbers)


def _text(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
