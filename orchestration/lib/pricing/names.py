"""The names by which requests find prices: those of reports, whatever a price list calls provider and model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestration.lib.database.connection import Connection
from orchestration.lib.pricing.price_file import Price

Pair = tuple[str, str]


def names_of(connection: Connection, said: Iterable[Pair]) -> dict[Pair, Pair]:
    """What reports call each provider and model."""
    pairs = sorted(set(said))
    rows = connection.execute(
        "select provider, model, canonical_provider, canonical_model from internal.resolve_names(%s, %s)",
        [[provider for provider, _ in pairs], [model for _, model in pairs]],
    )
    return {(row[0], row[1]): (row[2].lower(), row[3]) for row in rows}


def renamed(prices: Sequence[Price], names: Mapping[Pair, Pair], *, ships: bool = False) -> list[Price]:
    """The prices by those names; of a pattern it is the provider's alone.

    Of several entries that are one model, only the one that is called so counts of the list that `ships`, as in
    models/core/finance/model_prices.sql; elsewhere that they contradict each other is for a person to see.
    """
    known = {
        pair: (names[pair][0], pair[1] if "*" in pair[1] else names[pair][1])
        for pair in sorted({(price.key.provider, price.key.model) for price in prices})
    }
    # the last of the same name stays, so the one that is called so comes last
    entry = {
        known[pair]: pair
        for pair in sorted(
            known, key=lambda each: (each[0] != known[each][0], each[1] != known[each][1], each), reverse=True
        )
    }
    found = []
    for price in prices:
        pair = price.key.provider, price.key.model
        if not ships or entry[known[pair]] == pair:
            provider, model = known[pair]
            found.append(replace(price, key=replace(price.key, provider=provider, model=model)))
    return found
