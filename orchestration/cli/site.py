"""The command that writes the pages to look at each day."""

from pathlib import Path

import click

from orchestration.lib.database.in_use import database_url
from orchestration.lib.settings import governance_home


@click.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the pages; `site` in $GOVERNANCE_HOME, unless given.",
)
def site(output: Path | None) -> None:
    """Write spend, teams, budgets, access, alerts and findings as pages for a browser; prints the first one last.

    Plain files without anything from elsewhere: open them, or serve the folder behind a login. They name people. Run
    again, they take the place of the former ones.

    \b
    governance site --output /srv/www/governance
    """
    from orchestration.lib.compliance.site.write import write_site

    click.echo(write_site(database_url(), output or governance_home() / "site"))
