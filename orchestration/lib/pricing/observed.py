"""Price lists from a file or an address: read, compared with what is there, and taken over with nobody looking on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from orchestration.lib.addresses import is_address, shown
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.pricing.fetch import content_of
from orchestration.lib.pricing.litellm_map import ORIGIN, PriceMap, is_map, named_prices, read_map, since_seen
from orchestration.lib.pricing.names import names_of, renamed
from orchestration.lib.pricing.price_changes import Changes, apply_changes, changes_of, present_prices
from orchestration.lib.pricing.price_file import Key, Price, parse_prices
from orchestration.lib.settings import project_dir
from orchestration.lib.words import counted

# providers have made prices a fifth of what they were at once, but no tenth
_JUMP = 10


@dataclass(frozen=True)
class ReadList:
    """What a price list says: its `prices`; those of it that are `left` alone; what else is worth knowing, in words."""

    prices: list[Price]
    left: list[Price] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TakenOver:
    """What was changed, and what was read."""

    changes: Changes
    read: ReadList


def read_list(url: str, place: str | None, seen: date) -> ReadList:
    """The price list at a path or an address: ours, or LiteLLM's map, whose prices hold since they were `seen`.

    None is the list that ships. Providers and models are called what reports call them. Raises GovernanceError where it
    can't be had, or read.
    """
    content = content_of(place or str(project_dir() / "seeds" / "model_price_list.csv"))
    name = shown(place) if place is not None and is_address(place) else Path(place or "the list that ships").name
    if place is not None and is_map(content):
        return _of_map(url, read_map(name, content), f"{ORIGIN} {shown(place)}"[:500], seen)
    prices = parse_prices(name, content)
    with explained(), connect(url) as connection:
        names = names_of(connection, [(price.key.provider, price.key.model) for price in prices])
    return ReadList(renamed(prices, names, ships=place is None))


def _of_map(url: str, found: PriceMap, origin: str, seen: date) -> ReadList:
    with explained(), connect(url) as connection:
        names = names_of(connection, [(entry.provider, entry.model) for entry in found.entries])
        present = present_prices(connection, ["list"])
    prices = named_prices(found, names, origin)
    dated, left = since_seen(prices, present, datetime(seen.year, seen.month, seen.day, tzinfo=UTC))
    notes = [
        f"{counted(number, 'entry', 'entries')} {why}"
        for number, why in (
            (found.unusable, "without a provider or a price above 0, or for a part of a model"),
            (found.ambiguous, "of which several are one model at different prices"),
        )
        if number
    ]
    if left:
        notes.append(f"{counted(len(left), 'price')} left alone, for somebody knows or has decided another, or an end")
    return ReadList(dated, left, notes)


def take_over(url: str, place: str, seen: date) -> TakenOver:
    """Reads the list, and writes what it changes, all or nothing. Raises GovernanceError where somebody should look.

    Nobody is asked here, so what is mostly a mistake is refused: a list without prices or with far fewer than before,
    and a price that is ten times another, or a tenth.
    """
    read = read_list(url, place, seen)
    changes = changes_of(url, read.prices, seen)
    if why := _mistake(read.prices, changes):
        raise GovernanceError(
            f"{shown(place)}: {why}, so nothing is taken over; look at it with `governance prices import`, which shows "
            "what changes and asks"
        )
    if changes:
        apply_changes(url, read.prices, seen, changes)
    return TakenOver(changes, read)


def _mistake(prices: Sequence[Price], changes: Changes) -> str | None:
    """Why the list is likely to be wrong, if it is."""
    if not prices:
        return "it has no price"
    if len(changes.gone) > len(prices):
        return f"it has {len(prices):,} prices, and {len(changes.gone):,} that it had are gone"
    new: dict[Key, list[Decimal]] = {}
    for price in changes.add:
        new.setdefault(price.key, []).append(price.amount)
    jumps = [
        (old, amount)
        for old in (*(price for price, _ in changes.end), *changes.supersede)
        for amount in new.get(old.key, ())
        if max(old.amount, amount) >= _JUMP * min(old.amount, amount) and old.amount != amount
    ]
    if not jumps:
        return None
    old, amount = jumps[0]
    more = f" (and {counted(len(jumps) - 1, 'other price')} as much)" if len(jumps) > 1 else ""
    return f"{old.key} would be {amount.normalize():f} after {old.amount.normalize():f}{more}"
