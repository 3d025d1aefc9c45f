"""What the demo states, read from the files in facts/; the rest of the package generates from it."""

import csv
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from orchestration.lib.usage.record import TOKEN_CLASSES

T = TypeVar("T")
# names with how much more often one is chosen than another
Weights = tuple[tuple[str, float], ...]
_FOLDER = Path(__file__).parent / "facts"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as billed. `prices` per million tokens follow TOKEN_CLASSES, None = it has none; latency in ms."""

    alias: str
    provider: str
    name: str
    currency: str
    operation: str
    caches: bool
    bills_cache_writes: bool
    reasons: bool
    first_token_ms: int
    tokens_per_second: int
    prices: tuple[Decimal, ...] | None


@dataclass(frozen=True, slots=True)
class Application:
    """Something that calls models; tokens are medians, `turns` the mean number of requests of a conversation."""

    name: str
    input_median: int
    output_median: int
    turns: float
    has_customers: bool
    projects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeamFact:
    """A team; `share` of the people, `budget_period` None = no budget, `parent` None = directly below the root."""

    slug: str
    name: str
    parent: str | None
    site: str
    kind: str
    share: int
    currency: str
    budget_period: str | None


@dataclass(frozen=True, slots=True)
class Service:
    """Something of a team that calls models by itself; `share` of the requests of all services, told by `source`."""

    name: str
    application: str
    team: str
    share: int
    hours: str
    source: str
    models: Weights


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a host measures each hour: its value when idle, and what a full load adds."""

    service: str
    host: str
    metric_name: str
    unit: str
    idle: float
    busy: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work: the role of its people everywhere, and what they call, the most used first, with what."""

    role: str
    has_keys: bool
    mfa_share: float
    models: tuple[str, ...]
    applications: Weights


@dataclass(frozen=True, slots=True)
class Site:
    """Where people sit: hours ahead of UTC, the cloud region they call from, their network (three numbers)."""

    utc_offset: int
    region: str
    network: str


def _toml(name: str) -> dict[str, Any]:
    with (_FOLDER / name).open("rb") as file:
        return tomllib.load(file)


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(name: str, kind: type[T], **parse: Callable[[str], object]) -> tuple[T, ...]:
    """The rows of a CSV file; its columns are the fields of `kind`, text unless `parse` names another reading."""
    return tuple(kind(**{key: parse.get(key, str)(text) for key, text in row.items()}) for row in _rows(name))


def _optional(text: str) -> str | None:
    return text or None


def _yes(text: str) -> bool:
    return {"yes": True, "no": False}[text]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _weights(text: str) -> Weights:
    return tuple((name, float(weight)) for name, weight in (option.split(":") for option in text.split()))


_MODEL_VALUES: dict[str, Callable[[str], object]] = {
    "caches": _yes,
    "bills_cache_writes": _yes,
    "reasons": _yes,
    "first_token_ms": int,
    "tokens_per_second": int,
}


def _model(row: dict[str, str]) -> Model:
    prices = [row.pop(name.removesuffix("_tokens")) for name in TOKEN_CLASSES]
    others: dict[str, Any] = {key: _MODEL_VALUES.get(key, str)(text) for key, text in row.items()}
    return Model(**others, prices=tuple(map(Decimal, prices)) if all(prices) else None)


def _kind(row: dict[str, Any]) -> Kind:
    models, applications = tuple(row.pop("models")), tuple(row.pop("applications").items())
    return Kind(**row, models=models, applications=applications)


MODELS = {model.alias: model for model in map(_model, _rows("models.csv"))}
APPLICATIONS = {
    application.name: application
    for application in _table(
        "applications.csv",
        Application,
        input_median=int,
        output_median=int,
        turns=float,
        has_customers=_yes,
        projects=_words,
    )
}
TEAMS = _table("teams.csv", TeamFact, parent=_optional, share=int, budget_period=_optional)
SERVICES = _table("services.csv", Service, share=int, models=_weights)
GAUGES = _table("gauges.csv", Gauge, idle=float, busy=float)
EVENTS = _rows("events.csv")
POLICIES = _toml("policies.toml")["policies"]
FINANCE = _toml("finance.toml")
QUESTIONS = _toml("questions.toml")["questions"]
ORGANISATION = _toml("organisation.toml")
KINDS = {name: _kind(row) for name, row in ORGANISATION["kinds"].items()}
SITES = {name: Site(**row) for name, row in ORGANISATION["sites"].items()}
ACTIVITY = _toml("activity.toml")
HOURS = {name: tuple(hours) for name, hours in ACTIVITY["hours"].items()}
UNPRICED_MODEL: str = ACTIVITY["unpriced_model"]
