"""CSV: a line of column names, then a record a line or several."""

import csv
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record, is_damaged, trimmed
from orchestration.lib.usage.record import match_columns
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.objects import Read

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class CsvRows:
    """A header, and the rows after it."""

    def __init__(self, lines: text.Lines, source: str, delimiter: str = ",") -> None:
        self._lines = lines
        # of the whole process: a column that isn't loaded may be of any length that memory bears
        csv.field_size_limit(text.RECORD_LIMIT)
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            header = next((row for row in self._reader if row), None)
        except csv.Error as error:
            raise GovernanceError(f"the header of {source} can't be read: {error}") from error
        if header is None:
            raise GovernanceError(f"{source} is empty: a CSV file begins with a line of column names")
        self.header = [trimmed(name) for name in header]
        if any(is_damaged(name) for name in self.header):
            raise GovernanceError(f"the header of {source} isn't UTF-8 text: save the file as CSV in UTF-8")
        other = next((name for sign, name in _OTHER_SEPARATORS.items() if sign in self.header[0]), None)
        if other and delimiter == "," and len(self.header) == 1:
            raise GovernanceError(f"{source} is separated by {other}: save the file as CSV with commas")

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


class CsvObjects:
    """The rows of an open file as objects."""

    def __init__(self, lines: text.Lines, source: str) -> None:
        self._rows = CsvRows(lines, source)
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
    """The records of a CSV file with a header."""

    def __init__(
        self,
        lines: text.Lines,
        source: str,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
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

    def records(self) -> Iterator[Record]:
        """As said of each source; a record that can't be read comes with what is wrong with it."""
        return self._rows.records(self._positions)


def _picker(positions: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(positions) == 1:
        return lambda row: (row[positions[0]],)
    return itemgetter(*positions)
