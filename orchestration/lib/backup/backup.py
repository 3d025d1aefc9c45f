"""Makes a backup: a folder with a dump of one moment, and a manifest that says what is in it."""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.lib.backup.encryption import ENDING, Identity, Recipient, decrypt_input, encrypt_output
from orchestration.lib.backup.fingerprints import Fingerprint, fingerprints
from orchestration.lib.database.connection import connect, program_environment, without_password
from orchestration.lib.database.rights import needs_role
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.folders import put, whole_folder

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

MANIFEST, DUMP = "manifest.json", "warehouse.dump"
# of a backup's folder, after its moment in UTC
NAME = "%Y-%m-%dT%H%M%SZ"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: of which server and moment, how far the schema was, and each table's rows."""

    made_at: str
    database: str
    server: int
    timescaledb: str | None
    epoch: int
    seals: int
    seal_hash: str | None
    schema_changes: list[str]
    tables: dict[str, Fingerprint]
    files: dict[str, str]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


def backup(url: str, output: Path, *, recipients: Sequence[Recipient] = ()) -> tuple[Path, Manifest]:
    """Write a backup into a new folder in `output`, named after its moment; returns both.

    With recipients the dump is encrypted for them, and can't be read here. The manifest is not: it has names of tables,
    counts and sums of hashes.

    The dump and the fingerprints are of one snapshot, so writers go on meanwhile. Raises GovernanceError where pg_dump
    is missing or older than the server; then nothing is left.
    """
    output = output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with (
        needs_role("a backup", "governance_owner"),
        connect(url, autocommit=False, application="governance backup") as connection,
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        _assert_readable(connection)
        row = connection.execute(
            """
            select
                pg_export_snapshot(), now(), current_database(), current_setting('server_version_num')::integer / 10000,
                (select extversion from pg_extension where extname = 'timescaledb'),
                (select epoch from internal.audit_epoch),
                coalesce((select max(sequence) from internal.audit_seals), 0),
                (select encode(seal_hash, 'hex') from internal.audit_seals order by sequence desc limit 1),
                array(select name from internal.schema_changes order by name)
            """
        ).fetchone()
        assert row is not None
        snapshot, made_at, database, server, timescaledb, epoch, seals, seal_hash, changes = row
        folder = output / f"{made_at.astimezone(UTC):{NAME}}"
        if folder.exists():
            # another one was made in this second
            connection.rollback()
            time.sleep(1)
            return backup(url, output, recipients=recipients)
        with whole_folder(folder, mode=0o700) as written:
            # what is in nobody's schema, such as _timescaledb_internal, belongs to the dump too
            dump = written / (DUMP + ENDING if recipients else DUMP)
            _dump(url, server, snapshot, dump, recipients)
            manifest = Manifest(
                f"{made_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                database,
                server,
                timescaledb,
                epoch,
                seals,
                seal_hash,
                changes,
                fingerprints(connection),
                {dump.name: digest(dump)},
            )
            said = json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=1)
            put(written / MANIFEST, f"{said}\n".encode())
    return folder, manifest


def _assert_readable(connection: "psycopg.Connection[TupleRow]") -> None:
    row = connection.execute(
        """
        select format('%I.%I', n.nspname, c.relname)
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('core', 'rollups', 'seeds', 'internal') and c.relkind in ('r', 'p', 'S')
            and not has_table_privilege(c.oid, 'select')
        order by 1
        limit 1
        """
    ).fetchone()
    if row is not None:
        raise GovernanceError(
            f"a backup needs the rights of governance_owner ({connection.info.user} may not read {row[0]}): connect as "
            "a role that is a member of it, or as the owner of the warehouse"
        )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are those that were written; raises GovernanceError where they aren't."""
    manifest = parse_manifest(folder)
    for name, expected in manifest.files.items():
        if digest(folder / name) != expected:
            raise GovernanceError(
                f"{folder / name} is damaged: it is not the file that was written; take another backup"
            )
    return manifest


def parse_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are all there, whatever is in them; raises GovernanceError where not."""
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if said.pop("format") != _FORMAT:
            raise GovernanceError(f"{folder} was made by another release: its {MANIFEST} has another format")
        tables = {name: Fingerprint(**table) for name, table in said.pop("tables").items()}
        manifest = Manifest(tables=tables, **said)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GovernanceError(f"{folder} is no backup: its {MANIFEST} can't be read: {reason(error)}") from error
    for name in manifest.files:
        if not (folder / name).is_file():
            raise GovernanceError(f"{folder} is incomplete: {name} is missing; take another backup")
    return manifest


def _dump(url: str, server: int, snapshot: str, path: Path, recipients: Sequence[Recipient]) -> None:
    # the warehouse has no large objects, and anybody may make one that nobody else may read
    command = _command("pg_dump", url, server, "--format=custom", "--no-blobs", f"--snapshot={snapshot}")
    if recipients:
        _assert_done("pg_dump", encrypt_output(command, program_environment(url), path, recipients))
    else:
        _run("pg_dump", [*command, f"--file={path}"], url)


def restore_dump(url: str, server: int, path: Path, identities: Sequence[Identity]) -> None:
    """Run pg_restore on an empty database, with what the identities decrypt where the file is encrypted."""
    # never with --jobs, which loses rows of hypertables without a word
    command = _command("pg_restore", url, server, "--exit-on-error", "--no-owner")
    if path.name.endswith(ENDING):
        _assert_done("pg_restore", decrypt_input(command, program_environment(url), path, identities))
    else:
        _run("pg_restore", [*command, str(path)], url)


def _command(name: str, url: str, server: int, *arguments: str) -> list[str]:
    """The program mustn't be older than the server, and of the same version is best."""
    return [str(_program(name, server)), f"--dbname={without_password(url)}", "--no-password", *arguments]


def _run(name: str, command: list[str], url: str) -> None:
    done = subprocess.run(command, env=program_environment(url), capture_output=True, text=True, check=False)
    _assert_done(name, (done.stderr or "it says nothing") if done.returncode else "")


def _assert_done(name: str, complaint: str) -> None:
    if complaint:
        said = [line for line in complaint.splitlines() if "error:" in line] or complaint.splitlines()
        raise GovernanceError(f"{name} failed: {' '.join(said[:3])}")


def _program(name: str, server: int) -> Path:
    """The one of the server's own version where it can be had, for a newer one may write what that can't read."""
    found = [Path(folder) / name for folder in (f"/usr/lib/postgresql/{server}/bin", f"/usr/pgsql-{server}/bin")]
    bundled, on_path = bundled_program(name), shutil.which(name)
    found += [each for each in (Path(on_path) if on_path else None, bundled) if each is not None]
    versions = {each: _version(each) for each in found if each.exists()}
    for program, version in versions.items():
        if version == server:
            return program
    newer = [program for program, version in versions.items() if version > server]
    if newer:
        return newer[0]
    raise GovernanceError(f"there is no {name} of PostgreSQL {server} here: install PostgreSQL's client programs")


def _version(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    digits = "".join(each if each.isdigit() else " " for each in done.stdout).split()
    return int(digits[0]) if digits else 0


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
