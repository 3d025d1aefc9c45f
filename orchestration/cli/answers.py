"""The demo's answers on the terminal."""

import re
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TextIO

from rich.table import Table
from rich.text import Text

from orchestration.cli.tables import console_on, print_table
from orchestration.cli.terminal import visible
from orchestration.demo.run import DemoRun
from orchestration.demo.summary import Answer
from orchestration.lib.settings import settings

WIDTH = 100
_SHOWN = 4


def print_summary(
    heading: str,
    given: list[Answer],
    further: list[tuple[str, str]],
    commands: list[tuple[str, list[str]]] | None = None,
    pages: list[tuple[str, str]] | None = None,
    file: TextIO | None = None,
) -> None:
    """Print the answers, with colour on a terminal and plain elsewhere, then commands and where to look further."""
    console = console_on(file or sys.stdout)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print(Text(visible(heading), style="bold"))
    for number, answer in enumerate(given, 1):
        console.print()
        console.print(Text.assemble((f"{number}. {answer.question}", "bold cyan"), (f"  {answer.view}", "dim")))
        console.print(Text(visible(answer.sentence)))
        if answer.rows:
            table = Table(box=None, pad_edge=False, header_style="dim")
            for position, column in enumerate(answer.columns):
                is_number = all(row[position][:1].isdigit() or row[position] == "-" for row in answer.rows[:_SHOWN])
                table.add_column(column, justify="right" if is_number and position else "left")
            for row in answer.rows[:_SHOWN]:
                table.add_row(*(Text(visible(cell)) for cell in row))
            print_table(console, table)
            if len(answer.rows) > _SHOWN:
                console.print(Text(f"and {len(answer.rows) - _SHOWN:,} more", style="dim"))
    for title, lines in commands or []:
        console.print()
        console.print(Text(title, style="bold"))
        for command in lines:
            console.print(Text(command, style="cyan"), soft_wrap=True)
    if pages:
        console.print()
        console.print(Text("Open in a browser", style="bold"))
        for path, purpose in pages:
            console.print(Text(path, style="cyan"), soft_wrap=True)
            console.print(Text(f"    {purpose}"))
    console.print()
    console.print(Text("Look further", style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    for command, purpose in further:
        table.add_row(Text(command, style="cyan", no_wrap=True), Text(purpose))
    print_table(console, table)


def demo_commands(run: DemoRun) -> list[tuple[str, list[str]]]:
    """What loads each file of the demo, and what verifies its trail, as it can be typed here."""
    loads = [f"{_command()} ingest {shlex.quote(_from_here(each.path))} {each.options}" for each in run.exports]
    key = shlex.quote(run.pages.public_key)
    proof = (
        f"cd {shlex.quote(_from_here(run.pages.trail.parent))} && "
        f"python3 {run.pages.trail.name}/verify.py {run.pages.trail.name} --key {key} --checkpoint anchor"
    )
    titled = [
        ("Part of the usage came as files of other systems, each loaded by", loads),
        ("Verify its audit trail, with neither the database nor this project", [proof]),
    ]
    return [(title, [_wrapped(words) for words in commands]) for title, commands in titled if commands]


def _wrapped(words: str) -> str:
    # an option stays with its value
    glued = re.sub(r"(--\S+) (?=[^-\s])", "\\1\0", words)
    lines = textwrap.wrap(glued, WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    return " \\\n    ".join(lines).replace("\0", " ")


def demo_pages(run: DemoRun) -> list[tuple[str, str]]:
    """What the demo wrote to look at, and what it is."""
    return [
        (_from_here(run.pages.site), "spend, budgets, access, alerts, findings: what people look at each day"),
        (_from_here(run.pages.report), "the compliance report of the last whole month, with its CSV files beside it"),
    ]


def look_further(run: DemoRun) -> list[tuple[str, str]]:
    """Commands, as they can be typed here, and what they are for."""
    here = _command()
    further = [
        (f"{here} psql", "any question in SQL, for instance"),
        ("", "select * from cost_summary_view limit 10"),
        ("make ui", "Dagster in the browser: every table, view and test"),
        ("README.md, docs/schema.md", "what it is, and what each table and column means"),
        (f"{here} sources", "how fresh and complete the usage of each source is"),
        (f"{here} demo", f"from {run.load.grows_from:%Y-%m-%d %H:%M %Z} on it adds what happened since"),
    ]
    if settings().database_url is None:
        further.append((f"{here} down", "stops the embedded database, the data stay"))
    return further


def _command() -> str:
    command = Path(sys.argv[0])
    return command.name if shutil.which(command.name) else _from_here(command)


def _from_here(path: Path) -> str:
    """The path, relative where it lies below the current folder."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
