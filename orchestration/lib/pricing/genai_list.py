"""Makes the price list that ships, seeds/model_price_list.csv, from the package genai-prices: `make prices`.

The same version of the package gives the same file, byte for byte. Prices are decimals from end to end.
"""

import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, TextIO

from orchestration.lib.pricing.units import PRICE_COLUMNS, UNITS

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

# the list's key of a price, what it is for, and how many of these it is the price of
_KEYS = {
    "input_mtok": ("input_tokens", 1_000_000),
    "cache_read_mtok": ("cache_read_tokens", 1_000_000),
    "cache_write_mtok": ("cache_write_tokens", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", 1_000_000),
    "cache_audio_read_mtok": ("cache_read_audio_tokens", 1_000_000),
    "output_mtok": ("output_tokens", 1_000_000),
    "output_reasoning_mtok": ("reasoning_tokens", 1_000_000),
    "input_audio_mtok": ("audio_input_tokens", 1_000_000),
    "output_audio_mtok": ("audio_output_tokens", 1_000_000),
    "requests_kcount": ("requests", 1_000),
    "web_searches_kcount": ("searches", 1_000),
    "input_document_kpages": ("pages", 1_000),
    "input_mchars": ("characters", 1_000_000),
    "audio_hours": ("hours", 1),
    "input_audio_hours": ("hours", 1),
}
# what a request has to say to get the prices of a tier
_TIERS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
_MILLION = Decimal(1_000_000)
_BEFORE_ALL = date(1970, 1, 1)

# unit → smallest number of input tokens that is too few → price per million units
_Prices = dict[tuple[str, int], Decimal]


@dataclass(frozen=True)
class _Span:
    """Prices of a tier from the day on; None is the model's first day, and where they end: never."""

    start: date | None
    end: date | None
    prices: _Prices


def write_list(file: TextIO) -> None:
    """Writes the list of the installed version of genai-prices as CSV."""
    from genai_prices.data import providers

    origin = f"genai-prices {version('genai-prices')}"
    writer = csv.DictWriter(file, PRICE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(_rows(providers), key=_place):
        writer.writerow(row | {"origin": origin})


def _place(row: Mapping[str, str]) -> tuple[str, str, str, str, int]:
    start = "" if row["valid_from"] == "always" else row["valid_from"]
    return row["provider"], row["model"], row["service_tier"], start, int(row["context_above"])


def _rows(providers: "list[Provider]") -> Iterator[dict[str, str]]:
    models = {provider.id: provider.models for provider in providers}
    for provider in providers:
        own = {model.id for model in provider.models}
        for model in provider.models:
            for tier, context in (("standard", None), *_TIERS.items()):
                for span in _spans(model, context):
                    yield from _lines(provider.id, model.id, tier, span)
        # who sells models of others, Azure for instance, has their standard prices where it has none of its own
        for other in provider.fallback_model_providers or ():
            for model in models[other]:
                if model.id not in own:
                    own.add(model.id)
                    for span in _spans(model, None):
                        yield from _lines(provider.id, model.id, "standard", span)


def _spans(model: "ModelInfo", context: Mapping[str, str] | None) -> list[_Span]:
    """The prices of a tier one after the other; of another tier than the standard one only what it changes."""
    from genai_prices.types import ModelPrice, StartDateConstraint

    conditional = [] if isinstance(model.prices, ModelPrice) else model.prices
    constraints = [each.constraint for each in (*conditional, *(model.price_variants or ()))]
    days = sorted({each.start_date for each in constraints if isinstance(each, StartDateConstraint)})
    spans: list[_Span] = []
    for start, end in zip([None, *days], [*days, None], strict=True):
        at = datetime.combine(start or _BEFORE_ALL, time(12), UTC)
        prices = _standard(model, at) if context is None else _overrides(model, at, context)
        if spans and spans[-1].prices == prices:
            spans[-1] = _Span(spans[-1].start, end, prices)
        else:
            spans.append(_Span(start, end, prices))
    return [span for span in spans if span.prices]


def _standard(model: "ModelInfo", at: datetime) -> _Prices:
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        return _prices(model.prices.__dict__)
    # a discount by the hour of the day isn't taken over: our prices hold around the clock
    around = [each for each in model.prices if not isinstance(each.constraint, TimeOfDateConstraint)]
    active = [each for each in around if each.constraint is None or each.constraint.active(at)]
    return _prices((active or around)[-1 if active else 0].prices.__dict__)


def _overrides(model: "ModelInfo", at: datetime, context: Mapping[str, str]) -> _Prices:
    found: dict[str, Decimal | TieredPrices | None] = {}
    for variant in model.price_variants or ():
        if variant.when == context and (variant.constraint is None or variant.constraint.active(at)):
            for key, price in variant.prices.__dict__.items():
                found.setdefault(key, price)
    return _prices(found)


def _prices(by_key: "Mapping[str, Decimal | TieredPrices | None]") -> _Prices:
    from genai_prices.types import TieredPrices

    prices: _Prices = {}
    for key, price in by_key.items():
        if price is None or key not in _KEYS:
            continue
        unit, per = _KEYS[key]
        steps = (
            [(0, price.base), *((t.start, t.price) for t in price.tiers)]
            if isinstance(price, TieredPrices)
            else [(0, price)]
        )
        for above, amount in steps:
            assert isinstance(amount, Decimal)
            prices.setdefault((unit, above), amount * (_MILLION / per))
    return prices


def _lines(provider: str, model: str, tier: str, span: _Span) -> Iterator[dict[str, str]]:
    for above in sorted({above for _, above in span.prices}):
        row = dict.fromkeys(PRICE_COLUMNS, "") | {
            "price_list": "list",
            "provider": provider,
            "model": model,
            "service_tier": tier,
            "context_above": str(above),
            "currency": "USD",
            "valid_from": span.start.isoformat() if span.start else "always",
            "valid_to": span.end.isoformat() if span.end else "",
            "date_basis": "assumed",
        }
        for unit in UNITS:
            if (amount := span.prices.get((unit, above))) is not None:
                row[unit] = f"{amount.normalize():f}"
        yield row


if __name__ == "__main__":
    write_list(sys.stdout)
