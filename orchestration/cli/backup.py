"""The commands about backups."""

from collections.abc import Sequence
from pathlib import Path

import click

from orchestration.cli.terminal import tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.settings import governance_home, settings

_OUTPUT = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the backup's folder is made; `backups` in $GOVERNANCE_HOME, unless given.",
)
_RECIPIENT = click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt for this key of age (age1…), or those in a file; may be repeated. $GOVERNANCE_BACKUP_RECIPIENTS.",
)
_IDENTITY = click.option(
    "--identity",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of an identity of age that the backup is encrypted for. $GOVERNANCE_BACKUP_IDENTITY.",
)
_KEEP = click.option(
    "--keep",
    metavar="D,W,M",
    help="Then delete older backups but the last of so many days, weeks and months: 7,4,12. $GOVERNANCE_BACKUP_KEEP.",
)


@click.command()
@_OUTPUT
@_RECIPIENT
@_KEEP
def backup(output: Path | None, recipients: Sequence[str], keep: str | None) -> None:
    """Back the warehouse up into a folder, while it is in use; prints it last.

    A dump of one moment, and a manifest with versions, rows and a fingerprint of each table. `governance drill`
    proves it.

    \b
    governance backup --output /backups --recipient age1… --keep 7,4,12
    """
    from orchestration.lib.backup.backup import backup as backup_now
    from orchestration.lib.backup.encryption import read_recipients
    from orchestration.lib.backup.keep import Keep, delete_superseded

    output = output or governance_home() / "backups"
    kept = Keep.parse(said) if (said := keep or settings().backup_keep) else None
    to = read_recipients(recipients or settings().backup_recipients)
    folder, manifest = backup_now(database_url(), output, recipients=to)
    tell(f"{manifest.rows:,} rows of {len(manifest.tables)} tables{', encrypted' if to else ''}")
    if kept:
        for gone in delete_superseded(output, kept, manifest.database):
            tell(f"deleted {gone}, which newer ones supersede")
    click.echo(folder)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--into", required=True, metavar="URL", help="postgresql://… of an empty database.")
@_IDENTITY
def restore(folder: Path, into: str, identity: Path | None) -> None:
    """Restore a backup into an empty database, and compare every table with what was backed up.

    The audit trail begins a new epoch there, which names the last checkpoint where GOVERNANCE_AUDIT_KEY and
    GOVERNANCE_AUDIT_ANCHORS are set.

    \b
    governance restore /backups/2026-11-28T020000Z --into postgresql://USER:PASSWORD@HOST/restored
    """
    from orchestration.lib.audit.sign import last_checkpoints, public_keys
    from orchestration.lib.backup.encryption import read_identities
    from orchestration.lib.backup.restore import restore as restore_now
    from orchestration.lib.database.connection import as_url

    identity = identity or settings().backup_identity
    identities = read_identities(identity) if identity else []
    key, anchors = settings().audit_key, settings().audit_anchors
    given_up = last_checkpoints(public_keys(key), anchors, key) if key is not None else []
    manifest = restore_now(folder, as_url(into), identities=identities, given_up=given_up, tell=tell)
    click.echo(f"restored {manifest.rows:,} rows of {len(manifest.tables)} tables, each as it was backed up")


@click.command()
@_OUTPUT
@_RECIPIENT
@_IDENTITY
def drill(output: Path | None, recipients: Sequence[str], identity: Path | None) -> None:
    """Take a backup, restore it into a database that is dropped again, and verify that one; prints the backup's folder.

    A backup that was never restored is none. One that is encrypted needs the identity.

    \b
    governance drill --output /backups
    """
    from orchestration.lib.backup.drill import drill as drill_now
    from orchestration.lib.backup.encryption import read_identities, read_recipients

    identity = identity or settings().backup_identity
    done = drill_now(
        database_url(),
        output or governance_home() / "backups",
        recipients=read_recipients(recipients or settings().backup_recipients),
        identities=read_identities(identity) if identity else [],
        tell=tell,
    )
    tell(f"{done.rows:,} rows were restored in {done.seconds:,.1f} s, and verification found no new error")
    click.echo(done.folder)
