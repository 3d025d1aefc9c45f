"""What the demo organisation asks its models: the requests of one local day, from (organisation, day) alone.

Requests come in conversations, whose history grows turn by turn and is read from the provider's cache where it has
one; failed ones are often tried again under the same trace id. All times are UTC, money is an exact Decimal.
"""

import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from math import exp, sqrt
from operator import mul
from typing import Any, NamedTuple
from uuid import UUID

from orchestration.demo.entities import Caller, Organisation, Policy, Team, stream
from orchestration.demo.facts import ACTIVITY, APPLICATIONS, MODELS, SITES, UNPRICED_MODEL, Application, Model, Weights


class Request(NamedTuple):
    """One row of core.llm_metrics, without what the database sets itself."""

    time: datetime
    request_id: str
    trace_id: UUID | None
    session_id: UUID
    user_id: UUID | None
    team_id: UUID
    api_key_id: UUID | None
    provider: str
    model: str
    requested_model: str
    operation: str
    application: str
    environment: str | None
    region: str | None
    service_tier: str | None
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    cost_amount: Decimal | None
    currency: str
    cost_source: str
    status: str
    error_code: str | None
    latency_ms: int
    time_to_first_token_ms: int | None
    policy_id: UUID | None
    policy_decision: str | None
    tags: dict[str, Any] | None
    metadata: dict[str, Any] | None
    source: str


SOURCE = "demo"
# what traces, and what LiteLLM's rows don't say
_UNSAID: dict[str, dict[str, None]] = {
    "otlp": dict.fromkeys(("service_tier", "tags", "metadata")),
    "litellm": dict.fromkeys(("trace_id", "environment", "region", "service_tier", "metadata")),
}
# counts in the order of TOKEN_CLASSES
Tokens = tuple[int, int, int, int, int, int, int]
NO_TOKENS: Tokens = (0, 0, 0, 0, 0, 0, 0)
# whole thousandths per million tokens: sums of integers are exact and ten times as fast as sums of decimals
_MILLIPRICES = {
    alias: None if model.prices is None else tuple(int(price * 1000) for price in model.prices)
    for alias, model in MODELS.items()
}
_FINDINGS = {name: (found["chance"], found["status"], found["code"]) for name, found in ACTIVITY["findings"].items()}
_ERRORS, _CUSTOMERS, _EXPERIMENTS = ACTIVITY["errors"], ACTIVITY["customers"], ACTIVITY["experiments"]
_ERROR_CODES: Weights = tuple(_ERRORS["codes"].items())
_ERROR_RATE, _OUTAGE_ERROR_RATE = _ERRORS["rate"], _ERRORS["rate_in_outage"]
_PROVIDER_LIMIT_RATE, _RETRY_RATE = _ERRORS["rate_limited"], _ERRORS["retried"]
_MAX_CONTEXT = 120_000
# the gateway looks at most requests, not at those that come past it
_EVALUATED_RATE = 0.8


class _Conversation(NamedTuple):
    """What all requests of a conversation have in common."""

    session_id: UUID
    application: Application
    model: Model
    environment: str | None
    tags: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong on a day: a provider that fails for some hours, a service caught in a loop."""

    outage_provider: str | None
    outage_from: datetime
    outage_until: datetime
    looping_service: str | None


def weather_of_day(organisation: Organisation, day: date) -> Weather:
    """The incidents of a local day; most days have none."""
    rng = stream(organisation.seed, "weather", day)
    start = organisation.start_of(day)
    begins = start + timedelta(minutes=rng.randint(6 * 60, 18 * 60))
    hours = timedelta(minutes=rng.randint(40, 200))
    provider = rng.choice(("openai", "anthropic", "google", "mistral")) if rng.random() < 0.05 else None
    services = [caller.key for caller in organisation.callers if caller.is_service]
    looping = rng.choice(services) if rng.random() < 0.03 else None
    return Weather(provider, begins, begins + hours, looping)


def requests_of_day(organisation: Organisation, day: date) -> list[Request]:
    """All requests of a local day in the order of their time; days before the organisation's start have some too."""
    start, end = organisation.start_of(day), organisation.start_of(day + timedelta(days=1))
    weather = weather_of_day(organisation, day)
    # the organisation grows by half over its first three months
    growth = min(1.25, 0.8 + 0.45 * (day - organisation.start).days / 90)
    requests: list[Request] = []
    for caller in organisation.callers:
        team = caller.team_on(day)
        if team is None:
            continue
        hours = _hours_of_day(caller.hours, SITES[caller.site].utc_offset, caller.is_service, start, end)
        rng = stream(organisation.seed, "usage", day, caller.key)
        # holidays, meetings, illness
        if not caller.is_service and rng.random() < 0.12:
            continue
        rate = caller.rate * growth * hours[-1]
        if weather.looping_service == caller.key:
            rate *= 6
        requests.extend(_Day(organisation, day, (start, end), weather, caller, team, rng, hours).requests(rate))
    requests.sort(key=lambda request: (request.time, request.request_id))
    return requests


