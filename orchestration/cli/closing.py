"""The command that closes months."""

import getpass
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from orchestration.lib.pricing.closing import ClosedPeriod


@click.command()
@click.argument("month", required=False, metavar="MONTH")
@click.option("--list", "lists", is_flag=True, help="Show the closed months, and what was adjusted since.")
def close(month: str | None, lists: bool) -> None:
    """Close MONTH, such as 2026-10: its charges are final.

    The month has ended in the reporting time zone, and all before it are closed. What changes its money later (late
    requests, repricing, corrections) is charged as adjustments of the month that is open.
    """
    from orchestration.cli.terminal import visible
    from orchestration.lib.database.in_use import database_url
    from orchestration.lib.pricing.closing import close as close_month
    from orchestration.lib.pricing.closing import closed_periods

    if bool(month) == lists:
        raise click.UsageError("give the month to close, such as 2026-10, or --list")
    if month is None:
        _show(closed_periods(database_url()))
        return
    closed = close_month(database_url(), month, getpass.getuser())
    click.echo(
        f"{closed.name} is closed: {closed.requests:,} requests, {visible(_amounts(closed.totals))}"
        + (f"; {closed.unpriced:,} of them have no price" if closed.unpriced else "")
        + f"; fingerprint {closed.fingerprint}"
    )


def _show(periods: "Sequence[ClosedPeriod]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from orchestration.cli.tables import print_table
    from orchestration.cli.terminal import tell, visible

    if not periods:
        tell("no month is closed")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("month", "closed", "requests", "unpriced", "total", "adjusted since", "fingerprint", "by"):
        table.add_column(column, justify="right" if column in ("requests", "unpriced") else "left", no_wrap=True)
    for each in periods:
        table.add_row(
            each.name,
            f"{each.closed_at:%Y-%m-%d %H:%M}",
            f"{each.requests:,}",
            f"{each.unpriced:,}",
            _amounts(each.totals),
            _amounts(each.adjusted) if each.adjusted else "-",
            each.fingerprint[:12],
            Text(visible(each.closed_by)),
        )
    print_table(Console(file=sys.stdout, highlight=False, width=200), table)


def _amounts(amounts: "Mapping[str, Decimal]") -> str:
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in amounts.items()) or "no cost"
