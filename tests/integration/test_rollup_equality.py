"""Random histories of the time-series tables give the same rollups and reports as a small oracle, on each engine.

Four zones: UTC, one that changes its clocks, one that is off by part of an hour, one that does both; the last two are
others every day. On Community a rollup is a continuous aggregate in UTC and incremental in any other zone.
"""

import json
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from engines import Engine
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import TupleRow, dict_row
from reporting_rows import stored_buckets

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain

TODAY = date.today().toordinal()  # noqa: DTZ011 - any day will do
ZONES = (
    "UTC",
    "Europe/Berlin",
    ("Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12")[TODAY % 4],
    ("Australia/Adelaide", "America/St_Johns", "Pacific/Chatham")[TODAY % 3],
)
# read here, for no test sees the variables of the shell
EXAMPLES = int(os.environ.get("GOVERNANCE_EQUALITY_EXAMPLES") or 60)
ZONE = os.environ.get("GOVERNANCE_EQUALITY_ZONE")
SHRINK = "GOVERNANCE_EQUALITY_SHRINK" in os.environ
TEAM, SUBTEAM = UUID(int=1), UUID(int=2)
USERS = (UUID(int=11), UUID(int=12))
POLICY = UUID(int=21)
STEADY = "steady"  # the request that no history touches
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
CLOSED = NOW - timedelta(hours=4)  # where the pretended last refresh left the watermark
PARTITIONS = (NOW - timedelta(days=7), NOW + timedelta(days=28))  # between them a build makes them
LATENCIES = (100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
FIRST_TOKENS = (50, 100, 250, 500, 1000, 2500, 5000, 10000)

Connection = psycopg.Connection[TupleRow]
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


@dataclass(frozen=True)
class Sample:
    """A row of core.system_metrics."""

    time: datetime
    service: str
    metric_name: str
    value: float


# ---- the oracle


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


def rollups(oracle: Oracle) -> Iterator[tuple[str, list[Row]]]:
    """Each rollup with all its rows."""
    nobody = {"api_key_id": None, "application": None}
    whole = ("team_id", "user_id", "model", "environment", "currency")
    for name, unit, keys, more in (
        ("llm_metrics_hourly", "hour", whole, {"provider": "p", **nobody}),
        ("llm_metrics_daily", "day", whole, {"provider": "p", **nobody}),
        ("llm_team_daily", "day", ("team_id", "model", "currency"), {"provider": "p"}),
        ("llm_user_daily", "day", ("user_id", "currency"), {}),
    ):
        yield name, [{**key, **more, **measures(rows)} for key, rows in oracle.groups("requests", unit, keys)]
    spend = ("request_count", "cost_amount", "unpriced_request_count")
    yield (
        "llm_spend_daily",
        [
            {**key, **{name: measures(rows)[name] for name in spend}}
            for key, rows in oracle.groups("requests", "day", ("team_id", "currency"))
        ],
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


# ---- histories


@lru_cache
def clock_changes(zone: str) -> list[datetime]:
    """The hours within the last 18 months at which the zone's offset changes; some day for zones without any."""
    hours = [NOW - timedelta(hours=h) for h in range(1, 24 * 548)]
    place = ZoneInfo(zone)
    changes = [
        h for h in hours if h.astimezone(place).utcoffset() != (h - timedelta(hours=1)).astimezone(place).utcoffset()
    ]
    return changes or [NOW - timedelta(days=100), NOW - timedelta(days=290)]


def times_near(anchors: Sequence[datetime]) -> st.SearchStrategy[datetime]:
    """Up to a day and two hours away, often on the edge of an hour, half hour or day, or a microsecond beside it."""
    # few hours, so that rows meet in one and in the next
    hours = (-26, -25, -24, -23, -2, -1, 0, 1, 2, 23, 24, 25, 26)
    offsets = st.sampled_from([timedelta(hours=h, minutes=m) for h in hours for m in (0, 0, 15, 29, 30, 45, 59)])
    exact = st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(seconds=1)])
    latest = NOW + timedelta(minutes=59)
    return st.builds(lambda a, o, e: min(a + o + e, latest), st.sampled_from(anchors), offsets, exact)


