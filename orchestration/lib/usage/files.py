"""Reads files of usage as records of text, one for each usage record, whatever is wrong with the file's lines.

Memory is bounded by the size of a batch: lines, fields and records have limits.
"""

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record
from orchestration.lib.usage.sources.adapted import AdaptedSource, said_in
from orchestration.lib.usage.sources.adapter import Said, Source
from orchestration.lib.usage.sources.catalogue import recognised
from orchestration.lib.usage.sources.csv import CsvObjects, CsvSource
from orchestration.lib.usage.sources.jsonl import JsonLinesSource
from orchestration.lib.usage.sources.objects import JsonObjects, Objects, Read
from orchestration.lib.usage.sources.parquet import ParquetRows, ParquetSource
from orchestration.lib.usage.sources.report import Report
from orchestration.lib.usage.sources.text import Lines, TextSource

if TYPE_CHECKING:
    from orchestration.lib.usage.sources.protobuf import ExportRequests

FORMATS = ("csv", "jsonl", "json", "parquet", "proto")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pb": "proto",
    ".binpb": "proto",
}
# what to do with files of other formats, by the end of their names
_SPREADSHEET = "save the sheet as CSV in UTF-8, and load that"
_UNPACK = "unpack it, and load what is in it"
_ONE_A_LINE = "write each record on a line of its own (jq -c '.[]' file.json > file.jsonl), and load that"
_ADVICE = {
    **dict.fromkeys([".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"], _SPREADSHEET),
    **dict.fromkeys([".zip", ".7z", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".lz4"], _UNPACK),
    **dict.fromkeys([".avro", ".orc", ".arrow", ".feather"], "export it as Parquet, CSV or JSON Lines, and load that"),
}


@dataclass(frozen=True)
class UsageFile:
    """A file of usage records: its path as given (`-` is standard input) and its format, one of FORMATS."""

    path: str
    format: str

    @classmethod
    def named(cls, path: str, file_format: str | None = None) -> "UsageFile":
        """The file at `path`; without `file_format` its name tells, .gz or not. Raises GovernanceError."""
        if Path(path).is_dir():
            raise GovernanceError(f"{path} is a folder: name the files in it, as {Path(path) / '*.csv'}")
        plain = Path(path[:-3] if _is_gzip(path) else path)
        known = file_format or _SUFFIXES.get(plain.suffix.lower())
        if known is None:
            if (advice := _ADVICE.get(plain.suffix.lower())) is not None:
                raise GovernanceError(f"{path} can't be loaded as it is: {advice}")
            raise GovernanceError(f"the name {path} doesn't tell its format: add --format csv or --format jsonl")
        if path != "-" and not Path(path).exists():
            raise GovernanceError(f"there is no file {path}")
        if known == "parquet" and path == "-":
            raise GovernanceError("Parquet can't be read from standard input: give the file itself")
        if known == "parquet" and _is_gzip(path):
            raise GovernanceError(f"{path} can't be loaded as it is: {_UNPACK}")
        return cls(path, known)

    @property
    def source(self) -> str:
        """What the file is called in messages and in quarantine."""
        return source_name(self.path)


def _is_gzip(path: str) -> bool:
    return path.lower().endswith(".gz")


def source_name(path: str) -> str:
    """What a file is called in messages and in quarantine."""
    return "standard input" if path == "-" else path[-1000:]


@dataclass(frozen=True)
class Position:
    """How far a file is read, in bytes as stored; `total` is None where nobody knows.

    Of a database it is rows, and `latest` the time of the last of them, which are read in that order.
    """

    done: int
    total: int | None
    latest: datetime | None = None


