"""What usage, moves, prices and closings come to in a reporting zone: decimals and dates over the requests."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]


def total(costs: Iterable[Decimal | None]) -> Decimal | None:
    """Of costs that are known; None where there are requests and none of them has a cost."""
    said = list(costs)
    known = [cost for cost in said if cost is not None]
    return sum(known, Decimal(0)) if known or not said else None


@dataclass
class MoneyOracle:
    """Requests by id, with the team of then, what was said and what it costs, and whether raw rows have them."""

    zone: ZoneInfo
    requests: dict[str, Row] = field(default_factory=dict)
    # model → times from which prices of a million tokens hold
    prices: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    # user → times from which they are in a team
    teams: dict[str, list[tuple[datetime, str]]] = field(default_factory=lambda: defaultdict(list))
    parents: dict[str, str | None] = field(default_factory=dict)
    closed: dict[date, dict[tuple[Any, ...], Decimal]] = field(default_factory=dict)
    # month in which they count, team, currency
    booked: dict[tuple[Any, ...], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    # what each closed month was adjusted by, by team, model and currency
    settled: dict[tuple[Any, ...], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def day(self, time: datetime) -> date:
        return time.astimezone(self.zone).date()

    def month(self, time: datetime) -> date:
        return self.day(time).replace(day=1)

    def hour(self, time: datetime) -> datetime:
        """Start of the hour by the zone's clock: where clocks change by half an hour one has 30 minutes, or 90."""
        local = time.astimezone(self.zone)
        start = local.replace(minute=0, second=0, microsecond=0)
        begins = start.astimezone(UTC)
        return begins if begins <= time else start.replace(fold=0).astimezone(UTC)

    def team_of(self, user: str, time: datetime) -> str | None:
        """The team whose member a person was."""
        held = [team for since, team in self.teams[user] if since <= time]
        return held[-1] if held else None

    def below(self, team: str) -> set[str]:
        """A team and those below it, as they hang together today."""
        found = {team}
        while more := {each for each, parent in self.parents.items() if parent in found} - found:
            found |= more
        return found

    def cost(self, request: Row) -> None:
        """By what was said, else by the price of its time."""
        held = [price for since, price in self.prices[request["model"]] if since <= request["time"]]
        if request["said"] is not None:
            request["cost"], request["currency"] = request["said"], request["said_currency"]
        else:
            request["cost"] = request["tokens"] * held[-1] / 1_000_000 if held else None
            request["currency"] = "USD"

    def reprice(self) -> None:
        for request in self.requests.values():
            if request["raw"]:
                self.cost(request)

    def grouped(
        self, key: Callable[[Row], tuple[Any, ...]], where: Callable[[Row], bool] = lambda request: True
    ) -> dict[tuple[Any, ...], list[Row]]:
        groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for request in self.requests.values():
            if where(request):
                groups[key(request)].append(request)
        return groups

    def spend(
        self, key: Callable[[Row], tuple[Any, ...]], where: Callable[[Row], bool] = lambda request: True
    ) -> set[tuple[Any, ...]]:
        """Rows of key, requests, cost and requests without a price."""
        return {
            (*group, len(rows), total(row["cost"] for row in rows), sum(row["cost"] is None for row in rows))
            for group, rows in self.grouped(key, where).items()
        }

    def by_month(self) -> dict[tuple[Any, ...], Decimal]:
        """Money of usage by month, team, model and currency."""
        return {
            key: total(row["cost"] for row in rows) or Decimal(0)
            for key, rows in self.grouped(
                lambda row: (self.month(row["time"]), row["team"], row["model"], row["currency"])
            ).items()
        }

    def open_month(self) -> date:
        """The one after the last that is closed; where none is, any month is open."""
        return (max(self.closed) + timedelta(days=31)).replace(day=1)

    def is_closed(self, month: date) -> bool:
        """A month without usage is closed with those after it."""
        return bool(self.closed) and month < self.open_month()

    def settle(self) -> None:
        if not self.closed:
            return
        now = self.by_month()
        closed = {(month, *key): amount for month, totals in self.closed.items() for key, amount in totals.items()}
        for key in {key for key in (*now, *closed, *self.settled) if self.is_closed(key[0])}:
            difference = now.get(key, Decimal(0)) - closed.get(key, Decimal(0)) - self.settled[key]
            self.settled[key] += difference
            self.booked[self.open_month(), key[1], key[3]] += difference

    def close(self, month: date) -> None:
        self.settle()
        self.closed[month] = {key[1:]: amount for key, amount in self.by_month().items() if key[0] == month}

    def charged(self) -> dict[tuple[Any, ...], Decimal]:
        """What is charged, by month, team and currency; without what comes to nothing."""
        sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for (month, team, _, currency), cost in self.by_month().items():
            if not self.is_closed(month):
                sums[month, team, currency] += cost
        for month, totals in self.closed.items():
            for (team, _, currency), cost in totals.items():
                sums[month, team, currency] += cost
        for key, amount in self.booked.items():
            sums[key] += amount
        return {key: amount for key, amount in sums.items() if amount}
