"""Records of text as COPY takes them: trimmed, escaped, and marked where no database can hold them."""

import csv
import io
import re
from collections.abc import Sequence

# a character that hardly occurs in data
_DELIMITER = "\x1f"
# what counts as no text at the edges of a value: white space, and characters of no width
_BLANKS = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_SPACED_EDGES = (f" {_DELIMITER}", f"{_DELIMITER} ", " \r\n", "\t", "\v", "\f", "\x1c", "\x1d", "\x1e")
_WIDE_BLANK = re.compile("[\x85\xa0\u1680\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]")
COPY_OPTIONS = "delimiter e'\\x1f', null ''"
_NOT_TEXT = re.compile("[\ud800-\udfff\0]")

# line on which it begins, what is wrong with it (a sentence a line), its text if it has no readable columns, values
Record = tuple[object, ...]


def is_damaged(text: str) -> bool:
    """Whether the text holds what no database text can: NUL, or bytes that weren't UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return "\0" in text


def encode(records: Sequence[Record]) -> bytes:
    """Records for COPY with `COPY_OPTIONS`: values without the blanks around them, an empty text for null.

    A value with text that no database can hold is marked as such.
    """
    text = _joined(records)
    if text is None or any(edge in text for edge in _SPACED_EDGES) or (not text.isascii() and _WIDE_BLANK.search(text)):
        text = _escaped([(*record[:3], *map(_trimmed, record[3:])) for record in records])
    if is_damaged(text):
        return encode([_repaired(record) for record in records])
    return text.encode()


def _joined(records: Sequence[Record]) -> str | None:
    """The records where nothing has to be escaped, which takes less than half the time; None where something has to."""
    try:
        lines = [
            _DELIMITER.join(["" if value is None else value for value in (str(line), *values)])  # type: ignore[misc]
            for line, *values in records
        ]
    except TypeError:
        # values of a program that aren't text
        return None
    text = "".join([line + "\r\n" for line in lines])
    delimiters = sum(map(len, records)) - len(records)
    ends = text.count("\n"), text.count("\r"), text.count(_DELIMITER)
    return None if "\\" in text or ends != (len(records), len(records), delimiters) else text


def _escaped(records: Sequence[Record]) -> str:
    buffer = io.StringIO()
    # the line terminator makes the writer escape both carriage return and newline
    csv.writer(
        buffer, delimiter=_DELIMITER, quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None, lineterminator="\r\n"
    ).writerows(records)
    return buffer.getvalue()


def trimmed(text: str) -> str:
    """The text without the blanks around it: also tabs, newlines, no-break and zero-width spaces."""
    return text.strip(_BLANKS)


def _trimmed(value: object) -> object:
    return trimmed(value) if isinstance(value, str) else value


def about(place: int, what: str) -> str:
    """What is wrong with one value, so that it is known whether that refuses the record."""
    return f"~{place} {what}"


def _repaired(record: Record) -> Record:
    line, wrong, raw, *values = record
    texts = ["" if value is None else str(value) for value in (wrong, raw, *values)]
    if not any(map(is_damaged, texts)):
        return record
    what = "has bytes that are not UTF-8 text, or a NUL character"
    told = [str(wrong)] if wrong else []
    told += [about(place, what) for place, text in enumerate(texts[2:]) if is_damaged(text)]
    if raw is not None and not wrong:
        told.append(f"it {what}")
    wrong, raw, *texts = (_NOT_TEXT.sub(_as_escape, text) for text in ("\n".join(told), *texts[1:]))
    return line, wrong, raw, *texts


def _as_escape(character: "re.Match[str]") -> str:
    code = ord(character[0])
    # a byte that couldn't be decoded came as a surrogate of its own
    return f"\\x{code & 0xFF:02x}" if code == 0 or 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