class _OpenFile:
    """A file whose records can be read. Use as a context manager."""

    def __init__(self, file: UsageFile) -> None:
        self._source, self._format = file.source, file.format
        self._size: int | None = None
        with _explained(self._source), contextlib.ExitStack() as resources:
            self._content = self._open(file, resources)
            self._begin(file)
            self.close = resources.pop_all().close

    def _begin(self, file: UsageFile) -> None:
        """Looks at the first records."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _open(self, file: UsageFile, resources: contextlib.ExitStack) -> "Lines | ParquetRows | ExportRequests":
        if file.path == "-":
            self._raw: BinaryIO = sys.stdin.buffer
        else:
            path = Path(file.path)
            self._raw = resources.enter_context(path.open("rb"))
            self._size = path.stat().st_size
        if file.format == "parquet":
            rows = ParquetRows(file.path, file.source)
            resources.callback(rows.close)
            return rows
        plain: BinaryIO | gzip.GzipFile = self._raw
        # by what it begins with: a browser unpacks what it fetches, and keeps the name
        if isinstance(self._raw, io.BufferedReader) and self._raw.peek(2)[:2] == b"\x1f\x8b":
            plain = resources.enter_context(gzip.GzipFile(fileobj=self._raw))
        if file.format == "proto":
            from orchestration.lib.usage.sources.protobuf import ExportRequests

            return ExportRequests(plain, file.source)  # type: ignore[arg-type]
        # undecodable bytes become lone surrogates, which show when the text is encoded again
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
        if file.path == "-":
            # the caller's standard input stays open
            resources.callback(text.detach)
        else:
            resources.enter_context(text)
        return Lines(text)

    def _objects(self, source: Source | None = None, *, takes_any_separator: bool = False) -> Objects:
        """The records as objects, from where the file is read; of a known source as its `split` takes them."""
        if not isinstance(self._content, Lines):
            return self._content
        if self._format == "csv":
            return CsvObjects(self._content, self._source, takes_any_separator=takes_any_separator)
        return JsonObjects(self._content, self._source, self._format, source.decode if source else None)

    def position(self) -> Position:
        """How far the file is read."""
        if isinstance(self._content, ParquetRows):
            return Position(self._content.done, self._size)
        return Position(self._raw.tell() if self._size is not None else 0, self._size)


class OpenReportFile(_OpenFile):
    """An open file of a report."""

    def __init__(self, file: UsageFile, report: Report) -> None:
        self._report = report
        super().__init__(file)
        self.name = file.source

    def _begin(self, file: UsageFile) -> None:
        objects = self._objects(takes_any_separator=self._report.is_invoice)
        self.has_columns = objects.names is not None
        self._said = said_in(objects, self._source, self._report, file.format, ())

    def said(self) -> Generator[Read, None, None]:
        """Its records, and what is none."""
        with _explained(self._source):
            yield from self._said


class OpenUsageFile(_OpenFile):
    """An open file: `read` has what is known of it, `source` whose records it has, if one's that is known.

    Without `source` it is a file whose columns or keys have names of targets, or are mapped; if it isn't, and it is
    clearly of a source, it is read as that one's. `mark` is the decimal mark of a CSV with columns of its own. Use as
    a context manager.
    """

    def __init__(
        self,
        file: UsageFile,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
        source: Source | None = None,
        mark: str | None = None,
    ) -> None:
        self._given = mapping, constants, ignored
        self._mark = mark
        self.source = source
        super().__init__(file)

    def _begin(self, file: UsageFile) -> None:
        mapping, constants, ignored = self._given
        self.read: TextSource
        if self.source is None:
            try:
                self.read = self._plain(file, mapping, constants, ignored)
            except GovernanceError as error:
                self.source = self._recognised(mapping, error)
        if self.source:
            said = said_in(self._objects(self.source), self._source, self.source, file.format, mapping.values())
            self.read = AdaptedSource(said, self.source, mapping, constants, ignored)
        if self._mark and not isinstance(self.read, CsvSource):
            raise GovernanceError(
                f"--decimal is about an invoice, or a CSV without --source, which {self._source} is not: leave it out"
            )

    def _plain(
        self, file: UsageFile, mapping: Mapping[str, str], constants: Mapping[str, str], ignored: Collection[str]
    ) -> TextSource:
        if isinstance(self._content, ParquetRows):
            return ParquetSource(self._content, self._source, mapping, constants, ignored)
        if not isinstance(self._content, Lines):
            raise GovernanceError(f"{file.path} has spans, not columns")
        if file.format == "json":
            raise GovernanceError(f"{file.path} can't be loaded as it is: {_ONE_A_LINE}")
        if file.format == "csv":
            return CsvSource(self._content, self._source, mapping, constants, ignored, self._mark)
        return JsonLinesSource(self._content, self._source, mapping, constants, ignored)

    def _recognised(self, mapping: Mapping[str, str], error: GovernanceError) -> Source:
        """The source that a file is clearly of; raises the error that it gave if there is none."""
        records: list[Said] = []
        self._again()
        with contextlib.suppress(GovernanceError):
            records = self._objects(takes_any_separator=True).samples()
        self._again()
        found = recognised(records)
        if found is None:
            raise error
        if isinstance(found, Report):
            raise GovernanceError(
                f"{self._source} has sums of a period, which are no requests: load it with --source {found.name}"
            ) from error
        if mapping:
            tried = f"it looks like a file of {found.name}: try --source {found.name}"
            raise GovernanceError(f"{error}; {tried}") from error
        return found

    def _again(self) -> None:
        if isinstance(self._content, Lines):
            self._content.give_back_all()

    def volume(self) -> int:
        """Characters or bytes read so far."""
        return self._content.volume

    def records(self) -> Iterator[Record]:
        """Each record with its values as text, None or an empty text where the file says nothing.

        Blank lines are no records. Raises GovernanceError if the file can't be read on.
        """
        with _explained(self._source):
            yield from self.read.records()


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turns errors of reading into a sentence for the user."""
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise GovernanceError(f"{source} is damaged or cut off ({error}): fetch it again") from error
    except OSError as error:
        raise GovernanceError(f"{source} can't be read: {error.strerror or error}") from error
