"""The demo in a database: loaded once a day, appended to on later days, the same to the last digit as generated."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from engines import Engine
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from orchestration.demo import load as load_module
from orchestration.demo.alerts import answer_to
from orchestration.demo.entities import Organisation
from orchestration.demo.files import latest_exports
from orchestration.demo.load import DemoLoad, load_demo
from orchestration.demo.organisation import build_organisation
from orchestration.demo.state import DemoState, check_demo, read_state
from orchestration.demo.summary import answers
from orchestration.demo.usage import Request, requests_of_day
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import ensure_admin
from orchestration.lib.settings import project_dir
from orchestration.lib.usage.load import ingest_files, ingest_rows
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

SEED, PEOPLE, DAYS = 5, 40, 20
VIEWS = (
    "user_permissions_view",
    "team_hierarchy_view",
    "cost_summary_view",
    "active_sessions_view",
    "alert_summary_view",
    "policy_compliance_view",
    "user_activity_summary_view",
    "usage_sources",
    "period_totals",
    "budget_breaches",
    "cost_basis",
    "focus_cost_and_usage",
)
FOLDER = tempfile.TemporaryDirectory(prefix="governance-demo-")
CHANGE = (project_dir() / "macros" / "schema" / "changes" / "change_0018_demo_state.sql").read_text()
MOVE_OF_STATE = CHANGE[CHANGE.index("do $$") : CHANGE.index("{% endmacro %}")]
NOW = datetime.now(UTC)
FIRST_LOAD = (NOW - timedelta(days=3)).replace(hour=11, minute=30, second=0, microsecond=0)
START = FIRST_LOAD.date() - timedelta(days=DAYS - 1)


def load(url: str, now: datetime | None, *, seed: int = SEED, people: int = PEOPLE, days: int = DAYS) -> DemoLoad:
    return load_demo(url, now=now, seed=seed, people=people, days=days, folder=Path(FOLDER.name))


def demo() -> Organisation:
    return build_organisation(SEED, PEOPLE, DAYS, START, ZoneInfo("UTC"))


def generated(through: datetime) -> dict[str, Request]:
    """All requests up to a moment by id."""
    days = [START + timedelta(days=offset) for offset in range((through.date() - START).days + 1)]
    requests = [request for day in days for request in requests_of_day(demo(), day)]
    return {request.request_id: request for request in requests if request.time < through}


def tables(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables"
        " where table_schema in ('core', 'internal') and table_type = 'BASE TABLE' order by 1"
    )
    return [name for (name,) in rows]


def content(url: str) -> dict[str, tuple[int, str]]:
    """Number of rows and a hash of all of them, by table; partitions count as tables."""
    with connect(url) as connection:
        found = {}
        for name in tables(connection):
            query = sql.SQL("select count(*), md5(string_agg(t::text, e'\\n' order by t::text)) from {} as t").format(
                sql.SQL(cast("Any", name))
            )
            found[name] = cast("tuple[int, str]", connection.execute(query).fetchone())
        return found


def rows_of(url: str, query: str) -> list[TupleRow]:
    with connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def assert_usage_is_as_generated(url: str, through: datetime) -> None:
    expected = generated(through)
    columns = ", ".join(Request._fields)
    rows = rows_of(url, f"select {columns} from core.llm_metrics")  # columns of a NamedTuple
    assert len(rows) == len(expected)
    for row in rows:
        request = Request(*row)
        if request.source != "demo":
            # whose team and key it was in the words of the file, which the options translate
            owner = (request.metadata or {}).pop("source_owner")
            assert owner["team"] == str(request.team_id)
            (request.metadata or {}).pop("given_owner")
            request = request._replace(metadata=request.metadata or None)
        assert request == expected[request.request_id]


@pytest.fixture(scope="module")
def url(database: str) -> str:
    return database


def test_people_of_ones_own_are_left_alone(url: str) -> None:
    with connect(url) as connection:
        connection.execute("insert into core.users (email, display_name) values ('me@example.org', 'Me')")
    before = content(url)
    for attempt in (lambda: load(url, FIRST_LOAD), lambda: check_demo(url)):
        with pytest.raises(GovernanceError, match="people or usage of your own"):
            attempt()
    assert content(url) == before
    with connect(url) as connection:
        connection.execute("set governance.managing_rows = 'on'")
        connection.execute("delete from core.users where email = 'me@example.org'")


def test_usage_of_ones_own_is_left_alone(url: str) -> None:
    with connect(url) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values (now(), 'mine', 'openai', 'o3')"
        )
    with pytest.raises(GovernanceError, match="people or usage of your own"):
        load(url, FIRST_LOAD)
    with connect(url) as connection:
        connection.execute("delete from core.llm_metrics")


def test_the_future_and_too_long_a_past_are_refused(url: str) -> None:
    before = content(url)
    with pytest.raises(GovernanceError, match="in the future"):
        load(url, datetime.now(UTC) + timedelta(minutes=5))
    with pytest.raises(GovernanceError, match="choose fewer --days"):
        load(url, FIRST_LOAD, days=3000)
    assert content(url) == before


def test_a_load_that_breaks_off_is_finished_by_the_next(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(
        connection: Connection, targets: Sequence[str], rows: Iterator[Sequence[object]], **more: Any
    ) -> IngestReport:
        ingest_rows(connection, targets, [next(rows) for _ in range(300)], **more)
        raise GovernanceError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr(load_module, "ingest_rows", breaks_off)
        with pytest.raises(GovernanceError, match="the power went out"):
            load(url, FIRST_LOAD - timedelta(hours=1))
    assert rows_of(url, "select count(*) from core.llm_metrics") == [(300,)]

    result = load(url, FIRST_LOAD)
    assert result.state.through is None
    assert result.is_new_day
    assert result.through == FIRST_LOAD
    assert result.requests == len(generated(FIRST_LOAD)) > 2000
    assert_usage_is_as_generated(url, FIRST_LOAD)


def test_the_files_that_part_of_it_came_by_are_those_of_their_systems(url: str) -> None:
    exports = latest_exports(Path(FOLDER.name))
    assert [export.source for export in exports] == ["otlp", "litellm"]
    for export in exports:
        ((count,),) = rows_of(url, f"select count(*) from core.llm_metrics where source = '{export.source}'")
        assert count > 10
        # as the command that the summary names
        report = ingest_files(url, [str(export.path)], export.mapping, export.constants, source=export.source)
        assert (report.read, report.loaded, report.quarantined, report.changed) == (count, 0, 0, 0)
        assert f"--source {export.source} --map team_id=" in export.options


def test_again_on_the_same_day_changes_no_row_anywhere(url: str) -> None:
    before = content(url)
    assert before["core.users"][0] == PEOPLE
    for later in (timedelta(0), timedelta(hours=6), -timedelta(hours=3)):
        result = load(url, FIRST_LOAD + later)
        assert not result.is_new_day
        assert result.requests == 0
        assert result.through == FIRST_LOAD
    assert content(url) == before


def test_other_parameters_are_refused_and_none_mean_those_that_are_there(url: str) -> None:
    before = content(url)
    for name in ("seed", "people", "days"):
        with pytest.raises(GovernanceError, match=f"the demo of --seed {SEED} --people {PEOPLE} --days {DAYS}"):
            load(url, FIRST_LOAD, **{name: 6})
        with pytest.raises(GovernanceError, match=f"the demo of --seed {SEED} --people {PEOPLE} --days {DAYS}"):
            check_demo(url, **{name: 6})
    result = load_demo(url, now=FIRST_LOAD, folder=Path(FOLDER.name))
    assert (result.state.seed, result.state.people, result.state.days) == (SEED, PEOPLE, DAYS)
    check_demo(url)
    assert content(url) == before


def test_a_later_day_appends_exactly_what_is_missing(url: str) -> None:
    next_load = FIRST_LOAD + timedelta(days=1, hours=2)
    before = rows_of(url, "select request_id, md5(t::text) from core.llm_metrics as t")
    organisation_before = {name: content(url)[f"core.{name}"] for name in ("teams", "roles", "policies", "user_roles")}
    result = load(url, next_load)
    assert result.is_new_day
    assert result.state.through == FIRST_LOAD
    assert result.since == FIRST_LOAD
    assert result.through == next_load
    added = {request_id for request_id, request in generated(next_load).items() if request.time >= FIRST_LOAD}
    assert result.requests == len(added) > 0
    assert_usage_is_as_generated(url, next_load)
    now_there: dict[str, str] = dict(rows_of(url, "select request_id, md5(t::text) from core.llm_metrics as t"))
    assert {request_id: now_there[request_id] for request_id, _ in before} == dict(before)
    assert {name: content(url)[f"core.{name}"] for name in organisation_before} == organisation_before
    alerts = rows_of(url, "select id, severity, created_at, status from core.alerts")
    assert alerts
    for alert_id, severity, created_at, status in alerts:
        assert status == answer_to(demo(), alert_id, severity, created_at, next_load).status
    samples = rows_of(url, "select count(*), count(distinct (time, service, metric_name)) from core.system_metrics")
    hours = (next_load.replace(minute=0) - datetime.combine(START, datetime.min.time(), UTC)) / timedelta(hours=1) + 1
    assert samples == [(7 * hours, 7 * hours)]


def test_alerts_somebody_has_really_taken_on_stay_theirs(url: str) -> None:
    with connect(url) as connection:
        [(alert_id,)] = connection.execute(
            "insert into core.alerts (alert_type, severity, title, details, created_at, status, acknowledged_at)"
            " values ('error_rate', 'high', 'Mine', '{\"source\": \"demo\"}', now() - interval '5 days',"
            " 'acknowledged', now() - interval '4 days') returning id"
        )
    load(url, None)
    assert rows_of(url, f"select status from core.alerts where id = '{alert_id}'") == [("acknowledged",)]


def test_the_view_says_what_was_generated_to_the_last_digit(url: str) -> None:
    refresh(url)
    ((through,),) = rows_of(url, "select loaded_through from internal.demo_state")
    expected: dict[tuple[object, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), 0])
    for request in generated(through).values():
        key = (
            request.time.date(),
            request.team_id,
            request.user_id,
            request.api_key_id,
            request.provider,
            request.model,
            request.application,
            request.environment,
            request.currency,
        )
        totals = expected[key]
        totals[0] += 1
        totals[1] += request.status == "success"
        totals[2] += sum(cast("int", getattr(request, name)) for name in Request._fields if name.endswith("_tokens"))
        totals[3] += request.cost_amount or 0
        totals[4] += request.cost_amount is None
    rows = rows_of(
        url,
        "select day, team_id, user_id, api_key_id, provider, model, application, environment, currency,"
        " requests, successful_requests, total_tokens, coalesce(cost, 0), unpriced_requests"
        " from reporting.cost_summary_view",
    )
    assert {row[:9]: list(row[9:]) for row in rows} == dict(expected)
    assert {row[8] for row in rows} == {"USD", "EUR"}
    assert any(row[13] for row in rows)
    assert isinstance(rows[0][0], date)


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "budget_breaches"])
def test_every_view_has_rows(url: str, view: str) -> None:
    ((count,),) = rows_of(url, f"select count(*) from reporting.{view}")
    assert count > 0


def test_the_summary_answers_from_each_view(url: str) -> None:
    given = answers(url)
    assert [answer.view for answer in given] == list(VIEWS)
    for answer in given:
        assert answer.question.endswith("?")
        assert answer.sentence.endswith(".")
        assert all(len(row) == len(answer.columns) for row in answer.rows)
        # whether somebody is signed in without a second factor, or has used up a budget, depends on the day, and the
        # price that changes is entered when months are closed
        assert answer.rows or answer.view in ("active_sessions_view", "budget_breaches", "focus_cost_and_usage")
    stewards = next(answer for answer in given if answer.view == "user_permissions_view")
    assert any("inherited from policy-steward" in row[2] for row in stewards.rows)


def test_a_demo_whose_state_is_in_the_trail_goes_on(engine: Engine) -> None:
    """As loads of an older release left it: before the build that upgrades, and after."""
    state = DemoState(SEED, PEOPLE, DAYS, START, ZoneInfo("UTC"), FIRST_LOAD)
    noted = {"seed": SEED, "people": PEOPLE, "days": DAYS, "start": START.isoformat(), "zone": "UTC"}
    with engine.database("demo_of_old") as url:
        load(url, FIRST_LOAD)
        with connect(url) as connection:
            connection.execute("drop table internal.demo_state")
            with pytest.raises(GovernanceError, match="people or usage of your own"):
                check_demo(url)
            for action, metadata in [
                ("demo.start", noted),
                ("demo.load", {"through": (FIRST_LOAD - timedelta(days=1)).isoformat()}),
                ("demo.load", {"through": FIRST_LOAD.isoformat()}),
            ]:
                connection.execute(
                    "insert into core.audit_logs (actor_type, actor_label, action, resource_type, metadata)"
                    " values ('service', 'demo', %s, 'demo', %s)",
                    [action, Jsonb(metadata)],
                )
            check_demo(url)
            connection.execute(MOVE_OF_STATE.encode())
            assert read_state(connection) == state
            connection.execute(MOVE_OF_STATE.encode())
            assert read_state(connection) == state
        assert not load(url, FIRST_LOAD).is_new_day


def test_verification_finds_what_is_wrong_in_it_on_purpose_and_no_more(engine: Engine) -> None:
    """A model without a price always, people who forget things by chance."""
    with engine.database("demo_verified") as url:
        with connect(url) as connection:
            ensure_admin(connection)
        load(url, None)
        refresh(url)
        verification = verify(url)
    assert verification.not_run == {}
    found = {(each.severity, each.rule) for each in verification.violations if each.severity != "info"}
    assert ("warn", "unpriced_requests") in found
    assert {severity for severity, _ in found} == {"warn"}
    assert {rule for _, rule in found} <= {
        "unpriced_requests", "neglected_alerts", "keys_of_inactive_users", "privileged_without_mfa",
    }  # fmt: skip


def test_the_state_is_the_demos_own_and_the_trail_keeps_no_book_and_no_secret(url: str) -> None:
    ((seed, people, days, starts_on, zone, through),) = rows_of(
        url, "select seed, people, days, starts_on, timezone, loaded_through from internal.demo_state"
    )
    assert (seed, people, days, starts_on, zone) == (SEED, PEOPLE, DAYS, START, "UTC")
    assert NOW <= through <= datetime.now(UTC)
    # what the demo wrote there is what happened to rows and what its people did, not what it knows of itself
    assert rows_of(url, "select from core.audit_logs where action like 'demo%' or resource_type = 'demo'") == []
    ((made_by,),) = rows_of(
        url,
        "select array_agg(distinct actor_label) from core.audit_logs where action = 'teams.insert'"
        " and occurred_at > (select min(occurred_at) from core.audit_logs where action = 'users.insert')",
    )
    assert made_by == ["demo"]
    ((hashes,),) = rows_of(url, "select count(*) from core.users where password_hash is not null")
    assert hashes == 0
