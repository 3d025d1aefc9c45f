"""Random histories of a time-series table give the same rollups as a small Python oracle, in zones with odd clocks."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from engines import Engine
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from psycopg.rows import TupleRow

from orchestration.lib.database import connect
from orchestration.lib.dbt import run_dbt
from orchestration.lib.refresh import refresh

# on Community continuous aggregates in UTC, incremental rollups in any other zone
ZONES = {
    "postgres": ("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Adelaide"),
    "timescaledb": ("UTC", "Europe/Berlin"),
    "timescaledb_apache": ("Australia/Adelaide",),
}
EXAMPLES = int(os.environ.get("GOVERNANCE_EQUALITY_EXAMPLES", "25"))
TEAMS = [UUID(int=1), UUID(int=2), None]
USERS = [UUID(int=11), UUID(int=12), None]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
CLOSED = NOW - timedelta(hours=4)  # where the pretended last refresh left the watermark


@dataclass(frozen=True)
class Request:
    time: datetime
    team: UUID | None
    user: UUID | None
    currency: str
    cost: Decimal | None
    tokens: int
    status: str


@contextmanager
def built_in(engine: Engine, zone: str) -> Iterator[str]:
    """URL of a warehouse of the engine whose rollups are built in the zone."""
    with engine.database("equality_" + zone.replace("/", "_").lower()) as url:
        if zone != "UTC":
            run_dbt(["run-operation", "detach_rollups"], url, quiet=True)
            variables = json.dumps({"reporting_timezone": zone})
            run_dbt(["run", "--select", "core.metrics", "rollups", "--vars", variables], url, quiet=True)
        yield url


def clock_changes(zone: str) -> list[datetime]:
    """The hours within the last 18 months at which the zone's offset changes; some day for zones without any."""
    hours = [NOW - timedelta(hours=h) for h in range(1, 24 * 548)]
    place = ZoneInfo(zone)
    changes = [
        h for h in hours if h.astimezone(place).utcoffset() != (h - timedelta(hours=1)).astimezone(place).utcoffset()
    ]
    return changes or [NOW - timedelta(days=100)]


def times(zone: str) -> st.SearchStrategy[datetime]:
    anchors = st.sampled_from([*clock_changes(zone), CLOSED, NOW])
    offsets = st.sampled_from([timedelta(hours=h, minutes=m) for h in range(-26, 27) for m in (0, 29, 30, 59)])
    exact = st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(seconds=1)])
    return st.builds(lambda a, o, e: min(a + o + e, NOW + timedelta(minutes=59)), anchors, offsets, exact)


def requests(zone: str) -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        time=times(zone),
        team=st.sampled_from(TEAMS),
        user=st.sampled_from(USERS),
        currency=st.sampled_from(["USD", "EUR"]),
        cost=st.none() | st.decimals(min_value=0, max_value=1000, places=9),
        tokens=st.integers(0, 10**9),
        status=st.sampled_from(["success", "error", "blocked", "rate_limited"]),
    )


def bucket(time: datetime, unit: str, zone: str) -> datetime:
    """The oracle's idea of an hour (60 minutes from the local full hour) and of a day (of the local calendar)."""
    local = time.astimezone(ZoneInfo(zone))
    if unit == "day":
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
    return time - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def expected(rows: list[Request], unit: str, zone: str, *keys: str) -> dict[tuple[object, ...], tuple[object, ...]]:
    groups: dict[tuple[object, ...], list[Request]] = defaultdict(list)
    for row in rows:
        groups[(bucket(row.time, unit, zone), *(getattr(row, key) for key in keys))].append(row)
    return {
        key: (
            len(group),
            sum(r.status == "success" for r in group),
            sum(r.tokens for r in group),
            sum((r.cost for r in group if r.cost is not None), Decimal(0))
            if any(r.cost is not None for r in group)
            else None,
            sum(r.cost is None for r in group),
            max(r.time for r in group),
        )
        for key, group in groups.items()
    }


def actual(
    connection: psycopg.Connection[TupleRow], rollup: str, *keys: str
) -> dict[tuple[object, ...], tuple[object, ...]]:
    columns = ", ".join(["bucket", *keys])
    rows = connection.execute(
        f"select {columns}, request_count, success_count, total_tokens, cost_amount,"
        " unpriced_request_count, last_request_at"
        f" from rollups.{rollup}"
    ).fetchall()
    width = 1 + len(keys)
    assert len({row[:width] for row in rows}) == len(rows), f"{rollup} has two rows of one grain"
    return {row[:width]: row[width:] for row in rows}


