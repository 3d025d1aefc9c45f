"""Tables on the terminal and in files."""

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from orchestration.cli.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# names and amounts are never cut
_WIDTH = 2_000


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()) -> None:
    """Print rows of texts under the names of their columns, each on one line; `numbers` are set to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(visible(cell, keep="")) for cell in row))
    print_table(console_on(sys.stdout, width=_WIDTH), table)


def console_on(file: TextIO, *, width: int | None = None) -> "Console":
    """Where tables are printed; NO_COLOR means dimmed and bold letters too."""
    from rich.console import Console

    console = Console(file=file, highlight=False, width=width)
    return Console(file=file, highlight=False, width=width, color_system=None) if console.no_color else console


def print_table(console: "Console", table: "RenderableType") -> None:
    """Print a table or a paragraph without the spaces that fill its lines."""
    with console.capture() as capture:
        console.print(table)
    console.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
