"""The commands about backups."""

from pathlib import Path

import click

from orchestration.cli.terminal import tell
from orchestration.lib.settings import governance_home

_OUTPUT = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the backup's folder is made; `backups` in $GOVERNANCE_HOME, unless given.",
)


@click.command()
@_OUTPUT
def backup(output: Path | None) -> None:
    """Back the warehouse up into a folder, while it is in use; prints it last.

    A dump of one moment, and a manifest with versions, rows and a fingerprint of each table. `governance drill`
    proves it.
    """
    from orchestration.lib.backup.backup import backup as backup_now
    from orchestration.lib.database.in_use import database_url

    folder, manifest = backup_now(database_url(), output or governance_home() / "backups")
    tell(f"{manifest.rows:,} rows of {len(manifest.tables)} tables")
    click.echo(folder)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--into", required=True, metavar="URL", help="postgresql://… of an empty database.")
def restore(folder: Path, into: str) -> None:
    """Restore a backup into an empty database, and compare every table with what was backed up.

    The audit trail begins a new epoch there.
    """
    from orchestration.lib.backup.restore import restore as restore_now
    from orchestration.lib.database.connection import as_url

    manifest = restore_now(folder, as_url(into), tell=tell)
    click.echo(f"restored {manifest.rows:,} rows of {len(manifest.tables)} tables, each as it was backed up")


@click.command()
@_OUTPUT
def drill(output: Path | None) -> None:
    """Take a backup, restore it into a database that is dropped again, and verify that one; prints the backup's folder.

    A backup that was never restored is none.
    """
    from orchestration.lib.backup.drill import drill as drill_now
    from orchestration.lib.database.in_use import database_url

    done = drill_now(database_url(), output or governance_home() / "backups", tell=tell)
    tell(f"{done.rows:,} rows were restored in {done.seconds:,.1f} s, and verification found no new error")
    click.echo(done.folder)
