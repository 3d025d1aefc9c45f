"""The sources whose records are known, and which of them a file is of."""

from collections.abc import Mapping, Sequence

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.sources import (
    anthropic,
    claude_code,
    codex,
    focus,
    helicone,
    invoice,
    langfuse,
    litellm,
    openai,
    openrouter,
    otlp,
)
from orchestration.lib.usage.sources.adapter import Said, Source
from orchestration.lib.usage.sources.report import Report
from orchestration.lib.words import did_you_mean

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
# sums of a period, which are no requests
REPORTS: Mapping[str, Report] = {
    report.name: report
    for report in (
        openai.USAGE,
        openai.COSTS,
        anthropic.USAGE,
        anthropic.COSTS,
        openrouter.ACTIVITY,
        focus.REPORT,
        invoice.REPORT,
    )
}


def source_named(name: str) -> Source:
    """The source of that name. Raises GovernanceError."""
    if name not in SOURCES:
        known = (*SOURCES, *REPORTS)
        raise GovernanceError(f"there is no source {name}: {did_you_mean(name, known)}there are {', '.join(known)}")
    return SOURCES[name]


def recognised(records: Sequence[Said]) -> Source | Report | None:
    """The one source or report that the first records of a file are clearly of, if there is one."""
    known: tuple[Source | Report, ...] = (*SOURCES.values(), *REPORTS.values())
    found = [source for source in known if any(map(source.recognises, records))]
    return found[0] if len(found) == 1 else None
