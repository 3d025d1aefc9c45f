"""The commands about what the models that usage names are called."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from orchestration.cli.groups import Group
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import tell, visible
from orchestration.lib.database.in_use import database_url

if TYPE_CHECKING:
    from orchestration.lib.usage.names import Renamed, Spelling

_SHOWN = 10
_MATCH = click.option(
    "--match",
    type=click.Choice(["exact", "prefix", "pattern"]),
    default="exact",
    show_default=True,
    help="What SAID is: the whole name, what it begins with, or a regular expression for the whole name.",
)
_PRIORITY = click.option(
    "--priority", default=100, show_default=True, help="Of rules that match, the one with the lowest counts."
)
_NOTE = click.option("--note", metavar="TEXT", help="Why, for who reads the rules later.")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--unknown", is_flag=True, help="Only those that no rule knows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def models(ctx: click.Context, unknown: bool, as_json: bool) -> None:
    """List the models that usage names: what they are called, as what they came, their traffic, why they are called so.

    Reports and prices use one name for each provider and model, docs/models.md says how it is found. What the source
    said stays as it is in core.llm_metrics. A name that no rule knows is shown as it came: say what it is with
    `governance models alias`.
    """
    if ctx.invoked_subcommand:
        return
    from orchestration.lib.usage.names import spellings

    found = [each for each in spellings(database_url()) if not (unknown and each.is_known)]
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found], indent=2, ensure_ascii=False))
    elif found:
        _print_spellings(found)
    else:
        tell("rules know every model that usage names" if unknown else "there is no usage so far")


@models.command()
@click.argument("said")
@click.argument("canonical")
@click.option("--provider", default="*", metavar="NAME", help="Only of this provider, else of any.")
@_MATCH
@_PRIORITY
@_NOTE
def alias(said: str, canonical: str, provider: str, match: str, priority: int, note: str | None) -> None:
    """Call the model SAID CANONICAL from now on, also in reports of the past.

    \b
    governance models alias --provider azure prod-chat gpt-4o
    governance models alias --match pattern 'team-[a-z]+-(gpt-.+)' '\\1'

    CANONICAL is looked up in its turn. A name of its own, of a model that runs with you for instance, is given with
    itself: `governance models alias our-llama our-llama`.
    """
    _add("model", said, canonical, provider, match, priority, note)


@models.command("alias-provider")
@click.argument("said")
@click.argument("canonical")
@_MATCH
@_PRIORITY
@_NOTE
def alias_provider(said: str, canonical: str, match: str, priority: int, note: str | None) -> None:
    """Call the provider SAID CANONICAL from now on, also in reports of the past.

    \b
    governance models alias-provider our-gateway openai
    """
    from orchestration.lib.usage.names import EVERY_PROVIDER

    _add("provider", said, canonical, EVERY_PROVIDER, match, priority, note)


@models.command()
@click.argument("said")
@click.option("--provider", default="*", metavar="NAME", help="The rule for this provider.")
@click.option("--of-provider", is_flag=True, help="SAID is a provider.")
def unalias(said: str, provider: str, of_provider: bool) -> None:
    """Take back your own rule for SAID."""
    from orchestration.lib.usage.names import drop_alias

    _tell_renamed(drop_alias(database_url(), "provider" if of_provider else "model", said, provider))


@models.command()
def rules() -> None:
    """List the rules of your own. Those that everybody has are seeds/provider_aliases.csv and model_aliases.csv."""
    from orchestration.lib.usage.names import EVERY_PROVIDER, aliases

    found = aliases(database_url())
    if not found:
        tell("there are no rules of your own: `governance models alias` adds one")
        return
    of = {EVERY_PROVIDER: "any"}
    show_table(
        ["of", "provider", "match", "said", "called", "priority", "note"],
        [
            [a.kind, of.get(a.provider, a.provider), a.match, a.said, a.canonical, str(a.priority), a.note or ""]
            for a in found
        ],
        numbers=("priority",),
    )


def _add(kind: str, said: str, canonical: str, provider: str, match: str, priority: int, note: str | None) -> None:
    from orchestration.lib.usage.names import Alias, add_alias

    _tell_renamed(add_alias(database_url(), Alias(kind, provider, match, said, canonical, priority, note)))


def _tell_renamed(renamed: "list[Renamed]") -> None:
    for each in renamed[:_SHOWN]:
        said, before, after = ("/".join(pair) for pair in (each.said, each.before, each.after))
        came = "" if said == before else f" (it came as {said})"
        click.echo(visible(f"{before} is called {after} now{came}", keep=""))
    if len(renamed) > _SHOWN:
        click.echo(f"and {len(renamed) - _SHOWN:,} more")
    if not renamed:
        tell("no name that usage has so far changes")


def _print_spellings(found: "list[Spelling]") -> None:
    rows, last = [], ("", "")
    for each in found:
        name = each.canonical_provider, each.canonical_model
        said = (each.provider, each.model)
        rows.append(
            [
                *(("", "") if name == last else name),
                "" if said == name else "/".join(said),
                f"{each.requests:,}",
                ", ".join(f"{_plain(cost)} {currency}" for currency, cost in each.costs.items()),
                f"{each.first_day}",
                f"{each.last_day}",
                _why(each),
            ]
        )
        last = name
    show_table(
        ["provider", "model", "came as", "requests", "cost", "first", "last", "named by"],
        rows,
        numbers=("requests", "cost"),
    )


def _why(spelling: "Spelling") -> str:
    """The rules of the model, and of its provider where that came under another name, or none knows it."""
    if spelling.provider_origin.startswith("as said"):
        return f"{spelling.origin}; the provider {spelling.provider_origin}"
    if spelling.provider == spelling.canonical_provider:
        return spelling.origin
    return f"{spelling.origin}; the provider by {spelling.provider_origin}"


def _plain(cost: Decimal | None) -> str:
    if cost is None:
        return "unknown"
    cents = cost.quantize(Decimal("0.01"))
    return f"{cents or cost.normalize():,f}"


def _as_json(spelling: "Spelling") -> dict[str, object]:
    return {
        "provider": spelling.canonical_provider,
        "model": spelling.canonical_model,
        "base_model": spelling.base_model,
        "said_provider": spelling.provider,
        "said_model": spelling.model,
        "known": spelling.is_known,
        "provider_origin": spelling.provider_origin,
        "origin": spelling.origin,
        "requests": spelling.requests,
        "cost": {currency: None if cost is None else f"{cost:f}" for currency, cost in spelling.costs.items()},
        "first_day": spelling.first_day.isoformat(),
        "last_day": spelling.last_day.isoformat(),
    }
