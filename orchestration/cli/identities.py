"""The commands about whom sources of usage name: who is unknown, and who is meant."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestration.cli.groups import Group
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import confirm, tell
from orchestration.lib.database.connection import Connection
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.owners.identities import Identity, Plan

Command = TypeVar("Command", bound=Callable[..., Any])

_SHOWN = 50
_source = click.option("--source", metavar="NAME", help="Only this source.")


def _acting(command: Command) -> Command:
    """The options of what attributes requests."""
    options: tuple[Callable[[Command], Command], ...] = (
        click.option("--no-refresh", is_flag=True, help="Leave the rollups as they are, so reports don't have it yet."),
        click.option("--yes", is_flag=True, help="Don't ask before anything is changed."),
        click.option("--by", metavar="NAME", help="Who decides it; else the name of the database user."),
        click.option("--reattribute", is_flag=True, help="Also move requests that have another owner already."),
    )
    for option in options:
        command = option(command)
    return command


@click.group(cls=Group)
def identities() -> None:
    """Say who is meant by the names that sources of usage give people, teams and keys."""


@identities.command("list")
@_source
@click.option("--decided", "shows_decided", is_flag=True, help="What was decided, instead of who is unknown.")
@click.option("--all", "shows_all", is_flag=True, help=f"All lines, not the first {_SHOWN}.")
def list_(source: str | None, *, shows_decided: bool, shows_all: bool) -> None:
    """List the names that requests lack an owner for, with the requests and their cost."""
    from orchestration.lib.owners.identities import decided, span_in_words, unresolved

    url = database_url()
    if shows_decided:
        columns = ["source", "kind", "name", "means", "decided by"]
        rows = [
            [
                each.source,
                each.kind,
                each.external_id,
                ", ".join(filter(None, (each.user, each.team, each.key)))
                + span_in_words(each.valid_from, each.valid_to),
                f"{each.decided_by}, {each.decided_at:%Y-%m-%d}",
            ]
            for each in decided(url, source)
        ]
        nothing = "nothing was decided so far: `governance identities resolve` does it"
    else:
        columns = ["source", "kind", "name", "reason", "requests", "cost", "last request"]
        rows = [
            [
                each.source or "",
                each.kind,
                each.external_id,
                each.reason,
                f"{each.requests:,}",
                each.costs or "unknown",
                f"{each.last_request_at:%Y-%m-%d %H:%M}",
            ]
            for each in unresolved(url, source)
        ]
        nothing = "every owner that a source names is known"
    if not rows:
        tell(nothing)
        return
    show_table(columns, rows if shows_all else rows[:_SHOWN], numbers=("requests",))
    if not shows_all and len(rows) > _SHOWN:
        tell(f"and {len(rows) - _SHOWN:,} more: --all shows them")


@identities.command()
@click.argument("source", required=False)
@click.argument("kind", required=False, metavar="[user|end_user|team|key|project]")
@click.argument("external_id", required=False, metavar="[NAME]")
@click.option("--user", metavar="EMAIL", help="The user that is meant.")
@click.option("--team", metavar="SLUG", help="The team that is meant, or that the user's requests belong to.")
@click.option("--key", metavar="PREFIX", help="The API key that is meant.")
@click.option("--from", "valid_from", metavar="TIME", help="For requests from then on; else from the beginning.")
@click.option("--to", "valid_to", metavar="TIME", help="For requests before then; else until further notice.")
@click.option("--replace", "replaces", is_flag=True, help="End what was decided before where this begins.")
@_acting
def resolve(
    source: str | None,
    kind: str | None,
    external_id: str | None,
    user: str | None,
    team: str | None,
    key: str | None,
    valid_from: str | None,
    valid_to: str | None,
    by: str | None,
    *,
    replaces: bool,
    reattribute: bool,
    yes: bool,
    no_refresh: bool,
) -> None:
    """Decide who is meant by a NAME of a SOURCE, or without one attribute what is known by now.

    First it says how many requests and how much money that moves, and asks. Requests that have an owner keep it, unless
    --reattribute is given. Days are those of the reporting time zone.

    \b
    governance identities resolve litellm user u-4711 --user ann@example.com
    governance identities resolve litellm project alpha --team research --from 2026-03-01
    governance identities resolve
    """
    from orchestration.lib.owners.given import COLUMNS, identity

    said = (source, kind, external_id, user, team, key, valid_from, valid_to)
    if not any(said):
        _decide(None, by, replaces=False, reattributes=reattribute, yes=yes, refreshes=not no_refresh)
        return
    if not (source and kind and external_id):
        raise click.UsageError("give a source, a kind and a name, or none of them to attribute what is known by now")
    given = dict(zip(COLUMNS, said, strict=True))
    _decide(
        lambda connection: [identity(connection, given)],
        by,
        replaces=replaces,
        reattributes=reattribute,
        yes=yes,
        refreshes=not no_refresh,
    )


@identities.command("import")
@click.argument("file")
@click.option("--replace", "replaces", is_flag=True, help="End what was decided before where the new begins.")
@_acting
def import_(file: str, by: str | None, *, replaces: bool, reattribute: bool, yes: bool, no_refresh: bool) -> None:
    """Decide who is meant by all names of a CSV FILE, or by none where one of its lines is wrong.

    Its columns are source, kind, external_id, user (an email), team (a slug), key (a prefix), valid_from and valid_to;
    of user, team and key one at least. What is there already counts as known.
    """
    from orchestration.lib.owners.given import read_file

    _decide(read_file(file), by, replaces=replaces, reattributes=reattribute, yes=yes, refreshes=not no_refresh)


def _decide(
    find_identities: "Callable[[Connection], Sequence[Identity]] | None",
    by: str | None,
    *,
    replaces: bool,
    reattributes: bool,
    yes: bool,
    refreshes: bool,
) -> None:
    """Says what would move, asks, and does it. Raises GovernanceError where the answer is no."""
    from orchestration.cli.loading import refresh_rollups
    from orchestration.lib.owners.identities import decide

    url = database_url()

    def ask(plan: "Plan") -> None:
        for sentence in _described(plan):
            tell(sentence)
        confirm("Do it?", yes=yes)

    plan = decide(url, find_identities, ask, by=by, replaces=replaces, reattributes=reattributes)
    if plan.done:
        click.echo(f"moved {plan.moves}")
        if plan.moves.changed and refreshes:
            refresh_rollups(url)
    else:
        click.echo("nothing to do: all of it is known already, and no request lacks an owner for it")


def _described(plan: "Plan") -> Iterator[str]:
    """What would happen."""

    if plan.new or plan.known:
        known = f", {plan.known:,} known already" if plan.known else ""
        yield f"{counted(plan.new, 'new identity', 'new identities')}{known}"
        if not plan.moves.seen:
            yield "no stored request bears such a name; those to come will be attributed"
    yield f"would move {plan.moves}"
    if plan.moves.taken:
        yield f"  {counted(plan.moves.taken, 'of them has', 'of them have')} another owner now"
    if plan.others and plan.others.taken:
        others = counted(plan.others.taken, "request has", "requests have")
        yield f"  {others} another owner and keep it, unless --reattribute is given"
    if more := plan.moves.changed - plan.moves.requests:
        yield f"  of {counted(more, 'more request')} the reason for the missing owner is noted anew"
