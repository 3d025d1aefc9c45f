"""What a load shows on stderr while it runs and at its end."""

import sys
import time
from collections.abc import Iterator, Sequence

import click
from psycopg import sql

from orchestration.lib.ingest import IngestReport, Progress
from orchestration.lib.ingest.files import source_name
from orchestration.lib.terminal import visible

_REASONS = 5


class ProgressDisplay:
    """One line that is written over on a terminal; elsewhere a line every `seconds`."""

    def __init__(self, seconds: float = 10) -> None:
        self._terminal = sys.stderr.isatty()
        self._seconds = 0.2 if self._terminal else seconds
        self._begin = self._shown = time.monotonic()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Shows how far the load is, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._shown < self._seconds:
            return
        self._shown = now
        rate = progress.report.read / (now - self._begin)
        share = f", {progress.position.done / progress.position.total:.0%} of it" if progress.position.total else ""
        text = f"{visible(progress.source, keep='')}{share}: {progress.report.read:,} rows, {rate:,.0f} a second"
        if self._terminal:
            click.echo(f"\r{text:<{self._width}}", err=True, nl=False)
            self._width = len(text)
        else:
            click.echo(text, err=True)

    def note(self, message: str) -> None:
        """A sentence on a line of its own."""
        self.close()
        click.echo(visible(message), err=True)

    def close(self) -> None:
        """Clears the line on the terminal."""
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", err=True, nl=False)
            self._width = 0


def describe_quarantine(report: IngestReport, files: Sequence[str]) -> Iterator[str]:
    """Why rows were refused, most frequent reason first, and the query that shows them; nothing if none were."""
    if not report.quarantined:
        return
    yield "quarantined because"
    for reason, count in report.reasons.most_common(_REASONS):
        yield f"  {reason} ({count:,} rows)"
    if len(report.reasons) > _REASONS:
        yield f"  and {len(report.reasons) - _REASONS} other reasons"
    named = ", ".join(sql.Literal(source_name(path)).as_string() for path in files)
    yield (
        "to look at them: select source, line, reasons, row_data from internal.quarantine "  # noqa: S608
        f"where source in ({named}) order by source, line"
    )
