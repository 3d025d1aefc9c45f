"""Loads by itself what configured sources have: files that landed in a folder, and what is new in a database."""

import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.lib import errors
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, NotBuiltError
from orchestration.lib.settings import variable
from orchestration.lib.usage.configured import ConfiguredSource
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

# how programs call a file that they still write
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
# what became of files that are gone is forgotten
_REMEMBERED = timedelta(days=90)
# the first of them is enough to see what is wrong
_REASONS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LandedFile:
    """A file as it lies there."""

    path: str
    size: int
    modified_at: datetime


@dataclass
class Landing:
    """The files of a source: `pending` are to be loaded, `written` aren't complete yet, `refused` with the reason."""

    pending: list[LandedFile] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    loaded: int = 0


@dataclass
class Collected:
    """What was loaded: `report` adds up what became of the records, `refused` says why a file wasn't loaded."""

    report: IngestReport = field(default_factory=IngestReport)
    files: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def look(url: str, source: ConfiguredSource) -> Landing:
    """What of the files of the source is to be loaded. Raises GovernanceError."""
    with errors.explained(), connect(url) as connection:
        return _look(connection, source)


def collect(url: str, source: ConfiguredSource, *, notify: Callable[[str], None] = lambda message: None) -> Collected:
    """Loads what is new. Raises GovernanceError where the database, or the one that it is read from, isn't available.

    A file that can't be loaded is told in the result and not tried again before it is written anew: it is repaired, and
    what else has landed is loaded all the same.
    """
    collected = Collected()
    with errors.explained(), connect(url) as connection:
        if source.url_variable is not None:
            _add(collected.report, _ingest(url, source, _location(source), notify))
        else:
            for file in _look(connection, source).pending:
                _take(url, connection, source, file, collected, notify)
            _forget(connection, source)
    return collected


def _look(connection: "psycopg.Connection[TupleRow]", source: ConfiguredSource) -> Landing:
    rows = connection.execute(
        "select path, size, modified_at, reading, refused_because from internal.landed_files where source = %s",
        [source.name],
    )
    taken = {path: tuple(row) for path, *row in rows}
    landing = Landing()
    for file, is_complete in _files(source):
        size, modified_at, reading, why = taken.get(file.path, (None, None, None, None))
        is_same = (size, modified_at) == (file.size, file.modified_at)
        if is_same and why is None:
            landing.loaded += 1
        elif is_same and reading == source.reading:
            landing.refused[file.path] = why
        elif is_complete:
            landing.pending.append(file)
        else:
            landing.written.append(file.path)
    return landing


def _files(source: ConfiguredSource) -> Iterator[tuple[LandedFile, bool]]:
    """The files in the order in which they were written, and whether they are complete."""
    assert source.files is not None
    pattern = Path(source.files)
    found: list[tuple[LandedFile, bool]] = []
    for path in Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))):
        if path.name.startswith(".") or path.name.endswith(_UNFINISHED):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            # renamed or deleted meanwhile
            continue
        if stat.S_ISREG(status.st_mode):
            modified_at = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
            # when it was last written or renamed, which a program that sets its time can't set
            is_complete = time.time() - status.st_ctime >= source.settle.total_seconds()
            found.append((LandedFile(str(path), status.st_size, modified_at), is_complete))
    yield from sorted(found, key=lambda each: (each[0].modified_at, each[0].path))


def _take(
    url: str,
    connection: "psycopg.Connection[TupleRow]",
    source: ConfiguredSource,
    file: LandedFile,
    collected: Collected,
    notify: Callable[[str], None],
) -> None:
    why = None
    try:
        report = _ingest(url, source, file.path, notify)
    except GovernanceError as error:
        if _is_of_database(error):
            raise
        why = str(error)
    else:
        _add(collected.report, report)
        if report.refused:
            reasons = "; ".join(reason for reason, _ in report.reasons.most_common(_REASONS))
            why = f"every record of {file.path} was refused ({reasons}): internal.quarantine has them"
    if why is None:
        collected.files.append(file.path)
    else:
        collected.refused[file.path] = why
    connection.execute(
        """
        insert into internal.landed_files as f (source, path, size, modified_at, reading, refused_because)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (source, path) do update
        set size = excluded.size, modified_at = excluded.modified_at, reading = excluded.reading,
            refused_because = excluded.refused_because, taken_at = now()
        """,
        [source.name, file.path, file.size, file.modified_at, source.reading, why],
    )


def _is_of_database(error: BaseException) -> bool:
    """Whether it is about the database: then the file is as good as before."""
    import psycopg

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error | NotBuiltError):
            return True
        cause = cause.__cause__
    return False


def _ingest(url: str, source: ConfiguredSource, path: str, notify: Callable[[str], None]) -> IngestReport:
    return ingest_files(
        url,
        [path],
        source.mapping,
        source.constants,
        source.values,
        ignored=source.ignored,
        file_format=source.file_format,
        source=source.source,
        notify=notify,
    )


def _location(source: ConfiguredSource) -> str:
    assert source.url_variable is not None
    location = variable(source.url_variable)
    if location is None:
        raise GovernanceError(
            f"the variable {source.url_variable} isn't set, which has the URL of {source.name} in sources.yml: set it "
            "and start Dagster again"
        )
    return location


def _add(total: IngestReport, report: IngestReport) -> None:
    total.read += report.read
    total.loaded += report.loaded
    total.duplicate += report.duplicate
    total.quarantined += report.quarantined
    total.changed += report.changed
    total.replaced += report.replaced
    total.unresolved += report.unresolved
    total.reasons.update(report.reasons)
    total.notes.update(report.notes)
    total.differences += report.differences
    total.refused += report.refused


def _forget(connection: "psycopg.Connection[TupleRow]", source: ConfiguredSource) -> None:
    there = [file.path for file, _ in _files(source)]
    connection.execute(
        "delete from internal.landed_files where source = %s and taken_at < now() - %s and path <> all (%s)",
        [source.name, _REMEMBERED, there],
    )
