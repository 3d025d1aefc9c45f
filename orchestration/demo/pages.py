"""What the demo shows in a browser: the pages of each day, and the report of the last whole month as a sample."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestration.lib.compliance.report import write_report
from orchestration.lib.compliance.site.write import write_site
from orchestration.lib.verification.run import verify

_PERIOD = "last-month"


@dataclass(frozen=True)
class DemoPages:
    """What to open: the first page of the site, and the report."""

    site: Path
    report: Path


def write_pages(url: str, folder: Path) -> DemoPages:
    """Verify, so that there are findings to show, and write both below the folder, in place of earlier ones."""
    verify(url, program="governance demo")
    reports = folder / "reports"
    # a sample, so it shows what is in the database now, not what another demo had
    shutil.rmtree(reports, ignore_errors=True)
    report, _ = write_report(url, _PERIOD, reports)
    return DemoPages(write_site(url, folder / "site"), report / "report.html")
