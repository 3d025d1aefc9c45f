"""What the pages show, read in one moment."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from orchestration.lib import money
from orchestration.lib.compliance import period as periods
from orchestration.lib.database.connection import connect
from orchestration.lib.database.rights import needs_role

Row = Mapping[str, Any]
RECENT = "last 30 days"
_MONTHS = 4


@dataclass(frozen=True)
class Span:
    """Days of a page: the last 30 and each month have one. `suffix` is what the names of its files end with."""

    name: str
    suffix: str
    first: date
    after: date

    @cached_property
    def days(self) -> list[str]:
        """As they are written."""
        return [f"{self.first + timedelta(days=number)}" for number in range((self.after - self.first).days)]

    def has(self, day: date) -> bool:
        """Whether the day is one of them."""
        return self.first <= day < self.after


@dataclass
class Spent:
    """Sums of requests in one currency; `cost` is None where each of them is without a price."""

    requests: int = 0
    unpriced: int = 0
    cost: Decimal | None = None

    def add(self, row: Row) -> None:
        """Adds what a row of a view says."""
        self.requests += row["requests"]
        self.unpriced += row["unpriced_requests"]
        self.cost = plus(self.cost, row["cost"])

    def join(self, other: "Spent") -> None:
        """Adds other sums in the same currency."""
        self.requests += other.requests
        self.unpriced += other.unpriced
        self.cost = plus(self.cost, other.cost)


@dataclass(frozen=True)
class Data:
    """The rows of each query, and what is drawn from several of them."""

    as_of: datetime
    zone: str
    today: date
    rows: Mapping[str, list[Row]]
    spans: list[Span] = field(default_factory=list)

    @cached_property
    def teams(self) -> dict[str, Row]:
        """Live teams by id, in the order of their paths."""
        return {row["id"]: row for row in self.rows["teams"]}

    @cached_property
    def currencies(self) -> list[str]:
        """Those of any usage or budget, the one with most requests first."""
        found = {row["currency"]: 0 for name in ("spend", "budgets") for row in self.rows[name]}
        for row in self.rows["spend"]:
            found[row["currency"]] += row["requests"]
        return sorted(found, key=lambda currency: (-found[currency], currency))

    @cached_property
    def by_team(self) -> dict[tuple[str | None, str], list[Row]]:
        """Rows of spend by team and currency."""
        found: dict[tuple[str | None, str], list[Row]] = {}
        for row in self.rows["spend"]:
            found.setdefault((row["team_id"], row["currency"]), []).append(row)
        return found

    @cached_property
    def below(self) -> dict[str, list[str]]:
        """The live teams below each one, itself first."""
        found: dict[str, list[str]] = {team: [team] for team in self.teams}
        for team, row in self.teams.items():
            for above in row["path_ids"]:
                if above != team and above in found:
                    found[above].append(team)
        return found

    @cached_property
    def sums(self) -> dict[str, dict[str | None, dict[str, Spent]]]:
        """Of each span (its suffix), team and currency."""
        found: dict[str, dict[str | None, dict[str, Spent]]] = {span.suffix: {} for span in self.spans}
        for (team, currency), rows in self.by_team.items():
            for span in self.spans:
                for row in rows:
                    if span.has(row["day"]):
                        of_team = found[span.suffix].setdefault(team, {})
                        of_team.setdefault(currency, Spent()).add(row)
        return found

    def spent(self, span: Span, teams: Iterable[str | None] | None = None) -> dict[str, Spent]:
        """By currency, of these teams or of all, where there is any."""
        of_span = self.sums[span.suffix]
        found: dict[str, Spent] = {}
        for team in of_span if teams is None else teams:
            for currency, spent in of_span.get(team, {}).items():
                found.setdefault(currency, Spent()).join(spent)
        return {currency: found[currency] for currency in self.currencies if currency in found}

    def daily(self, span: Span, currency: str, teams: Iterable[str | None]) -> dict[str, Decimal]:
        """Cost by day of these teams together."""
        found: dict[str, Decimal] = {}
        for team in teams:
            for row in self.by_team.get((team, currency), []):
                if row["cost"] and span.has(row["day"]):
                    found[f"{row['day']}"] = money.plus(found.get(f"{row['day']}", Decimal(0)), row["cost"])
        return found

    def team_models(self, span: Span) -> list[Row]:
        """Usage of each team and model in these days."""
        return [
            row
            for row in self.rows["team_models"]
            if (row["is_recent"] if span is self.recent else row["month"] == span.first)
        ]

    def team_name(self, row: Row) -> str:
        """Of a row of spend."""
        if row["team_id"] is None:
            return "no team"
        if row["team_name"] is None:
            return f"unknown team {row['team_id']}"
        if row["team_id"] in self.teams:
            return self.shown_name(row["team_id"])
        return f"{row['team_name']} ({row['team_id']})" if row["team_name"] in self._names else str(row["team_name"])

    def path(self, team: Row) -> str:
        """The names from the top to a team, without that of the one that all are below."""
        parts = str(team["path"]).split(" > ")
        has_one_root = sum(row["parent"] is None for row in self.teams.values()) == 1
        return " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(
            parts[1:] if has_one_root and parts[1:] else parts
        )

    def shown_name(self, team: str) -> str:
        """The name of a live team, or its path where others have that name too."""
        row = self.teams[team]
        if self._names[row["name"]] == 1:
            return str(row["name"])
        path = self.path(row)
        has_twin = [each["path"] for each in self.teams.values()].count(row["path"]) > 1
        return f"{path} ({row['slug']})" if has_twin else path

    @cached_property
    def _names(self) -> Counter[str]:
        return Counter(row["name"] for row in self.teams.values())

    @property
    def recent(self) -> Span:
        """The last 30 days."""
        return self.spans[0]


def read(url: str) -> Data:
    """Everything that the pages show, as of one moment."""
    with (
        needs_role("the site", "governance_auditor"),
        connect(url, autocommit=False, application="governance site") as connection,
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        as_of, zone, today = periods.now(connection)
        spans = list(_spans(today, zone))
        values = {
            "first": min(span.first for span in spans),
            "after": today + timedelta(days=1),
            "since": spans[0].first,
            "quarter": today - timedelta(days=90),
        }
        queries = tomllib.loads(Path(__file__).with_name("tables.toml").read_text(encoding="utf-8"))["queries"]
        with connection.cursor(row_factory=dict_row) as cursor:
            rows: dict[str, list[Row]] = {
                name: list(cursor.execute(query.encode(), values)) for name, query in queries.items()
            }
    used = {row["day"] for row in rows["spend"]}
    with_usage = [span for span in spans if span.suffix == "" or any(span.has(day) for day in used)]
    return Data(as_of, zone, today, rows, with_usage)


def plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Their sum, where an unknown cost beside a known one counts as nothing."""
    return other if one is None else one if other is None else money.plus(one, other)


def _spans(today: date, zone: str) -> Iterator[Span]:
    after = today + timedelta(days=1)
    yield Span(RECENT, "", after - timedelta(days=30), after)
    month = periods.of_day("month", today, zone)
    for _ in range(_MONTHS):
        yield Span(f"{month.first:%B %Y}", f"-{month.name}", month.first, min(month.after, after))
        month = month.previous()
