"""A database that began with native partitions is moved to hypertables: right answers throughout, stopped anywhere."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from conftest import PATIENCE, SHARED, made_once
from engines import Engine, is_pglite, pglite
from old_usage import rows, totals
from reporting_rows import USAGE_ROLLUPS

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import ensure_admin
from orchestration.lib.usage.load import ingest_rows
from orchestration.lib.verification.drift.find import find_drift
from orchestration.lib.warehouse import hypertables
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.hypertables import move_to_hypertables, plan
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("timescaledb", "timescaledb_apache")

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
OLD, FLOOR, KEPT = HOUR - timedelta(days=500), HOUR - timedelta(days=300), HOUR - timedelta(days=20)
TOTALS = [(4, Decimal(15))] * len(USAGE_ROLLUPS)


# what the build at its end changes: the tables and what reads them, rollups and rules; the rest has to be right already
MOVED = ["--select", "core.metrics+1", "rollups", "verification"]
# few partitions, between which it is stopped
NATIVE = "{time_series_engine: postgres, partitions_ahead: 1 day}"


@pytest.fixture
def native(engine: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with native partitions, usage on both sides of the raw floor, and a view of someone's."""
    if not is_pglite(engine.name):
        with engine.empty("native") as url:
            make_native(url)
            with connect(url) as connection:
                connection.execute("create extension timescaledb schema public")
            yield url
        return
    empty: Path = request.getfixturevalue("pglite_empty")
    host: pglite.Host = request.getfixturevalue("pglite_host")

    def make(data: Path) -> None:
        with host.serving(empty, apache=True, patience=PATIENCE, keep=data) as url:
            make_native(url)

    # it is the same on both editions
    made = made_once(request.config.stash[SHARED] / "native", make)
    with host.serving(made, apache=engine.name != "timescaledb", patience=PATIENCE) as url:
        yield url


def make_native(url: str) -> None:
    run_dbt(["build", "--resource-type", "model", "seed", "--vars", NATIVE], url, quiet=True)
    with connect(url) as connection:
        ensure_admin(connection, password=None, allow_default=False)
        for time in (OLD, KEPT):
            connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [time, time])
        insert(connection, "old", OLD, 1)
        insert(connection, "kept", KEPT, 2)
        insert(connection, "in the default partition", HOUR - timedelta(days=100), 4)
        insert(connection, "now", HOUR, 8)
        connection.execute(
            "insert into core.system_metrics (time, service, metric_name, value) values (%s, 's', 'm', 0.1)", [KEPT]
        )
    refresh(url)
    with connect(url) as connection:
        connection.execute("select * from internal.drop_raw('llm_metrics', %s)", [FLOOR])
        connection.execute("create view public.someones as select count(*) as n from core.llm_metrics")


def insert(connection: Connection, name: str, time: datetime, cost: int) -> None:
    connection.execute(
        "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source, tags)"
        " values (%s, %s, 'p', 'm', %s, 'provider', '{\"a\": 1}')",
        [time, name, cost],
    )


class Killed(BaseException):
    """Stands for the end of the process."""


def refuses_meanwhile(url: str) -> None:
    """Builds and writers get a sentence, a refresh works."""
    with pytest.raises(GovernanceError, match="are being moved to hypertables; run `governance move-to-hypertables`"):
        run_dbt(["run"], url, quiet=True)
    refresh(url)
    with connect(url) as connection:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="until `governance move-to-hypertables`"):
            insert(connection, "refused", HOUR, 1)
        with pytest.raises(GovernanceError, match="llm_metrics is being moved to a hypertable"):
            ingest_rows(connection, ["time", "provider", "model"], [], source="test")


def test_it_goes_on_wherever_it_was_stopped(engine: Engine, native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # after the build at its end all is compared below: rows, rollups, and the catalog with that of a build
    monkeypatch.setenv("DBT_EXCLUDE_RESOURCE_TYPES", "exposure test unit_test")
    monkeypatch.setattr(hypertables, "build_warehouse", lambda options, url: build_warehouse([*options, *MOVED], url))
    everything = [f"select * from core.{series} order by time" for series in ("llm_metrics", "system_metrics")]
    before = [rows(native, query) for query in everything]
    [system, llm] = plan(native)
    assert (system.name, llm.name, llm.begun) == ("system_metrics", "llm_metrics", False)
    stops: set[tuple[str, bool]] = set()

    def answers(message: str) -> None:
        assert [rows(native, query) for query in everything] == before, message
        assert rows(native, "select n from public.someones") == [(3,)], message
        assert totals(native) == TOTALS, message

    def stopped(message: str) -> None:
        answers(message)
        # at the first and the last partition of each table, and before the build
        stop = message.partition(":")[0], message.endswith(" 0 partitions left")
        if stop not in stops:
            stops.add(stop)
            raise Killed

    answers("at first")
    if engine.name != "timescaledb":
        # the same statements in the same transactions, so that one edition is enough to stop between them
        move_to_hypertables(native, notify=answers)
        answers("after the build")
    while engine.name == "timescaledb":
        steps = sum(series.partitions for series in plan(native))
        with pytest.raises(Killed):
            move_to_hypertables(native, notify=stopped)
        answers(f"after {stops}")
        left = plan(native)
        if not left:
            break
        assert sum(series.partitions for series in left) <= steps
        if len(stops) == 1:
            refuses_meanwhile(native)
    assert len(stops) == (5 if engine.name == "timescaledb" else 0)
    # the tables are hypertables; a late row before the build is not forgotten
    with connect(native) as connection:
        insert(connection, "late", KEPT + timedelta(minutes=1), 16)
    assert plan(native) == []
    if engine.name == "timescaledb":
        # the build at its end was stopped too
        move_to_hypertables(native)
    refresh(native)
    assert totals(native) == [(5, Decimal(31))] * len(USAGE_ROLLUPS)
    assert rows(native, "select n from public.someones") == [(4,)]
    kind = "continuous_aggregate" if engine.name == "timescaledb" else "incremental"
    assert rows(native, "select distinct kind from internal.rollup_state") == [(kind,)]
    assert rows(native, "select value from internal.settings where name = 'time_series_engine'") == [(engine.name,)]
    with engine.database("hypertables_built") as built:
        assert find_drift(native, reference_url=built).violations == []
