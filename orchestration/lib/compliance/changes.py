"""What changed since the report before: its figures and findings against those of this one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestration.lib.compliance.sections import Contents
from orchestration.lib.compliance.tables import Table
from orchestration.lib.errors import GovernanceError

_TITLE = "Changes since the report before"
_COLUMNS = ["what", "before", "now"]


def compare(contents: Contents, before: Path | None) -> Table:
    """What differs from the report in the folder `before`. Raises GovernanceError where that can't be read."""
    empty = "This is the first report of its kind in its folder: there is nothing to compare with."
    rows: list[list[str | None]] = []
    if before is not None:
        empty = f"Nothing differs from {before.name}."
        rows = _differences(contents, _read(before))
    return Table("changes", _TITLE, _COLUMNS, rows, of_period=False, part="changes", empty=empty)


def _read(folder: Path) -> Mapping[str, Any]:
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return {
            "states": {verdict["subject"]: verdict["state"] for verdict in report["verdicts"]},
            # reports of before had no figures
            "figures": {figure["key"]: figure for figure in report.get("figures", [])},
            "findings": _findings(report["tables"]["findings"]["columns"], report["tables"]["findings"]["rows"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GovernanceError(
            f"the report before, {folder}, can't be read: {error}; restore it, or write into another --output"
        ) from error


def _findings(columns: list[str], rows: list[list[str | None]]) -> set[tuple[str, str]]:
    """The rule and subject of those that were open."""
    rule, subject, resolved = (columns.index(name) for name in ("rule", "subject", "resolved_at"))
    return {(row[rule] or "", row[subject] or "") for row in rows if row[resolved] is None}


def _differences(contents: Contents, before: Mapping[str, Any]) -> list[list[str | None]]:
    rows: list[list[str | None]] = [
        [f"verdict on {verdict.subject.lower()}", before["states"].get(verdict.subject), verdict.state]
        for verdict in contents.verdicts
        if before["states"].get(verdict.subject) != verdict.state
    ]
    table = contents.tables["findings"]
    was, is_now = before["findings"], _findings(table.columns, table.rows)
    # what a report finds itself bears the name of its period
    was, is_now = ({each for each in found if not each[0].startswith("report_")} for found in (was, is_now))
    if was != is_now:
        rows.append(
            ["open findings", str(len(was)), f"{len(is_now)}: {len(is_now - was)} new, {len(was - is_now)} gone"]
        )
    known = before["figures"]
    for figure in contents.figures:
        old = known.get(figure.key)
        if old is not None and old["value"] != figure.value:
            rows.append([figure.label, old["value"], figure.value])
    return rows
