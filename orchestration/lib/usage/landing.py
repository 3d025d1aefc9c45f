"""Loads by itself what configured sources have: files that landed in a folder, and what is new in a database."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestration.lib import errors, landed
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import variable
from orchestration.lib.usage.configured import ConfiguredSource
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport

# the first of them is enough to see what is wrong
_REASONS = 3


@dataclass
class Collected:
    """What was loaded: `report` adds up what became of the records, `refused` says why a file wasn't loaded."""

    report: IngestReport = field(default_factory=IngestReport)
    files: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def look(url: str, source: ConfiguredSource) -> landed.Landing:
    """What of the files of the source is to be loaded. Raises GovernanceError."""
    with errors.explained(), connect(url) as connection:
        return landed.look(connection, place_of(source))


def collect(url: str, source: ConfiguredSource, *, notify: Callable[[str], None] = lambda message: None) -> Collected:
    """Loads what is new. Raises GovernanceError where the database, or the one that it is read from, isn't available.

    A file that can't be loaded is told in the result and not tried again before it is written anew: it is repaired, and
    what else has landed is loaded all the same.
    """
    collected = Collected()
    with errors.explained(), connect(url) as connection:
        if source.url_variable is not None:
            _add(collected.report, _ingest(url, source, _location(source), notify))
        else:
            place = place_of(source)
            for file in landed.look(connection, place).pending:
                landed.remember(connection, place, file, _take(url, source, file.path, collected, notify))
            landed.forget(connection, place)
    return collected


def place_of(source: ConfiguredSource) -> landed.Place:
    """Where its files land; it must have some."""
    assert source.files is not None
    return landed.Place(source.name, source.files, source.settle, source.reading)


def _take(
    url: str, source: ConfiguredSource, path: str, collected: Collected, notify: Callable[[str], None]
) -> str | None:
    """Loads a file; why it was refused, if it was."""
    why = None
    try:
        report = _ingest(url, source, path, notify)
    except GovernanceError as error:
        if landed.is_of_database(error):
            raise
        why = str(error)
    else:
        _add(collected.report, report)
        if report.refused:
            reasons = "; ".join(reason for reason, _ in report.reasons.most_common(_REASONS))
            why = f"every record of {path} was refused ({reasons}): internal.quarantine has them"
    if why is None:
        collected.files.append(path)
    else:
        collected.refused[path] = why
    return why


def _ingest(url: str, source: ConfiguredSource, path: str, notify: Callable[[str], None]) -> IngestReport:
    return ingest_files(
        url,
        [path],
        source.mapping,
        source.constants,
        source.values,
        ignored=source.ignored,
        file_format=source.file_format,
        source=source.source,
        notify=notify,
    )


def _location(source: ConfiguredSource) -> str:
    assert source.url_variable is not None
    location = variable(source.url_variable)
    if location is None:
        raise GovernanceError(
            f"the variable {source.url_variable} isn't set, which has the URL of {source.name} in sources.yml: set it, "
            "for Dagster before it starts"
        )
    return location


def _add(total: IngestReport, report: IngestReport) -> None:
    total.read += report.read
    total.loaded += report.loaded
    total.duplicate += report.duplicate
    total.quarantined += report.quarantined
    total.changed += report.changed
    total.replaced += report.replaced
    total.unresolved += report.unresolved
    total.reasons.update(report.reasons)
    total.notes.update(report.notes)
    total.differences += report.differences
    total.refused += report.refused
