"""Opens the files of an organisation: CSV as rows with their lines, JSON as the resources of a directory."""

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.stated import Place, Problems
from orchestration.lib.usage.encoding import trimmed
from orchestration.lib.usage.sources.csv import CsvRows
from orchestration.lib.usage.sources.objects import JsonObjects
from orchestration.lib.usage.sources.text import Lines

# how files begin that hold no text
_SAVE = "save it as CSV in UTF-8"
_NOT_TEXT = {
    b"\xff\xfe": f"is UTF-16 text: {_SAVE}",
    b"\xfe\xff": f"is UTF-16 text: {_SAVE}",
    b"PK\x03\x04": f"is a spreadsheet or an archive: {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"is a spreadsheet: {_SAVE}",
    b"\x1f\x8b": "is compressed: unpack it",
}
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class File:
    """A file that was read: its name without folder, and its text."""

    name: str
    text: str

    @classmethod
    def read(cls, path: str) -> "File":
        """The file at `path`, - is standard input. Raises GovernanceError if it isn't UTF-8 text."""
        name = "standard input" if path == "-" else Path(path).name
        try:
            content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        except FileNotFoundError:
            raise GovernanceError(f"there is no file {path}") from None
        except OSError as error:
            raise GovernanceError(f"{path} can't be read: {error.strerror or error}") from error
        for begin, what in _NOT_TEXT.items():
            if content.startswith(begin):
                raise GovernanceError(f"{name} {what}")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = _line_at(content[: error.start].decode("utf-8", "replace"))
            wrong = f"line {line} isn't UTF-8 text (byte 0x{content[error.start]:02x})"
            raise GovernanceError(f"{name} {wrong}: {_SAVE}") from error
        if "\0" in text:
            raise GovernanceError(f"{name} line {_line_at(text[: text.index(chr(0))])} has a NUL character: {_SAVE}")
        if not trimmed(text):
            raise GovernanceError(f"{name} is empty: a CSV file begins with a line of column names")
        return cls(name, text)

    @property
    def is_json(self) -> bool:
        """Whether it begins as JSON does."""
        return trimmed(self.text)[0] in "{["

    def _lines(self) -> Lines:
        return Lines(io.StringIO(self.text, newline=""))

    def table(self) -> "Table":
        """The file as CSV. Raises GovernanceError if its header can't be read."""
        return Table(self.name, CsvRows(self._lines(), self.name))

    def resources(self, problems: Problems) -> Iterator[tuple[Place, Mapping[str, object]]]:
        """Each resource of its pages (SCIM's ListResponse), arrays and lines."""
        number = 0
        for _, wrong, _, page in JsonObjects(self._lines(), self.name, "json").said():
            # a page without any may have no list
            nothing: list[object] = [] if page is not None and "totalResults" in page else [page]
            resources = page.get("Resources", nothing) if page else nothing
            for resource in resources if isinstance(resources, list) else [resources]:
                number += 1
                place = Place(self.name, f"resource {number}")
                if isinstance(resource, dict):
                    yield place, resource
                else:
                    problems.add(place, wrong or "it is no JSON object, as a user or a group is")


class Table:
    """A CSV file: its column names, in lower case with _ for blanks and hyphens, and its rows."""

    def __init__(self, name: str, rows: CsvRows) -> None:
        self.name = name
        self._rows = rows
        self.header = [re.sub(r"[\s-]+", "_", column.lower()) for column in rows.header]

    def rows(self, columns: Sequence[str], problems: Problems) -> Iterator[tuple[Place, dict[str, str]]]:
        """The cells of these columns, trimmed, with the line on which a row begins."""
        for line, wrong, _, *cells in self._rows.records([self.header.index(column) for column in columns]):
            place = Place(self.name, f"line {line}")
            if wrong is not None:
                problems.add(place, str(wrong))
            else:
                yield place, {name: trimmed(str(cell)) for name, cell in zip(columns, cells, strict=True)}


def _line_at(before: str) -> int:
    return len(_LINE_END.findall(before)) + 1