def edges_of(times: Sequence[datetime], zone: str) -> list[datetime]:
    """Where the hours and days of these instants begin and end."""
    hours = {bucket(time, "hour", zone) for time in times}
    days = {bucket(time, "day", zone) for time in times}
    edges = hours | days | {hour + timedelta(hours=1) for hour in hours} | {next_day(day, zone) for day in days}
    return sorted(edge for edge in edges if edge <= NOW)


def requests_at(times: st.SearchStrategy[datetime]) -> st.SearchStrategy[Request]:
    milliseconds = st.sampled_from([None, 0, 49, 50, 51, 1000, 1001, 70_000])
    return st.builds(
        lambda decision, **values: Request(policy_id=POLICY if decision else None, policy_decision=decision, **values),
        st.sampled_from([None, "allow", "flag", "block"]),
        time=times,
        team_id=st.sampled_from([TEAM, SUBTEAM, None]),
        user_id=st.sampled_from([*USERS, None]),
        model=st.sampled_from(["m", "n"]),
        environment=st.sampled_from([None, "prod"]),
        currency=st.sampled_from(["USD", "EUR"]),
        cost_amount=st.none() | st.decimals(min_value=0, max_value=1000, places=9),
        input_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        status=st.sampled_from(["success", "error", "blocked", "rate_limited"]),
        latency_ms=milliseconds,
        time_to_first_token_ms=milliseconds,
    )


def samples_at(times: st.SearchStrategy[datetime]) -> st.SearchStrategy[Sample]:
    # quarters, whose sums are exact in any order
    values = st.integers(-(10**6), 10**6).map(lambda n: n / 4)
    return st.builds(Sample, times, st.just("gateway"), st.sampled_from(["cpu", "memory"]), values)


ACTIONS = ("insert", "insert", "insert", "price", "move", "delete", "compress", "refresh", "refresh", "retain", "drop")


