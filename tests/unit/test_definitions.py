"""What Dagster shows, compared with dbt's own list and with a snapshot.

After a wanted change write the snapshot anew and look at its diff:
make test ARGS='tests/unit/test_definitions.py --update-snapshots'
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration.cli.ui import INSTANCE
from orchestration.defs.page import jobs_page
from orchestration.defs.scheduled import SCHEDULED, SEVERITY
from orchestration.lib.settings import project_dir

SNAPSHOT = Path(__file__).parent / "snapshots" / "definitions.json"
PAGE = project_dir() / "docs" / "jobs.md"
OF_REPORTS = {f"compliance/{kind}_report" for kind in ("daily", "weekly", "monthly", "quarterly")}
NOT_OF_DBT = {"admin_account", "operations/backup", "operations/restored_backup"} | OF_REPORTS
CHECKS_NOT_OF_DBT = {"deep_drift", "probe", "drill_is_recent"}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """dbt's target folder, empty; loading the definitions makes the manifest in it, without a database."""
    folder = tmp_path_factory.mktemp("target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET_PATH", str(folder))
        patch.setenv("DBT_LOG_PATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def definitions(target: Path) -> dg.Definitions:
    from orchestration.definitions import defs

    return defs()


@pytest.fixture(scope="module")
def nodes(definitions: dg.Definitions, target: Path) -> list[dict[str, Any]]:
    """dbt's own list of what loading `definitions` read."""
    return list(json.loads((target / "manifest.json").read_text())["nodes"].values())


def test_unit_tests_hold_in_every_zone(definitions: dg.Definitions, target: Path) -> None:
    """A build runs them with the vars of whoever builds: one about a model that asks for the zone names a zone."""
    manifest = json.loads((target / "manifest.json").read_text())
    macros, models = manifest["macros"], {node["name"]: node for node in manifest["nodes"].values()}

    def used(node: dict[str, Any], found: set[str]) -> set[str]:
        for name in set(node["depends_on"]["macros"]) - found:
            found.add(name)
            used(macros[name], found)
        return found

    def asks(model: dict[str, Any]) -> bool:
        own = (macros[name]["macro_sql"] for name in used(model, set()) if name.startswith("macro.governance."))
        return any("reporting_timezone" in text for text in (model["raw_code"], *own))

    tests = [each for each in manifest["unit_tests"].values() if asks(models[each["model"]])]
    assert tests
    named = [((each["overrides"] or {}).get("vars") or {}).keys() for each in tests]
    assert [test["name"] for test, names in zip(tests, named, strict=True) if "reporting_timezone" not in names] == []


def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key)


def test_assets_checks_jobs_and_schedules_are_those_of_the_snapshot(
    definitions: dg.Definitions, request: pytest.FixtureRequest
) -> None:
    repository = definitions.get_repository_def()
    assets: dict[str, list[str]] = {}
    for spec in specs(definitions):
        assets.setdefault(str(spec.group_name), []).append(spec.key.to_user_string())
    found = {
        "assets by group": dict(sorted(assets.items())),
        "checks": sorted(
            f"{key.asset_key.to_user_string()}: {key.name}" for key in repository.asset_graph.asset_check_keys
        ),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": {each.name: each.cron_schedule for each in sorted(repository.schedule_defs, key=lambda s: s.name)},
        "sensors": sorted(each.name for each in repository.sensor_defs),
    }
    if request.config.getoption("--update-snapshots"):
        SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(SNAPSHOT.read_text()), "if that's meant: see the head of this file"


