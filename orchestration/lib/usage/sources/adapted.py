"""What a known source says: its records, through its adapter, as records of text."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from json.encoder import encode_basestring

from orchestration.lib.errors import GovernanceError
from orchestration.lib.owners.resolution import OWNER
from orchestration.lib.usage.encoding import Record
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.adapter import Found, Said, Source, Usage
from orchestration.lib.usage.sources.csv import CsvRows
from orchestration.lib.usage.sources.jsonl import find, path_of
from orchestration.lib.usage.sources.objects import JsonObjects, Read
from orchestration.lib.usage.sources.report import Report

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class AdaptedSource(text.TextSource):
    """The requests in what a source says.

    `mapping` and `constants` win over what the adapter says. A record is known by its line, and by its number in the
    file where lines and records aren't the same.
    """

    def __init__(
        self,
        said: Iterator[Read],
        source: Source,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
    ) -> None:
        super().__init__()
        if unknown := [target for target in ignored if target not in source.fills]:
            raise GovernanceError(
                f"{source.name} fills no {unknown[0]}, so it can't be ignored: it fills {', '.join(source.fills)}"
            )
        self._source, self._said = source, said
        always = {"source": source.name, **source.always}
        self.constants = {
            **{target: value for target, value in always.items() if target not in mapping and target not in ignored},
            **constants,
        }
        filled = {*source.fills, "metadata", *mapping} - {*self.constants, *(set(ignored) - set(mapping))}
        if "cost_amount" in (*mapping, *constants, *ignored) and "cost_source" not in mapping:
            # it is about the cost that the adapter says
            filled.discard("cost_source")
        self.targets = [target for target in TARGETS if target in filled]
        self.origins = {t: mapping[t] if t in mapping else source.fills.get(t, OWNER) for t in self.targets}
        self.never_found = list(mapping)
        self._mapped = [(target, *path_of(column)) for target, column in mapping.items()]

    def records(self) -> Iterator[Record]:
        """As said of each source; what can't be read, and what the adapter refuses, comes with what is wrong."""
        targets = self.targets
        nothing = [None] * len(targets)
        refused: list[Record] = []
        requests = self._requests(refused)
        if self._source.fold:
            requests = self._source.fold(requests)
        for line, usage in requests:
            if refused:
                for number, problem, raw in refused:
                    yield (number, problem, raw, *nothing)
                refused.clear()
            yield _record(line, usage, targets)
        for number, problem, raw in refused:
            yield (number, problem, raw, *nothing)

    def _requests(self, refused: list[Record]) -> Iterator[Found]:
        """What the adapter makes of the records; what is no record goes to `refused`."""
        adapter, split = self._source.adapter(), self._source.split
        number = 0
        for line, problem, raw, document in self._said:
            if document is None:
                number += 1
                refused.append((number if split else line, problem, raw))
                continue
            for said in split(document) if split else (document,):
                usage = adapter(said)
                if usage is None:
                    continue
                number += 1
                if self._mapped:
                    self._map(said, usage)
                yield number if split else line, usage

    def _map(self, said: Said, usage: Usage) -> None:
        for target, key, path in self._mapped:
            value = find(said, key, path)
            if value is not None and target in self.never_found:
                self.never_found.remove(target)
            usage[target] = value  # type: ignore[literal-required]


def said_in(
    lines: text.Lines, name: str, source: Source | Report, file_format: str, mapped: Collection[str]
) -> Iterator[Read]:
    """The records of an open file as its source writes them. Raises GovernanceError for a file that is none of its."""
    formats = ("jsonl", "json") if "jsonl" in source.formats else ()
    if file_format not in (*source.formats, *formats):
        raise GovernanceError(f"{name} is {file_format}, and {source.name} is read from {', '.join(source.formats)}")
    if file_format != "csv":
        return JsonObjects(lines, name, file_format).said()
    rows = CsvRows(lines, name)
    if unknown := [column for column in mapped if column not in rows.header]:
        raise GovernanceError(f"{name} has no column {unknown[0]}: it has {', '.join(rows.header)}")
    if not source.recognises(dict.fromkeys(rows.header, "")):
        raise GovernanceError(
            f"{name} is no file of {source.name}, whose lines have other columns than {', '.join(rows.header)}"
        )
    return _rows_said(rows)


def _rows_said(rows: CsvRows) -> Iterator[Read]:
    header = rows.header
    for line, wrong, raw, *values in rows.records(range(len(header))):
        yield line, wrong, raw, None if wrong else dict(zip(header, values, strict=True))  # type: ignore[misc]


def _record(line: int, usage: Usage, targets: Sequence[str]) -> Record:
    wrong = usage.get("wrong")
    if owner := usage.get("owner"):
        owner = {name: value for name, value in owner.items() if value}
    metadata = usage.get("metadata")
    if owner and (metadata is None or isinstance(metadata, dict)):
        usage["metadata"] = {**metadata, OWNER: owner} if metadata else {OWNER: owner}
    values: list[object] = list(map(usage.get, targets))
    for place, value in enumerate(values):
        if value is not None and type(value) is not str:
            values[place] = _as_text(targets[place], value)
    return (line, "\n".join(wrong) if wrong else None, None, *values)


def _as_text(target: str, value: object) -> str | None:
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return str(value)
    if not value:
        return None
    if target == "tags" and isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        value = dict.fromkeys(value, True)
    try:
        return _json(value)
    except RecursionError:
        return None


def _json(value: object) -> str:
    """JSON, quickly where it is an object of texts."""
    if type(value) is str:
        return encode_basestring(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode_basestring(str(name))}:{_json(item)}" for name, item in value.items()]) + "}"
    return _compact(value)
