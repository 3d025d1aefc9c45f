"""Restores a backup into an empty database and proves that every row is there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg

from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.seal import begin_epoch
from orchestration.lib.audit.verify_offline import Checkpoint
from orchestration.lib.backup.backup import DUMP, Manifest, read_manifest, restore_dump
from orchestration.lib.backup.encryption import ENDING, Identity, assert_decryptable
from orchestration.lib.backup.fingerprints import fingerprints
from orchestration.lib.database.connection import Connection, connect
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
    Where the server lacks roles that had rights, these are left out, and it is told.
    Raises GovernanceError where a file is damaged, the database isn't empty, the server or its TimescaleDB is another
    one, or the role may not restore it; and where a table isn't what the manifest says: what was restored is left to be
    looked at, and its background jobs don't run, which is told.
    """
    manifest = read_manifest(folder)
    dump = folder / (DUMP if DUMP in manifest.files else DUMP + ENDING)
    if dump.name.endswith(ENDING):
        if not identities:
            raise GovernanceError(f"{folder} is encrypted: give the file of an identity that it is for by --identity")
        assert_decryptable(dump, identities)
    server = _assert_fits(url, manifest)
    absent = _assert_may_restore(url, manifest)
    if absent:
        tell(
            f"rights are not restored, for the server has no role {', '.join(absent)}: `governance roles apply` gives "
            "those of the project, others' are yours to give"
        )
    if manifest.timescaledb is not None:
        with connect(url) as connection:
            connection.execute(f"create extension if not exists timescaledb version '{manifest.timescaledb}'".encode())
        # in sessions of their own: the setting is the database's, and rows would vanish without it
        with connect(url) as connection:
            connection.execute("select public.timescaledb_pre_restore()")
    tell(f"restoring {manifest.rows:,} rows of {manifest.made_at}")
    restore_dump(url, server, dump, identities, rights=not absent)
    with nullcontext() if manifest.timescaledb is None else _jobs_waiting(url, tell):
        tell("comparing every table with the backup")
        _assert_restored(url, manifest)
    if begins_epoch:
        begin_epoch(url, reason=note_of(f"restored the backup of {manifest.made_at}", given_up))
    return manifest


@contextmanager
def _jobs_waiting(url: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Ends what TimescaleDB calls restoring, and has no background job change what is compared.

    After an error they wait on, so that what was restored can be looked at, and it is told.
    """
    start = "select _timescaledb_functions.start_background_workers()"
    with connect(url) as connection, connection.transaction():
        take_over_jobs(connection)
        connection.execute("select public.timescaledb_post_restore()")
        connection.execute("select _timescaledb_functions.stop_background_workers()")
    try:
        yield
    except BaseException:
        tell(f"the background jobs of what was restored don't run: `{start}` there starts them")
        raise
    with connect(url) as connection:
        connection.execute(start.encode())


def _assert_restored(url: str, manifest: Manifest) -> None:
    with connect(url, autocommit=False) as connection:
        [(restoring,)] = connection.execute("select current_setting('timescaledb.restoring', true)")
        if restoring == "on":
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


def take_over_jobs(connection: Connection) -> None:
    """Has the warehouse's background jobs run as the role that restores, which owns what they work on.

    Those of the project's roles stay theirs, to whom `governance roles apply` gives the tables; so do those of others.
    """
    connection.execute(
        """
        update _timescaledb_config.bgw_job as b
        set owner = current_user::regrole
        from timescaledb_information.jobs as j
        where j.job_id = b.id
            and (
                j.hypertable_schema in ('core', 'rollups') and j.proc_schema like '\\_timescaledb%'
                or (j.proc_schema, j.proc_name) = ('internal', 'refresh_in_background')
            )
            and j.owner::text not in ('governance_owner', 'governance_dbt')
        """
    )


def _assert_fits(url: str, manifest: Manifest) -> int:
    """Returns the server's major version."""
    with connect(url) as connection:
        [(server, available, is_used, versions)] = connection.execute(
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
        )
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


def _assert_may_restore(url: str, manifest: Manifest) -> list[str]:
    """Returns the roles of the backup that the server has not."""
    with connect(url) as connection:
        [(absent, may_create, role, database)] = connection.execute(
            """
            select
                array(select n from unnest(%s::text[]) as n where to_regrole(quote_ident(n)) is null order by 1),
                has_database_privilege(current_database(), 'create'),
                quote_ident(current_user), quote_ident(current_database())
            """,
            [manifest.roles],
        )
        if not may_create:
            raise GovernanceError(
                f"{connection.info.user} may not restore into this database; let its owner run "
                f"`grant create on database {database} to {role}`"
            )
        if manifest.timescaledb is not None:
            assert_may_restore_timescaledb(connection)
            if absent:
                raise GovernanceError(
                    f"the backup has jobs and rights of role {', '.join(absent)}, which the server has not: run "
                    "`governance roles apply` on that database, which makes the project's, and `create role` for "
                    "others; then restore again"
                )
    return list(absent)


def assert_may_restore_timescaledb(connection: Connection) -> None:
    """Raises GovernanceError where the role may not write TimescaleDB's own tables, or switch its checks off.

    Both are a superuser's, unless the provider of a managed server has given them away.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local timescaledb.restoring = 'on'")
            row = connection.execute(
                """
                select rolsuper or coalesce(
                    (
                        select bool_and(has_table_privilege(c.oid, 'insert'))
                        from pg_class as c
                        inner join pg_namespace as n on n.oid = c.relnamespace
                        where n.nspname = '_timescaledb_catalog' and c.relkind = 'r'
                    ), false
                )
                from pg_roles where rolname = current_user
                """
            ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = None
    if row != (True,):
        raise GovernanceError(
            f"{connection.info.user} may not restore tables of TimescaleDB, which takes a superuser of the server: "
            "restore as one, then `governance roles apply` gives the warehouse to its owner; on a managed server use "
            "the provider's own backups"
        )
