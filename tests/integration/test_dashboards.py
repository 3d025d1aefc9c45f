"""The dashboards of docker/grafana: each panel's SQL answers to a role that may read schema reporting only."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from database_roles import drop_roles, log_in

from orchestration.lib.database.connection import connect
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.roles import apply_roles

# views and rights are the same on each engine
pytestmark = pytest.mark.engines("postgres")

FOLDER = project_dir() / "docker" / "grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
(SOURCE,) = yaml.safe_load((FOLDER / "provisioning/datasources/warehouse.yaml").read_text())["datasources"]
PANELS = {f"{name}, {panel['title']}": panel for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]}
# what Grafana puts in place of its macros and variables
MACROS = (
    (r"\$__timeFilter\((\w+)\)", r"\1 between '2026-10-29T04:00:00Z' and '2026-11-28T04:00:00Z'"),
    (r"\$__timeFrom\(\)", "'2026-10-29T04:00:00Z'"),
    (r"\$__timeTo\(\)", "'2026-11-28T04:00:00Z'"),
    (r"\$currency\b", "USD"),
    (r"\(\$team\)", "('Search','no team')"),
)


@pytest.fixture(scope="module")
def reader(database: str) -> Iterator[str]:
    """As which Grafana logs in."""
    apply_roles(database)
    try:
        yield log_in(database, SOURCE["user"].removeprefix("governance_"))
    finally:
        drop_roles(database)


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
    used = [panel["datasource"] for panel in dashboard["panels"]]
    variables = dashboard["templating"]["list"]
    assert {(each["type"], each["uid"]) for each in used} == {(SOURCE["type"], SOURCE["uid"])}
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
        "delete from core.alerts",
        "select * from verification.findings",
        "create table reporting.mine (id int)",
    ],
)
def test_the_reader_may_no_more(reader: str, statement: str) -> None:
    with connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
