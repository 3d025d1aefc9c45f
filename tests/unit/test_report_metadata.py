"""What Dagster shows of a report beside its table of facts: the chart."""

import base64
import json
from pathlib import Path

from orchestration.defs.compliance.metadata import as_metadata

DRAWING = (
    '<svg viewBox="0 0 480 114" role="img" aria-label="Spend by team, USD: R&amp;D [EU] has the most."><rect/></svg>'
)


def write_report(folder: Path, page: str) -> None:
    (folder / "report.json").write_text(json.dumps({"state": "ok", "verdicts": [], "tables": {}}))
    (folder / "manifest.json").write_text("{}")
    (folder / "report.html").write_text(page)


def test_the_first_chart_is_an_image_with_what_it_says(tmp_path: Path) -> None:
    write_report(tmp_path, f"<p>{DRAWING}</p>{DRAWING.replace('team', 'day')}")
    said, image = as_metadata(tmp_path)["chart"].value.split("\n\n")
    assert said == r"Spend by team, USD: R&D \[EU\] has the most."
    start = f"![{said}](data:image/svg+xml;base64,"
    assert image.startswith(start)
    drawn = base64.b64decode(image.removeprefix(start).removesuffix(")")).decode()
    # an image of its own needs a namespace, and a width, or it is drawn as small as fits
    assert drawn == DRAWING.replace("<svg", '<svg width="720" xmlns="http://www.w3.org/2000/svg"')


def test_a_report_without_a_chart_shows_none(tmp_path: Path) -> None:
    write_report(tmp_path, "<p>No data.</p>")
    assert "chart" not in as_metadata(tmp_path)
