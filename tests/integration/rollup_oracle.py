"""What rollups and reports must hold after what was written and dropped: a small oracle of the random histories."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

TEAM, SUBTEAM = UUID(int=1), UUID(int=2)
USERS = (UUID(int=11), UUID(int=12))
POLICY = UUID(int=21)
# what is noted of a request without a user
UNKNOWN = {"user": ["somebody", "unknown"]}
LATENCIES = (100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
FIRST_TOKENS = (50, 100, 250, 500, 1000, 2500, 5000, 10000)

Row = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A row of core.llm_metrics, its columns by name."""

    time: datetime
    team_id: UUID | None
    user_id: UUID | None
    model: str
    environment: str | None
    currency: str
    cost_amount: Decimal | None
    input_tokens: int
    output_tokens: int
    status: str
    latency_ms: int | None
    time_to_first_token_ms: int | None
    policy_id: UUID | None
    policy_decision: str | None
    application: str | None = None
    # as JSON
    tags: str | None = None

    @property
    def cost_tags(self) -> str:
        """As the rollups have them: what the var cost_tags names, and flat tags."""
        kept = [
            {"id": 0, "key": key, "value": value}
            for key, value in sorted(json.loads(self.tags or "{}").items(), key=lambda tag: (len(tag[0]), tag[0]))
            if key in ("project", "customer") or value is True
        ]
        return json.dumps(kept)

    @property
    def charge_tags(self) -> str:
        """As charges have them: what the var charge_tags names."""
        return json.dumps([tag for tag in json.loads(self.cost_tags) if tag["key"] == "project"])

    @property
    def cost_source(self) -> str:
        return "unpriced" if self.cost_amount is None else "computed"

    @property
    def source(self) -> str | None:
        """What it came from: both kinds, without a draw of its own."""
        return None if self.environment is None else "gateway"

    @property
    def ingested_at(self) -> datetime:
        """When it came: some a moment later, some days."""
        return self.time + (timedelta(minutes=1) if self.model == "m" else timedelta(days=2))


@dataclass(frozen=True)
class Sample:
    """A row of core.system_metrics."""

    time: datetime
    service: str
    metric_name: str
    value: float


def bucket(time: datetime, unit: str, zone: str) -> datetime:
    """An hour begins at the local full hour and has 60 minutes, a day is one of the local calendar."""
    local = time.astimezone(ZoneInfo(zone))
    if unit == "day":
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
    return time - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def next_day(day: datetime, zone: str) -> datetime:
    return bucket(day + timedelta(hours=36), "day", zone)


@dataclass
class Oracle:
    """What was written and not deleted, and what had been counted when raw rows were dropped."""

    zone: str
    requests: dict[str, Request] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    _floor: datetime = datetime(1, 1, 1, tzinfo=UTC)
    _gone: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))
    _kept: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))

    def retain(self, floor: datetime) -> None:
        """Buckets that begin before the floor stay as they are now, whatever is written later."""
        counted = self._counted_above()
        self._floor = max(floor, self._floor)
        self._keep(counted)

    def drop_by_hand(self, source: str, low: datetime, high: datetime) -> None:
        """So do the buckets that overlap a part that was dropped, where anything of it had been counted."""
        hours = {bucket(row.time, "hour", self.zone) for row in self.counted(source, "hour")}
        counted = self._counted_above()
        if any(low - timedelta(hours=1) < hour < high for hour in hours):
            self._gone[source].append((low, high))
        self._keep(counted)
        if source == "samples":
            self.samples = [row for row in self.samples if not low <= row.time < high]
        else:
            self.requests = {key: row for key, row in self.requests.items() if not low <= row.time < high}

    def counted(self, source: str, unit: str) -> list[Any]:
        return self._kept[source, unit] + self._above(source, unit)

    def _counted_above(self) -> dict[tuple[str, str], list[Any]]:
        return {
            (source, unit): self._above(source, unit)
            for source, unit in (("requests", "hour"), ("requests", "day"), ("samples", "hour"))
        }

    def _keep(self, counted: dict[tuple[str, str], list[Any]]) -> None:
        for (source, unit), rows in counted.items():
            self._kept[source, unit] += [row for row in rows if self._is_frozen(row.time, source, unit)]

    def _above(self, source: str, unit: str) -> list[Any]:
        rows: Sequence[Any] = list(self.requests.values()) if source == "requests" else self.samples
        return [row for row in rows if not self._is_frozen(row.time, source, unit)]

    def _is_frozen(self, time: datetime, source: str, unit: str) -> bool:
        first = bucket(time, unit, self.zone)
        end = first + timedelta(hours=1) if unit == "hour" else next_day(first, self.zone)
        return first < self._floor or any(first < high and low < end for low, high in self._gone[source])

    def groups(self, source: str, unit: str, keys: Sequence[str]) -> list[tuple[Row, list[Any]]]:
        """The counted rows by bucket and keys; a day's group names its day too."""
        groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for row in self.counted(source, unit):
            groups[(bucket(row.time, unit, self.zone), *(getattr(row, key) for key in keys))].append(row)
        named = [(dict(zip(("bucket", *keys), key, strict=True)), rows) for key, rows in groups.items()]
        if unit == "day":
            named = [({"day": self.day(key["bucket"]), **key}, rows) for key, rows in named]
        return named

    def day(self, time: datetime) -> date:
        return time.astimezone(ZoneInfo(self.zone)).date()


