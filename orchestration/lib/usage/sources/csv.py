"""CSV: a line of column names, then a record a line or several."""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record, is_damaged, trimmed
from orchestration.lib.usage.hints import DURATIONS
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.columns import match_columns
from orchestration.lib.usage.sources.objects import Read
from orchestration.lib.usage.sources.values import with_point

# what separates columns; all but the comma is what spreadsheets write where the comma is for decimals
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_QUOTED = re.compile('"[^"]*"')
_FIRST_LINE = re.compile(r"[\r\n]*([^\r\n]*)")
# lines and characters among which a header begins
_LOOK = (20, 1 << 20)
_NUMBERS = ("cost_amount", *DURATIONS, *TOKEN_CLASSES)


def separator_of(begin: str) -> str:
    """What separates columns in a CSV that begins so: what its first line has most of outside of quotes, or a comma."""
    header = _FIRST_LINE.match(begin)
    return max(_SEPARATORS, key=_QUOTED.sub("", header[1] if header else "").count)


def said_separator(line: str) -> str | None:
    """The separator that a first line `sep=;` tells spreadsheets; None where it is another line."""
    said = line.rstrip("\r\n")
    return said[4] if len(said) == 5 and said.startswith("sep=") and said[4] in _SEPARATORS else None


class CsvRows:
    """A header, and the rows after it; `separator` is what stands between columns."""

    def __init__(self, lines: text.Lines, source: str) -> None:
        self._lines = lines
        begin = lines.peek(*_LOOK)
        said = said_separator(begin[0]) if begin else None
        if said:
            next(lines)
        self.separator = said or separator_of("".join(begin))
        # of the whole process: a column that isn't loaded may be of any length that memory bears
        csv.field_size_limit(text.RECORD_LIMIT)
        self._reader = csv.reader(self._lines, delimiter=self.separator, strict=True, skipinitialspace=True)
        try:
            header = next((row for row in self._reader if row), None)
        except csv.Error as error:
            raise GovernanceError(f"the header of {source} can't be read: {error}") from error
        if header is None:
            raise GovernanceError(f"{source} is empty: a CSV file begins with a line of column names")
        self.header = [trimmed(name) for name in header]
        if any(is_damaged(name) for name in self.header):
            raise GovernanceError(f"the header of {source} isn't UTF-8 text: save the file as CSV in UTF-8")

    def records(self, positions: Sequence[int]) -> Iterator[Record]:
        """The values at these positions; a record that can't be read comes with what is wrong with it."""
        reader, width, lines = self._reader, len(self.header), self._lines
        held = lines.held
        pick = _picker(positions)
        while True:
            held.clear()
            try:
                for row in reader:
                    first = lines.number - len(held) + 1
                    if len(row) == width and any(row):
                        yield (first, None, None, *pick(row))
                    elif len(row) != width and "".join(row).strip():
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


class CsvObjects:
    """The rows of an open file as objects; of a source that guesses no number any separator will do."""

    def __init__(self, lines: text.Lines, source: str, *, takes_any_separator: bool = False) -> None:
        self._rows = CsvRows(lines, source)
        if (separator := self._rows.separator) != "," and not takes_any_separator:
            raise GovernanceError(
                f"{source} is separated by {_SEPARATORS[separator]}: save the file as CSV with commas"
            )
        self.names: Sequence[str] | None = self._rows.header

    def samples(self) -> list[Said]:
        """Its names, for values tell nothing more."""
        return [dict.fromkeys(self._rows.header, "")]

    def said(self) -> Iterator[Read]:
        """Each row, and what is none with what is wrong with it."""
        header = self._rows.header
        for line, wrong, raw, *values in self._rows.records(range(len(header))):
            yield line, wrong, raw, None if wrong else dict(zip(header, values, strict=True))  # type: ignore[misc]


class CsvSource(text.TextSource):
    """The records of a CSV file with a header; `mark` is the decimal mark of its numbers where that was stated."""

    def __init__(
        self,
        lines: text.Lines,
        source: str,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
        mark: str | None = None,
    ) -> None:
        super().__init__()
        self._rows = CsvRows(lines, source)
        header = self._rows.header
        columns = match_columns(source, header, mapping, constants, ignored)
        self.constants = dict(constants)
        self.targets = list(columns)
        self.origins = {name: header[position] for name, position in columns.items()}
        self.unused = [
            name for position, name in enumerate(header) if position not in columns.values() and name not in ignored
        ]
        self.offered = self.unused
        self._positions = list(columns.values())
        self._mark = mark
        self._numbers = [place for place, target in enumerate(columns) if target in _NUMBERS]
        if (separator := self._rows.separator) != "," and self._numbers and not mark:
            raise GovernanceError(
                f"{source} is separated by {_SEPARATORS[separator]}, as spreadsheets write it where a comma begins the "
                "decimals: add --decimal , if its numbers are written as 1.234,56, or --decimal . if as 1,234.56"
            )

    def records(self) -> Iterator[Record]:
        """As said of each source; a record that can't be read comes with what is wrong with it."""
        records = self._rows.records(self._positions)
        return map(self._with_points, records) if self._mark else records

    def _with_points(self, record: Record) -> Record:
        """The record with its numbers as programs write them, or what is wrong with them."""
        line, wrong, raw, *values = record
        flaws = []
        for place in self._numbers:
            said = trimmed(str(values[place] or ""))
            # a word for nothing may be mapped to a value
            if self._mark and any(character.isdigit() for character in said):
                values[place] = with_point(said, self._mark)
                if values[place] is None:
                    values[place] = said
                    flaws.append(f"~{place} is no plain number whose decimals follow {self._mark!r}")
        return (line, "\n".join(flaws) or wrong, raw, *values)


def _picker(positions: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(positions) == 1:
        return lambda row: (row[positions[0]],)
    return itemgetter(*positions)