@dataclass
class Warehouse:
    """A warehouse under test beside its oracle."""

    url: str
    zone: str
    connection: Connection
    oracle: Oracle
    _ids: Iterator[int] = field(default_factory=count)

    def act(self, action: str, data: st.DataObject) -> None:
        draw = data.draw
        times = times_near([*clock_changes(self.zone), CLOSED, NOW])
        if self.oracle.requests:
            times |= st.sampled_from(edges_of([request.time for request in self.oracle.requests.values()], self.zone))
        if action == "insert":
            self.insert(
                draw(st.lists(requests_at(times), max_size=8)),
                draw(st.lists(samples_at(times), max_size=3)),
                with_partitions=draw(st.booleans()),
            )
        elif action == "refresh":
            refresh(self.url)
        elif action == "compress":
            self.compress(draw(times))
        elif action == "retain":
            # far enough back for the background jobs of a server, which refresh the last two weeks
            old = [time for time in clock_changes(self.zone) if time < NOW - timedelta(days=17)]
            self.retain(draw(times_near(old)), exactly=draw(st.booleans()))
        elif action == "drop":
            dropped = self.drop_by_hand(draw(st.integers(0, 20)))
            if dropped:
                # a late row of then makes the part anew, with itself alone in it
                late = draw(st.lists(requests_at(st.sampled_from(dropped)), max_size=2))
                self.insert(late, [], with_partitions=draw(st.booleans()))
        elif action == "full refresh":
            self.full_refresh()
        elif keys := sorted(self.oracle.requests.keys() - {STEADY}):
            key = draw(st.sampled_from(keys))
            if action == "price":
                self.price(key, Decimal("0.000000001"))
            elif action == "move":
                self.move(key, draw(times))
            else:
                self.delete(key)

    def insert(self, requests: Sequence[Request], samples: Sequence[Sample], *, with_partitions: bool) -> None:
        """Without partitions of their own late rows go to the default partition, where there is one."""
        if with_partitions:
            for series, rows in (("llm_metrics", requests), ("system_metrics", samples)):
                for time in {row.time for row in rows}:
                    self.connection.execute(
                        "select internal.ensure_partitions(%s, %s, %s)", [f"core.{series}", time, time]
                    )
        self._write({f"r{next(self._ids)}": request for request in requests})
        self._write_samples(samples)

    def begin(self) -> None:
        """Traffic of two days ago, which no history touches.

        While a continuous aggregate stores no bucket above the floor, it counts rows below it (docs/operations.md).
        """
        time = NOW - timedelta(days=2)
        request = Request(time, None, None, "m", None, "USD", Decimal(1), 1, 1, "success", None, None, POLICY, "allow")
        self._write({STEADY: request})
        self._write_samples([Sample(time, "gateway", "cpu", 1.0)])

    def _write_samples(self, samples: Sequence[Sample]) -> None:
        if samples:
            names = [each.name for each in fields(Sample)]
            self._insert("system_metrics", names, [astuple(sample) for sample in samples])
            self.oracle.samples += samples

    def _write(self, requests: dict[str, Request]) -> None:
        if requests:
            names = ["request_id", "provider", "cost_source", *(each.name for each in fields(Request))]
            rows = [
                (key, "p", "unpriced" if r.cost_amount is None else "computed", *astuple(r))
                for key, r in requests.items()
            ]
            self._insert("llm_metrics", names, rows)
            self.oracle.requests |= requests

    def _insert(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        row = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() * len(names)))
        self.connection.execute(
            sql.SQL("insert into {} ({}) values {}").format(
                sql.Identifier("core", table),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join([row] * len(rows)),
            ),
            [value for values in rows for value in values],
        )

    def price(self, key: str, amount: Decimal) -> None:
        self.connection.execute(
            "update core.llm_metrics set cost_amount = %s, cost_source = 'computed' where request_id = %s",
            [amount, key],
        )
        self.oracle.requests[key] = replace(self.oracle.requests[key], cost_amount=amount)

    def move(self, key: str, time: datetime) -> None:
        """A hypertable doesn't let an update move a row to another chunk."""
        with self.connection.transaction():
            request = self.oracle.requests[key]
            self.delete(key)
            self._write({key: replace(request, time=time)})

    def delete(self, key: str) -> None:
        self.connection.execute("delete from core.llm_metrics where request_id = %s", [key])
        del self.oracle.requests[key]

    def compress(self, before: datetime) -> None:
        """Every chunk of raw rows and of rollups that ends before; nothing where nothing is ever compressed."""
        for query in (
            "select format('%I.%I', hypertable_schema, hypertable_name), null from timescaledb_information.hypertables"
            " where compression_enabled and hypertable_schema = 'core'",
            "select format('%I.%I', view_schema, view_name), null from timescaledb_information.continuous_aggregates"
            " where compression_enabled and view_schema = 'rollups'",
        ):
            if is_timescaledb(self.connection):
                for name, _ in self.connection.execute(query.encode()).fetchall():
                    self.connection.execute(
                        "select public.compress_chunk(c, true) from public.show_chunks(%s::regclass, older_than => %s)"
                        " as c",
                        [name, before],
                    )

    def retain(self, floor: datetime, *, exactly: bool) -> None:
        """Drops raw rows: all before the floor to the microsecond, or by a retention that long, as on schedule."""
        refresh(self.url)
        if exactly:
            for series in ("llm_metrics", "system_metrics"):
                self.connection.execute("select internal.drop_raw(%s, %s)", [series, floor]).fetchall()
        else:
            self.keep_raw_rows(f"{(datetime.now(UTC) - floor).total_seconds()} seconds")
            retain(self.url)
            self.keep_raw_rows("2 years")
        floors = self.connection.execute("select dropped_before from internal.time_series order by name").fetchall()
        self.oracle.retain(*(floors[0] if exactly else max(floors)))

    def drop_by_hand(self, choice: int) -> list[datetime]:
        """Drops a partition or chunk with rows within their retention, as who needs room on the disk; their times."""
        refresh(self.url)
        parts = self.connection.execute(
            "select t.name, p.part, p.low, p.high"
            " from internal.time_series as t cross join internal.present_parts(t.name) as p"
            " where p.high < %s and p.high > internal.raw_floor(t.name) order by 1, 3",
            [NOW - timedelta(days=2)],
        ).fetchall()
        times = {
            "llm_metrics": [request.time for request in self.oracle.requests.values()],
            "system_metrics": [sample.time for sample in self.oracle.samples],
        }
        filled = [(series, *part) for series, *part in parts if any(part[1] <= t < part[2] for t in times[series])]
        if not filled:
            return []
        series, part, low, high = filled[choice % len(filled)]
        if is_timescaledb(self.connection):
            self.connection.execute(
                "select public.drop_chunks(%s::regclass, older_than => %s, newer_than => %s)",
                [f"core.{series}", high, low],
            )
        else:
            self.connection.execute(sql.SQL("drop table {}").format(sql.Identifier("core", part)))
        self.oracle.drop_by_hand("requests" if series == "llm_metrics" else "samples", low, high)
        return [time for time in times[series] if low <= time < high]

    def keep_raw_rows(self, period: str) -> None:
        self.connection.execute(
            "update internal.settings set value = %s"
            " where name in ('llm_metrics_retention', 'system_metrics_retention')",
            [period],
        )

    def full_refresh(self) -> None:
        build_rollups(self.url, self.zone, "--full-refresh")

    def rebuild(self) -> None:
        """Every bucket anew from raw rows; those that raw rows no longer cover are kept."""
        run_operation("rebuild_rollups", url=self.url, options=variables(self.zone))
        build_rollups(self.url, self.zone)

    def check(self) -> None:
        with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            [now] = cursor.execute("select now()").fetchone().values()  # type: ignore[union-attr]
            answers = [(f"select * from rollups.{name}", rows) for name, rows in rollups(self.oracle)]
            for query, expected in [*answers, *reports(self.oracle, now)]:
                found = cursor.execute(query.encode()).fetchall()
                assert sorted(map(comparable, found)) == sorted(map(comparable, expected)), query


