"""Dagster on a real database: everything materialized from nothing, the first account, what its jobs do and say."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from conftest import recreate
from parsed import read_for_process
from psycopg import sql

from orchestration.defs.scheduled import NOT_BUILT, SCHEDULED
from orchestration.defs.verification import checks as checks_of_verification
from orchestration.defs.warehouse import component
from orchestration.defs.warehouse.row_counts import ROWS
from orchestration.lib.database.connection import connect, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.result import Verification
from orchestration.lib.identity.accounts import ADMIN_EMAIL, ensure_admin, hash_password, verify_password
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.drift.find import RULE, find_drift
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.build_lock import build_lock

PASSWORD = "a password of the test's own"
EMPTY, REFERENCE = "test_dagster_empty", "test_dagster_reference"
NOT_BUILT_BY_DBT = {
    *(dg.AssetKey(["compliance", f"{kind}_report"]) for kind in ("daily", "weekly", "monthly", "quarterly")),
    dg.AssetKey(["operations", "backup"]),
    dg.AssetKey(["operations", "restored_backup"]),
}


@pytest.fixture(scope="module")
def read(server_url: str, template: str) -> str:
    """URL of EMPTY, for which dbt has read the project: definitions are made of its manifest in the tests' folder."""
    assert template
    url = with_database(server_url, EMPTY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_WRITE_JSON", "true")
        read_for_process(url)
    return url


@pytest.fixture(scope="module")
def definitions(read: str) -> dg.Definitions:
    from orchestration.definitions import defs

    assert read
    return defs()


@pytest.fixture
def empty(server_url: str, read: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a database in use that holds nothing."""
    recreate(server_url, EMPTY)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", read)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("DBT_WRITE_JSON", "true")
    return read


def passwords(url: str) -> list[str]:
    """Hash of the first account's password; empty without the account."""
    with connect(url) as connection:
        query = "select password_hash from core.users where email = %s"
        return [row[0] for row in connection.execute(query, [ADMIN_EMAIL])]


@pytest.fixture
def template_as_reference(server_url: str, template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deep drift compares with a build that is there; that it makes one by itself is in test_drift_check."""
    name = sql.Identifier(REFERENCE)
    with connect(server_url) as admin:
        recreate(server_url, REFERENCE, template)
        reference = with_database(server_url, REFERENCE)
        monkeypatch.setattr(checks_of_verification, "find_drift", partial(find_drift, reference_url=reference))
        yield
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.mark.usefixtures("template_as_reference")
def test_everything_is_materialized_on_an_empty_database(
    empty: str, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_ADMIN_PASSWORD", PASSWORD)
    graph = definitions.resolve_asset_graph()
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        log = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert result.success
    built = {
        event.asset_key: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert built.keys() | NOT_BUILT_BY_DBT == graph.get_all_asset_keys()
    rows: dict[str, Any] = {key.to_user_string(): each[ROWS].value for key, each in built.items() if ROWS in each}
    assert {key.path[0] for key in built if key.to_user_string() not in rows} == {"admin_account", "verification"}
    assert (rows["core/users"], rows["core/llm_metrics"]) == (0, 0)
    assert rows["seeds/system_roles"] == rows["core/roles"] > 3
    checks = result.get_asset_check_evaluations()
    assert {check.asset_check_key for check in checks} == graph.asset_check_keys
    # nobody has tried a restore so far
    assert [check.check_name for check in checks if not check.passed] == ["drill_is_recent"]
    figures = {check.check_name: check.metadata["figures"] for check in checks if "figures" in check.metadata}
    assert len(figures) == 8
    ahead = figures["no_missing_partitions_ahead"]
    assert isinstance(ahead, dg.TableMetadataValue)
    [series, _] = ahead.records
    assert series.data["table"] == "core.llm_metrics"
    with connect(empty) as connection:
        makes_ahead = connection.execute("select from pg_partitioned_table").fetchall()
    assert int(str(series.data["parts"])) > 4 or not makes_ahead

    (password_hash,) = passwords(empty)
    assert verify_password(PASSWORD, password_hash)
    assert len(log) > 1000
    assert PASSWORD not in log
    assert password_hash not in log
    # what dbt wrote for this run is gone
    assert list(Path(os.environ["DBT_TARGET_PATH"]).glob("dbt_build-*")) == []


@pytest.fixture(scope="module")
def short_dbt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt with the tests' shortcuts, for Dagster to run once plain dbt has built everything."""
    program = tmp_path_factory.mktemp("bin") / "dbt"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{project_dir() / "tests" / "dbt_process.py"}" "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def built(empty: str, server_url: str, template: str, short_dbt: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a database in use that is built and holds no account; the same name as `empty`."""
    recreate(server_url, EMPTY, template)
    monkeypatch.setattr(component, "DBT", short_dbt)
    return empty


def table(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[dict[str, Any]]:
    """Violations as a check shows them."""
    shown = metadata["what is wrong"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [dict(record.data) for record in shown.records]


def test_what_the_command_line_built_and_tested_is_shown_once(built: str, definitions: dg.Definitions) -> None:
    # usage, and nobody who may administer
    with connect(built) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values (now(), 'r', 'p', 'm')"
        )
    # the template's build tested nothing
    with pytest.raises(GovernanceError, match="no_missing_administrator"):
        run_dbt(["test", "--select", "missing_administrator", "clock_skew"], built, quiet=True)
    repository = definitions.get_repository_def()
    sensor = repository.get_sensor_def("command_line_sensor")
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
            found = sensor(dg.build_sensor_context(instance=instance, repository_def=repository, cursor=cursor))
            assert isinstance(found, (dg.SensorResult, dg.SkipReason))
            return found

        first = tick()
        assert isinstance(first, dg.SensorResult)
        for event in first.asset_events:
            instance.report_runless_asset_event(event)
        graph = definitions.resolve_asset_graph()
        unknown = [key for key in graph.get_all_asset_keys() if not instance.get_latest_materialization_event(key)]
        checks = {event.check_name: event for event in first.asset_events if isinstance(event, dg.AssetCheckEvaluation)}
        assert set(unknown) == {dg.AssetKey("admin_account"), *NOT_BUILT_BY_DBT}
        assert set(checks) == {"no_missing_administrator", "no_clock_skew"}
        assert checks["no_clock_skew"].passed
        failed = checks["no_missing_administrator"]
        assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert [row["what to do"] for row in table(failed.metadata)] == [
            violation.fix for violation in verify(built, ["missing_administrator"]).violations
        ]

        assert isinstance(tick(first.cursor), dg.SkipReason)
        with connect(built) as connection:
            ensure_admin(connection, password=PASSWORD)
        run_dbt(["test", "--select", "missing_administrator"], built, quiet=True)
        second = tick(first.cursor)
        assert isinstance(second, dg.SensorResult)
        [evaluation, account] = second.asset_events
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    assert account.asset_key == dg.AssetKey("admin_account")


def test_the_verification_job_runs_every_check_and_materializes_nothing(
    built: str, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the build that deep drift compares with."""
    monkeypatch.setattr(checks_of_verification, "find_drift", lambda _url, /: Verification([RULE]))
    with connect(built) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, source)"
            " select now() + interval '1 hour', 'r' || n, 'p', 'm' || n, 'edge' from generate_series(1, 12) as n"
        )
        requests = connection.execute("select count(*) from core.llm_metrics").fetchall()
        with dg.DagsterInstance.ephemeral() as instance:
            result = definitions.resolve_job_def("verification_job").execute_in_process(
                instance=instance, raise_on_error=False
            )
        assert result.get_asset_materialization_events() == []
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
        assert set(checks) == {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
        # usage without an owner or a price, dated after it came, and nobody who may administer
        assert {name: check.severity.name for name, check in checks.items() if not check.passed} == {
            "no_clock_skew": "WARN",
            "no_sources_without_owner": "WARN",
            "no_sources_without_price": "WARN",
            "no_unpriced_requests": "WARN",
            "no_usage_without_owner": "WARN",
            "no_missing_administrator": "ERROR",
            "drill_is_recent": "WARN",
        }
        for name in ("clock_skew", "unpriced_requests", "usage_without_owner", "missing_administrator"):
            metadata, violations = checks[f"no_{name}"].metadata, verify(built, [name]).violations
            assert metadata["violations"].value == len(violations) > 0
            assert [tuple(row.values()) for row in table(metadata)] == [
                (each.subject, each.message, each.fix) for each in violations[:10]
            ]
        assert checks["no_unpriced_requests"].metadata["violations"].value == 12
        assert checks["no_unpriced_requests"].metadata["shown"].value == (
            "the first 10 of 12; `governance verify` shows all of them"
        )
        assert "shown" not in checks["no_clock_skew"].metadata
        assert connection.execute("select count(*) from core.llm_metrics").fetchall() == requests


def test_the_other_jobs_of_the_clock_do_what_they_say(built: str, definitions: dg.Definitions) -> None:
    with connect(built) as connection:
        connection.execute("select internal.ensure_partitions('core.llm_metrics', '2020-01-07', '2020-01-07')")
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model)"
            " values ('2020-01-07', 'old', 'p', 'm'), (now() - interval '3 days', 'late', 'p', 'm')"
        )
        connection.execute(
            "insert into core.users (email, display_name, status, password_hash)"
            " values ('kim@example.com', 'Kim', 'active', %s)",
            [hash_password("Admin123!", allow_weak=True)],
        )
        results = {}
        for job in ("refresh_job", "retention_job", "passwords_job"):
            results[job] = definitions.resolve_job_def(job).execute_in_process()
            assert results[job].success, job
        assert connection.execute("select request_id from core.llm_metrics").fetchall() == [("late",)]
        assert connection.execute("select count(*) from rollups.llm_metrics_daily_stored").fetchone() == (1,)
        assert connection.execute("select finding from internal.password_findings").fetchall() == [("default",)]
        stored = connection.execute("select name, watermark from internal.rollup_state").fetchall()
    refreshed = {
        event.asset_key: event.materialization.metadata["stored before"].value
        for event in results["refresh_job"].get_asset_materialization_events()
    }
    assert refreshed == {dg.AssetKey(["rollups", name]): mark.timestamp() for name, mark in stored}
    assert refreshed.keys() <= definitions.resolve_asset_graph().get_all_asset_keys()
    [observation] = results["retention_job"].get_asset_observation_events()
    assert observation.asset_key == dg.AssetKey(["core", "llm_metrics"])
    assert observation.asset_observation_data.asset_observation.metadata["rows dropped"].value == 1


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """What each failed step says."""
    found = [event.step_failure_data.user_failure_data for event in result.get_step_failure_events()]
    return [str(each.description) for each in found if each is not None]


def test_nothing_runs_by_the_clock_before_the_first_build(
    empty: str, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_PRICES_FROM", str(project_dir() / "seeds" / "model_price_list.csv"))
    repository = definitions.get_repository_def()
    schedules = repository.schedule_defs
    with dg.instance_for_test() as instance:
        now = dg.build_schedule_context(instance, repository_def=repository, scheduled_execution_time=datetime.now(UTC))

        def ticks() -> list[tuple[int, str | None]]:
            found = [schedule.evaluate_tick(now) for schedule in schedules]
            return [(len(each.run_requests or []), each.skip_message) for each in found]

        assert ticks() == [(0, NOT_BUILT)] * len(SCHEDULED)
        # somebody may run them by hand
        for schedule in schedules:
            if schedule.job_name == "build_job":
                continue
            job = definitions.resolve_job_def(schedule.job_name)
            key = job.partitions_def.get_last_partition_key() if job.partitions_def else None
            result = job.execute_in_process(instance=instance, raise_on_error=False, partition_key=key)
            sentences = failures(result)
            assert sentences
            for sentence in sentences:
                assert re.fullmatch(r"[^\n]*(yet|isn't built)[^\n]*: run `governance build`[^\n]*", sentence), sentence
        with connect(empty) as connection:
            connection.execute("create schema internal")
            connection.execute("create table internal.rollup_state as select 'usage' as name")
        assert ticks() == [(1, None)] * len(SCHEDULED)


def admin_failure() -> str:
    """Materializes the account alone; returns what it fails with."""
    from orchestration.defs.identity.assets import admin_account

    result = dg.materialize([admin_account], raise_on_error=False)
    assert not result.success
    failure = result.get_step_failure_events()[0].step_failure_data
    assert failure.user_failure_data is not None
    return str(failure.user_failure_data.description)


def test_account_alone_on_an_empty_database_says_what_is_missing(empty: str) -> None:
    assert empty
    assert admin_failure() == "there is no table core.users yet; run `governance build` first"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (None, "set GOVERNANCE_ADMIN_PASSWORD and start Dagster again, or run `governance build`"),
        ("Admin123!", "known to everybody"),
    ],
)
def test_dagster_makes_no_account_without_a_good_password(
    database: str, monkeypatch: pytest.MonkeyPatch, password: str | None, reason: str
) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    if password:
        monkeypatch.setenv("GOVERNANCE_ADMIN_PASSWORD", password)
    assert reason in admin_failure()
    assert passwords(database) == []


@pytest.mark.usefixtures("short_patience")
def test_a_build_beside_another_is_refused(empty: str, definitions: dg.Definitions) -> None:
    roles = dg.AssetKey(["core", "roles"])
    job = definitions.resolve_implicit_global_asset_job_def()
    with build_lock(empty), dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[roles], raise_on_error=False)
    failure = result.get_step_failure_events()[0].step_failure_data
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith(
        "another build is at work on this database: governance build from 127.0.0.1, pid "
    )


def test_what_stops_a_build_is_said_in_its_own_sentence(built: str, definitions: dg.Definitions) -> None:
    with connect(built) as connection:
        # settings are compared where they are to be written
        connection.execute(
            "update internal.rollup_state set timezone = 'Europe/Berlin';"
            "update internal.schema_objects set checksum = ''"
        )
    with dg.DagsterInstance.ephemeral() as instance:
        build = definitions.resolve_implicit_global_asset_job_def()
        result = build.execute_in_process(instance=instance, raise_on_error=False, op_selection=["dbt_build"])
    assert failures(result) == [
        "the rollups were built in time zone Europe/Berlin, not UTC; run `governance rebuild-rollups` to build them "
        "anew as far back as raw rows reach, or set reporting_timezone back"
    ]
