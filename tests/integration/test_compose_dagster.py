"""Dagster's instance of docker-compose.yml, on a database of the test server."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from psycopg import sql

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.settings import project_dir

DATABASE = "dagster_storage"


@pytest.fixture
def instance(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    server = dbt_environment(server_url)
    settings = yaml.safe_load((project_dir() / "docker" / "dagster.yaml").read_text())
    settings["storage"]["postgres"]["postgres_db"] |= {
        "hostname": server["GOVERNANCE_DB_HOST"],
        "port": int(server["GOVERNANCE_DB_PORT"]),
        "username": server["GOVERNANCE_DB_USER"],
        "db_name": DATABASE,
    }
    monkeypatch.setenv("DAGSTER_STORAGE_PASSWORD", server["GOVERNANCE_DB_PASSWORD"])
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    name = sql.Identifier(DATABASE)
    with connect(server_url) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
        try:
            with dg.DagsterInstance.from_config(str(tmp_path)) as made:
                yield made
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))


def test_runs_and_events_are_kept_in_postgres(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def usage() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"rows": 3})

    result = dg.materialize([usage], instance=instance)

    assert result.success
    event = instance.get_latest_materialization_event(dg.AssetKey("usage"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["rows"].value == 3
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
