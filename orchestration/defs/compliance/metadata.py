"""What Dagster shows of a report: its verdict, why, what was found, and a chart."""

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.lib.compliance.report import MANIFEST
from orchestration.lib.compliance.tables import as_dicts

# more than a page of the browser says less
_SHOWN = 10
# what is shown is stored with each event
_LARGEST_CHART = 60_000
_WIDTH = 720
_LABEL = re.compile(r'aria-label="([^"]*)"')
_MARKUP = re.compile(r"[\\`*_\[\]<>!#|~]")
_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)


def as_metadata(folder: Path) -> dict[str, Any]:
    """Of the report in the folder."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    findings = as_dicts(report["tables"].get("findings", {"columns": [], "rows": []}))
    metadata: dict[str, Any] = {
        "verdict": report["state"],
        "report": dg.MetadataValue.path(str(folder / "report.html")),
        "parts": dg.MetadataValue.md(
            "\n".join(
                ["| part | state | what was found |", "|---|---|---|"]
                + [f"| {each['subject']} | {each['state']} | {each['message']} |" for each in report["verdicts"]]
            )
        ),
        "findings": len(findings),
        "dagster/row_count": sum(manifest["rows"].values()) if "rows" in manifest else 0,
    }
    if findings:
        metadata["first findings"] = dg.MetadataValue.table(
            [
                dg.TableRecord({name: row.get(name) or "" for name in ("severity", "rule", "subject", "condition")})
                for row in findings[:_SHOWN]
            ]
        )
    if (chart := _chart(folder / "report.html")) is not None:
        metadata["chart"] = dg.MetadataValue.md(chart)
    return metadata


def _chart(page: Path) -> str | None:
    """The first drawing of the page, and what it says, in Markdown, whose images Dagster's pages draw."""
    for found in _SVG.finditer(page.read_text(encoding="utf-8")):
        # without a width it would be as small as fits
        drawing = found[0].replace("<svg", f'<svg width="{_WIDTH}" xmlns="http://www.w3.org/2000/svg"', 1)
        if len(drawing) <= _LARGEST_CHART:
            label = _LABEL.search(drawing)
            said = _MARKUP.sub(r"\\\g<0>", html.unescape(label[1])) if label else "The report's first chart."
            return f"{said}\n\n![{said}](data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()})"
    return None
