"""The figures of a script on two servers side by side.

python -m benchmarks.answers --json > plain.json
python -m benchmarks.answers --json --url postgresql://… > timescaledb.json
python -m benchmarks.table plain.json timescaledb.json
"""

import json
from pathlib import Path

import click

from benchmarks.figures import UNKNOWN, VERDICTS, Figure, table


def cell(figure: Figure | None) -> str:
    """What was measured, the CPU time of it, and whether the goal is met."""
    if figure is None:
        return UNKNOWN
    cpu = f" ({figure.cpu})" if figure.cpu else ""
    return ", ".join(filter(None, [figure.measured + cpu, VERDICTS[figure.met]]))


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(files: tuple[Path, ...]) -> None:
    """Print rows of Markdown: figure, goal, and a column for each file; CPU time in parentheses."""
    runs = [json.loads(file.read_text()) for file in files]
    columns = [{each["what"]: Figure(**each) for each in run["figures"]} for run in runs]
    names = dict.fromkeys(what for column in columns for what in column)
    rows = []
    for what in names:
        figures = [column.get(what) for column in columns]
        goal = next(figure.goal for figure in figures if figure is not None)
        rows.append([what, goal, *map(cell, figures)])
    for run in runs:
        click.echo(run["heading"])
    click.echo("\n" + table([["figure", "goal", *(run["server"] for run in runs)], *rows]))


if __name__ == "__main__":
    main()
