"""What a page is made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from orchestration.lib.compliance.site.data import Data, Row, Span
from orchestration.lib.compliance.site.listing import Listing
from orchestration.lib.compliance.site.plots import Plot

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SECTIONS = (
    ("index", "Overview"),
    ("spend", "Spend"),
    ("teams", "Teams"),
    ("models", "Models"),
    ("budgets", "Budgets"),
    ("access", "Access"),
    ("policies", "Policies"),
    ("alerts", "Alerts"),
    ("verification", "Verification"),
)


@dataclass(frozen=True)
class Card:
    """One figure that people look at: what it is, what it says, how much it matters, and where there is more."""

    label: str
    value: str
    detail: str = ""
    state: str | None = None
    href: str | None = None
    used: Decimal | None = None
    kind: str = "card"


@dataclass(frozen=True)
class Cards:
    """A row of figures."""

    cards: Sequence[Card]
    kind: str = "cards"


@dataclass(frozen=True)
class Figure:
    """A chart, and what it shows as a table."""

    plot: Plot
    figures: Listing
    kind: str = "figure"


@dataclass(frozen=True)
class Part:
    """A table under a heading, or where there is nothing to show a sentence that says so."""

    listing: Listing
    kind: str = "listing"


@dataclass(frozen=True)
class Note:
    """A sentence."""

    text: str
    kind: str = "note"


@dataclass(frozen=True)
class Columns:
    """Blocks that stand beside each other where there is room."""

    blocks: Sequence["Block"]
    kind: str = "columns"


Block = Cards | Figure | Part | Note | Columns


@dataclass(frozen=True)
class Filter:
    """Links to the same page about something else: their texts and files."""

    label: str
    links: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """A file of the site, `name` without its ending."""

    name: str
    section: str
    title: str
    lead: str
    blocks: Sequence[Block]
    filters: Sequence[Filter] = ()
    crumbs: Sequence[tuple[str, str]] = field(default_factory=list)

    @property
    def listings(self) -> list[Listing]:
        """All of its tables, those of charts too."""
        found = []
        for block in self.blocks:
            for each in block.blocks if isinstance(block, Columns) else [block]:
                if isinstance(each, Figure):
                    found.append(each.figures)
                elif isinstance(each, Part) and each.listing.rows:
                    found.append(each.listing)
        return found


def team_page(team: Row, span: Span | None = None) -> str:
    """The name of a team's page. What is no slug of ours is named by its id."""
    name = team["slug"] if _SLUG.fullmatch(team["slug"] or "") else team["id"]
    return f"team-{name}{span.suffix if span else ''}"


def of_periods(data: Data, name: str) -> Filter:
    """The same page about each span of days."""
    return Filter("Period", [(span.name, f"{name}{span.suffix}") for span in data.spans])


def figure(
    name: str,
    plot: Plot,
    days: Sequence[str],
    series: Sequence[tuple[str, Mapping[str, Decimal]]],
    of_series: str = "money",
) -> Figure:
    """A chart over days and its table: a column for each series."""
    rows: list[list[str | None]] = [
        [day, *(f"{values.get(day, Decimal(0)):f}" for _, values in series)] for day in days
    ]
    return Figure(plot, Listing(name, plot.title, ["day", *(of for of, _ in series)], rows, of_series=of_series))