def cost_of(model: Model, tokens: Tokens) -> Decimal | None:
    """Exact cost of token counts, in the model's currency; None = the model has no price."""
    prices = _MILLIPRICES[model.alias]
    if prices is None:
        return None
    return Decimal(sum(map(mul, tokens, prices))).scaleb(-9)


@lru_cache(maxsize=64)
def _hours_of_day(
    profile: tuple[float, ...], utc_offset: int, is_service: bool, start: datetime, end: datetime
) -> tuple[float, ...]:
    """Cumulative weight of the day's hours (23 to 25 of them); the last one is the day's share of a full weekday."""
    weekend = ACTIVITY["requests"]["service_weekend" if is_service else "human_weekend"]
    total = sum(profile)
    weights = []
    hour = start
    while hour < end:
        there = hour + timedelta(hours=utc_offset)
        weights.append(profile[there.hour] / total * (weekend if there.weekday() >= 5 else 1.0))
        hour += timedelta(hours=1)
    return tuple(accumulate(weights))


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(rng.gauss(mean, sqrt(mean))))
    limit, product, count = exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _spread(rng: random.Random, sigma: float) -> float:
    """A factor around 1, lognormal with median 1."""
    return exp(rng.gauss(0.0, sigma))


@lru_cache(maxsize=256)
def _cumulative(options: Weights) -> tuple[tuple[str, ...], tuple[float, ...]]:
    return tuple(name for name, _ in options), tuple(accumulate(weight for _, weight in options))


def _pick(rng: random.Random, options: Weights) -> str:
    names, weights = _cumulative(options)
    return names[bisect(weights, rng.random() * weights[-1])]


