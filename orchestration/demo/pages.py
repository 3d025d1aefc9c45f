"""What the demo shows outside of the database: pages of each day, a report of the last whole month, a signed trail."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestration.lib.audit import sign
from orchestration.lib.audit.export import export
from orchestration.lib.audit.seal import seal
from orchestration.lib.compliance.report import write_report
from orchestration.lib.compliance.site.write import write_site
from orchestration.lib.verification.run import verify

_PERIOD = "last-month"


@dataclass(frozen=True)
class DemoPages:
    """What to open: the first page of the site, and the report; beside the export of the trail its checkpoints."""

    site: Path
    report: Path
    trail: Path
    public_key: str


def write_pages(url: str, folder: Path) -> DemoPages:
    """Verify, so that there are findings to show, and write all below the folder, in place of earlier ones."""
    verify(url, program="governance demo")
    # samples, so they show what is in the database now, not what another demo had
    for name in ("reports", "audit"):
        shutil.rmtree(folder / name, ignore_errors=True)
    audit = folder / "audit"
    public = sign.create_key(audit / "key.pem", "demo")
    seal(url)
    # of the two anchors that there should be, one is enough to see how it works
    (checkpoint,) = sign.sign(url, audit / "key.pem", [audit / "anchor"]).kept_in
    trail = export(url, audit / "trail")
    # while one waits for the database the other draws
    with ThreadPoolExecutor(1) as beside:
        site = beside.submit(write_site, url, folder / "site")
        report, _ = write_report(url, _PERIOD, folder / "reports", keys=[public], checkpoints=[checkpoint])
        return DemoPages(site.result(), report / "report.html", trail, str(public))
