"""Files that others write into a folder: which are complete, and what became of each, which the warehouse remembers."""

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import NotBuiltError
from orchestration.lib.words import counted

# how programs call a file that they still write
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
# what became of files that are gone is forgotten
_REMEMBERED = timedelta(days=90)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """Where files land: `files` is a pattern with an absolute path, `name` what the warehouse remembers them by.

    A file is complete when nobody has written it for `settle`. One that was refused is tried again where `reading`,
    which says how files are read, isn't what it was.
    """

    name: str
    files: str
    settle: timedelta
    reading: str


@dataclass(frozen=True)
class LandedFile:
    """A file as it lies there."""

    path: str
    size: int
    modified_at: datetime


@dataclass
class Landing:
    """The files of a place: `pending` are to be loaded, `written` aren't complete yet, `refused` with the reason."""

    pending: list[LandedFile] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    loaded: int = 0


def look(connection: Connection, place: Place) -> Landing:
    """What of the files is to be loaded."""
    rows = connection.execute(
        "select path, size, modified_at, reading, refused_because from internal.landed_files where source = %s",
        [place.name],
    )
    taken = {path: tuple(row) for path, *row in rows}
    landing = Landing()
    for file, is_complete in files(place):
        size, modified_at, reading, why = taken.get(file.path, (None, None, None, None))
        is_same = (size, modified_at) == (file.size, file.modified_at)
        if is_same and why is None:
            landing.loaded += 1
        elif is_same and reading == place.reading:
            landing.refused[file.path] = why
        elif is_complete:
            landing.pending.append(file)
        else:
            landing.written.append(file.path)
    return landing


def files(place: Place) -> Iterator[tuple[LandedFile, bool]]:
    """The files in the order in which they were written, and whether they are complete."""
    pattern = Path(place.files)
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
            is_complete = time.time() - status.st_ctime >= place.settle.total_seconds()
            found.append((LandedFile(str(path), status.st_size, modified_at), is_complete))
    yield from sorted(found, key=lambda each: (each[0].modified_at, each[0].path))


def remember(connection: Connection, place: Place, file: LandedFile, refused_because: str | None) -> None:
    """That the file was taken: loaded, or refused and why."""
    connection.execute(
        """
        insert into internal.landed_files as f (source, path, size, modified_at, reading, refused_because)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (source, path) do update
        set size = excluded.size, modified_at = excluded.modified_at, reading = excluded.reading,
            refused_because = excluded.refused_because, taken_at = now()
        """,
        [place.name, file.path, file.size, file.modified_at, place.reading, refused_because],
    )


def forget(connection: Connection, place: Place) -> None:
    """What became of files that are gone for long."""
    there = [file.path for file, _ in files(place)]
    connection.execute(
        "delete from internal.landed_files where source = %s and taken_at < now() - %s and path <> all (%s)",
        [place.name, _REMEMBERED, there],
    )


def is_of_database(error: BaseException) -> bool:
    """Whether it is about the database: then the file is as good as before."""
    import psycopg

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error | NotBuiltError):
            return True
        cause = cause.__cause__
    return False


def named(path: str, why: str) -> str:
    """The reason, with the path where it doesn't say it."""
    return why if path in why else f"{path}: {why}"


def waiting(place: Place, landing: Landing) -> str:
    """Why nothing is to be loaded."""
    said = [counted(landing.loaded, "file is", "files are") + " loaded"] if landing.loaded else []
    if landing.written:
        said.append(f"waiting for {counted(len(landing.written), 'file')} written a moment ago")
    said += [f"refused: {named(path, why)}" for path, why in landing.refused.items()]
    return "; ".join(said) or f"no file is there as {place.files}"


def refusal(refused: dict[str, str], again: str) -> str:
    """One sentence about files that were refused: why the first was, how many others, when they are tried again."""
    (first, why), *others = refused.items()
    more = f"; {len(others)} more files were refused" if others else ""
    return f"{named(first, why)}{more}. {again}"
