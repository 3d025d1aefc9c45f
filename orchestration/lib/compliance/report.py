"""Writes a report: a folder that is whole or isn't there, with a manifest that makes reports of a kind a chain."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from orchestration.lib.audit import export
from orchestration.lib.audit.verify_offline import PublicKey
from orchestration.lib.compliance import changes, integrity, paper, render, sections, verdicts
from orchestration.lib.compliance import period as periods
from orchestration.lib.compliance.period import Period
from orchestration.lib.compliance.sections import Contents
from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.folders import put, whole_folder
from orchestration.lib.settings import project_dir

MANIFEST = "manifest.json"
PAPER = "report.pdf"
# what of report.json and the manifest is of the moment, beside the tables that aren't of the period
_OF_THE_MOMENT = (
    "as_of", "as_of_local", "state", "verdicts", "figures", "audit", "freshness", "previous", "version", "commit",
    "dbt_invocation",
)  # fmt: skip


def write_report(
    url: str,
    said: str,
    output: Path,
    *,
    keys: Sequence[PublicKey] = (),
    checkpoints: Sequence[Path] = (),
    only_whole: bool = False,
) -> tuple[Path, Contents]:
    """Write the report about a period, such as 2026-10 or last-month, into `output`/<kind>-<name>; returns the folder.

    Its audit trail is verified against signed checkpoints where keys are given. Without Typst there is no report.pdf.
    The rights of governance_auditor are enough. Raises GovernanceError where the role has less, the folder is there
    already, or the period hasn't begun or, with `only_whole`, not ended.
    """
    read = partial(integrity.kept, keys=keys, checkpoints=checkpoints)
    with export.snapshot_after(url, read, what="a report", application="governance report") as (connection, kept):
        as_of, zone, today = periods.now(connection)
        period = periods.parsed(said, zone, today)
        if period.start > as_of:
            raise GovernanceError(f"{period.name} has not begun: a report is about what happened")
        if only_whole and period.end > as_of:
            raise GovernanceError(
                f"{period.name} has not ended in {zone}, the zone of the reports: set GOVERNANCE_SCHEDULE_TIMEZONE to "
                "that, and start Dagster anew"
            )
        folder = output.absolute() / f"{period.kind}-{period.name}"
        if folder.exists():
            raise GovernanceError(f"{folder} is there already: a report is never written over; move it away first")
        contents = sections.read(connection, period, as_of)
        trail = integrity.verified(connection, kept)
    verdicts.judge(contents, trail)
    before = _before(folder, period)
    contents.tables = {"changes": changes.compare(contents, before), **contents.tables}
    _write(folder, contents, trail, before)
    return folder, contents


def verify_report(folder: Path) -> list[str]:
    """What is wrong with a report's files, in sentences; nothing where each is the one in its manifest.

    The report before it is looked for beside it, and must be the one that the manifest names.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, previous = dict(manifest["files"]), manifest["previous"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GovernanceError(f"{folder} is no report: its {MANIFEST} can't be read: {reason(error)}") from error
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


def is_whole(folder: Path) -> bool:
    """Whether the period of a report had ended when it was written."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    written, end = (datetime.fromisoformat(text) for text in (manifest["as_of"], manifest["period"]["end"]))
    return written >= end


def _write(folder: Path, contents: Contents, trail: dict[str, Any], before: Path | None) -> None:
    report = _report(contents, trail)
    files: dict[str, bytes] = {
        f"{name}.csv": render.as_csv(table.columns, table.rows).encode() for name, table in contents.tables.items()
    }
    files |= {"report.json": _json(report), "report.html": render.html(report).encode(), "integrity.json": _json(trail)}
    if paper.is_installed():
        files[PAPER] = paper.pdf(render.page(report), contents.as_of)
    manifest = _manifest(report, contents, before)
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    with whole_folder(folder) as written:
        for name, content in files.items():
            put(written / name, content)
        put(written / MANIFEST, _json(manifest))


def _report(contents: Contents, trail: Mapping[str, Any]) -> dict[str, Any]:
    period = contents.period
    zone = ZoneInfo(period.zone)
    about = {
        "kind": period.kind,
        "name": period.name,
        "first": f"{period.first}",
        "last": f"{period.last}",
        "after": f"{period.after}",
        "zone": period.zone,
        "start": _moment(period.start),
        "end": _moment(period.end),
        "start_local": period.start.astimezone(zone).isoformat(),
        "end_local": period.end.astimezone(zone).isoformat(),
    }
    return {
        "period": about,
        "as_of": f"{contents.as_of:%Y-%m-%d %H:%M:%SZ}",
        "as_of_local": contents.as_of.astimezone(zone).isoformat(timespec="seconds"),
        "state": contents.state,
        "verdicts": [asdict(verdict) for verdict in contents.verdicts],
        "figures": [asdict(figure) for figure in contents.figures],
        "parts": contents.parts,
        "tables": {name: asdict(table) for name, table in contents.tables.items()},
        "audit": {name: value for name, value in trail.items() if name != "report"},
    }


def _manifest(report: Mapping[str, Any], contents: Contents, before: Path | None) -> dict[str, Any]:
    loads = contents.tables["loads"].dicts()
    freshness = dict(contents.freshness)
    moment = sorted(f"{name}.csv" for name, table in contents.tables.items() if not table.of_period)
    return {
        "period": report["period"],
        "as_of": report["as_of"],
        "as_of_local": report["as_of_local"],
        "state": contents.state,
        "version": version("llm-governance-warehouse"),
        "commit": _commit(),
        "dbt_invocation": freshness.pop("dbt_invocation"),
        "rows_in": {
            **{
                name: sum(int(row[name] or 0) for row in loads)
                for name in ("records", "loaded", "duplicates", "refused")
            },
            "requests": sum(int(row["requests"] or 0) for row in contents.tables["spend"].dicts()),
        },
        "rows": {name: len(table.rows) for name, table in contents.tables.items()},
        "freshness": freshness,
        "of_the_moment": {"files": [*moment, "integrity.json"], "fields": list(_OF_THE_MOMENT)},
        "previous": before and {"folder": before.name, "manifest": _digest(before / MANIFEST) or ""},
    }


def _before(folder: Path, period: Period) -> Path | None:
    """The last report of its kind before it."""
    older = [
        path
        for path in folder.parent.glob(f"{period.kind}-*")
        if path.name < folder.name and (path / MANIFEST).exists()
    ]
    return max(older, key=lambda path: path.name, default=None)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _json(content: object) -> bytes:
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()


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
