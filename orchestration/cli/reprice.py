"""The command that costs requests anew."""

import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from orchestration.cli.options import day
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import confirm, login, tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.pricing.reprice import Effect, Revision

# between two lines that say how far it is
_SECONDS = 5


@click.command()
@click.option("--from", "first", callback=day, metavar="DAY", help="First day, of the reporting time zone.")
@click.option("--to", "last", callback=day, metavar="DAY", help="First day after; without it up to now.")
@click.option("--provider", help="Only this provider, as the requests say it.")
@click.option("--model", help="Only this model, as the requests say it.")
@click.option("--unpriced", is_flag=True, help="Only requests that have no cost, from whatever day.")
@click.option("--reason", help="Why; it is kept with the revision.")
@click.option("--into-closed", is_flag=True, help="Closed months too; the difference is charged in the open month.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--resume", is_flag=True, help="Go on with a revision that was stopped.")
def reprice(
    first: date | None,
    last: date | None,
    provider: str | None,
    model: str | None,
    unpriced: bool,
    reason: str | None,
    into_closed: bool,
    yes: bool,
    resume: bool,
) -> None:
    """Cost requests anew by the prices of today.

    Shows the effect first, then asks. The act is kept in core.price_revisions, each figure that it replaces in
    core.price_revision_rows. Stopped anywhere, `governance reprice --resume` goes on. The rollups follow. Requests of
    closed months are refused without --into-closed, with which what they cost more or less is charged as adjustments.

    \b
    governance reprice --unpriced --reason 'prices of the new models'
    governance reprice --from 2026-10-01 --to 2026-11-01 --model gpt-5 --reason 'the list had a wrong price'
    """
    from orchestration.lib.pricing.closing import open_part
    from orchestration.lib.pricing.reprice import begin, effect, scope_of_days

    url = database_url()
    if resume:
        if first or last or provider or model or unpriced or reason or into_closed:
            raise click.UsageError("--resume goes on with what was asked for: give nothing else")
        _proceed(url)
        return
    if not first and not unpriced:
        raise click.UsageError("give --from, the first day, or --unpriced")
    if not reason or not reason.strip():
        raise click.UsageError("give --reason: it is kept with the figures that are replaced")
    scope = scope_of_days(url, first, last, provider, model, only_unpriced=unpriced)
    if not into_closed:
        scope = open_part(url, scope)
    effects = effect(url, scope)
    if not effects:
        click.echo("no request would cost something else")
        return
    _show(effects)
    confirm("Reprice them?", yes=yes, otherwise="nothing is written")
    begin(url, scope, reason.strip(), login(), into_closed=into_closed)
    _proceed(url)


def _proceed(url: str) -> None:
    from orchestration.lib.pricing.reprice import proceed
    from orchestration.lib.warehouse.refresh import refresh

    shown = time.monotonic()

    def told(revision: "Revision") -> None:
        nonlocal shown
        if time.monotonic() - shown < _SECONDS:
            return
        shown = time.monotonic()
        tell(f"{counted(revision.requests, 'request')} repriced, done before {revision.done_before:%Y-%m-%d}")

    revision = proceed(url, told)
    refresh(url)
    click.echo(
        f"revision {revision.number}: {counted(revision.requests, 'request has', 'requests have')} another cost, "
        "the rollups are up to date"
    )


def _show(effects: "list[Effect]") -> None:
    from orchestration.lib.money import minus

    numbers = ("requests", "old", "new", "difference", "unpriced before", "after")
    rows = []
    for each in effects:
        same = each.old_currency == each.new_currency
        difference = _amount(minus(each.new or Decimal(0), each.old or Decimal(0)), each.new_currency) if same else ""
        amounts = (_amount(each.old, each.old_currency), _amount(each.new, each.new_currency), difference)
        counts = (f"{each.unpriced_before:,}", f"{each.unpriced_after:,}")
        rows.append((each.provider, each.model, f"{each.requests:,}", *amounts, *counts))
    show_table(("provider", "model", *numbers), rows, numbers=numbers)


def _amount(amount: Decimal | None, currency: str) -> str:
    return "-" if amount is None else f"{amount:,.2f} {currency}"
