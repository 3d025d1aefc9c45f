"""What a price list changes: worked out first, shown, then written in one transaction."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.pricing.price_file import Key, Price

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_ABSURD = 1000
_AT_ONCE = 100


@dataclass
class Changes:
    """What an import does: prices to `add`, prices that end (with when) and prices that were wrong, to `supersede`.

    `gone` are prices of the same origin that the list has no more and that stay; `unchanged` counts the others.
    """

    add: list[Price] = field(default_factory=list)
    end: list[tuple[Price, datetime]] = field(default_factory=list)
    supersede: list[Price] = field(default_factory=list)
    gone: list[Price] = field(default_factory=list)
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.add or self.end or self.supersede)

    @property
    def earliest(self) -> datetime | None:
        """From when on requests would cost something else than before; None where that is always."""
        starts = [when for _, when in self.end] + [_start(price) for price in (*self.supersede, *self.add)]
        first = min(starts, default=_NEVER)
        return None if first == _ALWAYS else first


def changes_of(url: str, prices: Sequence[Price], observed_on: date) -> Changes:
    """What an import of the prices would change in the database at `url`."""
    with explained(), connect(url) as connection:
        return _planned(connection, prices, observed_on)


def apply_changes(url: str, prices: Sequence[Price], observed_on: date, shown: Changes) -> None:
    """Writes what was shown, all or nothing. Raises GovernanceError if it would be something else by now."""
    with explained(), connect(url) as connection, connection.transaction():
        connection.execute("lock table core.model_prices in share row exclusive mode")
        changes = _planned(connection, prices, observed_on)
        if changes != shown:
            raise GovernanceError("the prices were changed meanwhile, so nothing is written: run the command again")
        for price, when in changes.end:
            connection.execute("update core.model_prices set valid_to = %s where id = %s", [when, price.id])
        for price in changes.supersede:
            connection.execute("update core.model_prices set superseded_at = now() where id = %s", [price.id])
        for first in range(0, len(changes.add), _AT_ONCE):
            connection.execute(
                """
                insert into core.model_prices (
                    price_list, provider, model, unit, service_tier, context_above, region, currency, unit_price,
                    valid_from, valid_to, date_basis, origin, observed_on
                )
                select
                    price_list, provider, model, unit, service_tier, context_above, region, currency, unit_price,
                    coalesce(valid_from, '-infinity'), valid_to, date_basis, origin, %s
                from jsonb_to_recordset(%s::jsonb) as p (
                    price_list text, provider text, model text, unit text, service_tier text, context_above bigint,
                    region text, currency text, unit_price numeric, valid_from timestamptz, valid_to timestamptz,
                    date_basis text, origin text
                )
                """,
                [observed_on, json.dumps([_as_row(price) for price in changes.add[first : first + _AT_ONCE]])],
            )


def currencies_without_rate(url: str, prices: Sequence[Price]) -> list[str]:
    """The currencies of prices, other than the default one, from which no rate is known."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select distinct said from unnest(%s::text[]) as said
            where said <> (select value from internal.settings where name = 'default_currency')
                and not exists (select from core.exchange_rates where from_currency = said)
            order by said
            """,
            [[price.key.currency for price in prices]],
        )
        return [currency for (currency,) in rows]


def outranked(url: str, prices: Sequence[Price]) -> list[tuple[str, str, str, str]]:
    """Of a list's prices those that don't count, for their model has prices in the default currency too.

    Provider, model and currency of each, and the currency that counts.
    """
    listed = {
        (key.provider, key.model, key.currency) for key in (price.key for price in prices) if key.price_list == "list"
    }
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select said.provider, said.model, said.currency, d.value
            from unnest(%s::text[], %s::text[], %s::text[]) as said (provider, model, currency)
            cross join internal.settings as d
            where d.name = 'default_currency' and said.currency <> d.value
                and exists (
                    select from core.model_prices as p
                    where p.provider = said.provider and p.model = said.model and p.currency = d.value
                        and p.price_list = 'list' and p.superseded_at is null
                        and coalesce(p.valid_to, 'infinity') > now()
                )
            order by 1, 2, 3
            """,
            [*map(list, zip(*sorted(listed), strict=True))] if listed else [[], [], []],
        )
        return [(provider, model, currency, counts) for provider, model, currency, counts in rows]


def _as_row(price: Price) -> dict[str, object]:
    return vars(price.key) | {
        "region": price.key.region or None,
        "unit_price": str(price.amount),
        "valid_from": price.starts and price.starts.isoformat(),
        "valid_to": price.ends and price.ends.isoformat(),
        "date_basis": price.date_basis,
        "origin": price.origin,
    }


def _planned(connection: Connection, prices: Sequence[Price], observed_on: date) -> Changes:
    return plan(present_prices(connection, {price.key.price_list for price in prices} | {"list"}), prices, observed_on)


def present_prices(connection: Connection, price_lists: Iterable[str]) -> list[Price]:
    """The prices of some price lists that aren't superseded."""
    rows = connection.execute(
        """
        select
            price_list, provider, model, unit, service_tier, context_above, coalesce(region, ''), currency, unit_price,
            nullif(valid_from, '-infinity'), valid_to, date_basis, origin, id::text
        from core.model_prices
        where superseded_at is null and price_list = any (%s)
        order by id
        """,
        [sorted(price_lists)],
    )
    return [
        Price(Key(*row[:8]), row[8], _utc(row[9]), _utc(row[10]), date_basis=row[11], origin=row[12], id=row[13])
        for row in rows
    ]


