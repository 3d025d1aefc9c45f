"""What the readers of text files share: lines of limited length, and what is known of a file once it is open."""

import csv
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from orchestration.lib.usage.encoding import Record

# characters of a record, loaded or not; what is held of one in memory is some ten times as much
RECORD_LIMIT = 32 << 20
# as much of a line that can't be read as is kept
EXCERPT = 10_000


class TextSource(ABC):
    """An open file of records: what is known of it from its first lines, and its records.

    `targets` is the order of the values of a record, `constants` fill their targets in every row. `unused` are columns
    that are not loaded, `never_found` mapped sources that no record had so far. `origins` has the column of each
    target, `offered` the columns that fill none; in JSON Lines what the first records show of both. Raises
    GovernanceError for a file that can't be loaded as it is.
    """

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.unused: list[str] = []
        self.never_found: list[str] = []
        self.origins: dict[str, str] = {}
        self.offered: list[str] = []
        self.constants: dict[str, str] = {}

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """Each record with its values as text, None or an empty text where the file says nothing."""


class Lines:
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

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._next_from_file()
        if not line:
            raise StopIteration
        self.number += 1
        self._held_size = len(line) + (self._held_size if self.held else 0)
        self.held.append(line)
        if self._held_size > RECORD_LIMIT:
            raise csv.Error(f"it is longer than {RECORD_LIMIT} characters")
        return line

    def _next_from_file(self) -> str:
        line = self._readline(RECORD_LIMIT)
        self.volume += len(line)
        if len(line) == RECORD_LIMIT and not line.endswith(("\n", "\r")):
            rest = line
            while rest and not rest.endswith(("\n", "\r")):
                rest = self._readline(RECORD_LIMIT)
            # one more than the limit: what is cut off stays refused when it is read again
            line += "\n"
        return line

    def peek(self, count: int, characters: int) -> list[str]:
        """The first lines, to be read again."""
        while len(self._waiting) < count and self.volume < characters and (line := self._next_from_file()):
            self._waiting.append(line)
        return list(self._waiting)

    def give_back_all(self) -> None:
        """Returns all held lines, to be read again."""
        self._waiting.extendleft(reversed(self.held))
        self.number -= len(self.held)
        self.held.clear()

    def give_back(self) -> str:
        """Returns the first held line, as much of it as is worth keeping; the others are read again."""
        first, *others = self.held
        self._waiting.extendleft(reversed(others))
        self.number -= len(others)
        self.held.clear()
        return first[:EXCERPT].rstrip("\r\n")