class _Day:
    """One caller's local day, of which `hours` are the cumulative weights."""

    def __init__(
        self,
        organisation: Organisation,
        day: date,
        span: tuple[datetime, datetime],
        weather: Weather,
        caller: Caller,
        team: Team,
        rng: random.Random,
        hours: tuple[float, ...],
    ) -> None:
        self._caller, self._team, self._rng, self._hours, self._weather = caller, team, rng, hours, weather
        self._start, self._end = span
        self._has_preview = day >= organisation.preview_from
        # so do the other systems begin
        self._source = caller.source if self._has_preview else SOURCE
        self._policies = organisation.policies_on(day, team, caller.user_id)
        self._region = SITES[caller.site].region
        is_valid = caller.key_until is None or day < caller.key_until
        self._api_key_id = caller.api_key_id if is_valid else None

    def requests(self, rate: float) -> Iterator[Request]:
        application = APPLICATIONS[self._caller.applications[0][0]]
        for _ in range(_poisson(self._rng, rate / application.turns)):
            yield from self._conversation()

    def _conversation(self) -> Iterator[Request]:
        rng, caller = self._rng, self._caller
        hour = bisect(self._hours, rng.random() * self._hours[-1])
        time = self._start + timedelta(seconds=3600 * (hour + rng.random()))
        application = APPLICATIONS[_pick(rng, caller.applications)]
        alias = _pick(rng, caller.models)
        if alias == UNPRICED_MODEL and not self._has_preview:
            alias = caller.models[0][0]
        model = MODELS[alias]
        environment = self._environment(application)
        tags = self._tags(application)
        session_id = UUID(int=rng.getrandbits(128), version=4)
        conversation = _Conversation(session_id, application, model, environment, tags)
        turns = 1 + _poisson(rng, application.turns - 1)
        history = 0
        for turn in range(turns):
            tokens = self._tokens(application, model, history, turn)
            trace_id = UUID(int=rng.getrandbits(128), version=4)
            for attempt in (1, 2, 3):
                if time >= self._end:
                    return
                request = self._request(conversation, time, trace_id, tokens, attempt)
                yield request
                time += timedelta(milliseconds=request.latency_ms + 400 * 2**attempt)
                if request.status in ("success", "blocked") or rng.random() > _RETRY_RATE:
                    break
            # the next turn sends all of it again, up to what fits
            history = min(sum(tokens[:4]), _MAX_CONTEXT)
            time += timedelta(seconds=20 + rng.expovariate(1 / 70))

    def _environment(self, application: Application) -> str | None:
        roll = self._rng.random()
        if self._caller.is_service:
            return "production" if roll < 0.9 else "staging"
        if application.name == "chat-portal":
            return "production"
        # tools at people's desks don't always say
        return "development" if roll < 0.85 else None

    def _tags(self, application: Application) -> dict[str, str] | None:
        rng = self._rng
        if rng.random() < 0.22:
            return None
        tags = {"project": rng.choice(application.projects)} if application.projects else {}
        if application.has_customers:
            tags["customer"] = rng.choice(_CUSTOMERS)
        if rng.random() < 0.1:
            tags["experiment"] = rng.choice(_EXPERIMENTS)
        return tags or None

    def _tokens(self, application: Application, model: Model, history: int, turn: int) -> Tokens:
        """Counts in the order of TOKEN_CLASSES: each token is in one class."""
        rng = self._rng
        fresh = int(application.input_median * _spread(rng, 0.8)) + 8
        if model.operation == "embedding":
            return (fresh, 0, 0, 0, 0, 0, 0)
        output = int(application.output_median * _spread(rng, 0.7)) + 2
        reasoning = int(700 * _spread(rng, 0.7)) if model.reasons else 0
        audio = model.operation == "audio"
        audio_input = int(1500 * _spread(rng, 0.5)) if audio else 0
        audio_output = int(300 * _spread(rng, 0.5)) if audio and rng.random() < 0.3 else 0
        cached = written = 0
        if turn and model.caches and rng.random() < 0.9:
            cached = history
        else:
            fresh += history
        if model.bills_cache_writes and application.turns > 1.2:
            fresh, written = 0, fresh
        return (fresh, cached, written, output, reasoning, audio_input, audio_output)

    def _request(
        self, conversation: _Conversation, time: datetime, trace_id: UUID, tokens: Tokens, attempt: int
    ) -> Request:
        rng, caller = self._rng, self._caller
        session_id, application, model, environment, tags = conversation
        status, error_code, decision = "success", None, None
        # what comes by a file of another system, nobody judged here
        is_judged = self._source == SOURCE and self._policies and rng.random() < _EVALUATED_RATE
        policy = rng.choice(self._policies) if is_judged else None
        if policy is not None:
            decision, status = self._judged(policy)
            if status != "success":
                error_code = _FINDINGS[policy.policy_type][2]
        if status == "success":
            status, error_code = self._provider_status(time, model)
        if status != "success" and error_code != "timeout":
            # a timeout has been paid for, nothing else that fails
            tokens = NO_TOKENS
        latency_ms, first_token_ms = self._waits(time, model, tokens, status, error_code)
        cost = cost_of(model, tokens)
        request = Request(
            time,
            f"req_{rng.getrandbits(96):024x}",
            trace_id,
            session_id,
            caller.user_id,
            self._team.id,
            None if application.name == "chat-portal" else self._api_key_id,
            model.provider,
            model.name,
            model.alias,
            model.operation,
            application.name,
            environment,
            self._region,
            "batch" if application.name == "nightly-summaries" else "standard",
            *tokens,
            cost,
            model.currency,
            "unpriced" if cost is None else "computed",
            status,
            error_code,
            latency_ms,
            first_token_ms,
            None if policy is None else policy.id,
            decision,
            tags,
            {"attempt": attempt} if attempt > 1 else None,
            self._source,
        )
        return request if self._source == SOURCE else _as_said(request)

    def _waits(
        self, time: datetime, model: Model, tokens: Tokens, status: str, error_code: str | None
    ) -> tuple[int, int | None]:
        """Milliseconds to the end of the answer and to its first token."""
        rng = self._rng
        if status in ("blocked", "rate_limited"):
            return int(18 * _spread(rng, 0.5)), None
        if status == "error":
            return 30_000 if error_code == "timeout" else int(400 * _spread(rng, 0.8)), None
        slow = 2.5 if self._is_outage(time, model) else 1.0
        wait = slow * model.first_token_ms * _spread(rng, 0.35)
        written = tokens[3] + tokens[4] + tokens[6]
        latency_ms = int(wait + 1000 * written / model.tokens_per_second * _spread(rng, 0.2))
        return latency_ms, int(wait) if model.operation != "embedding" else None

    def _judged(self, policy: Policy) -> tuple[str, str]:
        chance, status, _ = _FINDINGS[policy.policy_type]
        if policy.policy_type == "security" and self._caller.has_mfa:
            chance = 0.0
        if self._rng.random() >= chance:
            return "allow", "success"
        return ("block", status) if policy.enforcement == "block" else ("flag", "success")

    def _is_outage(self, time: datetime, model: Model) -> bool:
        weather = self._weather
        return weather.outage_provider == model.provider and weather.outage_from <= time < weather.outage_until

    def _provider_status(self, time: datetime, model: Model) -> tuple[str, str | None]:
        roll = self._rng.random()
        if roll < (_OUTAGE_ERROR_RATE if self._is_outage(time, model) else _ERROR_RATE):
            return "error", _pick(self._rng, _ERROR_CODES)
        if roll > 1 - _PROVIDER_LIMIT_RATE:
            return "rate_limited", "provider_rate_limit"
        return "success", None


def _as_said(request: Request) -> Request:
    """What its source says of a request."""
    request = request._replace(cost_source="estimated", **_UNSAID[request.source])  # type: ignore[arg-type]
    if request.source == "otlp":
        # a span's
        return request._replace(request_id=request.request_id[-16:])
    time = request.time.replace(microsecond=request.time.microsecond // 1000 * 1000)
    return request._replace(time=time, tags=request.tags and {f"{k}:{v}": True for k, v in request.tags.items()})
