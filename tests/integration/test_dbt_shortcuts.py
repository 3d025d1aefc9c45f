"""With its shortcuts dbt makes the same of the project as without."""

from typing import Any

import pytest
import sqlparse
from dbt import compilation
from dbt.artifacts.resources.v1.components import InjectedCTE
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt_shortcuts import plain_dbt

from orchestration.lib.dbt.environment import dbt_environment, environment

# with ephemeral models, with what is made of dbt's graph, and tests
NODES = ["spend_by_team_view", "period_totals", "llm_spend_daily", "missing_triggers", "missing_relations", "users"]
QUERIES = [
    "select 1",
    "\n  -- with a comment\nselect 1",
    "with a as (select 1) select * from a",
    "/* with */ WITH  Recursive a as (select 1) select * from a",
    "-- with\n\nwith a as (with b as (select 1) select * from b) select * from a",
    "select * from (with b as (select 1) select * from b) as b -- with",
    "withdrawn",
]


@pytest.mark.engines("postgres")
def test_the_same_sql_is_made_of_the_project(database: str) -> None:
    def compiled() -> dict[str, str]:
        with environment(dbt_environment(database)):
            done: Any = dbtRunner().invoke(["--log-level", "none", "compile", "--select", *NODES])
        assert done.success, done.exception
        return {each.node.unique_id: " ".join(each.node.compiled_code.split()) for each in done.result.results}

    with plain_dbt():
        expected = compiled()
    assert compiled() == expected
    assert len(expected) > 8


@pytest.mark.usefixtures("dbt_folder")
@pytest.mark.parametrize("query", QUERIES)
def test_ephemeral_models_come_before_the_query(query: str) -> None:
    ctes: list[Any] = [InjectedCTE(id=name, sql=f" {name} as (\nselect 2\n)") for name in ("x", "y")]
    with plain_dbt():
        expected = compilation.inject_ctes_into_sql(query, ctes)
    assert as_sent(compilation.inject_ctes_into_sql(query, ctes)) == as_sent(expected)
    assert compilation.inject_ctes_into_sql(query, []) == query


def as_sent(query: str) -> str:
    return " ".join(sqlparse.format(query, strip_comments=True).split()).replace(" ,", ",")


@pytest.mark.usefixtures("dbt_folder")
def test_plain_dbt_is_without_them() -> None:
    short = Manifest.build_flat_graph, compilation.inject_ctes_into_sql
    with plain_dbt():
        assert Manifest.build_flat_graph.__module__ == "dbt.contracts.graph.manifest"
        assert compilation.inject_ctes_into_sql != short[1]
    assert (Manifest.build_flat_graph, compilation.inject_ctes_into_sql) == short
