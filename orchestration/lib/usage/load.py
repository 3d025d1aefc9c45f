"""Loads usage records into core.llm_metrics: in batches, validated and merged in SQL, the refused ones quarantined."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC
from typing import TypeVar

from orchestration.lib.collecting import collecting_rarely
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.corrections import Conflict
from orchestration.lib.usage.encoding import Record, encode
from orchestration.lib.usage.files import OpenUsageFile, Position, UsageFile
from orchestration.lib.usage.hints import unmapped
from orchestration.lib.usage.ledger import Ledger
from orchestration.lib.usage.merge import IngestReport, UsageMerger
from orchestration.lib.usage.pull import LiteLlmDatabase, Marks, is_location, location_name
from orchestration.lib.usage.record import REQUIRED, check_targets
from orchestration.lib.usage.reports import ingest_reports
from orchestration.lib.usage.sources.adapter import Source
from orchestration.lib.usage.sources.catalogue import REPORTS, source_named
from orchestration.lib.usage.sources.values import decimal_mark
from orchestration.lib.usage.trial import Trial, TrialMerger

__all__ = ["IngestError", "IngestReport", "Position", "Progress", "Trial", "ingest_files", "ingest_rows"]

T = TypeVar("T")

_BATCH_ROWS = 25_000
# of the first batch, and twice as many of each after it: the database has something to do while the next one is read
_FIRST_ROWS = 3_000
_BATCH_BYTES = 8 << 20
_CHUNK_ROWS = 1_000
# of the columns that are not loaded as many are named
_NAMED = 30
_CHUNK_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Progress:
    """How far a load is: the source being loaded, how far it is read, and what became of all records so far."""

    source: str
    position: Position
    report: IngestReport


class IngestError(GovernanceError):
    """A load that broke off; `report` says what is loaded and stays."""

    def __init__(self, message: str, report: IngestReport) -> None:
        super().__init__(message)
        self.report = report


def ingest_files(
    url: str,
    files: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    *,
    ignored: Collection[str] = (),
    file_format: str | None = None,
    source: str | None = None,
    on_conflict: Conflict = "keep",
    batch_rows: int = _BATCH_ROWS,
    trials: list[Trial] | None = None,
    connection: "Connection | None" = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda message: None,
) -> IngestReport:
    """Loads CSV and JSON files (`-` is standard input) into the database at `url`.

    `source` names the system whose files they are (`sources.catalogue`); without it a file that is clearly of one is
    recognised where its columns don't say what they fill. In the place of a file may stand the URL of LiteLLM's
    database: what is new there is loaded.
    `mapping` names the column (or, in JSON Lines, the key or dotted path) that fills a target, `constants` the value
    that fills it in every row, and under `decimal` the decimal mark of a CSV's numbers; other columns with the name of
    a target fill that, unless they are `ignored`. `values` says for a target what the file's values mean.
    `on_conflict` says what becomes of a record that says something else
    than what is stored of its request: that stays, and the record is counted and noted; or it is replaced; or the
    record is quarantined. Every file's header is looked at before the first is loaded. With `trials` nothing is
    written: what would happen is added to it, and the report says what would become of the records.
    `connection`, in autocommit mode, is used instead of one of its own, and its settings are changed; not for reports.
    `progress` is called after each batch, `notify` with sentences worth reading. Raises GovernanceError before anything
    is loaded, IngestError after that.
    """
    mapping, constants = mapping or {}, constants or {}
    if source and source in REPORTS:
        _check_for_report(source, on_conflict, is_mapped=bool(mapping or values or ignored))

        def told(name: str, position: Position, report: IngestReport) -> None:
            progress(Progress(name, position, report))

        return ingest_reports(
            url,
            files,
            REPORTS[source],
            constants,
            file_format=file_format,
            replaces=on_conflict == "replace",
            tries=trials is not None,
            progress=told,
        )
    mark, constants = decimal_mark(constants)
    check_targets(mapping, constants)
    check_targets(dict.fromkeys(values or (), ""), {})
    if both := [column for column in mapping.values() if column in ignored]:
        raise GovernanceError(f"{both[0]} is mapped and ignored: leave one of them out")
    known = source_named(source) if source else None
    named = [path if is_location(path) else UsageFile.named(path, file_format) for path in files]
    for file in named:
        if isinstance(file, str):
            LiteLlmDatabase(file, known, mapping, constants, ignored).close()
        elif file.path != "-":
            OpenUsageFile(file, mapping, constants, ignored, known, mark).close()
    report = IngestReport()
    with _reported(report), nullcontext(connection) if connection else connect(url) as connection:
        for file in named:
            with _opened(connection, file, known, mapping, constants, ignored, mark) as (usage, name, merged):
                tell = _telling(name, notify)
                if usage.source and not known:
                    tell(f"read as a file of {usage.source.name}: {usage.source.title}")
                given = usage.read.constants
                if unused := [column for column in usage.read.unused if column]:
                    more = f" and {len(unused) - _NAMED:,} more" if len(unused) > _NAMED else ""
                    tell(f"not loaded are the columns {', '.join(unused[:_NAMED])}{more}")
                for sentence in unmapped(usage.read.offered, {*usage.read.origins, *given}):
                    tell(sentence)
                read, quarantined = report.read, report.quarantined
                batches = _batches(usage.records(), batch_rows, usage.volume, usage.position)
                said = connection, name, usage.read.targets, given, values
                if trials is None:
                    merger = UsageMerger(*said, ledger=Ledger(usage.read.origins, given), on_conflict=on_conflict)
                    _load(merger, name, batches, report, progress, tell, merged)
                else:
                    trials.append(Trial(name, usage.read.origins, given))
                    trial_merger = TrialMerger(*said, on_conflict=on_conflict)
                    trial_merger.begin(trials[-1])
                    _load(trial_merger, name, batches, report, progress, tell)
                    trial_merger.end(report)
                for target in usage.read.never_found:
                    tell(f"no record has {mapping[target]}, which is mapped to {target}")
                if 0 < report.read - read == report.quarantined - quarantined:
                    report.refused.append(name)
    return report


def _check_for_report(source: str, on_conflict: Conflict, *, is_mapped: bool) -> None:
    if is_mapped:
        raise GovernanceError(f"{source} is a report, of which nothing can be mapped or left out")
    takes = REPORTS[source].is_invoice
    if takes and on_conflict == "quarantine":
        raise GovernanceError("an invoice is kept as it is or replaced: leave --on-conflict out, or give replace")
    if not takes and on_conflict != "keep":
        raise GovernanceError(
            f"{source} is a report, which always takes the place of what it said before: leave --on-conflict out"
        )


@contextmanager
def _opened(
    connection: Connection,
    file: UsageFile | str,
    source: Source | None,
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    ignored: Collection[str],
    mark: str | None,
) -> Iterator[tuple[OpenUsageFile | LiteLlmDatabase, str, Callable[[Position], None]]]:
    """An open file or database, its name, and what is to be called when what is read so far is loaded."""
    if isinstance(file, UsageFile):
        with OpenUsageFile(file, mapping, constants, ignored, source, mark) as usage:
            yield usage, file.source, lambda position: None
        return
    marks = Marks(connection, source.name if source else "", location_name(file))

    def merged(position: Position) -> None:
        if position.latest:
            marks.move(position.latest.replace(tzinfo=UTC))

    with LiteLlmDatabase(file, source, mapping, constants, ignored, marks.begin()) as database:
        yield database, database.name, merged


def _telling(source: str, notify: Callable[[str], None]) -> Callable[[str], None]:
    return lambda sentence: notify(f"{source}: {sentence}")


def ingest_rows(
    connection: Connection,
    targets: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    source: str,
    constants: Mapping[str, str] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> IngestReport:
    """Loads rows of a program over its connection, which must be in autocommit mode and whose settings are changed.

    `source` names the rows in quarantine, where the line is the row's number from 1.
    Each value is None or something whose `str` is what a file would say: text, int, Decimal, UUID, a datetime with
    its zone, JSON as text. `rows` is read by another thread. Raises ValueError if a required target is missing, else as
    `ingest_files` does.
    """
    constants = constants or {}
    check_targets(dict.fromkeys(targets, ""), constants)
    check_targets(dict.fromkeys(values or (), ""), {})
    if missing := [name for name in REQUIRED if name not in targets and name not in constants]:
        raise ValueError(f"usage needs {', '.join(missing)}")
    report = IngestReport()
    records: Iterator[Record] = ((line, None, None, *row) for line, row in enumerate(rows, 1))
    with _reported(report):
        ledger = Ledger({name: name for name in targets}, constants)
        merger = UsageMerger(connection, source, targets, constants, values, ledger=ledger)
        _load(merger, source, _batches(records, _BATCH_ROWS), report, progress)
    return report


@contextmanager
def _reported(report: IngestReport) -> Iterator[None]:
    try:
        yield
    except GovernanceError as error:
        raise IngestError(str(error), report) from error
    except KeyboardInterrupt as error:
        raise IngestError(
            "interrupted: run the same command again, what is loaded already counts as duplicate", report
        ) from error


@dataclass(frozen=True)
class _Batch:
    chunks: list[bytes]
    position: Position


def _batches(
    records: Iterator[Record],
    batch_rows: int,
    volume: Callable[[], int] = lambda: 0,
    position: Callable[[], Position] = lambda: Position(0, None),
) -> Iterator[_Batch]:
    """Encoded batches, limited by rows and by bytes; `volume` is the number of characters read so far."""
    chunks: list[bytes] = []
    chunk: list[Record] = []
    rows = size = start = 0
    limit = min(_FIRST_ROWS, batch_rows)
    for record in records:
        chunk.append(record)
        rows += 1
        if len(chunk) == _CHUNK_ROWS or rows == limit or volume() - start > _CHUNK_CHARACTERS:
            chunks.append(encode(chunk))
            size += len(chunks[-1])
            chunk, start = [], volume()
            if rows >= limit or size >= _BATCH_BYTES:
                yield _Batch(chunks, position())
                chunks, rows, size = [], 0, 0
                limit = min(2 * limit, batch_rows)
    if rows:
        yield _Batch([*chunks, encode(chunk)], position())


def _load(
    merger: UsageMerger,
    source: str,
    batches: Iterator[_Batch],
    report: IngestReport,
    progress: Callable[[Progress], None],
    tell: Callable[[str], None] = lambda sentence: None,
    merged: Callable[[Position], None] = lambda position: None,
) -> None:
    try:
        for number, batch in enumerate(_one_ahead(batches)):
            merger.stage(batch.chunks)
            if number == 0:
                for sentence in merger.remarks():
                    tell(sentence)
            merger.merge(report)
            merged(batch.position)
            progress(Progress(source, batch.position, report))
    finally:
        merger.close()


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, the next one being made by another thread while the caller is busy with this one."""
    # the objects of a record are gone with it: looking for garbage among them takes a third of the time
    with ThreadPoolExecutor(1) as executor, collecting_rarely():
        coming = executor.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = executor.submit(next, items, None)
            yield item
