"""The sources that are loaded by themselves, as a file says: $GOVERNANCE_SOURCES, else sources.yml in the home."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.settings import sources_file
from orchestration.lib.usage.files import FORMATS
from orchestration.lib.usage.record import check_targets
from orchestration.lib.usage.sources.catalogue import REPORTS, SOURCES
from orchestration.lib.usage.sources.values import decimal_mark

# the only one that is read from its database
_PULLED = "litellm"
_NAME = re.compile("[a-z][a-z0-9_]{0,62}")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"(\d{1,6}) (second|minute|hour|day)s?")
_OFF = "off"
_TABLES = ("map", "set", "map_value")
_KEYS = ("source", "files", "url_variable", "schedule", "settle", "fresh_within", "format", "ignore", *_TABLES)


@dataclass(frozen=True)
class ConfiguredSource:
    """A source that is loaded by itself: its `files`, a pattern with an absolute path, or what `url_variable` names.

    `source` is that of `governance ingest --source`. `schedule` is the cron of what is asked by the clock, None without
    a time of its own; nothing is loaded by itself where `is_off`. A file is complete when nobody has written it for
    `settle`. Something new should come `fresh_within`.
    """

    name: str
    source: str | None
    files: str | None
    url_variable: str | None
    schedule: str | None
    is_off: bool
    settle: timedelta
    fresh_within: timedelta
    file_format: str | None
    mapping: Mapping[str, str]
    constants: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    ignored: tuple[str, ...]

    @property
    def is_report(self) -> bool:
        """Whether it has sums by period and no requests."""
        return self.source in REPORTS

    @property
    def reading(self) -> str:
        """How its files are read, as a text: what was refused is tried again where this differs."""
        return repr((self.source, self.file_format, self.mapping, self.constants, self.values, self.ignored))


def configured_sources() -> list[ConfiguredSource]:
    """The sources in the order of the file; none where there is no file. Raises GovernanceError."""
    path, is_asked_for = sources_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if is_asked_for:
            raise GovernanceError(f"there is no file {path}, which GOVERNANCE_SOURCES names") from None
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise GovernanceError(f"{path} can't be read: {reason(error)}") from error
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GovernanceError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    given = content.get("sources") if isinstance(content, dict) and content.keys() == {"sources"} else None
    if not isinstance(given, dict):
        raise GovernanceError(f"{path} needs `sources:` and nothing else, with a name for each source below it")
    return [_Entry(path, str(name), entry).source() for name, entry in given.items()]


class _Entry:
    """One source of the file; says what is wrong with it."""

    def __init__(self, path: Path, name: str, entry: object) -> None:
        self._folder, self._where = path.parent, f"{path}: {name}"
        self._name = name
        if not _NAME.fullmatch(name):
            raise self._wrong("is no name: use small letters, digits and _, a letter first")
        if not isinstance(entry, dict):
            raise self._wrong("needs `source` and `files` or `url_variable` below it")
        if unknown := [key for key in entry if key not in _KEYS]:
            raise self._wrong(f"has no setting {unknown[0]}: the settings are {', '.join(_KEYS)}")
        self._entry = entry

    def source(self) -> ConfiguredSource:
        source, files, variable = self._text("source"), self._text("files"), self._text("url_variable")
        if source is not None and source not in (*SOURCES, *REPORTS):
            raise self._wrong(f"names a source {source} that isn't known: there are {', '.join((*SOURCES, *REPORTS))}")
        if (files is None) == (variable is None):
            raise self._wrong("needs `files` (a path, which may hold * and **) or `url_variable`, one of them")
        if variable is not None:
            if source != _PULLED:
                raise self._wrong(f"can't be read from a database: only {_PULLED} can")
            if not _VARIABLE.fullmatch(variable):
                raise self._wrong("needs in `url_variable` the name of a variable that has the URL, not the URL itself")
        schedule = self._schedule()
        if files is not None and schedule not in (None, _OFF):
            raise self._wrong("has files, which are loaded as they appear: `schedule` can only be off")
        file_format = self._text("format")
        if file_format not in (None, *FORMATS):
            raise self._wrong(f"has a format {file_format}: it is one of {', '.join(FORMATS)}")
        mapping, constants = self._texts("map"), self._texts("set")
        values = {str(target): self._texts("map_value", target) for target in self._table("map_value")}
        if source not in REPORTS:
            try:
                check_targets(mapping, decimal_mark(constants)[1])
                check_targets(dict.fromkeys(values, ""), {})
            except GovernanceError as error:
                raise self._wrong(f"can't be mapped so: {error}") from error
        return ConfiguredSource(
            name=self._name,
            source=source,
            files=None if files is None else str(self._folder.absolute() / Path(files).expanduser()),
            url_variable=variable,
            schedule=None if schedule == _OFF else schedule,
            is_off=schedule == _OFF,
            settle=self._duration("settle", timedelta(minutes=1)),
            fresh_within=max(self._duration("fresh_within", timedelta(days=1)), timedelta(minutes=1)),
            file_format=file_format,
            mapping=mapping,
            constants=constants,
            values=values,
            ignored=self._names("ignore"),
        )

    def _wrong(self, what: str) -> GovernanceError:
        return GovernanceError(f"{self._where} {what}")

    def _text(self, key: str) -> str | None:
        value = self._entry.get(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise self._wrong(f"has {key}: {value!r}, which is no text")

    def _schedule(self) -> str | None:
        # YAML reads off as false
        return _OFF if self._entry.get("schedule") is False else self._text("schedule")

    def _duration(self, key: str, default: timedelta) -> timedelta:
        said = self._entry.get(key)
        if said is None:
            return default
        found = _DURATION.fullmatch(str(said))
        if not found:
            raise self._wrong(f"has {key}: {said}, which is no span of time such as 90 seconds, 3 hours or 1 day")
        return timedelta(**{f"{found[2]}s": int(found[1])})

    def _names(self, key: str) -> tuple[str, ...]:
        value = self._entry.get(key) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(f"has {key}: {value!r}, which is no list of names")
        return tuple(value)

    def _table(self, key: str) -> dict[object, object]:
        value = self._entry.get(key) or {}
        if not isinstance(value, dict):
            raise self._wrong(f"has {key}: {value!r}, which is no table of names")
        return value

    def _texts(self, key: str, inner: object = None) -> dict[str, str]:
        """What stands below a key, or below a key of it, as texts: numbers are what they say."""
        value: object = self._table(key) if inner is None else self._table(key)[inner]
        if not isinstance(value, dict) or any(isinstance(said, dict | list) or said is None for said in value.values()):
            where = key if inner is None else f"{key}.{inner}"
            raise self._wrong(f"has {where}: {value!r}, which is no table of texts")
        return {str(name): said if isinstance(said, str) else str(said).lower() for name, said in value.items()}
