"""The command that closes months."""

from typing import TYPE_CHECKING

import click

from orchestration.cli.tables import show_table
from orchestration.cli.terminal import login, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from orchestration.lib.pricing.closing import ClosedPeriod


@click.command()
@click.argument("month", required=False, metavar="[MONTH]")
@click.option("--through", metavar="MONTH", help="Close every month that is open up to this one, all or none.")
@click.option("--dry-run", is_flag=True, help="Only show what would be closed.")
@click.option("--list", "lists", is_flag=True, help="Show the closed months, and what was adjusted since.")
def close(month: str | None, through: str | None, dry_run: bool, lists: bool) -> None:
    """Close MONTH, such as 2026-10 or last-month: its charges are final, and it isn't opened again.

    The month has ended in the reporting time zone, and all before it with usage or cost are closed. What changes its
    money later (late requests, repricing, corrections) is charged as adjustments of the month that is open.

    \b
    governance close last-month --dry-run
    governance close --through 2026-10
    governance close --list
    """
    from orchestration.lib.pricing.closing import close as close_months
    from orchestration.lib.pricing.closing import closed_periods

    said = month or through
    if sum((bool(month), bool(through), lists)) != 1 or (lists and dry_run):
        raise click.UsageError("give the month to close, such as 2026-10, or --through a month, or --list")
    if said is None:
        _show(closed_periods(database_url()))
        return
    closed = close_months(database_url(), said, login(), through=bool(through), is_trial=dry_run)
    for each in closed:
        click.echo(
            f"{each.name} {'would be' if dry_run else 'is'} closed: {counted(each.requests, 'request')}, "
            + visible(_amounts(each.totals))
            + (f"; {each.unpriced:,} of them without a price" if each.unpriced else "")
            + f"; fingerprint {each.fingerprint}"
        )
    if any(each.unpriced for each in closed):
        tell(
            "reporting.unpriced_usage names what has no price; with a price, `governance reprice --unpriced"
            + ("` costs it before the month is closed" if dry_run else " --into-closed` charges it in the open month")
        )


def _show(periods: "Sequence[ClosedPeriod]") -> None:
    if not periods:
        tell("no month is closed")
        return
    columns = ("month", "closed", "requests", "unpriced", "total", "adjusted since", "fingerprint", "by")
    rows = [
        (
            each.name,
            f"{each.closed_at:%Y-%m-%d %H:%M}",
            f"{each.requests:,}",
            f"{each.unpriced:,}",
            _amounts(each.totals),
            _amounts(each.adjusted) if each.adjusted else "-",
            each.fingerprint[:12],
            each.closed_by,
        )
        for each in periods
    ]
    show_table(columns, rows, numbers=("requests", "unpriced"))


def _amounts(amounts: "Mapping[str, Decimal]") -> str:
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in amounts.items()) or "no cost"
