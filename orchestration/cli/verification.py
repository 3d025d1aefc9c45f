"""The command that verifies, and how it shows what was found."""

import sys
from typing import TYPE_CHECKING, TextIO

import click

from orchestration.cli.terminal import errors_exit_with_2, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from orchestration.lib.evidence.result import Verification

_STYLES = {"error": "bold red", "warn": "yellow", "info": "dim"}
_WIDTH = 160
# a terminal of fewer columns has a paragraph for each violation
_TABLE_WIDTH = 120
# a subject with an id breaks between words
_ID_WIDTH = 36
_RESOLVED_SHOWN = 10


@click.command()
@click.option(
    "--select",
    "-s",
    multiple=True,
    metavar="RULE",
    help="Only this rule or family; may hold * and be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a table.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long a rule may take.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare the whole catalog with what this project builds, in a database made for it and dropped again.",
)
@click.option("--probe", is_flag=True, help="Also try what must be refused, in transactions that are rolled back.")
def verify(select: tuple[str, ...], as_json: bool, timeout: float, deep: bool, probe: bool) -> None:
    """Ask every rule what is not as it should be, and what to do about it.

    Needs no more than the right to read schema `verification`; --probe needs the owner, --deep one who may create a
    database too. docs/rules explains each rule. Exit code 0 without a violation at level error, 1 with one, 2 if
    something could not be asked.

    \b
    governance verify
    governance verify --select 'unpriced_*' --select identity
    governance verify --deep --probe --json
    """
    from orchestration.lib.evidence.result import as_json as to_json
    from orchestration.lib.verification.run import verify as run

    with errors_exit_with_2():
        verification = run(database_url(), select, timeout_seconds=timeout, deep=deep, probe=probe, notify=tell)
    if as_json:
        click.echo(to_json(verification))
    else:
        print_verification(verification, sys.stdout)
    sys.exit(verification.exit_code)


def print_verification(verification: "Verification", file: TextIO) -> None:
    """Each violation and what to do about it, as a table where there is room for one, then the counts."""
    from rich.text import Text

    from orchestration.cli.tables import console_on, print_table
    from orchestration.lib.evidence.result import SEVERITIES

    console = console_on(file)
    console.width = console.width if console.is_terminal else _WIDTH
    if verification.violations:
        if console.width < _TABLE_WIDTH:
            _print_paragraphs(console, verification)
        else:
            print_table(console, _table(verification, console.width))
        console.print()
    for rule, reason in verification.not_run.items():
        console.print(Text(f"{rule} could not run: {visible(reason)}", style=_STYLES["error"]))
    counts = ", ".join(f"{verification.count(severity)} {severity}" for severity in SEVERITIES)
    accepted = f", {len(verification.excused)} accepted by exceptions" if verification.excused else ""
    console.print(Text(f"{counted(len(verification.rules), 'rule')}: {counts}{accepted}"))
    if (last := verification.history.last_run) is not None:
        resolved = verification.resolved
        counts = f"{len(verification.new)} new, {len(resolved)} resolved"
        console.print(Text(f"Since the last run, {last:%Y-%m-%d %H:%M %Z}: {counts}"))
        for rule, subject in resolved[:_RESOLVED_SHOWN]:
            console.print(Text(f"  resolved: {rule} {visible(subject, keep='')}", style="dim"))
        if len(resolved) > _RESOLVED_SHOWN:
            console.print(Text(f"  and {len(resolved) - _RESOLVED_SHOWN:,} more", style="dim"))


def _since(verification: "Verification") -> "dict[tuple[str, str], str]":
    """The day on which each violation was first found, or new."""
    days = {key: f"{seen:%Y-%m-%d}" for key, seen in verification.history.first_seen.items()}
    return days | {each.key: "new" for each in verification.new}


def _table(verification: "Verification", width: int) -> "Table":
    """A row for each violation; what is wrong and what to do share what the other columns leave of `width`."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    has_history = verification.history.last_run is not None
    subjects = [visible(each.subject, keep="") for each in verification.violations]
    for column in ("severity", *(["since"] if has_history else []), "rule"):
        table.add_column(column, no_wrap=True)
    # of a fixed width: Rich widens a column with a least width beyond the table, and cuts the last one
    room = _ID_WIDTH if width >= _WIDTH else width // 5
    table.add_column("subject", width=min(room, max(map(cell_len, ("subject", *subjects)))), overflow="fold")
    for column in ("what is wrong", "what to do"):
        table.add_column(column, overflow="fold")
    days = _since(verification)
    for each, subject in zip(verification.violations, subjects, strict=True):
        since = days.get(each.key, "")
        table.add_row(
            Text(each.severity, style=_STYLES[each.severity]),
            *([Text(since, style="bold" if since == "new" else "")] if has_history else []),
            *(Text(part) for part in (each.rule, subject)),
            *(Text(visible(part, keep="")) for part in (each.message, each.fix)),
        )
    return table


def _print_paragraphs(console: "Console", verification: "Verification") -> None:
    """The same for a narrow terminal: a paragraph for each violation."""
    from rich.padding import Padding
    from rich.text import Text

    from orchestration.cli.tables import print_table

    days = _since(verification)
    for number, each in enumerate(verification.violations):
        if number:
            console.print()
        since = days.get(each.key, "")
        when = f", {since if since == 'new' else f'since {since}'}" if since else ""
        console.print(Text.assemble((each.severity, _STYLES[each.severity]), f" {each.rule}{when}", overflow="fold"))
        for part in (each.subject, each.message, each.fix):
            print_table(console, Padding(Text(visible(part, keep=""), overflow="fold"), (0, 0, 0, 2)))
