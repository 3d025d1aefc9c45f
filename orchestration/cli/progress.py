"""What a load shows on stderr while it runs and at its end."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import click
from psycopg import sql

from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.load import Progress, Trial
from orchestration.lib.usage.files import source_name
from orchestration.lib.usage.record import TARGETS
from orchestration.cli.terminal import visible
from orchestration.lib.words import counted

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
        click.echo(visible(message, keep=""), err=True)

    def close(self) -> None:
        """Clears the line on the terminal."""
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", err=True, nl=False)
            self._width = 0


def describe_report(report: IngestReport) -> Iterator[str]:
    """What was noted of rows that loaded, duplicates that say something else, and why rows were refused."""
    if report.notes:
        yield "noted"
        yield from _counted(report.notes)
    if report.differing:
        say = "says" if report.differing == 1 else "say"
        yield f"{counted(report.differing, 'duplicate')} {say} something else than what is stored, which stays as it is"
        for text in report.differences:
            yield f"  {text}"
        if report.differing > len(report.differences):
            yield f"  and {report.differing - len(report.differences):,} more"
    if report.quarantined:
        yield "quarantined because"
        yield from _counted(report.reasons)


def _counted(reasons: Counter[str]) -> Iterator[str]:
    for reason, count in reasons.most_common(_REASONS):
        yield f"  {reason} ({counted(count, 'row')})"
    if len(reasons) > _REASONS:
        yield f"  and {len(reasons) - _REASONS} other reasons"


def describe_quarantine(report: IngestReport, files: Sequence[str]) -> Iterator[str]:
    """The query that shows the refused rows; nothing if none were."""
    if not report.quarantined:
        return
    named = ", ".join(sql.Literal(source_name(path)).as_string() for path in files)
    yield (
        "to look at them: select source, line, reasons, row_data from internal.quarantine "  # noqa: S608
        f"where source in ({named}) order by source, line"
    )


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def describe_trial(trial: Trial) -> Iterator[str]:
    """What fills each target, the first rows as they would be loaded, and the first that would be refused."""
    yield f"{trial.source}: what fills what"
    for name, target in TARGETS.items():
        if name in trial.constants:
            yield f"  {name} <- {trial.constants[name]!r} in every row"
        elif name in trial.origins:
            yield f"  {name} <- {trial.origins[name]}"
        elif target.default is not None:
            yield f"  {name} <- {target.default} where nothing is said"
    unfilled = [n for n, t in TARGETS.items() if n not in trial.origins and n not in trial.constants and not t.default]
    yield f"  nothing fills {', '.join(unfilled)}"
    for number, row in enumerate(trial.rows, 1):
        yield f"row {number} as it would be loaded"
        yield "  " + ", ".join(f"{name} {_shown(value)}" for name, value in row.items())
    for line, reasons in trial.refused:
        yield f"line {line} would be refused"
        yield from (f"  {reason}" for reason in reasons)
