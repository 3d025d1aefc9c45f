"""The command that shows where usage comes from, and whether all of it came."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.tables import show_table
from orchestration.cli.terminal import tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import sources_file
from orchestration.lib.words import span

if TYPE_CHECKING:
    from orchestration.lib.usage.configured import ConfiguredSource
    from orchestration.lib.usage.freshness import SourceUsage

_COLUMNS = (
    *("source", "last request", "last loaded", "24 h", "7 d", "30 d"),
    *("gaps", "late", "no owner", "no price", "estimated", "refused"),
)


@click.command()
@click.option(
    "--load", "loads", is_flag=True, help="First load what is new of the sources in sources.yml, as Dagster does."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a table.")
def sources(loads: bool, as_json: bool) -> None:
    """Show how fresh and complete the usage of each source is, and what sources.yml loads by itself.

    The figures are those of reporting.usage_sources: requests of the last hours and days, hours of the last week that
    lie in a gap, shares of the last 30 days; - is what can't be said. docs/sources.md explains them. Exit code 1 if
    something could not be loaded.

    \b
    governance sources
    governance sources --load
    """
    from orchestration.lib.usage.configured import configured_sources
    from orchestration.lib.usage.freshness import usage_sources

    url = database_url()
    configured = configured_sources()
    if loads and not configured:
        tell(f"nothing is loaded by itself: there is no file {sources_file()[0]}, see docs/sources.md")
    all_loaded = not loads or _load(url, configured)
    found = usage_sources(url)
    if as_json:
        click.echo(_as_json(url, found, configured))
        sys.exit(0 if all_loaded else 1)
    if found:
        show_table(_COLUMNS, map(_cells, found), numbers=_COLUMNS[1:])
    else:
        tell("no usage was loaded so far")
    for each in found:
        for line in _remarks(each):
            click.echo(visible(line, keep=""))
    for source in configured:
        for line in _loaded_by_itself(url, source):
            click.echo(visible(line, keep=""))
    if not all_loaded:
        sys.exit(1)


def _as_json(url: str, found: "Sequence[SourceUsage]", configured: "Sequence[ConfiguredSource]") -> str:
    """What reporting.usage_sources says, and what waits and was refused of sources.yml."""
    from orchestration.lib.usage.landing import look

    by_itself: list[dict[str, Any]] = []
    for source in configured:
        said = {
            "name": source.name,
            "is_off": source.is_off,
            "files": source.files,
            "url_variable": source.url_variable,
        }
        if source.files is not None:
            landing = look(url, source)
            said |= {
                "loaded": landing.loaded,
                "to_load": [file.path for file in landing.pending],
                "still_written": landing.written,
                "refused": landing.refused,
            }
        by_itself.append(said)
    return json.dumps({"usage": [asdict(each) for each in found], "by_itself": by_itself}, indent=2, default=_text)


def _text(value: object) -> str:
    """A share with all of its digits, a moment with its zone."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _load(url: str, configured: "list[ConfiguredSource]") -> bool:
    """Loads what is new of each source that isn't switched off; whether all of it could be."""
    from orchestration.lib.usage.landing import collect
    from orchestration.lib.warehouse.refresh import refresh

    all_loaded, loaded = True, 0
    for source in configured:
        if source.is_off:
            continue
        try:
            collected = collect(url, source, notify=tell)
        except GovernanceError as error:
            tell(visible(f"{source.name}: {error}"))
            all_loaded = False
            continue
        tell(f"{source.name}: {collected.report}")
        all_loaded = all_loaded and not collected.refused
        loaded += 0 if source.is_report else collected.report.loaded
    if loaded:
        refresh(url)
    return all_loaded


def _cells(usage: "SourceUsage") -> tuple[str, ...]:
    now = datetime.now(UTC)
    ages = [
        "-" if moment is None else f"{span(now - moment)} ago"
        for moment in (usage.last_request_at, usage.last_loaded_at)
    ]
    counts = [f"{number:,}" for number in (usage.requests_24h, usage.requests_7d, usage.requests_30d)]
    shares = (
        usage.late_share,
        usage.unowned_share,
        usage.unpriced_share,
        usage.estimated_share,
        usage.quarantined_share,
    )
    gaps = "-" if usage.gap_hours is None else f"{usage.gap_hours} h"
    return (usage.source, *ages, *counts, gaps, *map(_share, shares))


def _share(share: Decimal | None) -> str:
    """In per cent; what is more than nothing never looks like nothing."""
    if share is None:
        return "-"
    return "<0.1 %" if 0 < share < Decimal("0.001") else f"{share * 100:.1f} %"


def _remarks(usage: "SourceUsage") -> Iterator[str]:
    """What somebody should look at."""
    if usage.is_stale:
        yield f"{usage.source} has fallen silent: rule stale_sources"
    if usage.gap_hours and usage.last_gap_from and usage.last_gap_until:
        yield (
            f"{usage.source} misses about {usage.missing_requests:,} requests, the latest of "
            f"{usage.last_gap_from:%Y-%m-%d %H:%M} to {usage.last_gap_until:%Y-%m-%d %H:%M %Z}: rule gaps_in_usage"
        )


def _loaded_by_itself(url: str, source: "ConfiguredSource") -> Iterator[str]:
    from orchestration.lib.usage.landing import look

    off = ", switched off" if source.is_off else ""
    if source.files is None:
        yield f"{source.name} asks the database that {source.url_variable} names{off}"
        return
    landing = look(url, source)
    counts = {
        "loaded": landing.loaded,
        "to load": len(landing.pending),
        "still written": len(landing.written),
        "refused": len(landing.refused),
    }
    said = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    yield f"{source.name} takes {source.files}{off}: {said or 'no file so far'}"
    for path, why in landing.refused.items():
        yield f"  {why if path in why else f'{path}: {why}'}"
