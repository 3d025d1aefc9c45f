"""The sources whose records are known, and which of them a file is of."""

from collections.abc import Mapping, Sequence

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.sources import claude_code, codex, helicone, langfuse, litellm, openrouter, otlp
from orchestration.lib.usage.sources.adapter import Said, Source

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        otlp.SOURCE,
        litellm.SOURCE,
        langfuse.SOURCE,
        openrouter.SOURCE,
        helicone.SOURCE,
        claude_code.SOURCE,
        codex.SOURCE,
    )
}


def source_named(name: str) -> Source:
    """The source of that name. Raises GovernanceError."""
    if name not in SOURCES:
        raise GovernanceError(f"there is no source {name}: there are {', '.join(SOURCES)}")
    return SOURCES[name]


def recognised(records: Sequence[Said]) -> Source | None:
    """The one source that the first records of a file are clearly of, if there is one."""
    found = [source for source in SOURCES.values() if any(map(source.recognises, records))]
    return found[0] if len(found) == 1 else None
