"""Makes a backup: a folder with a dump of one moment, and a manifest that says what is in it."""

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from orchestration.lib.backup.encryption import ENDING, Identity, Recipient, decrypt_input, encrypt_output
from orchestration.lib.backup.fingerprints import Fingerprint, fingerprints
from orchestration.lib.database.connection import Connection, connect, program_environment, without_password
from orchestration.lib.database.rights import needs_role
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.folders import put, whole_folder

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
    # that have rights in the database, or jobs of TimescaleDB; nobody knows of a backup by an earlier release
    roles: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


def backup(
    url: str,
    output: Path,
    *,
    recipients: Sequence[Recipient] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Manifest]:
    """Write a backup into a new folder in `output`, named after its moment; returns both.

    With recipients the dump is encrypted for them, and can't be read here. The manifest is not: it has names of tables
    and roles, counts and sums of hashes. What others have in the database is part of it where this role may read it.

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
        assert_readable(connection)
        others = _closed_schemas(connection)
        [(snapshot, made_at, database, server, timescaledb, epoch, seals, seal_hash, changes)] = connection.execute(
            """
            select
                pg_export_snapshot(), now(), current_database(), current_setting('server_version_num')::integer / 10000,
                (select extversion from pg_extension where extname = 'timescaledb'),
                (select epoch from internal.audit_epoch),
                coalesce((select max(sequence) from internal.audit_seals), 0),
                (select encode(seal_hash, 'hex') from internal.audit_seals order by sequence desc limit 1),
                array(select name from internal.schema_changes order by name)
            """
        )
        folder = output / f"{made_at.astimezone(UTC):{NAME}}"
        if folder.exists():
            # another one was made in this second
            connection.rollback()
            time.sleep(1)
            return backup(url, output, recipients=recipients, tell=tell)
        if others:
            tell(f"left out, for {connection.info.user} may not read all of it: schema {', '.join(others)}")
        with whole_folder(folder, mode=0o700) as written:
            # what is in nobody's schema, such as _timescaledb_internal, belongs to the dump too
            dump = written / (DUMP + ENDING if recipients else DUMP)
            _dump(url, server, snapshot, dump, recipients, others)
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
                _roles(connection, timescaledb),
            )
            said = json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=1)
            put(written / MANIFEST, f"{said}\n".encode())
    return folder, manifest


def assert_readable(connection: Connection) -> None:
    """Raises GovernanceError where the role may not read all of the warehouse."""
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


def _closed_schemas(connection: Connection) -> list[str]:
    """Schemas of others with something that this role may not read, which pg_dump would stop at."""
    rows = connection.execute(
        """
        select distinct n.nspname
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname not in ('core', 'rollups', 'seeds', 'internal', 'reporting', 'verification')
            and n.nspname !~ '^(pg_|information_schema$|_timescaledb_|timescaledb_)'
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
            )
            and case
                when c.relkind in ('r', 'p') then not has_table_privilege(c.oid, 'select')
                when c.relkind = 'S' then not has_sequence_privilege(c.oid, 'select')
                else false
            end
        order by 1
        """
    ).fetchall()
    return [name for (name,) in rows]


def _roles(connection: Connection, timescaledb: str | None) -> list[str]:
    """Roles that a restore finds on its server, or leaves out: those with rights, and those that jobs run as."""
    query = """
        select r.rolname
        from pg_shdepend as d
        inner join pg_roles as r on r.oid = d.refobjid
        inner join pg_database as b on b.oid = d.dbid
        where d.refclassid = 'pg_authid'::regclass and d.deptype = 'a' and b.datname = current_database()
        """
    if timescaledb is not None:
        query += " union select owner::text from timescaledb_information.jobs where job_id >= 1000"
    return sorted({name for (name,) in connection.execute(query.encode()).fetchall()})


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


def _dump(
    url: str, server: int, snapshot: str, path: Path, recipients: Sequence[Recipient], others: Sequence[str]
) -> None:
    # a pattern in quotes is a name
    without = ['--exclude-schema="{}"'.format(name.replace('"', '""')) for name in others]
    # the warehouse has no large objects, and anybody may make one that nobody else may read
    command = _command("pg_dump", url, server, "--format=custom", "--no-blobs", f"--snapshot={snapshot}", *without)
    if recipients:
        _assert_done("pg_dump", encrypt_output(command, program_environment(url), path, recipients))
    else:
        _run("pg_dump", [*command, f"--file={path}"], url)


def restore_dump(url: str, server: int, path: Path, identities: Sequence[Identity], *, rights: bool) -> None:
    """Run pg_restore on an empty database, with what the identities decrypt where the file is encrypted.

    Without `rights` nobody but the role that restores gets any.
    """
    listed = _restored(str(_program("pg_restore", server)), "--list", path=path, url=url, identities=identities)
    # a comment on an extension is its owner's to make, who may be somebody else, and came with the extension
    wanted = [line for line in listed.splitlines() if " COMMENT - EXTENSION " not in line]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as file:
        file.write("\n".join(wanted))
        file.flush()
        # never with --jobs, which loses rows of hypertables without a word
        options = ["--exit-on-error", "--no-owner", f"--use-list={file.name}"]
        command = _command("pg_restore", url, server, *options, *([] if rights else ["--no-privileges"]))
        _restored(*command, path=path, url=url, identities=identities)


def _restored(*command: str, path: Path, url: str, identities: Sequence[Identity]) -> str:
    """What pg_restore prints when it reads the dump."""
    if path.name.endswith(ENDING):
        said, complaint = decrypt_input(command, program_environment(url), path, identities)
        _assert_done("pg_restore", complaint)
        return said
    return _run("pg_restore", [*command, str(path)], url)


def _command(name: str, url: str, server: int, *arguments: str) -> list[str]:
    """The program mustn't be older than the server, and of the same version is best."""
    return [str(_program(name, server)), f"--dbname={without_password(url)}", "--no-password", *arguments]


def _run(name: str, command: list[str], url: str) -> str:
    done = subprocess.run(command, env=program_environment(url), capture_output=True, text=True, check=False)
    _assert_done(name, (done.stderr or "it says nothing") if done.returncode else "")
    return done.stdout


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
