"""Reads CSV and JSON Lines as records of text, one for each usage record, whatever is wrong with the file's lines.

Memory is bounded by the size of a batch: lines, fields and records have limits.
"""

import contextlib
import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, TextIO

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record, about, is_damaged, trimmed
from orchestration.lib.usage.hints import alike
from orchestration.lib.usage.record import REQUIRED, TARGETS, match_columns

FORMATS = ("csv", "jsonl")
_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# what to do with files of other formats, by the end of their names
_SPREADSHEET = "save the sheet as CSV in UTF-8, and load that"
_UNPACK = "unpack it, and load what is in it"
_ADVICE = {
    **dict.fromkeys([".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"], _SPREADSHEET),
    **dict.fromkeys([".zip", ".7z", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".lz4"], _UNPACK),
    **dict.fromkeys(
        [".parquet", ".avro", ".orc", ".arrow", ".feather"], "export it as CSV or JSON Lines, and load that"
    ),
    ".json": "write each record on a line of its own (jq -c '.[]' file.json > file.jsonl), and load that",
    ".tsv": "separate the columns by commas, and load that",
}
# characters of a record, loaded or not; what is held of one in memory is some ten times as much
_RECORD_LIMIT = 32 << 20
# as much of a line that can't be read as is kept
_EXCERPT = 10_000
# lines and characters of a JSON Lines file that are looked at before it is loaded
_SAMPLE = (100, 1 << 20)
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class UsageFile:
    """A file of usage records: its path as given (`-` is standard input) and its format, `csv` or `jsonl`."""

    path: str
    format: str

    @classmethod
    def named(cls, path: str, file_format: str | None = None) -> "UsageFile":
        """The file at `path`; without `file_format` its name tells, .gz or not. Raises GovernanceError."""
        plain = Path(path[:-3] if _is_gzip(path) else path)
        known = file_format or _SUFFIXES.get(plain.suffix.lower())
        if known is None:
            if (advice := _ADVICE.get(plain.suffix.lower())) is not None:
                raise GovernanceError(f"{path} can't be loaded as it is: {advice}")
            raise GovernanceError(f"the name {path} doesn't tell its format: add --format csv or --format jsonl")
        if path != "-" and not Path(path).exists():
            raise GovernanceError(f"there is no file {path}")
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
    """How far a file is read, in bytes as stored; `total` is None where nobody knows."""

    done: int
    total: int | None


