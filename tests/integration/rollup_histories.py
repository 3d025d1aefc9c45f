"""Random histories of the time-series tables, done to a warehouse and told to its oracle."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row
from reporting_rows import stored_buckets
from rollup_oracle import (
    POLICY,
    SUBTEAM,
    TEAM,
    UNKNOWN,
    USERS,
    Oracle,
    Request,
    Row,
    Sample,
    bucket,
    next_day,
    reports,
    rollups,
)

from orchestration.lib.database.connection import Connection
from orchestration.lib.dbt.runner import run_dbt, run_operation
from orchestration.lib.owners.resolution import UNRESOLVED
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain

# with names that cost is told by, others, several values, and flat ones
TAGS = (
    None,
    "{}",
    '{"project": "x", "run": "1"}',
    '{"customer": ["b", "a"], "project": "x"}',
    '{"run": "2", "beta": true}',
)
STEADY = "steady"  # the request that no history touches
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
CLOSED = NOW - timedelta(hours=4)  # where the pretended last refresh left the watermark


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
        application=st.sampled_from([None, "chat"]),
        tags=st.sampled_from(TAGS),
    )


def samples_at(times: st.SearchStrategy[datetime]) -> st.SearchStrategy[Sample]:
    # quarters, whose sums are exact in any order
    values = st.integers(-(10**6), 10**6).map(lambda n: n / 4)
    return st.builds(Sample, times, st.just("gateway"), st.sampled_from(["cpu", "memory"]), values)


PARTITIONS = (NOW - timedelta(days=7), NOW + timedelta(days=28))  # between them a build makes them
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
            told = ("request_id", "provider", "cost_source", "metadata", "source", "ingested_at")
            names = [*told, *(each.name for each in fields(Request))]
            # who has no user lacks it for a name that nobody knows
            mark = json.dumps({UNRESOLVED: UNKNOWN})
            rows = [
                (
                    *(key, "p", "unpriced" if r.cost_amount is None else "computed"),
                    *(mark if r.user_id is None else None, r.source, r.ingested_at, *astuple(r)),
                )
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
        dbt(self.url, self.zone, "run", "--select", "core.metrics", "rollups", "--full-refresh")

    def rebuild(self) -> None:
        """Every bucket anew from raw rows; those that raw rows no longer cover are kept."""
        run_operation("rebuild_rollups", url=self.url, options=variables(self.zone))

    def check(self) -> None:
        with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            [now] = cursor.execute("select now()").fetchone().values()  # type: ignore[union-attr]
            answers = [(f"select * from rollups.{name}", rows) for name, rows in rollups(self.oracle)]
            for query, expected in [*answers, *reports(self.oracle, now)]:
                found = cursor.execute(query.encode()).fetchall()
                assert sorted(map(comparable, found)) == sorted(map(comparable, expected)), query


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


def comparable(row: Row) -> tuple[tuple[str, str, object], ...]:
    """Numbers and times compare by what they are, whatever is null."""
    return tuple(
        (
            name,
            "null" if value is None else "",
            "" if value is None else shown(value),
        )
        for name, value in sorted(row.items())
    )


def shown(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else str(value) if isinstance(value, UUID) else value


def is_timescaledb(connection: Connection) -> bool:
    return connection.execute("select from pg_extension where extname = 'timescaledb'").fetchone() is not None


def dbt(url: str, zone: str, *args: str) -> None:
    """Always with the same vars, for other ones make dbt read the whole project again."""
    run_dbt([*args, *variables(zone)], url, quiet=True)


def variables(zone: str) -> list[str]:
    return ["--vars", json.dumps({"reporting_timezone": zone, "system_metrics_retention": "2 years"})]
