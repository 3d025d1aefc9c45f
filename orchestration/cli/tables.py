"""Tables on the terminal and in files."""

from rich.console import Console
from rich.table import Table


def print_table(console: Console, table: Table) -> None:
    """Print it without the spaces that fill the last column."""
    with console.capture() as capture:
        console.print(table)
    console.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