class OpenUsageFile:
    """An open file: `targets` in the order of the values of `records()`. Use as a context manager."""

    def __init__(
        self,
        file: UsageFile,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
    ) -> None:
        self.targets: list[str] = []
        # columns of the file that are not loaded; mapped sources that no record had so far
        self.unused: list[str] = []
        self.never_found: list[str] = []
        # the column of each target, and columns that fill none; in JSON Lines what the first records show of both
        self.origins: dict[str, str] = {}
        self.offered: list[str] = []
        self._ignored = ignored
        self._source = file.source
        self._size: int | None = None
        self._read: Callable[[], Iterator[Record]]
        with _explained(self._source), contextlib.ExitStack() as resources:
            self._lines = _Lines(self._open(file, resources))
            if file.format == "csv":
                self._open_csv(mapping, constants)
            else:
                self._open_jsonl(mapping, constants)
            self.close = resources.pop_all().close

    def __enter__(self) -> "OpenUsageFile":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _open(self, file: UsageFile, resources: contextlib.ExitStack) -> TextIO:
        if file.path == "-":
            self._raw: BinaryIO = sys.stdin.buffer
        else:
            path = Path(file.path)
            self._raw = resources.enter_context(path.open("rb"))
            self._size = path.stat().st_size
        plain: BinaryIO | gzip.GzipFile = self._raw
        if _is_gzip(file.path):
            plain = resources.enter_context(gzip.GzipFile(fileobj=self._raw))
        # undecodable bytes become lone surrogates, which show when the text is encoded again
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
        if file.path == "-":
            # the caller's standard input stays open
            resources.callback(text.detach)
        else:
            resources.enter_context(text)
        return text

    def position(self) -> Position:
        """How far the file is read."""
        return Position(self._raw.tell() if self._size is not None else 0, self._size)

    def volume(self) -> int:
        """Characters read so far."""
        return self._lines.volume

    def records(self) -> Iterator[Record]:
        """Each record with its values as text, None or an empty text where the file says nothing.

        Blank lines are no records. Raises GovernanceError if the file can't be read on.
        """
        with _explained(self._source):
            yield from self._read()

    # CSV

    def _open_csv(self, mapping: Mapping[str, str], constants: Mapping[str, str]) -> None:
        # of the whole process: a column that isn't loaded may be of any length that memory bears
        csv.field_size_limit(_RECORD_LIMIT)
        reader = csv.reader(self._lines, strict=True, skipinitialspace=True)
        try:
            header = next((row for row in reader if row), None)
        except csv.Error as error:
            raise GovernanceError(f"the header of {self._source} can't be read: {error}") from error
        if header is None:
            raise GovernanceError(f"{self._source} is empty: a CSV file begins with a line of column names")
        header = [trimmed(name) for name in header]
        if any(is_damaged(name) for name in header):
            raise GovernanceError(f"the header of {self._source} isn't UTF-8 text: save the file as CSV in UTF-8")
        columns = match_columns(self._source, header, mapping, constants, self._ignored)
        self.targets = list(columns)
        self.origins = {name: header[position] for name, position in columns.items()}
        self.unused = [
            name
            for position, name in enumerate(header)
            if position not in columns.values() and name not in self._ignored
        ]
        self.offered = self.unused
        self._read = lambda: self._csv_records(reader, len(header), list(columns.values()))

    def _csv_records(self, reader: "Iterator[list[str]]", width: int, positions: Sequence[int]) -> Iterator[Record]:
        lines = self._lines
        held = lines.held
        pick = _picker(positions)
        while True:
            held.clear()
            try:
                for row in reader:
                    first = lines.number - len(held) + 1
                    if len(row) == width:
                        yield (first, None, None, *pick(row))
                    elif row and (len(row) > 1 or row[0].strip()):
                        wrong = f"the record has {len(row)} fields, the header has {width}"
                        yield (first, wrong, lines.give_back(), *[None] * len(positions))
                    held.clear()
            except csv.Error as error:
                # csv.Error is also raised for a quote that never ends: what follows the first line is read again
                first = lines.number - len(held) + 1
                wrong = f"the line can't be read as CSV: {error}"
                yield (first, wrong, lines.give_back(), *[None] * len(positions))
                continue
            return

    # JSON Lines

    def _open_jsonl(self, mapping: Mapping[str, str], constants: Mapping[str, str]) -> None:
        sources = {
            name: mapping.get(name, name)
            for name in TARGETS
            if name not in constants and (name in mapping or name not in self._ignored)
        }
        samples = [line.strip() for line in self._lines.peek(*_SAMPLE)]
        first = next((line for line in samples if line), "")
        if first.startswith("["):
            raise GovernanceError(
                f"{self._source} is a JSON array, not JSON Lines with one object a line: "
                "convert it, for instance with jq -c '.[]'"
            )
        if is_damaged(first):
            raise GovernanceError(f"{self._source} isn't UTF-8 text: save it as JSON Lines in UTF-8")
        records = _decoded(samples)
        self._require_samples(sources, mapping, records)
        found = {path for record in records for path in _paths(record)}
        self.origins = {name: source for name, source in sources.items() if source in found}
        self.offered = sorted(found - set(sources.values()) - set(self._ignored))
        self.targets = list(sources)
        self.never_found = list(mapping)
        self._sources = sources
        self._read = self._json_records

    def _require_samples(
        self, sources: Mapping[str, str], mapping: Mapping[str, str], records: Sequence[Mapping[str, object]]
    ) -> None:
        """Refuses a file where a required target is in none of the first records: then the mapping is wrong."""
        if not records:
            return
        for name in REQUIRED:
            if name in sources and all(_find(record, *_path(sources[name])) is None for record in records):
                keys = dict.fromkeys(key for record in records for key in record)
                has = f"the first records of {self._source} have the keys {', '.join(keys)}"
                if name in mapping:
                    raise GovernanceError(f"{self._source} has no {mapping[name]}: {has}")
                paths = dict.fromkeys(path for record in records for path in _paths(record))
                likely = next(iter(alike(name, paths)), "KEY")
                raise GovernanceError(
                    f"nothing in {self._source} is known to be the {name}: say so with --map {name}={likely} or "
                    f"--set {name}=VALUE ({has})"
                )

    def _json_records(self) -> Iterator[Record]:
        lines = self._lines
        held = lines.held
        decode = json.JSONDecoder(parse_float=_Number, parse_constant=_NoNumber).decode
        nothing: list[object] = [None] * len(self.targets)
        mapped = {name: self._sources[name] for name in self.never_found}
        fields = [(name, *_path(source)) for name, source in self._sources.items()]
        while True:
            held.clear()
            try:
                line = next(lines, None)
            except csv.Error as error:
                yield (lines.number, f"the line can't be read: {error}", lines.give_back(), *nothing)
                continue
            if line is None:
                return
            if not line.strip():
                continue
            try:
                record = decode(line.strip())
                problem = None if isinstance(record, dict) else f"it is {_kind(record)}"
                values, wrong = (nothing, None) if problem else _values(record, fields)
            except json.JSONDecodeError as error:
                problem = error.msg
            except ValueError as error:
                problem = str(error)
            except RecursionError:
                problem = "it is nested too deeply"
            if problem:
                yield (lines.number, f"the line is not a JSON object: {problem}", lines.give_back(), *nothing)
                continue
            if mapped:
                mapped = {name: source for name, source in mapped.items() if _find(record, *_path(source)) is None}
                self.never_found = list(mapped)
            yield (lines.number, wrong, None, *values)


