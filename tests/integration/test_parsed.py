"""What the tests keep of dbt's reading of the project, they keep rightly."""

from typing import Any

import yaml
from dbt.cli.main import dbtRunner

from orchestration.lib.dbt.environment import dbt_environment, environment
from orchestration.lib.settings import project_dir

URL = "postgresql://nobody:nothing@127.0.0.1:5432/{}"
# of what tests are asked, the window is read with the project; no test sets it
OTHERS = {
    "verified_rollup_window": "1 day",
    "time_series_engine": "postgres",
    "database_settings": False,
    "reporting_timezone": "Asia/Kolkata",
}


def test_what_is_taken_for_another_database_and_other_vars_is_what_dbt_reads(dbt_folder: None) -> None:
    declared = yaml.safe_load((project_dir() / "dbt_project.yml").read_text())["vars"]
    others = yaml.safe_dump({name: OTHERS.get(name, "another") for name in declared})
    assert read("llm_governance")
    taken = read("another", "--vars", others)
    assert taken == read("another", "--vars", others, "--no-partial-parse")


def read(database: str, *options: str) -> dict[str, Any]:
    """The project as dbt reads it."""
    with environment(dbt_environment(URL.format(database))):
        result = dbtRunner().invoke(["--log-level", "none", "parse", *options])
    assert result.success, result.exception
    found: dict[str, Any] = without_times(result.result.to_dict())  # type: ignore[union-attr]
    return {name: found[name] for name in ("nodes", "macros", "unit_tests", "exposures", "groups", "disabled")}


def without_times(found: Any) -> Any:
    if isinstance(found, list):
        return [without_times(each) for each in found]
    if isinstance(found, dict):
        return {name: without_times(each) for name, each in found.items() if name not in ("created_at", "metadata")}
    return found
