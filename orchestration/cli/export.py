"""The commands that write what others read: cost by FOCUS."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from decimal import Decimal


@click.group(cls=Group)
def export() -> None:
    """Write files for other programs."""


@export.command()
@click.option("--period", required=True, metavar="MONTH", help="The month, such as 2026-10, or last-month.")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A file that isn't there."
)
@click.option(
    "--format",
    "file_format",
    metavar="[csv|parquet]",
    default="csv",
    show_default=True,
    help="Parquet needs pyarrow: `make parquet`.",
)
@click.option(
    "--focus-version", "version", metavar="[1.2|1.4]", default="1.2", show_default=True, help="Version of FOCUS."
)
@click.option(
    "--dataset",
    metavar="[cost-and-usage|billing-period|invoice-detail]",
    default="cost-and-usage",
    show_default=True,
    help="What the file is about; the last two are of FOCUS 1.4.",
)
def focus(period: str, output: Path, file_format: str, version: str, dataset: str) -> None:
    """Write a month's charges by FOCUS, the FinOps Open Cost and Usage Specification.

    The file is whole under its name or not there. What has no price is no charge and not in it. docs/focus.md says what
    each column is made of.

    \b
    governance export focus --period last-month --output october.csv
    governance export focus --period 2026-10 --focus-version 1.4 --format parquet --output october.parquet
    """
    from orchestration.lib.export.focus import export_focus

    done = export_focus(database_url(), period, output, file_format=file_format, version=version, dataset_name=dataset)
    if dataset == "cost-and-usage":
        tell(f"{counted(done.rows, 'charge')} of {done.month}: {_amounts(done.totals)}")
        if done.totals != done.charged:
            tell(f"reporting.chargeback says {_amounts(done.charged)}: docs/focus.md says when they differ")
    else:
        tell(counted(done.rows, "row"))
    if done.unpriced_requests:
        tell(
            f"{counted(done.unpriced_requests, 'request')} without a price not in it:"
            " see reporting.unpriced_usage, then `governance reprice --unpriced`"
        )
    if not done.is_over:
        tell("the month hasn't ended: its figures still grow")
    click.echo(output)


def _amounts(totals: "dict[str, Decimal]") -> str:
    return ", ".join(f"{amount:f} {currency}" for currency, amount in totals.items()) or "nothing"
