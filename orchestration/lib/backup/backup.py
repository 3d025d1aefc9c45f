"""Makes a backup: a folder with a dump of one moment, and a manifest that says what is in it."""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from orchestration.lib.backup.fingerprints import Fingerprint, fingerprints
from orchestration.lib.database.connection import connect, program_environment, without_password
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import whole_folder

MANIFEST, DUMP = "manifest.json", "warehouse.dump"
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


def backup(url: str, output: Path) -> tuple[Path, Manifest]:
    """Write a backup into a new folder in `output`, named after its moment; returns both.

    The dump and the fingerprints are of one snapshot, so writers go on meanwhile. Raises GovernanceError where pg_dump
    is missing or older than the server; then nothing is left.
    """
    output = output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with connect(url, autocommit=False, application="governance backup") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
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
        folder = output / f"{made_at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
        if folder.exists():
            raise GovernanceError(f"{folder} is there already: wait a second and run it again")
        with whole_folder(folder, mode=0o700) as written:
            # what is in nobody's schema, such as _timescaledb_internal, belongs to the dump too
            run_program("pg_dump", url, server, "--format=custom", f"--snapshot={snapshot}", f"--file={written / DUMP}")
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
                {DUMP: digest(written / DUMP)},
            )
            _put(written / MANIFEST, json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=1))
    return folder, manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are those that were written; raises GovernanceError where they aren't."""
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if said.pop("format") != _FORMAT:
            raise GovernanceError(f"{folder} was made by another release: its {MANIFEST} has another format")
        tables = {name: Fingerprint(**table) for name, table in said.pop("tables").items()}
        manifest = Manifest(tables=tables, **said)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GovernanceError(f"{folder} is no backup: its {MANIFEST} can't be read: {error}") from error
    for name, expected in manifest.files.items():
        if not (folder / name).is_file():
            raise GovernanceError(f"{folder} is incomplete: {name} is missing; take another backup")
        if digest(folder / name) != expected:
            raise GovernanceError(
                f"{folder / name} is damaged: it is not the file that was written; take another backup"
            )
    return manifest


def run_program(name: str, url: str, server: int, *arguments: str) -> None:
    """Run pg_dump or pg_restore on a database; it mustn't be older than the server, and the same is best."""
    program = _program(name, server)
    command = [str(program), f"--dbname={without_password(url)}", "--no-password", *arguments]
    done = subprocess.run(command, env=program_environment(url), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()
        raise GovernanceError(f"{name} failed: {' '.join(said[:3]) or 'it says nothing'}")


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


def _put(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