def comparable(row: Row) -> tuple[tuple[str, str, object], ...]:
    """Numbers and times compare by what they are, whatever is null."""
    return tuple(
        (
            name,
            "null" if value is None else "",
            "" if value is None else str(value) if isinstance(value, UUID) else value,
        )
        for name, value in sorted(row.items())
    )


def is_timescaledb(connection: Connection) -> bool:
    return connection.execute("select from pg_extension where extname = 'timescaledb'").fetchone() is not None


# ---- a warehouse for each


def dbt(url: str, zone: str, *args: str) -> None:
    """Always with the same vars, for other ones make dbt read the whole project again."""
    run_dbt([*args, *variables(zone)], url, quiet=True)


def variables(zone: str) -> list[str]:
    return ["--vars", json.dumps({"reporting_timezone": zone, "system_metrics_retention": "2 years"})]


def build_rollups(url: str, zone: str, *options: str) -> None:
    dbt(url, zone, "run", "--select", "core.metrics", "rollups", "reporting", *options)


@contextmanager
def warehouse_of(engine: Engine, zone: str) -> Iterator[tuple[str, Connection]]:
    """URL of a warehouse in the zone with the people, teams and policy that the histories name, and a connection."""
    with engine.database("equality_" + zone.replace("/", "_").lower()) as url:
        with connect(url) as connection:
            # before the build, which takes what a shorter retention may have dropped for gone
            Warehouse(url, zone, connection, Oracle(zone)).keep_raw_rows("2 years")
        if zone != "UTC":
            run_operation("rebuild_rollups", url=url, options=variables(zone))
            build_rollups(url, zone)
        with connect(url) as connection:
            connection.execute(
                "insert into core.teams (id, slug, name, parent_team_id, currency, budget_period)"
                " values (%s, 'team', 'Team', null, 'USD', 'year'), (%s, 'below', 'Below', %s, 'USD', 'year')",
                [TEAM, SUBTEAM, TEAM],
            )
            connection.execute(
                "insert into core.users (id, email, display_name) select id, id || '@example.com', 'U'"
                " from unnest(%s::uuid[]) as id",
                [list(USERS)],
            )
            connection.execute(
                "insert into core.policies (id, slug, name, policy_type, rules)"
                " select %s, 'tried', 'Tried', policy_type, rules from core.policies limit 1",
                [POLICY],
            )
            yield url, connection


