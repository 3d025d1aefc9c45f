"""Restores a backup into an empty database and proves that every row is there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.seal import begin_epoch
from orchestration.lib.audit.verify_offline import Checkpoint
from orchestration.lib.backup.backup import DUMP, Manifest, read_manifest, restore_dump
from orchestration.lib.backup.encryption import ENDING, Identity, assert_decryptable
from orchestration.lib.backup.fingerprints import fingerprints
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError


def restore(
    folder: Path,
    url: str,
    *,
    identities: Sequence[Identity] = (),
    begins_epoch: bool = True,
    given_up: Sequence[Checkpoint] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Restore a backup into the empty database at `url`, and begin a new epoch of the audit trail there.

    The seal of the recovery names the checkpoints `given_up`, those signed last, which may cover more than the backup
    holds.
    A dump that is encrypted needs one of the identities it is for.
    Raises GovernanceError where a file is damaged, the database isn't empty, the server or its TimescaleDB is another
    one, or a table isn't what the manifest says; what was restored is left to be looked at.
    """
    manifest = read_manifest(folder)
    dump = folder / (DUMP if DUMP in manifest.files else DUMP + ENDING)
    if dump.name.endswith(ENDING):
        if not identities:
            raise GovernanceError(f"{folder} is encrypted: give the file of an identity that it is for by --identity")
        assert_decryptable(dump, identities)
    server = _assert_fits(url, manifest)
    if manifest.timescaledb is not None:
        with connect(url) as connection:
            connection.execute(f"create extension if not exists timescaledb version '{manifest.timescaledb}'".encode())
        # in sessions of their own: the setting is the database's, and rows would vanish without it
        with connect(url) as connection:
            connection.execute("select public.timescaledb_pre_restore()")
    tell(f"restoring {manifest.rows:,} rows of {manifest.made_at}")
    restore_dump(url, server, dump, identities)
    if manifest.timescaledb is not None:
        with connect(url) as connection:
            connection.execute("select public.timescaledb_post_restore()")
    tell("comparing every table with the backup")
    with connect(url, autocommit=False) as connection:
        row = connection.execute("select current_setting('timescaledb.restoring', true)").fetchone()
        if row is not None and row[0] == "on":
            raise GovernanceError("TimescaleDB is still restoring: run `select timescaledb_post_restore()` there")
        there = fingerprints(connection)
    different = sorted(
        name for name in manifest.tables.keys() | there.keys() if manifest.tables.get(name) != there.get(name)
    )
    if different:
        raise GovernanceError(
            f"not what was backed up: {', '.join(different[:5])}"
            f"{f' and {len(different) - 5} more' if len(different) > 5 else ''}; restore into another empty database"
        )
    if begins_epoch:
        begin_epoch(url, reason=note_of(f"restored the backup of {manifest.made_at}", given_up))
    return manifest


def _assert_fits(url: str, manifest: Manifest) -> int:
    """Returns the server's major version."""
    with connect(url) as connection:
        row = connection.execute(
            """
            select
                current_setting('server_version_num')::integer / 10000,
                (select default_version from pg_available_extensions where name = 'timescaledb'),
                exists (
                    select from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
                    where n.nspname in ('core', 'rollups', 'seeds', 'internal', 'reporting', 'verification')
                ),
                array(
                    select version from pg_available_extension_versions where name = 'timescaledb'
                )
            """
        ).fetchone()
    assert row is not None
    server, available, is_used, versions = row
    if is_used:
        raise GovernanceError("the database isn't empty: restore into one that `create database` has just made")
    if server < manifest.server:
        raise GovernanceError(
            f"the backup is of PostgreSQL {manifest.server}, and this is {server}: restore into that version "
            "or a newer one"
        )
    if manifest.timescaledb is not None and manifest.timescaledb not in versions:
        raise GovernanceError(
            f"the backup is of TimescaleDB {manifest.timescaledb}, and this server has {available or 'none'}: install "
            "that version, and update it after the restore"
        )
    return int(server)
