"""The commands of an organisation: people, teams, memberships and keys from files."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from orchestration.cli.groups import Group
from orchestration.cli.options import moment
from orchestration.cli.terminal import confirm, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.organisation.plan import Act, Plan

_SHOWN, _MISSING_SHOWN = 20, 5
_SIGNS = {"create": "+", "change": "~", "end": "-"}
# what is not shown of a new one: its sign and name say it, or nobody should see it
_UNSAID = {"people": {"email"}, "teams": {"slug"}, "keys": {"key_hash", "key_prefix", "name"}}
_ENDED = {"people": "deactivated", "memberships": "ended", "roles": "revoked", "keys": "revoked"}
_ENDING = {
    "people": "--deactivate-missing deactivates them",
    "teams": "give a row with status deactivated to end one",
    "memberships": "--end-memberships ends them",
    "roles": "--end-memberships revokes them",
    "keys": "--deactivate-missing revokes them",
}


@click.group(cls=Group)
def organisation() -> None:
    """Import people, teams, memberships, roles and API keys."""


@organisation.command("import")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--people", multiple=True, metavar="FILE", help="CSV of people, where its header could be of something else too."
)
@click.option(
    "--teams", multiple=True, metavar="FILE", help="CSV of teams, where its header could be of something else too."
)
@click.option(
    "--keys", multiple=True, metavar="FILE", help="CSV of API keys, where its header could be of something else too."
)
@click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="Column of a CSV file that is left aside.")
@click.option("--group", "groups", multiple=True, metavar="PATTERN", help="SCIM groups that are teams, as 'LLM *'.")
@click.option(
    "--since", callback=moment, metavar="TIME", help="When memberships began or ended, with a zone; else now."
)
@click.option(
    "--end-memberships",
    is_flag=True,
    help="End memberships and roles that people and teams in the files no longer have there.",
)
@click.option("--deactivate-missing", is_flag=True, help="Also deactivate people and revoke keys that are in no file.")
@click.option("--force", is_flag=True, help="Deactivate or revoke even more than half of all people or keys.")
@click.option("--dry-run", is_flag=True, help="Only show the differences; writes nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--all", "shows_all", is_flag=True, help="Show every difference, however many there are.")
def import_organisation(
    files: tuple[str, ...],
    people: tuple[str, ...],
    teams: tuple[str, ...],
    keys: tuple[str, ...],
    ignored: tuple[str, ...],
    groups: tuple[str, ...],
    since: datetime | None,
    end_memberships: bool,
    deactivate_missing: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
    shows_all: bool,
) -> None:
    """Create and update people, teams, memberships, roles and API keys from CSV files and SCIM 2.0 JSON.

    The header of a CSV file tells what is in it. People are known by address, teams by slug, keys by hash or prefix.
    The differences are shown first; all of them are written in one transaction, or none. Who is in no file stays
    unless told otherwise. A second import of the same files changes nothing. docs/organisation.md has the columns.

    \b
    governance organisation import docs/examples/organisation/*.csv --dry-run
    governance organisation import people.csv teams.csv --end-memberships
    """
    from orchestration.lib.database.connection import connect
    from orchestration.lib.organisation.plan import Options
    from orchestration.lib.organisation.run import carry_out_import, compare, read_files

    kinds = {path: kind for kind, given in (("people", people), ("teams", teams), ("keys", keys)) for path in given}
    paths = [*files, *kinds]
    if not paths:
        raise click.UsageError("give the files to import")
    if "-" in paths and not (yes or dry_run):
        raise click.UsageError("from standard input there is no answer to a question: add --yes or --dry-run")
    stated = read_files(paths, kinds=kinds, ignored=ignored, groups=groups)
    options = Options(end_memberships, deactivate_missing, force, since)
    with connect(database_url()) as connection:
        plan = compare(connection, stated, options)
    _show(plan, None if shows_all else _SHOWN)
    if not plan.acts:
        click.echo("nothing is to be changed")
        return
    if dry_run:
        click.echo("nothing was written")
        return
    confirm(f"write {counted(len(plan.acts), 'change')}?", yes=yes)
    with connect(database_url()) as connection:
        request = carry_out_import(connection, stated, plan, [path.rsplit("/", 1)[-1] for path in paths])
    click.echo(f"imported: {counted(len(plan.acts), 'change')}")
    tell(f"in core.audit_logs they have the request_id {request}")


def _show(plan: "Plan", limit: int | None) -> None:
    """The differences by kind, then what is worth noting."""
    from orchestration.lib.organisation.plan import KINDS

    for kind in KINDS:
        acts, missing = list(plan.of(kind)), plan.missing.get(kind, [])
        counts = [
            (sum(act.what == "create" for act in acts), "new"),
            (sum(act.what == "change" for act in acts), "changed"),
            (sum(act.what == "end" for act in acts), _ENDED.get(kind, "")),
            (plan.unchanged[kind], "unchanged"),
            (len(missing), "in no file"),
        ]
        if any(number for number, _ in counts):
            said = ", ".join(f"{number:,} {word}" for number, word in counts if number)
            click.echo(f"{'API keys' if kind == 'keys' else kind}: {said}")
            _echo_some([_described(act) for act in acts], limit)
            if missing:
                _echo_some([f"? {name} is in no file and stays" for name in missing], limit and _MISSING_SHOWN)
                click.echo(f"  {_ENDING[kind]}")
    for note in plan.notes if limit is None else plan.notes[:limit]:
        tell(visible(f"note: {note}", keep=""))
    if limit is not None and len(plan.notes) > limit:
        tell(f"and {len(plan.notes) - limit:,} more notes; --all shows them")


def _echo_some(lines: list[str], limit: int | None) -> None:
    for line in lines[:limit]:
        click.echo(f"  {visible(line, keep='')}")
    if limit is not None and len(lines) > limit:
        click.echo(f"  and {len(lines) - limit:,} more; --all shows them")


def _described(act: "Act") -> str:
    said = f"{_SIGNS[act.what]} {act.name}"
    if act.what == "end":
        return f"{said}: {_ENDED[act.kind]}" + (", in no file" if act.why == "missing" else f", {act.why}")
    if act.what == "create":
        unsaid = _UNSAID.get(act.kind, set())
        parts = [f"{each.field} {_value(each.after)}" for each in act.changes if each.field not in unsaid]
    else:
        parts = [f"{each.field} {_value(each.before)} → {_value(each.after)}" for each in act.changes]
    return f"{said}: {', '.join(parts)}" if parts else said


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    text = str(value)
    return text if text.isprintable() and " " not in text and text else f'"{text}"'
