"""The commands about prices, and what they show."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.groups import Group
from orchestration.cli.options import day, day_or_time
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import confirm, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError

if TYPE_CHECKING:
    from orchestration.lib.pricing.price_changes import Changes
    from orchestration.lib.pricing.price_lookup import AppliedPrice, UnitPrice

_SHOWN = 20
_NAMED = 3


class _Place(click.Path):
    """A file that is there, or an address of the web."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from orchestration.lib.addresses import is_address

        return value if is_address(value) else str(super().convert(value, param, ctx))


@click.group(cls=Group)
def prices() -> None:
    """What requests to models cost: import a price list, see which price applies and why."""


@prices.command("import")
@click.argument("place", required=False, metavar="[FILE OR ADDRESS]", type=_Place())
@click.option("--observed-on", callback=day, metavar="DAY", help="Day on which the prices were read.  [default: today]")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", is_flag=True, help="Write without asking.")
def import_prices(place: str | None, observed_on: date | None, dry_run: bool, yes: bool) -> None:
    """Take over a price list: a CSV file or LiteLLM's map of prices (JSON), also at an address; or the list that ships.

    Shows what changes before it writes. A price ends where the next one of the same key begins; one that was wrong is
    superseded. Requests that are there keep their cost until `governance reprice`. docs/prices.md describes the file.

    \b
    governance prices import my-prices.csv --dry-run
    governance prices import https://example.com/model_prices_and_context_window.json
    """
    from orchestration.lib.pricing.observed import read_list
    from orchestration.lib.pricing.price_changes import apply_changes, changes_of, currencies_without_rate, outranked

    url = database_url()
    day = observed_on or datetime.now(UTC).date()
    said = read_list(url, place, day)
    read = said.prices
    changes = changes_of(url, read, day)
    _show_changes(changes)
    for note in said.notes:
        tell(note)
    for currency in currencies_without_rate(url, changes.add):
        tell(
            f"No exchange rate from {currency} is known, so costs in {currency} will have no converted total:"
            " enter one in core.exchange_rates."
        )
    found = outranked(url, changes.add)
    for provider, model, currency, counts in found[:_NAMED]:
        tell(
            f"{visible(f'{provider}/{model}', keep='')} has prices in {counts} too, the default currency: those count."
            f" For prices in {currency} give them a price_list of their own, and an agreement that refers to it."
        )
    if len(found) > _NAMED:
        tell(f"So have {len(found) - _NAMED:,} other models.")
    if dry_run or not changes:
        return
    confirm("Write this?", yes=yes, otherwise="nothing is written")
    apply_changes(url, read, day, changes)
    _tell_consequences(changes, day)


def _show_changes(changes: "Changes") -> None:
    lines = [f"- {price.key}: {price.amount:f} ends on {when:%Y-%m-%d}" for price, when in changes.end]
    lines += [
        f"! {price.key}: {price.amount:f} from {_since(price.starts)} on was wrong, is superseded"
        for price in changes.supersede
    ]
    lines += [
        f"+ {price.key}: {price.amount:f} {price.key.currency} from {_since(price.starts)}"
        + (f" until {price.ends:%Y-%m-%d}" if price.ends else "")
        + f" ({price.date_basis})"
        for price in changes.add
    ]
    lines += [f"? {price.key}: {price.amount:f} is no longer listed and stays" for price in changes.gone]
    for line in lines[:_SHOWN]:
        click.echo(visible(line))
    if len(lines) > _SHOWN:
        click.echo(f"and {len(lines) - _SHOWN:,} more")
    click.echo(
        f"{len(changes.add):,} new, {len(changes.end):,} end, {len(changes.supersede):,} superseded,"
        f" {changes.unchanged:,} unchanged"
        + (f", {len(changes.gone):,} no longer listed, which stay" if changes.gone else "")
    )


def _tell_consequences(changes: "Changes", day: date) -> None:
    earliest = changes.earliest
    if earliest is None or earliest.date() < day:
        since = f" --from {earliest:%Y-%m-%d}" if earliest else ""
        tell(f"Requests that are there keep their cost; `governance reprice{since}` shows what they would cost now.")