def insert(connection: psycopg.Connection[TupleRow], batch: dict[str, Request]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into core.llm_metrics (time, request_id, provider, model, team_id, user_id, currency,"
            " cost_amount, cost_source, input_tokens, status) values (%s, %s, 'p', 'm', %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    *(r.time, key, r.team, r.user, r.currency, r.cost),
                    *("unpriced" if r.cost is None else "computed", r.tokens, r.status),
                )
                for key, r in batch.items()
            ],
        )


def start_over(connection: psycopg.Connection[TupleRow]) -> None:
    """An empty warehouse; where rollups are incremental, one that was last refreshed a few hours ago."""
    connection.execute("delete from core.llm_metrics")
    if connection.execute("select 1 from internal.rollup_state where kind = 'continuous_aggregate'").fetchone():
        connection.execute("call internal.refresh_rollups()")
        return
    for name, unit, stored_zone, stored in connection.execute(
        "select name, bucket, timezone, internal.stored_relation(name, version)"
        " from internal.rollup_state where source = 'llm_metrics'"
    ).fetchall():
        connection.execute(f"delete from {stored}".encode())
        connection.execute(
            "update internal.rollup_state set watermark = date_trunc(%s, %s::timestamptz, %s) where name = %s",
            [unit, CLOSED, stored_zone, name],
        )
    connection.execute("delete from internal.invalidations")
    connection.execute("delete from internal.rollup_invalidations")
    connection.execute("select setval('internal.llm_metrics_closing', %s)", [int(CLOSED.timestamp())])
    connection.execute(
        "update internal.time_series set closing = %s, closed_before = %s where name = 'llm_metrics'", [CLOSED, CLOSED]
    )


def test_rollups_equal_the_oracle(engine: Engine) -> None:
    for zone in ZONES[engine.name]:
        with built_in(engine, zone) as url:

            @settings(
                max_examples=EXAMPLES if engine.name == "postgres" else max(EXAMPLES // 4, 1),
                deadline=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
                # shrinking replays a history hundreds of times on a real engine
                phases=[Phase.reuse, Phase.generate],
            )
            @given(data=st.data(), zone_name=st.just(zone), url=st.just(url))
            def histories(data: st.DataObject, zone_name: str, url: str) -> None:
                check_history(data, zone_name, url)

            histories()


def check_history(data: st.DataObject, zone_name: str, url: str) -> None:
    """One random history of writes and refreshes, and what the rollups hold at its end."""
    rows: dict[str, Request] = {}
    with connect(url) as connection:
        start_over(connection)
        for step in range(data.draw(st.integers(1, 8), label="steps")):
            action = data.draw(st.sampled_from(["insert", "insert", "insert", "price", "move", "delete", "refresh"]))
            note(action)
            if action == "insert":
                batch = {
                    f"{step}-{i}": r
                    for i, r in enumerate(data.draw(st.lists(requests(zone_name), min_size=1, max_size=8)))
                }
                insert(connection, batch)
                rows |= batch
            elif action == "refresh":
                refresh(url)
            elif rows:
                key = data.draw(st.sampled_from(sorted(rows)))
                if action == "price":
                    rows[key] = replace(rows[key], cost=Decimal("0.000000001"))
                    connection.execute(
                        "update core.llm_metrics set cost_amount = 0.000000001, cost_source = 'computed'"
                        " where request_id = %s",
                        [key],
                    )
                elif action == "move":
                    rows[key] = replace(rows[key], time=data.draw(times(zone_name)))
                    # a hypertable doesn't let an update move a row to another chunk
                    connection.execute("delete from core.llm_metrics where request_id = %s", [key])
                    insert(connection, {key: rows[key]})
                else:
                    del rows[key]
                    connection.execute("delete from core.llm_metrics where request_id = %s", [key])
        for _ in range(data.draw(st.integers(1, 2), label="final refreshes")):
            refresh(url)
        all_rows = list(rows.values())
        assert actual(connection, "llm_metrics_hourly", "team_id", "user_id", "currency") == expected(
            all_rows, "hour", zone_name, "team", "user", "currency"
        )
        assert actual(connection, "llm_metrics_daily", "team_id", "user_id", "currency") == expected(
            all_rows, "day", zone_name, "team", "user", "currency"
        )
        assert actual(connection, "llm_team_daily", "team_id", "currency") == expected(
            all_rows, "day", zone_name, "team", "currency"
        )
        assert actual(connection, "llm_user_daily", "user_id", "currency") == expected(
            all_rows, "day", zone_name, "user", "currency"
        )
