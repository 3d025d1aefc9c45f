"""The command that verifies, and how it shows what was found."""

import sys
from typing import TYPE_CHECKING, TextIO

import click

from orchestration.cli.terminal import errors_exit_with_2, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.evidence.result import Verification

_STYLES = {"error": "bold red", "warn": "yellow", "info": "dim"}
# title and share of the width that is left; None: as wide as its content
_COLUMNS = {"severity": None, "since": None, "rule": None, "subject": 3, "what is wrong": 4, "what to do": 4}
_WIDTH = 160
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
    """A table with a line per violation and what to do about it, then the counts."""
    from rich.table import Table
    from rich.text import Text

    from orchestration.cli.tables import console_on, print_table
    from orchestration.lib.evidence.result import SEVERITIES

    console = console_on(file)
    console.width = console.width if console.is_terminal else _WIDTH
    if verification.violations:
        table = Table(box=None, pad_edge=False, header_style="dim")
        has_history = verification.history.last_run is not None
        for column, ratio in _COLUMNS.items():
            if column == "since" and not has_history:
                continue
            # a subject with an id breaks between words
            least = _ID_WIDTH if column == "subject" and console.width >= _WIDTH else None
            table.add_column(column, ratio=ratio, min_width=least, overflow="fold", no_wrap=ratio is None)
        first_seen, new = verification.history.first_seen, {each.key for each in verification.new}
        for each in verification.violations:
            severity = Text(each.severity, style=_STYLES[each.severity])
            seen = first_seen.get(each.key)
            since = Text("new", style="bold") if each.key in new else Text(f"{seen:%Y-%m-%d}" if seen else "")
            parts = (each.subject, each.message, each.fix)
            row = [severity, *([since] if has_history else []), Text(each.rule)]
            table.add_row(*row, *(Text(visible(part, keep="")) for part in parts))
        print_table(console, table)
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