@prices.command()
@click.argument("model")
@click.option("--provider", help="Provider, as a source says it.")
@click.option("--at", callback=day_or_time, metavar="TIME", help="Day or time in UTC.  [default: now]")
@click.option("--tier", "service_tier", default="standard", show_default=True, help="Service tier of the request.")
@click.option("--region", default="", help="Region that serves the request.")
@click.option("--team", help="Slug of the team that asks: it may have a price of its own.")
def show(
    model: str, provider: str | None, at: datetime | None, service_tier: str, region: str, team: str | None
) -> None:
    """Say which price applies to a request to MODEL, and why.

    \b
    governance prices show gpt-4o
    governance prices show claude-sonnet-4-5 --at 2026-10-01 --tier batch --team research
    """
    from orchestration.lib.pricing.price_lookup import Question, applied_prices

    moment = at or datetime.now(UTC)
    question = Question(model, moment, provider, service_tier, region, team)
    for applied in applied_prices(database_url(), question):
        _show_applied(applied, moment)


def _show_applied(applied: "AppliedPrice", at: datetime) -> None:
    above = f", above {applied.context_above:,} input tokens" if applied.context_above else ""
    heading = f"{applied.provider}/{applied.model}, {applied.service_tier}{above}, at {at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{visible(heading)}: {applied.currency} per million")
    if applied.is_estimate:
        click.echo(
            f"An estimate: no price of the tier {visible(applied.service_tier)} is known, this is the standard one."
        )
    if applied.agreement:
        what = f"{applied.discount_percent.normalize():f} % off" if applied.discount_percent else "prices of its own"
        click.echo(visible(f"Agreement {applied.agreement} ({applied.agreement_origin}): {what}."))
    rows = []
    for unit in applied.units:
        listed = "-" if unit.listed is None else f"{unit.listed.normalize():f}"
        until = f" until {unit.ends:%Y-%m-%d}" if unit.ends else ""
        holds = f"since {_since(unit.starts)}{until} ({unit.date_basis})"
        rows.append((unit.unit, listed, f"{unit.applied.normalize():f}", holds, _why(applied, unit)))
    show_table(("", "list", "applied", "holds", "why"), rows, numbers=("list", "applied"))


def _why(applied: "AppliedPrice", unit: "UnitPrice") -> str:
    why = [unit.origin if unit.price_list == "list" else f"{unit.price_list}: {unit.origin}"]
    if unit.entered_for != unit.unit:
        why.append(f"billed as {unit.entered_for}")
    if unit.entered_as != applied.model:
        why.append(f"of {unit.entered_as}")
    if unit.service_tier != applied.service_tier and not applied.is_estimate:
        why.append(f"of the tier {unit.service_tier}")
    if unit.region:
        why.append(f"of the region {unit.region}")
    return ", ".join(why)


@prices.command("list")
@click.option("--provider", help="Provider; * stands for any characters.")
@click.option("--model", help="Model; * stands for any characters.")
@click.option("--at", callback=day_or_time, metavar="TIME", help="Day or time in UTC.  [default: now]")
def list_prices(provider: str | None, model: str | None, at: datetime | None) -> None:
    """List the prices per million tokens, or per million of another unit, that hold.

    \b
    governance prices list --provider openai --model 'gpt-*'
    """
    from orchestration.lib.pricing.price_lookup import listed_prices
    from orchestration.lib.pricing.units import UNITS

    found = listed_prices(database_url(), provider, model, at or datetime.now(UTC))
    if not found:
        raise GovernanceError("no price is known for that: leave out --provider or --model to see what there is")
    units = [unit for unit in UNITS if any(unit in each.amounts for each in found)]
    columns = ("provider", "model", "tier", "above", *(unit.removesuffix("_tokens") for unit in units), "", "since")
    rows = [
        (
            each.provider if each.price_list == "list" else f"{each.price_list}: {each.provider}",
            each.model,
            each.service_tier,
            f"{each.context_above:,}" if each.context_above else "",
            *(f"{each.amounts[unit].normalize():f}" if unit in each.amounts else "" for unit in units),
            each.currency,
            _since(each.starts),
        )
        for each in found
    ]
    show_table(columns, rows)


def _since(start: datetime | None) -> str:
    return f"{start:%Y-%m-%d}" if start else "always"
