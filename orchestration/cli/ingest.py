"""What `governance ingest` does and says: results on stdout, all else on stderr."""

from collections.abc import Collection, Mapping, Sequence

import click
import psycopg

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import IngestError, Trial, ingest_files
from orchestration.cli.progress import ProgressDisplay, describe_quarantine, describe_report, describe_trial
from orchestration.lib.usage.ledger import loads, undo
from orchestration.lib.warehouse.refresh import refresh
from orchestration.cli.terminal import visible

NOTHING_LOADED = 3
_LOADS_SHOWN = 50


def load_files(
    files: Sequence[str],
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    values: Mapping[str, Mapping[str, str]],
    *,
    ignored: Collection[str],
    file_format: str | None,
    dry_run: bool,
    refreshes: bool,
) -> int:
    """Loads the files, or only says what that would do; returns the exit code. Raises GovernanceError."""
    display = ProgressDisplay()
    trials: list[Trial] | None = [] if dry_run else None
    try:
        report = ingest_files(
            None,
            files,
            mapping,
            constants,
            values,
            ignored=ignored,
            file_format=file_format,
            trials=trials,
            progress=display.show,
            notify=display.note,
        )
    except IngestError as error:
        display.close()
        click.echo(str(error.report))
        raise
    display.close()
    for trial in trials or ():
        for line in describe_trial(trial):
            click.echo(visible(line))
    click.echo(f"would be: {report}" if dry_run else str(report))
    for line in describe_report(report):
        click.echo(visible(line), err=True)
    if not dry_run:
        for line in describe_quarantine(report, files):
            click.echo(visible(line), err=True)
        if report.loaded and refreshes:
            _refresh()
        elif report.loaded:
            click.echo("reports have it when the rollups are brought up to date: `governance refresh`", err=True)
    for source in report.refused:
        said = "would be loaded" if dry_run else "is loaded"
        click.echo(visible(f"nothing of {source} {said}: every record was refused", keep=""), err=True)
    return NOTHING_LOADED if report.refused else 0


def undo_load(which: str, *, refreshes: bool) -> None:
    """Takes one load back. Raises GovernanceError."""
    undone = undo(None, which)
    click.echo(
        visible(
            f"took back load {undone.load.number} of {undone.load.source}: {undone.rows:,} rows, "
            f"and {undone.quarantined:,} from quarantine"
        )
    )
    if undone.rows and refreshes:
        _refresh()


def list_loads() -> None:
    """Prints the latest loads."""
    found = loads(None, limit=_LOADS_SHOWN)
    if not found:
        click.echo("nothing was loaded so far", err=True)
        return
    click.echo(f"{'load':>6}  {'started':<19}  {'loaded':>11}  {'duplicate':>11}  {'quarantined':>11}  source")
    for load in found:
        note = ""
        if load.undone_at:
            note = f" (taken back {load.undone_at:%Y-%m-%d %H:%M})"
        elif not load.ended_at:
            note = " (runs, or was broken off)"
        click.echo(
            f"{load.number:>6}  {load.started_at:%Y-%m-%d %H:%M:%S}  {load.loaded:>11,}  {load.duplicate:>11,}  "
            f"{load.quarantined:>11,}  {visible(load.source, keep='')}{note}"
        )


def _refresh() -> None:
    """Brings the rollups up to date; what is loaded stays so where that fails."""
    try:
        refresh()
    except (GovernanceError, psycopg.Error) as error:
        why = str(error).strip().splitlines()[0]
        click.echo(visible(f"the rollups are not up to date ({why}): run `governance refresh`"), err=True)
