"""The commands that write what others read: cost by FOCUS."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.cli.terminal import tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from decimal import Decimal


@click.group()
def export() -> None:
    """Write files for other programs."""


@export.command()
@click.option("--period", required=True, help="The month, such as 2026-10, or last-month.")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A file that isn't there."
)
@click.option("--format", "file_format", default="csv", show_default=True, help="csv or parquet.")
@click.option("--focus-version", "version", default="1.2", show_default=True, help="1.2 or 1.4.")
@click.option(
    "--dataset",
    default="cost-and-usage",
    show_default=True,
    help="cost-and-usage; with 1.4 also billing-period or invoice-detail.",
)
def focus(period: str, output: Path, file_format: str, version: str, dataset: str) -> None:
    """Write a month's charges by FOCUS, the FinOps Open Cost and Usage Specification.

    The file is whole under its name or not there. What has no price is no charge and not in it. docs/focus.md says what
    each column is made of.
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
