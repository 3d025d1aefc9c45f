"""JSON Lines: a record is a JSON object on a line of its own."""

import contextlib
import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import msgspec

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record, about, is_damaged
from orchestration.lib.usage.hints import option_for
from orchestration.lib.usage.record import REQUIRED, TARGETS
from orchestration.lib.usage.sources import text

# lines and characters of a JSON Lines file that are looked at before it is loaded
_SAMPLE = (100, 1 << 20)
_HALF_PAIR = re.compile("[\ud800-\udfff]")


class JsonLinesSource(text.TextSource):
    """The records of a file with a JSON object a line."""

    def __init__(
        self,
        lines: text.Lines,
        source: str,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.constants = dict(constants)
        self._lines, self._source = lines, source
        sources = {
            name: mapping.get(name, name)
            for name in TARGETS
            if name not in constants and (name in mapping or name not in ignored)
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
        self.offered = sorted(found - set(sources.values()) - set(ignored))
        self.targets = list(sources)
        self.never_found = list(mapping)
        self._sources = sources

    def _require_samples(
        self, sources: Mapping[str, str], mapping: Mapping[str, str], records: Sequence[Mapping[str, object]]
    ) -> None:
        """Refuses a file where a required target is in none of the first records: then the mapping is wrong."""
        if not records:
            return
        for name in REQUIRED:
            if name in sources and all(find(record, *path_of(sources[name])) is None for record in records):
                keys = dict.fromkeys(key for record in records for key in record)
                has = f"the first records of {self._source} have the keys {', '.join(keys)}"
                if name in mapping:
                    raise GovernanceError(f"{self._source} has no {mapping[name]}: {has}")
                paths = dict.fromkeys(path for record in records for path in _paths(record))
                raise GovernanceError(
                    f"nothing in {self._source} is known to be the {name}: say so with "
                    f"{option_for(name, paths, 'KEY')} or --set {name}=VALUE ({has})"
                )

    def records(self) -> Iterator[Record]:
        """As said of each source; a line that can't be read comes with what is wrong with it."""
        lines = self._lines
        held = lines.held
        nothing: list[object] = [None] * len(self.targets)
        mapped = {name: self._sources[name] for name in self.never_found}
        keys = list(self._sources.values())
        paths = [(place, path) for place, key in enumerate(keys) if (path := path_of(key)[1])]
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
            record, problem = decode_line(line)
            if record is None:
                yield (lines.number, f"the line is not a JSON object: {problem}", lines.give_back(), *nothing)
                continue
            values, wrong = _values(record, self.targets, keys, paths)
            if mapped:
                mapped = {name: source for name, source in mapped.items() if find(record, *path_of(source)) is None}
                self.never_found = list(mapped)
            yield (lines.number, wrong, None, *values)


def decoder() -> json.JSONDecoder:
    """Of JSON whose numbers with a fraction or an exponent stay texts."""
    return json.JSONDecoder(parse_float=Number, parse_constant=_NoNumber)


def quick_decoder(kind: type[object] = object) -> Callable[[str], object]:
    """A function that decodes the same several times as fast, and raises QUICK_FAILURES for what isn't quite JSON.

    It may be of a kind of structs: then what else is there is passed over.
    """
    return msgspec.json.Decoder(kind if kind is not object else Any, float_hook=Number).decode


# half a surrogate pair, NaN, text after the end: what is wrong, or what is meant, is told by the standard library
QUICK_FAILURES = (msgspec.DecodeError, ValueError, RecursionError)


def decode(text: str) -> object:
    """A JSON value. Raises ValueError or RecursionError."""
    try:
        return _quickly(text)
    except QUICK_FAILURES:
        return _decode(text)


def decode_line(line: str) -> tuple[dict[str, object] | None, str | None]:
    """The object of a line, or what is wrong with it."""
    try:
        record = decode(line.strip())
    except json.JSONDecodeError as error:
        return None, error.msg
    except ValueError as error:
        return None, str(error)
    except RecursionError:
        return None, "it is nested too deeply"
    return (record, None) if isinstance(record, dict) else (None, f"it is {kind(record)}")


class Number(str):
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


class _NoNumber(Number):
    """NaN or Infinity, which are no JSON but which programs write: wrong for its value, not for its line."""


_quickly, _decode = quick_decoder(), decoder().decode


def path_of(source: str) -> tuple[str, list[str]]:
    """A key, and its parts where it can be a dotted path."""
    return source, source.split(".") if "." in source else []


def find(record: Mapping[str, object], key: str, path: Sequence[str]) -> object:
    """The value of a key, else of a dotted path into nested objects, None if there is none."""
    value = record.get(key)
    return _follow(record, path) if value is None and path else value


def _follow(value: object, path: Sequence[str]) -> object:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _values(
    record: Mapping[str, object], names: Sequence[str], keys: Sequence[str], paths: Sequence[tuple[int, list[str]]]
) -> tuple[list[object], str | None]:
    """The values of a record as text, and what is to be said of those whose text wouldn't tell."""
    values: list[object] = list(map(record.get, keys))
    for place, path in paths:
        if values[place] is None:
            values[place] = _follow(record, path)
    wrong = []
    for place, value in enumerate(values):
        if value is None or type(value) is str:
            continue
        if type(value) is int:
            values[place] = str(value)
        else:
            if TARGETS[names[place]].holds_text and type(value) is not Number:
                wrong.append(about(place, f"is {kind(value)}"))
            values[place] = as_json(value)
    return values, "\n".join(wrong) or None


def kind(value: object) -> str:
    """What a JSON value is, in words."""
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
    return "a number" if isinstance(value, Number | int) else "a text"


def as_json(value: object) -> str:
    """JSON of a decoded value, its numbers as they were written."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(str(key))}: {as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_json(item) for item in value) + "]"
    text = encode_basestring(value) if isinstance(value, str) else json.dumps(value)
    # half a surrogate pair, which no encoding can hold, is told as the escape that it was
    return text if text.isascii() else _HALF_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
