"""Reads LiteLLM's map of prices, model_prices_and_context_window.json: what each model costs now, by no dates.

Prices are decimals from end to end: JSON numbers are taken as they are written.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NoReturn

from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.price_file import MOST, MOST_DECIMALS, Key, Price

# what an entry calls a price, and the unit that it is the price of one of
_UNITS = {
    "input_cost_per_token": "input_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "cache_read_input_audio_token_cost": "cache_read_audio_tokens",
    "output_cost_per_token": "output_tokens",
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "input_cost_per_audio_token": "audio_input_tokens",
    "output_cost_per_audio_token": "audio_output_tokens",
    "output_cost_per_image": "images",
    "input_cost_per_character": "characters",
    "input_cost_per_query": "requests",
    "input_cost_per_request": "requests",
    "ocr_cost_per_page": "pages",
}
_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority"}
_NAME = re.compile(rf"({'|'.join(_UNITS)})(?:_above_(\d+)k_tokens)?(?:_({'|'.join(_TIERS)}))?")
# of audio that is written down; of other modes a second is one of a machine, or of a film
_SECONDS, _HEARD = "input_cost_per_second", "audio_transcription"
_MILLION = Decimal(1_000_000)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
# whose names have no / of their own: what stands before one is a size, a deployment or a commitment
_PLAIN = ("openai", "azure", "bedrock", "anthropic", "gemini", "vertex_ai")
# an example of an entry
_SAMPLE = "sample_spec"
ORIGIN = "LiteLLM"


@dataclass(frozen=True)
class Entry:
    """A model as the map calls it, with its prices per million by unit, tier and how long a request is."""

    provider: str
    model: str
    region: str
    prices: Mapping[tuple[str, str, int], Decimal]


@dataclass
class PriceMap:
    """What a map says. `unusable` counts entries without a provider or a price above 0, or for a part of a model."""

    entries: list[Entry] = field(default_factory=list)
    unusable: int = 0
    # entries of which several with different prices have one name
    ambiguous: int = 0


def is_map(content: bytes) -> bool:
    """Whether it may be one: a price list of ours is CSV."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def read_map(name: str, content: bytes) -> PriceMap:
    """What the map says; `name` is what errors call it. Raises GovernanceError where it is none, or can't be right."""
    try:
        said = json.loads(content.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise GovernanceError(f"{name} is no JSON that can be read: {error}") from error
    if not isinstance(said, dict) or not all(isinstance(each, dict) for each in said.values()):
        raise GovernanceError(f"{name} is no price map of LiteLLM, which is an object with an object for each model")
    found = PriceMap()
    for model, entry in said.items():
        if model == _SAMPLE:
            continue
        if (read := _entry(f"{name}, {model}", model, entry)) is None:
            found.unusable += 1
        else:
            found.entries.append(read)
    if not found.entries:
        raise GovernanceError(f"{name} has no price of any model: nothing is changed")
    return found


def _entry(where: str, model: str, said: Mapping[str, object]) -> Entry | None:
    provider = said.get("litellm_provider")
    if not isinstance(provider, str) or not provider:
        return None
    # vertex_ai-anthropic_models and the like: LiteLLM's logs say vertex_ai
    provider = re.sub(r"-[a-z0-9]+[-_]models$", "", provider.lower())
    own = "bedrock" if provider.startswith("bedrock") else provider
    name, region = model.removeprefix(f"{own}/"), ""
    if own == "bedrock":
        first, _, rest = name.partition("/")
        if _REGION.fullmatch(first) and rest:
            name, region = rest, first
    if own in _PLAIN and "/" in name:
        return None
    if not name.strip() or len(name) > 200 or len(provider) > 200 or not (name + provider).isprintable():
        raise GovernanceError(f"{where}: the name is empty, longer than 200 characters or not printable")
    prices = dict(_prices(where, said))
    # 0 for all is what it says of models that it doesn't know, or that run on machines of one's own
    return Entry(provider, name, region, prices) if any(prices.values()) else None


def _prices(where: str, said: Mapping[str, object]) -> Iterator[tuple[tuple[str, str, int], Decimal]]:
    for column, value in said.items():
        if column == _SECONDS and said.get("mode") == _HEARD:
            yield ("seconds", "standard", 0), _amount(where, column, value)
        elif found := _NAME.fullmatch(column):
            base, above, tier = found.groups()
            key = (_UNITS[base], _TIERS.get(tier, "standard"), int(above or 0) * 1000)
            yield key, _amount(where, column, value)


def _amount(where: str, column: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise GovernanceError(f"{where}: {column} is {value!r}, not a number")
    amount = Decimal(value) * _MILLION
    if amount < 0:
        raise GovernanceError(f"{where}: {column} is negative ({value})")
    if amount >= MOST or -int(amount.normalize().as_tuple().exponent) > MOST_DECIMALS:
        raise GovernanceError(f"{where}: {column} is {value}, out of all bounds")
    # without the zeros of 3.000000
    return Decimal(f"{amount.normalize():f}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def named_prices(found: PriceMap, names: Mapping[tuple[str, str], tuple[str, str]], origin: str) -> list[Price]:
    """The prices of the map by the names that reports use: `names` has them for each provider and model it says.

    Of several entries that are one model, the one that has its name says the price, else one that all agree on; where
    they don't, nobody knows, and none is taken: `found` then counts them.
    """
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in found.entries:
        groups[(*names[entry.provider, entry.model], entry.region)].append(entry)
    prices = []
    for (provider, model, region), entries in groups.items():
        chosen = [each for each in entries if each.model == model] or entries
        if any(each.prices != chosen[0].prices for each in chosen):
            found.ambiguous += len(entries)
            continue
        for (unit, tier, above), amount in sorted(chosen[0].prices.items()):
            key = Key("list", provider, model, unit, tier, above, region, "USD")
            prices.append(Price(key, amount, None, None, "assumed", origin))
    return prices


def since_seen(prices: Sequence[Price], present: Sequence[Price], seen: datetime) -> tuple[list[Price], list[Price]]:
    """The prices with the time for which they hold, and those that are left alone.

    A model that had no price has it from its first day on, for nobody knows better; else a price holds since it was
    seen, until one that is announced. What somebody knows or has decided is no guess of a list, and stays.
    """
    timelines: dict[Key, list[Price]] = defaultdict(list)
    for price in present:
        timelines[price.key].append(price)
    models = {(price.key.provider, price.key.model) for price in present}
    dated, left = [], []
    for price in prices:
        timeline = timelines[price.key]
        begun = [each for each in timeline if each.starts is None or each.starts <= seen]
        holding = next((each for each in begun if each.ends is None or each.ends > seen), None)
        if holding is None and begun:
            left.append(price)
        elif holding is not None and holding.date_basis != "assumed":
            left += [price] if holding.amount != price.amount else []
        elif (price.key.provider, price.key.model) in models:
            later = [each.starts for each in timeline if each.starts is not None and each.starts > seen]
            dated.append(replace(price, starts=seen, ends=min(later, default=None)))
        else:
            dated.append(price)
    return dated, left