def cost(requests: Sequence[Request]) -> Decimal | None:
    known = [r.cost_amount for r in requests if r.cost_amount is not None]
    return sum(known, Decimal(0)) if known else None


def measures(requests: Sequence[Request]) -> Row:
    statuses = [r.status for r in requests]
    found: Row = {
        "request_count": len(requests),
        **{f"{status}_count": statuses.count(status) for status in ("success", "error", "blocked", "rate_limited")},
        **dict.fromkeys(("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"), 0),
        **dict.fromkeys(("audio_input_tokens", "audio_output_tokens"), 0),
        "input_tokens": sum(r.input_tokens for r in requests),
        "output_tokens": sum(r.output_tokens for r in requests),
        "total_tokens": sum(r.input_tokens + r.output_tokens for r in requests),
        "cost_amount": cost(requests),
        "unpriced_request_count": sum(r.cost_amount is None for r in requests),
        "last_request_at": max(r.time for r in requests),
    }
    for name in ("latency_ms", "time_to_first_token_ms"):
        known = [getattr(r, name) for r in requests if getattr(r, name) is not None]
        found |= {f"{name}_sum": sum(known), f"{name}_count": len(known), f"{name}_max": max(known, default=None)}
    return found


def failures(requests: Sequence[Request]) -> Row:
    return {"failed_cost_amount": cost([r for r in requests if r.status != "success"])}


def completeness(requests: Sequence[Request]) -> Row:
    return {
        "request_count": len(requests),
        "unowned_request_count": sum(r.team_id is None and r.user_id is None for r in requests),
        "unpriced_request_count": sum(r.cost_amount is None for r in requests),
        "estimated_request_count": 0,
        "late_request_count": sum(r.model == "n" for r in requests),
        "first_request_at": min(r.time for r in requests),
        "last_request_at": max(r.time for r in requests),
        "first_ingested_at": min(r.ingested_at for r in requests),
        "last_ingested_at": max(r.ingested_at for r in requests),
    }


