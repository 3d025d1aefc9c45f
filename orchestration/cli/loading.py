"""What `governance ingest` does and says: results on stdout, all else on stderr."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from shlex import quote

import click
import psycopg
from psycopg import sql

from orchestration.cli.progress import LoadProgress
from orchestration.cli.tables import show_table
from orchestration.cli.terminal import tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.corrections import Conflict
from orchestration.lib.usage.files import source_name
from orchestration.lib.usage.ledger import loads, undo
from orchestration.lib.usage.load import IngestError, Trial, ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.pull import is_location, location_name
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.sources.catalogue import REPORTS
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.words import counted

NOTHING_LOADED = 3
_LOADS_SHOWN = 50
_REASONS = 5
_DIFFERENCES = 5


def load_files(
    files: Sequence[str],
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    values: Mapping[str, Mapping[str, str]],
    *,
    ignored: Collection[str],
    file_format: str | None,
    source: str | None,
    on_conflict: Conflict,
    dry_run: bool,
    refreshes: bool,
) -> int:
    """Loads the files, or only says what that would do; returns the exit code. Raises GovernanceError."""
    url = database_url()
    display = LoadProgress()
    trials: list[Trial] | None = [] if dry_run else None
    try:
        report = ingest_files(
            url,
            files,
            mapping,
            constants,
            values,
            ignored=ignored,
            file_format=file_format,
            source=source,
            on_conflict=on_conflict,
            trials=trials,
            progress=display.show,
            notify=display.note,
        )
    except IngestError as error:
        display.close()
        if error.report.read:
            click.echo(str(error.report))
        raise
    display.close()
    for trial in trials or ():
        for line in _describe_trial(trial):
            click.echo(visible(line))
    click.echo(f"would be: {report}" if dry_run else str(report))
    if not report.read:
        tell("there was no record to load")
    for line in _describe_report(report):
        tell(visible(line))
    if not dry_run:
        for line in _describe_quarantine(report, files):
            tell(visible(line))
        written = report.loaded + report.replaced
        if written and source in REPORTS:
            tell("core.provider_usage has it; it isn't counted beside requests")
        elif written and refreshes:
            refresh_rollups(url)
        elif written:
            tell("reports have it when the rollups are brought up to date: `governance refresh`")
    for source in report.refused:
        said = f"nothing of {source} {'would be' if dry_run else 'is'} loaded: every record was refused"
        tried = f"; before another try `governance ingest --undo {quote(source)}` takes them out of quarantine"
        tell(visible(said + ("" if dry_run else tried), keep=""))
    return NOTHING_LOADED if report.refused else 0


def undo_load(which: str, *, refreshes: bool) -> None:
    """Takes one load back. Raises GovernanceError."""
    url = database_url()
    undone = undo(url, which)
    click.echo(
        visible(
            f"took back load {undone.load.number} of {undone.load.source}: {counted(undone.rows, 'row')}, "
            f"and {undone.quarantined:,} from quarantine"
        )
    )
    if undone.restored and not undone.load.report:
        tell(f"{counted(undone.restored, 'request')} that it had replaced, as before it again")
    if undone.load.report:
        if gone := undone.load.loaded - undone.rows:
            tell(f"{counted(gone, 'other row')} of it had been replaced by a newer report before")
        if undone.load.report in REPORTS and REPORTS[undone.load.report].is_invoice:
            if undone.restored:
                tell(f"{counted(undone.restored, 'line')} of an invoice that it had taken the place of hold again")
        else:
            tell("what it took the place of isn't brought back: load the older report again if you want that")
    elif (undone.rows or undone.restored) and refreshes:
        refresh_rollups(url)


def list_loads() -> None:
    """Prints the latest loads."""
    found = loads(database_url(), limit=_LOADS_SHOWN)
    if not found:
        tell("nothing was loaded so far")
        return
    counted_columns = ("loaded", "duplicate", "changed", "quarantined")
    rows = []
    for load in found:
        note = ""
        if load.undone_at:
            note = f" (taken back {load.undone_at:%Y-%m-%d %H:%M})"
        elif not load.ended_at:
            note = " (runs, or was broken off)"
        counts = (f"{number:,}" for number in (load.loaded, load.duplicate, load.changed, load.quarantined))
        rows.append((str(load.number), f"{load.started_at:%Y-%m-%d %H:%M:%S}", *counts, load.source + note))
    show_table(("load", "started", *counted_columns, "source"), rows, numbers=("load", *counted_columns))


def refresh_rollups(url: str) -> None:
    """Brings the rollups up to date; what was done stays so where that fails."""
    try:
        refresh(url)
    except (GovernanceError, psycopg.Error) as error:
        why, again = str(error).strip().splitlines()[0], "run `governance refresh`"
        tell(visible(f"the rollups are not up to date: {why if again in why else f'{why}; {again}'}"))


def _describe_report(report: IngestReport) -> Iterator[str]:
    """What was noted of rows that loaded, what records say otherwise, and why rows were refused."""
    if report.notes:
        yield "noted"
        yield from _counted(report.notes)
    if report.unresolved:
        lack = counted(report.unresolved, "request lacks", "requests lack")
        yield f"{lack} an owner whom the source names: `governance identities list` shows who is unknown"
    if report.differences:
        if report.changed:
            say = "says" if report.changed == 1 else "say"
            what = "is replaced by it" if report.replaced else "stays as it is: --on-conflict replace would take it"
            yield f"{counted(report.changed, 'record')} {say} something else than what is stored, which {what}"
        else:
            yield "records that say something else than what is stored"
        for text in report.differences:
            yield f"  {text}"
        if report.changed > len(report.differences) >= _DIFFERENCES:
            yield f"  and {report.changed - len(report.differences):,} more"
    if report.quarantined:
        yield "quarantined because"
        yield from _counted(report.reasons)


def _counted(reasons: Counter[str]) -> Iterator[str]:
    for reason, count in reasons.most_common(_REASONS):
        yield f"  {reason} ({counted(count, 'row')})"
    if len(reasons) > _REASONS:
        yield f"  and {len(reasons) - _REASONS} other reasons"


def _describe_quarantine(report: IngestReport, files: Sequence[str]) -> Iterator[str]:
    """The query that shows the refused rows; nothing if none were."""
    if not report.quarantined:
        return
    named = ", ".join(
        sql.Literal(location_name(path) if is_location(path) else source_name(path)).as_string() for path in files
    )
    yield (
        "to look at them: select source, line, reasons, row_data from internal.quarantine "  # noqa: S608
        f"where source in ({named}) order by source, line"
    )


def _describe_trial(trial: Trial) -> Iterator[str]:
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
        yield "  " + ", ".join(f"{name} {value}" for name, value in row.items())
    for line, reasons in trial.refused:
        yield f"line {line} would be refused"
        yield from (f"  {reason}" for reason in reasons)
