"""A drill: a backup is taken, restored into a database that is thrown away, and verified there."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from orchestration.lib.backup.backup import assert_readable, backup
from orchestration.lib.backup.encryption import Identity, Recipient
from orchestration.lib.backup.restore import assert_may_restore_timescaledb, restore
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.database.rights import assert_may_create_database, needs_role
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify


@dataclass(frozen=True)
class Drill:
    """The backup that is proven, how many rows it has, and what its restore took."""

    folder: Path
    rows: int
    seconds: float


def drill(
    url: str,
    output: Path,
    *,
    recipients: Sequence[Recipient] = (),
    identities: Sequence[Identity] = (),
    server_url: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Drill:
    """Take a backup into `output` and prove it, in a database made on the same server or that of `server_url`.

    Raises GovernanceError where it can't be restored, or verification finds an error in it that isn't in the original.
    """
    if recipients and not identities:
        raise GovernanceError("a drill of an encrypted backup needs the file of an identity that it is for: --identity")
    target = server_url or url
    with connect(url) as connection, needs_role("a backup", "governance_owner"):
        assert_readable(connection)
        has_timescaledb = connection.execute("select from pg_extension where extname = 'timescaledb'").fetchone()
    with connect(target) as connection:
        if has_timescaledb is not None:
            assert_may_restore_timescaledb(connection)
        assert_may_create_database(connection, "that a drill restores into")
    folder, manifest = backup(url, output, recipients=recipients, tell=tell)
    tell(f"backed up {manifest.rows:,} rows into {folder}")
    name = f"governance_drill_{folder.name.lower().replace('-', '').removesuffix('z')}"
    ensure_database(target, name)
    began = time.monotonic()
    try:
        there = with_database(target, name)
        restore(folder, there, identities=identities, tell=tell)
        seconds = time.monotonic() - began
        tell("verifying what was restored")
        known = {violation.key for violation in verify(url).violations}
        found = [each for each in verify(there).violations if each.severity == "error" and each.key not in known]
    finally:
        with connect(target) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    if found:
        raise GovernanceError(
            f"the restored warehouse has errors that the original has not: {found[0].rule}: {found[0].message}"
        )
    return Drill(folder, manifest.rows, seconds)
