"""The command that shows everything on made-up data."""

from typing import TYPE_CHECKING

import click

from orchestration.cli.terminal import tell

if TYPE_CHECKING:
    from datetime import datetime


@click.command()
@click.option("--seed", type=click.IntRange(0), help="The same number makes up the same organisation.  [default: 1]")
@click.option("--people", type=click.IntRange(5, 5000), help="Size of the organisation.  [default: 200]")
@click.option("--days", type=click.IntRange(1, 365), help="Days of usage up to now.  [default: 90]")
@click.option("--default-password", is_flag=True, help="Give the administrator the well-known password Admin123!.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), hidden=True)
def demo(
    seed: int | None, people: int | None, days: int | None, default_password: bool, today: "datetime | None"
) -> None:
    """Build the warehouse, load a made-up organisation and its usage, and show an answer from each view.

    Starts the embedded database unless GOVERNANCE_DATABASE_URL names another. It grows once a day: run again on the
    same day it adds nothing, on a later day the usage since. Only for a database without people and usage of your own.
    """
    from orchestration.cli.answers import demo_commands, demo_pages, look_further, print_summary
    from orchestration.demo.run import run_demo
    from orchestration.demo.summary import answers

    run = run_demo(
        seed=seed,
        people=people,
        days=days,
        today=today.date() if today else None,
        default_password=default_password,
        notify=tell,
    )
    print_summary(run.heading, answers(run.url), look_further(run), demo_commands(run), demo_pages(run))