def rollups(oracle: Oracle) -> Iterator[tuple[str, list[Row]]]:
    """Each rollup with all its rows."""
    nobody = {"api_key_id": None}
    whole = ("team_id", "user_id", "model", "application", "environment", "currency")
    for name, unit, keys, more in (
        ("llm_metrics_hourly", "hour", whole, {"provider": "p", **nobody}),
        ("llm_metrics_daily", "day", whole, {"provider": "p", **nobody}),
        ("llm_team_hourly", "hour", ("team_id", "model", "currency"), {"provider": "p"}),
        ("llm_team_daily", "day", ("team_id", "model", "currency"), {"provider": "p"}),
        ("llm_user_hourly", "hour", ("user_id", "currency"), {}),
        ("llm_user_daily", "day", ("user_id", "currency"), {}),
        ("llm_key_hourly", "hour", ("currency",), {"api_key_id": None}),
        ("llm_key_daily", "day", ("currency",), {"api_key_id": None}),
        ("llm_model_hourly", "hour", ("model", "currency"), {"provider": "p"}),
        ("llm_model_daily", "day", ("model", "currency"), {"provider": "p"}),
    ):
        yield (
            name,
            [
                {**key, **more, **measures(rows), **(failures(rows) if "model_" in name else {})}
                for key, rows in oracle.groups("requests", unit, keys)
            ],
        )
    spend = ("request_count", "cost_amount", "unpriced_request_count")
    for what, column in (("spend", "team_id"), ("application", "application"), ("tag", "cost_tags")):
        for unit, ending in (("hour", "hourly"), ("day", "daily")):
            yield (
                f"llm_{what}_{ending}",
                [
                    {
                        **{"tags" if name == "cost_tags" else name: value for name, value in key.items()},
                        **{name: measures(rows)[name] for name in spend},
                    }
                    for key, rows in oracle.groups("requests", unit, (column, "currency"))
                ],
            )
    for unit, ending in (("hour", "hourly"), ("day", "daily")):
        yield (
            f"llm_source_{ending}",
            [{**key, **completeness(rows)} for key, rows in oracle.groups("requests", unit, ("source",))],
        )
    yield (
        "llm_policy_daily",
        [
            {
                **key,
                "evaluated_count": len(rows),
                "flagged_count": sum(r.policy_decision == "flag" for r in rows),
                "blocked_count": sum(r.policy_decision == "block" for r in rows),
            }
            for key, rows in oracle.groups("requests", "day", ("policy_id", "policy_decision", "team_id"))
            if key["policy_id"] is not None
        ],
    )
    priced = (
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "audio_input_tokens",
        "audio_output_tokens",
        "request_count",
        "cost_amount",
    )
    compared: Row = dict.fromkeys(("compared_count", "differing_count"), 0)
    compared |= dict.fromkeys(("source_cost_amount", "computed_cost_amount"))
    by_price: Row = {"is_by_price": False}
    charged = ("team_id", "application", "environment", "charge_tags")
    for rollup, dimensions, counted, more in (
        ("llm_price_daily", (), priced, compared),
        ("llm_charge_daily", charged, (*priced, "success_count"), by_price),
    ):
        same: Row = {"provider": "p", **dict.fromkeys(("price_id", "list_cost_amount", "listed_cost_amount")), **more}
        groups = oracle.groups("requests", "day", (*dimensions, "model", "currency", "cost_source"))
        found = [{**key, **same, **{name: measures(rows)[name] for name in counted}} for key, rows in groups]
        yield rollup, [{"tags" if name == "charge_tags" else name: row[name] for name in row} for row in found]
    yield (
        "llm_unresolved_daily",
        [
            {
                **{name: value for name, value in key.items() if name != "user_id"},
                "unresolved": UNKNOWN,
                **{name: measures(rows)[name] for name in (*spend, "last_request_at")},
            }
            for key, rows in oracle.groups("requests", "day", ("source", "user_id", "currency"))
            if key["user_id"] is None
        ],
    )
    latencies = []
    for key, rows in oracle.groups("requests", "hour", ("model", "environment")):
        row: Row = {**key, "provider": "p", "request_count": len(rows)}
        for column, prefix, bounds in (
            ("latency_ms", "latency", LATENCIES),
            ("time_to_first_token_ms", "time_to_first_token", FIRST_TOKENS),
        ):
            known = [getattr(r, column) for r in rows if getattr(r, column) is not None]
            row |= {f"{prefix}_count": len(known)}
            row |= {f"{prefix}_le_{bound}ms": sum(value <= bound for value in known) for bound in bounds}
        latencies.append(row)
    yield "llm_latency_hourly", latencies
    samples = oracle.groups("samples", "hour", ("service", "metric_name"))
    yield "system_metrics_hourly", [{**key, **of_values([s.value for s in rows])} for key, rows in samples]


