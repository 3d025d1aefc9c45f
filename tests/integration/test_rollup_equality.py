"""Random histories of the time-series tables give the same rollups and reports as a small oracle, on each engine.

Four zones: UTC, one that changes its clocks, one that is off by part of an hour, one that does both; all but the first
are others with the days. On Community a rollup is a continuous aggregate in UTC and incremental in any other zone.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from engines import Engine, is_pglite
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from rollup_histories import (
    ACTIONS,
    Warehouse,
    clock_changes,
    dbt,
    requests_at,
    start_over,
    variables,
)
from rollup_oracle import POLICY, SUBTEAM, TEAM, USERS, Oracle

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_operation
from orchestration.lib.warehouse.refresh import refresh

TODAY = date.today().toordinal()  # noqa: DTZ011 - any day will do
ZONES = (
    "UTC",
    # in Chile and Egypt clocks skip midnight
    ("Europe/Berlin", "America/Santiago", "Africa/Cairo")[TODAY % 3],
    ("Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12")[TODAY // 4 % 4],
    ("Australia/Adelaide", "America/St_Johns", "Pacific/Chatham")[TODAY % 3],
)
# read here, for no test sees the variables of the shell
ASKED_FOR = os.environ.get("GOVERNANCE_EQUALITY_EXAMPLES")
EXAMPLES = int(ASKED_FOR or 26)
ZONE = os.environ.get("GOVERNANCE_EQUALITY_ZONE")
SHRINK = "GOVERNANCE_EQUALITY_SHRINK" in os.environ
# those that the oracle answers too
REPORTS = ("cost_summary_view", "user_activity_summary_view", "policy_compliance_view", "team_hierarchy_view")


@contextmanager
def warehouse_of(engine: Engine, zone: str) -> Iterator[tuple[str, Connection]]:
    """URL of a warehouse in the zone with the people, teams and policy that the histories name, and a connection."""
    with engine.database("equality_" + zone.replace("/", "_").lower()) as url:
        with connect(url) as connection:
            # before the build, which takes what a shorter retention may have dropped for gone
            Warehouse(url, zone, connection, Oracle(zone)).keep_raw_rows("2 years")
        if zone != "UTC":
            run_operation("rebuild_rollups", url=url, options=variables(zone))
            # of what names the zone the rest that is compared
            dbt(url, zone, "run", "--select", "core.metrics", *REPORTS)
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


def zones_of(engine: str) -> tuple[str, ...]:
    """All where histories are asked for, on a server; in a run of the suite UTC and another one, mostly the last one.

    On the slow WebAssembly engines one a day, on Community UTC every other day: its own rollups.
    """
    if ZONE:
        return (ZONE,)
    if not is_pglite(engine):
        return ZONES if ASKED_FOR else ("UTC", ZONES[(3, 1, 2, 3)[TODAY % 4]])
    if engine == "timescaledb_apache":
        return (ZONES[TODAY % 4],)
    return ("UTC",) if TODAY % 2 else (ZONES[1 + TODAY // 2 % 3],)


def test_rollups_and_reports_equal_the_oracle(
    engine: Engine, request: pytest.FixtureRequest, say: Callable[[str], None]
) -> None:
    is_server = not is_pglite(engine.name)
    zones = zones_of(engine.name)
    examples = max((EXAMPLES if is_server else EXAMPLES // 5) // len(zones), 1)
    given_seed = request.config.getoption("--hypothesis-seed")
    number = random.randrange(2**32) if given_seed is None else int(given_seed)
    for place, zone in enumerate(zones):
        say(f"{engine.name}, {zone}: {examples} histories, --hypothesis-seed={number}")
        with warehouse_of(engine, zone) as (url, connection):
            last = check_histories(lambda: Warehouse(url, zone, connection, Oracle(zone)), examples, number)  # noqa: B023
            # a build knows no zone: in a run of the suite one is enough, and test_build has one on Community
            if ASKED_FOR or (is_server and place == TODAY % len(zones)):
                last.full_refresh()
                last.check()


def check_histories(start: Callable[[], Warehouse], examples: int, number: int) -> Warehouse:
    """Histories, each in a warehouse as empty as the one before; rebuilds the last one and returns it."""
    last = start()

    # other histories in each zone
    @seed(f"{number} {last.zone}")
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
    last.drop_by_hand(0)
    last.rebuild()
    last.check()
    return last


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
