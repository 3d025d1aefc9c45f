"""Writes the audit trail, its seals and the program that verifies them into a folder, and verifies it in place."""

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from orchestration.lib.audit import verify_offline
from orchestration.lib.audit.verify_offline import Checkpoint, Entry, PublicKey, Report, Seal
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.database.rights import needs_role
from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import whole_folder

Read = TypeVar("Read")

_PATIENCE = "60s"
# rows fetched at a time: memory stays flat
_BATCH = 5_000
_ENTRIES = """
select
    id::text,
    encode(checksum, 'hex'),
    internal.audit_canonical(
        checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label, action,
        resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
    )
from core.audit_logs
order by epoch, xid, id
"""
_SEALS = """
select
    internal.audit_seal_text(
        sequence, kind, epoch, low, high, entry_count, total_count, root, previous_hash, sealed_at, note
    ),
    encode(seal_hash, 'hex'),
    entry_ids,
    leaves
from internal.audit_seals
order by sequence
"""
_README = """This folder holds an audit trail and what proves that it is whole.

  python3 verify.py . --key KEY --checkpoint FILE

KEY is the public key of who signs the trail, and FILE a checkpoint that was kept outside of the database, both from
somebody you trust, not from this folder. verify.py is one file that needs Python 3.11 and the package cryptography or
the program openssl 3; read it before you run it. Its first word is the verdict: OK, MODIFIED, MISSING, EXTRA,
SEAL_BROKEN, TAIL_TRUNCATED, REWRITTEN, UNSEALED or COULD_NOT_VERIFY, each with an exit code of its own.

entries.jsonl   an entry a line: id, checksum, canonical form (a JSON array)
seals.jsonl     a seal a line: its canonical form, its hash, the ids and hashes of its entries
exported_at     when it was written
"""


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    """A connection to which the whole trail is as of one moment."""
    with (
        needs_role("reading the trail", "governance_auditor"),
        connect(url, autocommit=False, application="governance audit") as connection,
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        yield connection


@contextmanager
def snapshot_after(
    url: str,
    read: Callable[[Connection], Read],
    *,
    what: str = "reading the trail",
    application: str = "governance audit",
) -> Iterator[tuple[Connection, Read]]:
    """As `snapshot`, and what was read just before it, such as the checkpoints: one that is signed meanwhile may cover
    more than is seen. Entries that are being pruned are waited for, until that is signed too.
    """
    with needs_role(what, "governance_auditor"), connect(url, application=application) as connection:
        # anybody can take the lock, and would stop verification without a word
        connection.execute(f"set lock_timeout = '{_PATIENCE}'")
        connection.execute("select pg_advisory_lock_shared(%s)", [Lock.PRUNE])
        before = read(connection)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            # the first statement, which takes the snapshot
            connection.execute("select pg_advisory_unlock_shared(%s)", [Lock.PRUNE])
            yield connection, before


def entries(connection: Connection) -> Iterator[Entry]:
    """All entries, in the order in which they are sealed; also forged ones in tables that inherit."""
    for identifier, checksum, canonical in _rows(connection, _ENTRIES):
        yield Entry(identifier, checksum, canonical)


def seals(connection: Connection) -> Iterator[Seal]:
    """All seals in order."""
    for text, digest, ids, leaves in _rows(connection, _SEALS):
        yield Seal(text, digest, [str(each) for each in ids], list(leaves))


def verify(connection: Connection, checkpoints: list[Checkpoint]) -> Report:
    """Verify the trail in its database, as verify.py does an export of it."""
    return verify_offline.verify(entries(connection), seals(connection), checkpoints)


def verified(url: str, anchors: Iterable[Path], keys: list[PublicKey]) -> Report:
    """Verify the trail in its database as of now, with checkpoints of files and folders.

    Raises NotVerifiableError where one can't be read or isn't signed by any of the keys.
    """
    with snapshot_after(url, lambda connection: read_checkpoints(connection, anchors, keys)) as (connection, kept):
        return verify(connection, kept)


def read_checkpoints(connection: Connection, anchors: Iterable[Path], keys: list[PublicKey]) -> list[Checkpoint]:
    """Those that are of use for the log as it is."""
    [(seals,)] = connection.execute("select coalesce(max(sequence), 0) from internal.audit_seals")
    return verify_offline.read_checkpoints(anchors, keys, seals=seals)


def export(url: str, folder: Path) -> Path:
    """Write the trail into a new folder; returns it. Nothing is left under its name where the writing fails.

    Raises GovernanceError where the folder is there already.
    """
    folder = folder.absolute()
    if folder.exists():
        raise GovernanceError(f"{folder} is there already: name a folder that isn't, an export is never written over")
    with whole_folder(folder) as written, snapshot_after(url, lambda _: None) as (connection, _):
        _write(connection, written)
    return folder


def _write(connection: Connection, folder: Path) -> None:
    with (folder / "entries.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for entry in entries(connection):
            file.write(f"{entry.id} {entry.checksum or '-'} {entry.canonical or '-'}\n")
        _synced(file)
    with (folder / "seals.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for each in seals(connection):
            ids = b"".join(bytes.fromhex(identifier.replace("-", "")) for identifier in each.ids)
            said = {
                "seal": each.text,
                "hash": each.seal_hash,
                "ids": _base64(ids),
                "leaves": _base64(b"".join(each.leaves)),
            }
            file.write(f"{json.dumps(said)}\n")
        _synced(file)
    (folder / "exported_at").write_text(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n", encoding="utf-8")
    (folder / "README.txt").write_text(_README, encoding="utf-8")
    shutil.copyfile(verify_offline.__file__, folder / "verify.py")


def _rows(connection: Connection, query: str) -> Iterator[TupleRow]:
    with connection.cursor(f"trail_{id(query)}") as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(query.encode())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _synced(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