def of_values(values: list[float]) -> Row:
    return {
        "sample_count": len(values),
        "value_sum": sum(values),
        "value_min": min(values),
        "value_max": max(values),
    }


def reports(oracle: Oracle, now: datetime) -> Iterator[tuple[str, list[Row]]]:
    """Queries of the reporting views with their answers."""
    yield (
        "select day, team_id, currency, sum(requests)::bigint as requests, sum(cost) as cost,"
        " sum(unpriced_requests)::bigint as unpriced, sum(total_tokens)::bigint as tokens"
        " from reporting.cost_summary_view group by day, team_id, currency",
        [
            {
                **{name: value for name, value in key.items() if name != "bucket"},
                "requests": len(rows),
                "cost": cost(rows),
                "unpriced": sum(r.cost_amount is None for r in rows),
                "tokens": sum(r.input_tokens + r.output_tokens for r in rows),
            }
            for key, rows in oracle.groups("requests", "day", ("team_id", "currency"))
        ],
    )
    today = bucket(now, "day", oracle.zone)
    tomorrow = next_day(today, oracle.zone)
    days = [(r, bucket(r.time, "day", oracle.zone)) for r in oracle.counted("requests", "day")]

    def local_days_ago(number: int) -> datetime:
        local = today.astimezone(ZoneInfo(oracle.zone)).replace(tzinfo=None) - timedelta(days=number)
        return local.replace(tzinfo=ZoneInfo(oracle.zone)).astimezone(UTC)

    activity = []
    for user in USERS:
        theirs = [(r, day) for r, day in days if r.user_id == user and day < tomorrow]
        row: Row = {"user_id": user, "last_request_at": max((r.time for r, _ in theirs), default=None)}
        for window in (1, 7, 30):
            recent = [r for r, day in theirs if day >= local_days_ago(window - 1)]
            dollars = [r for r in recent if r.currency == "USD"]
            row |= {f"requests_{window}d": len(recent), f"cost_{window}d": cost(dollars) if dollars else Decimal(0)}
        row |= {
            "tokens_30d": sum(r.input_tokens + r.output_tokens for r in recent),
            "unpriced_requests_30d": sum(r.cost_amount is None for r in recent),
            "distinct_models_30d": len({r.model for r in recent}),
            "other_currencies": any(r.currency != "USD" for r in recent),
        }
        activity.append(row)
    yield (
        f"select {', '.join(activity[0])} from reporting.user_activity_summary_view"
        f" where user_id in ('{USERS[0]}', '{USERS[1]}')",
        activity,
    )
    evaluated = [r for r, _ in days if r.policy_id == POLICY]
    stopped = [day for r, day in days if r.policy_id == POLICY and r.policy_decision in ("flag", "block")]
    yield (
        "select requests_evaluated, requests_flagged, requests_blocked, last_violation_day"
        f" from reporting.policy_compliance_view where policy_id = '{POLICY}'",
        [
            {
                "requests_evaluated": len(evaluated),
                "requests_flagged": sum(r.policy_decision == "flag" for r in evaluated),
                "requests_blocked": sum(r.policy_decision == "block" for r in evaluated),
                "last_violation_day": oracle.day(max(stopped)) if stopped else None,
            }
        ],
    )
    year = [r for r, day in days if oracle.day(day).year == oracle.day(now).year]
    spending = []
    for team, with_below in ((TEAM, {TEAM, SUBTEAM}), (SUBTEAM, {SUBTEAM})):
        own = [r for r in year if r.team_id == team and r.currency == "USD"]
        total = [r for r in year if r.team_id in with_below]
        dollars = [r for r in total if r.currency == "USD"]
        spending.append(
            {
                "team_id": team,
                "spend": cost(own) if own else Decimal(0),
                "total_spend": cost(dollars) if dollars else Decimal(0),
                "other_currencies": len(dollars) < len(total),
                "unpriced_requests": sum(r.cost_amount is None for r in total),
            }
        )
    yield (
        f"select {', '.join(spending[0])} from reporting.team_hierarchy_view where team_id in ('{TEAM}', '{SUBTEAM}')",
        spending,
    )
