"""The daily job of Dagster: deep drift and probes as checks, with a table of what is wrong."""

import os
from typing import Any

import dagster as dg
import pytest
from psycopg import sql

from orchestration.defs.verification.checks import _result
from orchestration.lib.database.connection import connect
from orchestration.lib.verification.drift import find
from orchestration.lib.verification.probes import probe_database

pytestmark = pytest.mark.not_on_pglite("a database beside another, and several connections")


def run_job() -> dict[str, dg.AssetCheckEvaluation]:
    """Evaluations of its checks by name."""
    from orchestration.definitions import defs

    with dg.DagsterInstance.ephemeral() as instance:
        result = defs().resolve_job_def("deep_verification_job").execute_in_process(instance=instance)
    assert result.success
    assert result.get_asset_materialization_events() == []
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_drift_and_a_broken_guard_fail_the_checks_with_what_to_do(
    database: str, server_url: str, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference is a copy of a build: that one is made by itself is in test_drift_reference.py."""

    def copy_built(_args: list[str], url: str, **_options: Any) -> None:
        name = sql.Identifier(url.rpartition("/")[2])
        with connect(server_url) as admin:
            admin.execute(sql.SQL("drop database {}").format(name))
            admin.execute(sql.SQL("create database {} template {}").format(name, sql.Identifier(template)))

    monkeypatch.setattr(find, "run_dbt", copy_built)
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    environment = dict(os.environ)
    with connect(database) as connection:
        connection.execute("alter table core.users drop constraint users_email_check")
    broken = run_job()
    assert dict(os.environ) == environment
    for name, subject in (("deep_drift", "constraint users_email_check on core.users"), ("probe", "email")):
        evaluation = broken[name]
        assert not evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR
        table = evaluation.metadata["what is wrong"]
        assert isinstance(table, dg.TableMetadataValue)
        assert [record.data["subject"] for record in table.records] == [subject]


def test_what_is_not_known_is_no_pass(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    with connect(database) as connection:
        connection.execute("drop schema verification cascade; alter table core.audit_logs rename to gone")
    unknown = _result(probe_database)
    assert not unknown.passed
    assert unknown.severity == dg.AssetCheckSeverity.WARN
    assert "holds no warehouse yet" in str(unknown.metadata["could not run"].value)
