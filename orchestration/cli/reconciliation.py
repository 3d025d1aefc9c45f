"""The commands that compare what is loaded with what a source or a provider says itself."""

import json
import sys
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import click

from orchestration.cli.groups import Group
from orchestration.cli.options import day
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import errors_exit_with_2, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.money import minus
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.usage.reconcile import Difference, Reconciliation

# of a key's hash so much is shown
_KEY = 12


def _amount(ctx: click.Context, parameter: click.Parameter, value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{value!r} is not an amount of 0 or more", ctx, parameter)
    return amount


@click.group(cls=Group)
def reconcile() -> None:
    """Compare what is loaded with what its source or the provider says itself."""


@reconcile.command()
@click.argument("location", metavar="postgresql://…")
@click.option("--since", callback=day, metavar="DAY", help="First day, of UTC; else as far back as raw rows reach.")
@click.option("--until", callback=day, metavar="DAY", help="Last day; else yesterday, for today LiteLLM still adds to.")
@click.option(
    "--tolerance",
    callback=_amount,
    default="0.0001",
    show_default=True,
    metavar="DOLLARS",
    help="What spend may differ by in a line: LiteLLM adds binary fractions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a table.")
def litellm(location: str, since: date | None, until: date | None, tolerance: Decimal, as_json: bool) -> None:
    """Compare with LiteLLM's daily tables: every difference by day, key and model.

    LiteLLM_DailyUserSpend has all requests, LiteLLM_DailyTeamSpend those of teams. Nothing is written on either side.
    Exit code 0 without a difference, 1 with one, 2 if it could not be compared.

    \b
    governance reconcile litellm postgresql://reader@host/litellm --since 2026-11-01 --json
    """
    from orchestration.lib.usage.reconcile import reconcile as run

    with errors_exit_with_2():
        found = run(
            database_url(),
            location,
            since=since,
            until=until,
            tolerance=tolerance,
            notify=lambda sentence: tell(visible(sentence)),
        )
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, default=str))
    else:
        _print(found)
    sys.exit(1 if found.differences else 0)


def _share(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        share = Decimal(value.strip().removesuffix("%")) / (100 if value.strip().endswith("%") else 1)
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is no share: write it as 1% or 0.01", ctx, parameter)
    return share


@reconcile.command()
@click.option("--period", required=True, metavar="PERIOD", help="2026-10, 2026-Q3, 2026-11-27, last-month, last-week …")
@click.option("--provider", metavar="NAME", help="Only this provider, by its one name; all that report.")
@click.option(
    "--tolerance",
    callback=_share,
    metavar="SHARE",
    help="What ours may differ by from theirs, 1% or 0.01; the var reconciliation_tolerance.",
)
@click.option("--all", "shows_all", is_flag=True, help="Show what is matched, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a table.")
def provider(period: str, provider: str | None, tolerance: Decimal | None, shows_all: bool, as_json: bool) -> None:
    """Compare what requests cost with the cost reports and invoices of providers, by day.

    Exit code 0 if all is within the tolerance, 1 if something isn't or a provider's reports leave days out, 2 if it
    could not be compared. docs/reconciliation.md explains what accounts for differences.

    \b
    governance reconcile provider --period last-month --provider openai --tolerance 0.5% --json
    """
    from orchestration.cli import provider_costs
    from orchestration.lib.usage.provider_costs import reconcile_provider

    with errors_exit_with_2():
        found = reconcile_provider(database_url(), period, provider=provider, tolerance=tolerance)
    if as_json:
        click.echo(provider_costs.as_json(found))
    else:
        provider_costs.print_comparison(found, shows_all=shows_all)
    sys.exit(0 if found.is_matched else 1)


def _print(found: "Reconciliation") -> None:
    if found.differences:
        _print_table(found.differences)
        click.echo()
    for table in found.tables:
        totals = ", ".join(
            f"{measure} {here:f}" if here == there else f"{measure} {here:f} here and {there:f} there"
            for measure, here, there in zip(table.measures, table.here, table.there, strict=True)
            if measure in ("requests", "spend")
        )
        click.echo(
            f"{table.table}, {found.since} to {found.until}: {counted(table.sums, 'sum')} by day, key and model, "
            f"{table.differing:,} with a difference; {totals}"
        )


def _print_table(differences: "list[Difference]") -> None:
    numbers = ("here", "LiteLLM", "difference")
    rows = []
    for each in differences:
        model = f"{each.provider}/{each.model}" if each.provider else each.model
        amounts = (f"{each.here:f}", f"{each.there:f}", f"{minus(each.here, each.there):+f}")
        rows.append((each.day, each.team, each.key[:_KEY], model, each.measure, *amounts))
    show_table(("day", "team", "key", "model", "what", *numbers), rows, numbers=numbers)
