"""The dashboards of docker/grafana: each panel's SQL answers to a role that may read schema reporting only."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml

from orchestration.lib.database.connection import connect
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.settings import project_dir

# views are the same on each engine, and the file of the role is psql's
pytestmark = pytest.mark.engines("postgres")

FOLDER = project_dir() / "docker" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
PASSWORD = 'it\'s a "secret"'
LOGIN = "postgresql://grafana:it%27s%20a%20%22secret%22@"
PANELS = {f"{name}, {panel['title']}": panel for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]}
# what Grafana puts in place of its macros and variables
MACROS = (
    (r"\$__timeFilter\((\w+)\)", r"\1 between '2026-10-29T04:00:00Z' and '2026-11-28T04:00:00Z'"),
    (r"\$__timeFrom\(\)", "'2026-10-29T04:00:00Z'"),
    (r"\$__timeTo\(\)", "'2026-11-28T04:00:00Z'"),
    (r"\$currency\b", "USD"),
    (r"\(\$team\)", "('Search','no team')"),
)


def run_role_file(database: str, password: str | None) -> subprocess.CompletedProcess[str]:
    psql = bundled_program("psql")
    assert psql is not None
    environment = {name: value for name, value in os.environ.items() if name != "GRAFANA_DATABASE_PASSWORD"}
    command: list[str] = [
        str(psql),
        "-d",
        database,
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(FOLDER / "role.sql"),
    ]
    given = {} if password is None else {"GRAFANA_DATABASE_PASSWORD": password}
    return subprocess.run(command, env=environment | given, capture_output=True, text=True)


@pytest.fixture(scope="module")
def reader(database: str) -> Iterator[str]:
    for _ in range(2):
        made = run_role_file(database, PASSWORD)
        assert made.returncode == 0, made.stderr
    yield LOGIN + database.split("@")[1]
    with connect(database) as session:
        session.execute("drop owned by grafana; drop role grafana")


def filled_in(sql: str) -> str:
    for pattern, value in MACROS:
        sql = re.sub(pattern, value, sql)
    assert "$" not in sql, sql
    return sql


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS.keys())
def test_a_panel_answers_to_a_reader(reader: str, panel: dict[str, Any]) -> None:
    (target,) = panel["targets"]
    with connect(reader) as connection:
        cursor = connection.execute(filled_in(target["rawSql"]).encode())
        assert cursor.description is not None
        columns = [column.name for column in cursor.description]
    if target["format"] == "time_series":
        assert columns == ["time", "metric", "value"]
    # what is shown in its own unit is there
    named = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
    assert set(named) <= set(columns)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_whole(reader: str, name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == name
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    source = yaml.safe_load((FOLDER / "provisioning/datasources/warehouse.yaml").read_text())["datasources"][0]
    used = [panel["datasource"] for panel in dashboard["panels"]]
    variables = dashboard["templating"]["list"]
    assert {(each["type"], each["uid"]) for each in used} == {(source["type"], source["uid"])}
    text = json.dumps(dashboard)
    assert {variable["name"] for variable in variables} == set(re.findall(r"\$([a-z]+)\b", text))
    with connect(reader) as connection:
        for variable in variables:
            connection.execute(variable["query"].encode())
    # every table of a query is a view of reporting
    queries = [panel["targets"][0]["rawSql"] for panel in dashboard["panels"]]
    read = {found for query in queries for found in re.findall(r"\bfrom (\S+)", query)}
    assert all(each.startswith("reporting.") for each in read), read


@pytest.mark.parametrize(
    "statement",
    [
        "select password_hash from core.users",
        "select * from internal.settings",
        "set default_transaction_read_only = off; delete from core.alerts",
        "create table reporting.mine (id int)",
    ],
)
def test_the_reader_may_no_more(reader: str, statement: str) -> None:
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    with connect(reader) as connection, pytest.raises(refused):
        connection.execute(statement.encode())


def test_without_a_password_no_role_is_made(database: str) -> None:
    for password in (None, ""):
        refused = run_role_file(database, password)
        assert refused.returncode != 0
        assert "set GRAFANA_DATABASE_PASSWORD in .env" in refused.stderr