class _Number(str):
    """A JSON number with a fraction or an exponent as it is written: never a float, so money stays exact."""


def _decoded(lines: Sequence[str]) -> list[dict[str, object]]:
    """The objects among the lines."""
    records = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                records.append(record)
    return records


def _paths(record: Mapping[str, object], above: str = "", depth: int = 4) -> Iterator[str]:
    """Each key and dotted path at which the record has a value."""
    for key, value in record.items():
        if value is not None:
            yield above + key
        if isinstance(value, dict) and depth > 1:
            yield from _paths(value, f"{above}{key}.", depth - 1)


class _NoNumber(_Number):
    """NaN or Infinity, which are no JSON but which programs write: wrong for its value, not for its line."""


def _path(source: str) -> tuple[str, list[str]]:
    return source, source.split(".") if "." in source else []


def _find(record: Mapping[str, object], key: str, path: Sequence[str]) -> object:
    """The value of a key, else of a dotted path into nested objects, None if there is none."""
    value = record.get(key)
    return _follow(record, path) if value is None and path else value


def _follow(value: object, path: Sequence[str]) -> object:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _values(
    record: Mapping[str, object], fields: Sequence[tuple[str, str, list[str]]]
) -> tuple[list[object], str | None]:
    """The values of a record as text, and what is to be said of those whose text wouldn't tell."""
    values: list[object] = []
    wrong = []
    find = record.get
    for place, (name, key, path) in enumerate(fields):
        value = find(key)
        if value is None and path:
            value = _follow(record, path)
        if type(value) is int:
            value = str(value)
        elif value is not None and type(value) is not str:
            if TARGETS[name].holds_text and type(value) is not _Number:
                wrong.append(about(place, f"is {_kind(value)}"))
            value = _as_json(value)
        values.append(value)
    return values, "\n".join(wrong) or None


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    if isinstance(value, _NoNumber):
        return value
    return "a number" if isinstance(value, _Number | int) else "a text"


def _as_json(value: object) -> str:
    """JSON of a decoded value, its numbers as they were written."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_as_json(str(key))}: {_as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_as_json(item) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    # half a surrogate pair, which no encoding can hold, is told as the escape that it was
    return text if text.isascii() else _HALF_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


class _Lines:
    """The physical lines of a file, the last of them at `number`.

    `held` are those since the caller cleared it, `volume` counts the characters read.
    """

    def __init__(self, file: TextIO) -> None:
        self._readline = file.readline
        self._waiting: deque[str] = deque()
        self._held_size = 0
        self.held: list[str] = []
        self.number = 0
        self.volume = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._next_from_file()
        if not line:
            raise StopIteration
        self.number += 1
        self._held_size = len(line) + (self._held_size if self.held else 0)
        self.held.append(line)
        if self._held_size > _RECORD_LIMIT:
            raise csv.Error(f"it is longer than {_RECORD_LIMIT} characters")
        return line

    def _next_from_file(self) -> str:
        line = self._readline(_RECORD_LIMIT)
        self.volume += len(line)
        if len(line) == _RECORD_LIMIT and not line.endswith(("\n", "\r")):
            rest = line
            while rest and not rest.endswith(("\n", "\r")):
                rest = self._readline(_RECORD_LIMIT)
            # one more than the limit: what is cut off stays refused when it is read again
            line += "\n"
        return line

    def peek(self, count: int, characters: int) -> list[str]:
        """The first lines, to be read again."""
        while len(self._waiting) < count and self.volume < characters and (line := self._next_from_file()):
            self._waiting.append(line)
        return list(self._waiting)

    def give_back(self) -> str:
        """Returns the first held line, as much of it as is worth keeping; the others are read again."""
        first, *others = self.held
        self._waiting.extendleft(reversed(others))
        self.number -= len(others)
        self.held.clear()
        return first[:_EXCERPT].rstrip("\r\n")


def _picker(positions: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(positions) == 1:
        return lambda row: (row[positions[0]],)
    return itemgetter(*positions)


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turns errors of reading into a sentence for the user."""
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise GovernanceError(f"{source} is damaged or cut off ({error}): fetch it again") from error
    except OSError as error:
        raise GovernanceError(f"{source} can't be read: {error.strerror or error}") from error