def _utc(time: datetime | None) -> datetime | None:
    return time and time.astimezone(UTC)


def plan(present: Iterable[Price], prices: Sequence[Price], observed_on: date) -> Changes:
    """What the prices of a list change of those that are `present`. Raises GovernanceError where they can't be right.

    A price without a start that contradicts one holds from the day of the observation on: nobody said since when.
    """
    now: dict[Key, list[Price]] = defaultdict(list)
    for price in present:
        now[price.key].append(price)
    coming: dict[Key, list[Price]] = defaultdict(list)
    for price in prices:
        coming[price.key].append(price)
    changes = Changes()
    largest = _largest(now)
    for key, said in coming.items():
        said.sort(key=_start)
        _check_order(said)
        _check_sizes(said, now, largest)
        _plan_key(sorted(now[key], key=_start), said, datetime.combine(observed_on, time.min, UTC), changes)
    lists = {(price.key.price_list, price.origin.split(" ")[0]) for price in prices if " " in price.origin}
    changes.gone = [
        price
        for key, found in now.items()
        for price in found
        if key not in coming and not price.ends and (key.price_list, price.origin.split(" ")[0]) in lists
    ]
    return changes


def _plan_key(present: list[Price], said: list[Price], observed: datetime, changes: Changes) -> None:
    said = [_since_observed(price, present, observed) for price in said]
    new = [price for price in said if not any(_says(other, price) for other in present)]
    changes.unchanged += len(said) - len(new)
    for old in present:
        parts = [old]
        for price in new:
            parts = [part for each in parts for part in _without(each, price)]
        if parts == [old]:
            continue
        if len(parts) == 1 and parts[0].starts == old.starts:
            ends = parts[0].ends
            assert ends is not None
            changes.end.append((old, ends))
        else:
            changes.supersede.append(old)
            changes.add += [replace(part, id="") for part in parts]
    changes.add += new
    _check_gap(sorted([*present, *new], key=_start), new)


def _since_observed(price: Price, present: list[Price], observed: datetime) -> Price:
    contradicts = [old for old in present if old.starts is None and old.amount != price.amount]
    begins_before = price.ends is None or price.ends > observed
    if price.starts is None and contradicts and begins_before and (contradicts[0].ends or _NEVER) > observed:
        return replace(price, starts=observed, date_basis="assumed")
    return price


def _says(old: Price, price: Price) -> bool:
    """Whether a price is there already."""
    return old.amount == price.amount and _start(old) <= _start(price) and _end(price) <= _end(old)


def _without(old: Price, price: Price) -> list[Price]:
    """What is left of a price's time beside another one's."""
    parts = []
    if _start(old) < _start(price):
        parts.append(replace(old, ends=min(_end(old), _start(price))) if _end(old) > _start(price) else old)
    if _end(price) < _end(old):
        parts.append(replace(old, starts=price.ends) if _start(old) < _end(price) else old)
    return parts


def _check_order(said: list[Price]) -> None:
    for first, second in pairwise(said):
        if _start(second) < _end(first):
            raise GovernanceError(
                f"line {first.line} and line {second.line}: both have a price for {first.key} on {_day(second.starts)}:"
                " end one where the other begins"
            )
        if first.ends and _start(second) > first.ends:
            raise GovernanceError(
                f"line {first.line} and line {second.line}: from {_day(first.ends)} to {_day(second.starts)} there is"
                f" no price for {first.key}: let the first one end, or the second one begin, where the other does"
            )


def _check_gap(timeline: list[Price], new: list[Price]) -> None:
    """Between what is there and what comes after or before it there must be no hole."""
    for price in new:
        before = [_end(other) for other in timeline if _start(other) < _start(price)]
        if before and max(before) < _start(price):
            raise GovernanceError(
                f"line {price.line}: from {_day(max(before))} to {_day(price.starts)} there would be no price for"
                f" {price.key}: let it begin on {_day(max(before))}"
            )
        after = [_start(other) for other in timeline if _start(other) >= _end(price)]
        if after and min(after) > _end(price):
            raise GovernanceError(
                f"line {price.line}: from {_day(price.ends)} to {_day(min(after))} there would be no price for"
                f" {price.key}: let it end on {_day(min(after))}"
            )


def _largest(present: dict[Key, list[Price]]) -> dict[tuple[str, str], Decimal]:
    largest: dict[tuple[str, str], Decimal] = {}
    for key, found in present.items():
        if key.price_list == "list":
            place = key.unit, key.currency
            largest[place] = max(largest.get(place, Decimal(0)), *(price.amount for price in found))
    return largest


def _check_sizes(said: list[Price], present: dict[Key, list[Price]], largest: dict[tuple[str, str], Decimal]) -> None:
    """A price a thousand times the list's is one of a unit, not of a million."""
    key = said[0].key
    listed = present.get(replace(key, price_list="list", service_tier="standard", context_above=0, region=""))
    known = max((price.amount for price in listed or ()), default=None) or largest.get((key.unit, key.currency))
    for price in said:
        if known and price.amount >= known * _ABSURD:
            raise GovernanceError(
                f"{f'line {price.line}: ' if price.line else ''}{price.amount:f} for {key} is"
                f" {price.amount / known:,.0f} times the list's {known:f}: prices are per million"
            )


def _start(price: Price) -> datetime:
    return price.starts or _ALWAYS


def _end(price: Price) -> datetime:
    return price.ends or _NEVER


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time and time not in (_ALWAYS, _NEVER) else "its first day"
