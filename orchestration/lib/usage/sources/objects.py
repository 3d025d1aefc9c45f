"""JSON of any layout as objects: one a line, an array of them, or documents over many lines."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import is_damaged
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.jsonl import QUICK_FAILURES, decode_line, decoder, kind

# lines and characters that are looked at before a file is loaded
_LOOK = (20, 1 << 20)
_LOOK_AT_DOCUMENT = (100_000, 1 << 20)
_CHUNK = 1 << 16
_BLANKS = " \t\r\n"
# line or number, what is wrong with it, its text if it can't be read, and else the record as its format has it
Read = tuple[int, str | None, str | None, Any]


class Objects(Protocol):
    """What is in an open file, as objects; `names` are None where each has names of its own."""

    @property
    def names(self) -> Sequence[str] | None:
        """Of its columns."""

    def samples(self) -> list[Mapping[str, object]]:
        """The first objects, which are read again, or one with the names alone."""

    def said(self) -> Iterator[Read]:
        """Each object, and what is none with what is wrong with it."""


class JsonObjects:
    """The objects of an open file, each with its line, or its number where an object isn't a line."""

    names: Sequence[str] | None = None

    def __init__(
        self, lines: text.Lines, name: str, file_format: str, quickly: Callable[[str], object] | None = None
    ) -> None:
        """`quickly` decodes a line of a known kind, and raises QUICK_FAILURES where it is of another."""
        self._lines, self._quickly = lines, quickly
        looked_at = [line for line in lines.peek(*_LOOK) if line.strip()]
        if looked_at and is_damaged(looked_at[0]):
            raise GovernanceError(f"{name} isn't UTF-8 text: save it as JSON in UTF-8")
        begin = looked_at[0].lstrip()[:1] if looked_at else ""
        # in a document objects on a line of their own are indented
        has_lines = any(line[0] == "{" and decode_line(line)[1] is None for line in looked_at)
        self._by_line = begin != "[" and (file_format == "jsonl" or has_lines)

    def samples(self) -> list[Mapping[str, object]]:
        """The first objects, which are read again."""
        if self._by_line:
            decoded = (decode_line(line)[0] for line in self._lines.peek(*_LOOK))
            return [record for record in decoded if record is not None]
        begin = "".join(self._lines.peek(*_LOOK_AT_DOCUMENT))
        return [said for _, _, _, said in _Documents(begin).said() if said is not None]

    def said(self) -> Iterator[Read]:
        """Each object as (line, None, None, object), what is none as (line, what is wrong, its text, None)."""
        if self._by_line:
            yield from self._each_line()
        else:
            yield from _Documents("", self._lines).said()

    def _each_line(self) -> Iterator[Read]:
        lines, quickly = self._lines, self._quickly
        held = lines.held
        while True:
            held.clear()
            try:
                line = next(lines, None)
            except csv.Error as error:
                yield lines.number, f"the line can't be read: {error}", lines.give_back(), None
                continue
            if line is None:
                return
            if not line.strip():
                continue
            if quickly:
                try:
                    yield lines.number, None, None, quickly(line)
                    continue
                except QUICK_FAILURES:
                    # read closely, as what is wrong with it is to be told
                    pass
            record, problem = decode_line(line)
            if problem:
                yield lines.number, f"the line is not a JSON object: {problem}", lines.give_back(), None
            else:
                yield lines.number, None, None, record


class _Documents:
    """Objects one after the other or in arrays, whatever lines they are on; memory holds one at a time."""

    def __init__(self, begin: str, lines: text.Lines | None = None) -> None:
        self._buffer, self._lines = begin, lines
        self._place = 0
        self._is_all = lines is None

    def said(self) -> Iterator[Read]:
        decode = decoder().raw_decode
        number = 0
        while self._skip():
            number += 1
            try:
                value, end = self._decoded(decode)
            except (csv.Error, ValueError, RecursionError) as error:
                what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
                rest = self._buffer[self._place : self._place + text.EXCERPT]
                yield number, f"the file can't be read as JSON from here on: {what}", rest, None
                return
            self._place = end
            if isinstance(value, dict):
                yield number, None, None, value
            else:
                yield number, f"it is {kind(value)} in the place of a JSON object", json.dumps(value)[:100], None

    def _skip(self) -> bool:
        """Goes on to the next value; what opens, closes and parts arrays isn't one. False at the end."""
        while True:
            while self._place < len(self._buffer) and self._buffer[self._place] in _BLANKS + "[],\ufeff":
                self._place += 1
            if self._place < len(self._buffer):
                return True
            if self._is_all:
                return False
            self._more()

    def _decoded(self, decode: object) -> tuple[object, int]:
        while True:
            try:
                return decode(self._buffer, self._place)  # type: ignore[operator,no-any-return]
            except ValueError:
                if self._is_all:
                    raise
                self._more()

    def _more(self) -> None:
        assert self._lines is not None
        kept = self._buffer[self._place :]
        if len(kept) > text.RECORD_LIMIT:
            self._is_all = True
            raise csv.Error(f"it is longer than {text.RECORD_LIMIT} characters")
        parts, size = [kept], 0
        # as much again as there is: what takes many readings isn't tried at each line
        while size < max(_CHUNK, len(kept)):
            self._lines.held.clear()
            line = next(self._lines, None)
            if line is None:
                self._is_all = True
                break
            parts.append(line)
            size += len(line)
        self._buffer, self._place = "".join(parts), 0
