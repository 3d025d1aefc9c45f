"""Writes a report: a folder that is whole or isn't there, with a manifest that makes reports of a kind a chain."""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from orchestration.lib.audit import export, verify_offline
from orchestration.lib.audit.verify_offline import NotVerifiableError, PublicKey, Verdict
from orchestration.lib.compliance import period as periods
from orchestration.lib.compliance import render, sections
from orchestration.lib.compliance.period import Period
from orchestration.lib.compliance.rules import explained_findings
from orchestration.lib.compliance.sections import Contents
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import whole_folder
from orchestration.lib.settings import project_dir

MANIFEST = "manifest.json"


def write_report(
    url: str, said: str, output: Path, *, keys: Sequence[PublicKey] = (), checkpoints: Sequence[Path] = ()
) -> tuple[Path, Contents]:
    """Write the report about a period, such as 2026-10 or last-month, into `output`/<kind>-<name>; returns that folder.

    Its audit trail is verified against signed checkpoints where keys are given. Raises GovernanceError where the folder
    is there already, or the period hasn't begun.
    """
    with connect(url, autocommit=False, application="governance report") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        row = connection.execute(
            "select now(), (select value from internal.settings where name = 'reporting_timezone')"
        ).fetchone()
        assert row is not None
        as_of, zone = row[0].astimezone(UTC), str(row[1])
        period = periods.parsed(said, zone, as_of.astimezone(ZoneInfo(zone)).date())
        if period.start > as_of:
            raise GovernanceError(f"{period.name} has not begun: a report is about what happened")
        folder = output.absolute() / f"{period.kind}-{period.name}"
        if folder.exists():
            raise GovernanceError(f"{folder} is there already: a report is never written over; move it away first")
        contents = sections.read(connection, period, as_of)
        contents.tables["findings"] = explained_findings(contents.tables["findings"])
        integrity = _integrity(connection, keys, checkpoints)
    contents.verdicts.append(
        sections.Verdict("Audit trail", integrity["state"], f"{integrity['verdict']}: {integrity['message']}", "audit")
    )
    _write(folder, contents, integrity)
    return folder, contents


def verify_report(folder: Path) -> list[str]:
    """What is wrong with a report's files, in sentences; nothing where each is the one in its manifest.

    The report before it is looked for beside it, and must be the one that the manifest names.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, previous = dict(manifest["files"]), manifest["previous"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GovernanceError(f"{folder} is no report: its {MANIFEST} can't be read: {error}") from error
    faults = [
        f"{name} is not the file that was written" for name, digest in files.items() if _digest(folder / name) != digest
    ]
    there = {path.name for path in folder.iterdir()} - {MANIFEST}
    faults += [f"{name} was added" for name in sorted(there - files.keys())]
    if previous is not None:
        before = folder.parent / previous["folder"]
        if not before.exists():
            faults.append(f"the report before it, {previous['folder']}, is not beside it")
        elif _digest(before / MANIFEST) != previous["manifest"]:
            faults.append(f"the report before it, {previous['folder']}, is not the one it continues")
    return faults


def _integrity(
    connection: sections.Connection, keys: Sequence[PublicKey], checkpoints: Sequence[Path]
) -> dict[str, Any]:
    """The verdict about the audit trail, in the transaction of the report."""
    if not keys or not checkpoints:
        message = "no key and no checkpoint were given, so nothing is proven."
        return {"verdict": "NOT SIGNED", "state": "no data", "message": message}
    try:
        kept = verify_offline.read_checkpoints(checkpoints, list(keys))
        report = export.verify(connection, kept)
    except NotVerifiableError as error:
        return {"verdict": "COULD_NOT_VERIFY", "state": "problem", "message": f"{error}."}
    message = (
        f"{report.entries:,} entries and {report.seals:,} seals were verified, {report.signed_seals:,} of them signed, "
        f"{report.unsealed:,} newer entries wait for their seal."
    )
    state = "ok" if report.verdict == Verdict.OK else "problem"
    said = json.loads(verify_offline.as_json(report))
    return {"verdict": report.verdict.name, "state": state, "message": message, "report": said}


def _write(folder: Path, contents: Contents, integrity: dict[str, Any]) -> None:
    period = contents.period
    about = {
        "kind": period.kind,
        "name": period.name,
        "first": f"{period.first}",
        "last": f"{period.last}",
        "after": f"{period.after}",
        "zone": period.zone,
        "start": f"{period.start:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{period.end:%Y-%m-%dT%H:%M:%SZ}",
    }
    report = {
        "period": about,
        "as_of": f"{contents.as_of:%Y-%m-%d %H:%M:%SZ}",
        "state": contents.state,
        "verdicts": [asdict(verdict) for verdict in contents.verdicts],
        "tables": {name: asdict(table) for name, table in contents.tables.items()},
        "audit": {name: integrity[name] for name in ("verdict", "state", "message")},
    }
    files = {f"{name}.csv": render.as_csv(table.columns, table.rows) for name, table in contents.tables.items()}
    files |= {
        "report.json": f"{json.dumps(report, indent=1, ensure_ascii=False)}\n",
        "report.html": render.html(report),
        "integrity.json": f"{json.dumps(integrity, indent=1, ensure_ascii=False)}\n",
    }
    with whole_folder(folder) as written:
        for name, text in files.items():
            _put(written / name, text)
        manifest = {
            "period": about,
            "as_of": report["as_of"],
            "state": contents.state,
            "version": version("llm-governance-warehouse"),
            "commit": _commit(),
            "rows": {name: len(table.rows) for name, table in contents.tables.items()},
            "files": {name: _digest(written / name) for name in sorted(files)},
            "previous": _previous(folder, period),
        }
        _put(written / MANIFEST, f"{json.dumps(manifest, indent=1, ensure_ascii=False)}\n")


def _previous(folder: Path, period: Period) -> dict[str, str] | None:
    """The last report of its kind before it, and the hash of its manifest."""
    older = [
        path
        for path in folder.parent.glob(f"{period.kind}-*")
        if path.name < folder.name and (path / MANIFEST).exists()
    ]
    if not older:
        return None
    last = max(older, key=lambda path: path.name)
    return {"folder": last.name, "manifest": _digest(last / MANIFEST) or ""}


def _put(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _commit() -> str | None:
    """Of the project, where it is a clone."""
    command = ["git", "-C", str(project_dir()), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