def start_over(connection: Connection) -> None:
    """An empty warehouse that nothing was dropped from; incremental rollups were last refreshed a few hours ago.

    Its partitions are those of a build, whatever an earlier history made or dropped: they decide which rows go when one
    is dropped by hand, and so what can be drawn next. A history must draw the same each time, or Hypothesis refuses it.
    """
    names = [name for (name,) in connection.execute("select name from internal.rollup_state").fetchall()]
    for series in ("llm_metrics", "system_metrics"):
        if is_timescaledb(connection):
            connection.execute(
                "select public.drop_chunks(%s::regclass, older_than => 'infinity'::timestamptz)", [f"core.{series}"]
            )
        else:
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier("core", series)))
            others = connection.execute(
                "select part from internal.present_parts(%s) where high <= %s or low > %s", [series, *PARTITIONS]
            )
            for (part,) in others.fetchall():
                connection.execute(sql.SQL("drop table {}").format(sql.Identifier("core", part)))
    for name in names:
        connection.execute(sql.SQL("delete from {}").format(stored_buckets(connection, name)))
    connection.execute("update internal.time_series set dropped_before = '-infinity', gone = '{}'")
    connection.execute("delete from internal.time_series_parts")
    # after it forgot the parts that were there, for what is gone it would take note of; chunks come with their rows
    connection.execute(
        "select internal.ensure_partitions(format('core.%%I', name)::regclass, %s, %s) from internal.time_series",
        PARTITIONS,
    )
    if connection.execute("select 1 from internal.rollup_state where kind = 'continuous_aggregate'").fetchone():
        return
    connection.execute("delete from internal.invalidations")
    connection.execute("delete from internal.rollup_invalidations")
    connection.execute(
        "update internal.rollup_state set watermark = date_trunc(bucket, %s::timestamptz, timezone)", [CLOSED]
    )
    connection.execute("update internal.time_series set closing = %s, closed_before = %s", [CLOSED, CLOSED])
    connection.execute(
        "select setval(format('internal.%%I', name || '_closing'), %s) from internal.time_series",
        [int(CLOSED.timestamp())],
    )


def zones_of(engine: str) -> tuple[str, ...]:
    """All on a server; on the slow WebAssembly engines one a day, and on Community both kinds of rollups."""
    if ZONE:
        return (ZONE,)
    if engine == "postgres" or os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        return ZONES
    return (ZONES[TODAY % 4],) if engine == "timescaledb_apache" else ("UTC", ZONES[1 + TODAY % 3])


def test_rollups_and_reports_equal_the_oracle(
    engine: Engine, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> None:
    is_server = engine.name == "postgres" or bool(os.environ.get("GOVERNANCE_TEST_DATABASE_URL"))
    zones = zones_of(engine.name)
    examples = max((EXAMPLES if is_server else EXAMPLES // 5) // len(zones), 1)
    given_seed = request.config.getoption("--hypothesis-seed")
    number = random.randrange(2**32) if given_seed is None else int(given_seed)
    for zone in zones:
        say(f"{engine.name}, {zone}: {examples} histories, --hypothesis-seed={number}")
        with warehouse_of(engine, zone) as (url, connection):
            check_histories(lambda: Warehouse(url, zone, connection, Oracle(zone)), examples, number)  # noqa: B023


def check_histories(start: Callable[[], Warehouse], examples: int, number: int) -> None:
    last = start()

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        # shrinking replays a history hundreds of times on a real engine
        phases=[Phase.reuse, Phase.generate, *([Phase.shrink] if SHRINK else [])],
    )
    @given(data=st.data())
    def histories(data: st.DataObject) -> None:
        nonlocal last
        last = start()
        check_history(last, data)

    histories()
    refresh(last.url)
    last.retain(clock_changes(last.zone)[-1] + timedelta(hours=1), exactly=True)
    last.full_refresh()
    last.check()
    last.drop_by_hand(0)
    last.rebuild()
    last.check()


def check_history(warehouse: Warehouse, data: st.DataObject) -> None:
    """One random history of writes and upkeep, and what the rollups hold at its end."""
    start_over(warehouse.connection)
    warehouse.begin()
    for _ in range(data.draw(st.integers(2, 9), label="steps")):
        # a build takes seconds, so it is drawn once in 300 steps
        draw = data.draw(st.sampled_from(range(300)), label="dice")
        action = "full refresh" if draw == 123 else ACTIONS[draw % len(ACTIONS)]
        note(action)
        warehouse.act(action, data)
    for _ in range(data.draw(st.integers(1, 2), label="final refreshes")):
        refresh(warehouse.url)
    # what comes after the last refresh is counted at once
    fresh = st.timedeltas(timedelta(0), timedelta(minutes=59)).map(lambda ahead: datetime.now(UTC) + ahead)
    warehouse.insert(data.draw(st.lists(requests_at(fresh), max_size=3)), [], with_partitions=False)
    warehouse.check()
