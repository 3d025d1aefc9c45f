"""The commands about the roles of the database."""

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import tell, visible
from orchestration.lib.database.in_use import database_url


@click.group(cls=Group)
def roles() -> None:
    """Create the roles of the database, each with the rights it needs and no more."""


@roles.command()
@click.option("--plan", is_flag=True, help="Only show what would run.")
def apply(plan: bool) -> None:
    """Bring roles, owners and rights to what docs/threat-model.md says; prints each statement that it runs.

    Run again, it finds nothing to do. In an empty database it creates the roles, and the build gives them their rights.
    What this role may not do is told in a sentence each, and the rest is done.
    """
    from orchestration.lib.warehouse.roles import apply_roles

    applied = apply_roles(database_url(), plan=plan)
    for statement in applied.statements:
        click.echo(visible(statement))
    for sentence in applied.impossible:
        tell(f"not possible: {visible(sentence)}")
    if not applied.statements and not applied.impossible:
        click.echo("nothing to change: roles, owners and rights are as they should be")