def test_the_page_about_jobs_is_that_of_the_definitions(
    definitions: dg.Definitions, request: pytest.FixtureRequest
) -> None:
    page = jobs_page(definitions)
    if request.config.getoption("--update-snapshots"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "run `make generate`"


def test_every_job_is_limited_and_says_how_bad_a_failure_is(definitions: dg.Definitions) -> None:
    jobs = [job for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert len(jobs) >= 15
    for job in jobs:
        assert 600 <= int(job.tags["dagster/max_runtime"]) <= 28800, job.name
        assert job.tags[SEVERITY] in ("medium", "high", "critical"), job.name


def test_every_seed_and_model_of_dbt_is_an_asset(definitions: dg.Definitions, nodes: list[dict[str, Any]]) -> None:
    of_dbt = {
        f"{node['config']['schema']}/{node['name']}"
        for node in nodes
        if node["resource_type"] in ("model", "seed") and node["config"]["materialized"] != "ephemeral"
    }
    assert len(of_dbt) >= 32
    assert {spec.key.to_user_string() for spec in specs(definitions)} == of_dbt | NOT_OF_DBT


def test_every_data_test_of_dbt_is_a_check(definitions: dg.Definitions, nodes: list[dict[str, Any]]) -> None:
    """One of several models needs `config: {meta: {dagster: {ref: {name: <the model it is about>}}}}`."""
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert tests
    assert {key.name for key in definitions.resolve_asset_graph().asset_check_keys} == tests | CHECKS_NOT_OF_DBT


def test_every_asset_is_described_grouped_and_owned(definitions: dg.Definitions) -> None:
    for spec in specs(definitions):
        name = spec.key.to_user_string()
        assert spec.description, name
        # what dagster-dbt writes where there is no description
        assert not spec.description.startswith("dbt "), name
        assert spec.group_name not in (None, "default"), name
        assert spec.owners, name
        assert spec.kinds, name


def test_every_column_is_described(definitions: dg.Definitions) -> None:
    for spec in specs(definitions):
        name = spec.key.to_user_string()
        if name in NOT_OF_DBT:
            continue
        columns = spec.metadata["dagster/column_schema"].columns
        assert columns, name
        assert [column.name for column in columns if not column.description] == [], name


def test_every_check_is_described(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    undescribed = [key.name for key in graph.asset_check_keys if not graph.get(key).description]
    assert undescribed == [], "a test takes a `description:` in YAML, or a comment as its first line"


def test_every_job_schedule_and_sensor_is_described(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    steps = [node.definition for job in jobs for node in job.nodes if node.definition.name != "dbt_build"]
    described = {job.name: job.description for job in jobs}
    described |= {step.name: step.description for step in steps}
    described |= {schedule.name: schedule.description for schedule in repository.schedule_defs}
    described |= {sensor.name: sensor.description for sensor in repository.sensor_defs}
    assert len(described) > 10
    assert [name for name, description in described.items() if not description] == []


def test_each_schedule_has_its_variable(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert sorted(each.name for each in repository.schedule_defs) == [f"{name}_schedule" for name in SCHEDULED]
    assert {each.job_name for each in repository.schedule_defs} <= set(repository.job_names)


def test_without_a_database_the_sensor_waits_and_a_scheduled_run_says_what_is_missing(
    definitions: dg.Definitions,
) -> None:
    repository = definitions.get_repository_def()
    waits = repository.get_sensor_def("command_line_sensor")(dg.build_sensor_context(repository_def=repository))
    assert isinstance(waits, dg.SkipReason)
    assert str(waits.skip_message).startswith("no database: ")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(
            instance, repository_def=repository, scheduled_execution_time=datetime(2026, 11, 27, 6, tzinfo=UTC)
        )
        for schedule in repository.schedule_defs:
            assert len(schedule.evaluate_tick(context).run_requests or []) == 1, schedule.name


def test_the_project_is_read_where_it_lies(definitions: dg.Definitions) -> None:
    """Dagster's component would make a copy here, with .venv and the embedded database in it."""
    assert definitions.resolve_all_asset_specs()
    assert list((project_dir() / "orchestration" / "defs").rglob(".local_defs_state")) == []


def test_one_dbt_runs_at_a_time_wherever_dagster_runs(definitions: dg.Definitions) -> None:
    build = definitions.resolve_assets_def(dg.AssetKey(["core", "users"]))
    assert build.op.pool == "dbt"
    compose = yaml.safe_load((project_dir() / "docker" / "dagster.yaml").read_text())
    local = yaml.safe_load(INSTANCE)
    assert local["concurrency"] == compose["concurrency"] == {"pools": {"default_limit": 1}}
    assert local["run_monitoring"] == compose["run_monitoring"]
    assert local["freshness"] == compose["freshness"] == {"enabled": True}
    for sender in ("telemetry", "nux"):
        assert local[sender] == compose[sender] == {"enabled": False}
