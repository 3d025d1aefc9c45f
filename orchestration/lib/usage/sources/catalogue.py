"""The sources whose records are known, and which of them a file is of."""

from collections.abc import Mapping

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.sources import litellm, otlp
from orchestration.lib.usage.sources.adapter import Said, Source

SOURCES: Mapping[str, Source] = {source.name: source for source in (otlp.SOURCE, litellm.SOURCE)}


def source_named(name: str) -> Source:
    """The source of that name. Raises GovernanceError."""
    if name not in SOURCES:
        raise GovernanceError(f"there is no source {name}: there are {', '.join(SOURCES)}")
    return SOURCES[name]


def recognised(said: Said | None) -> Source | None:
    """The one source that a record is clearly of, if there is one."""
    if not said:
        return None
    found = [source for source in SOURCES.values() if source.recognises(said)]
    return found[0] if len(found) == 1 else None
