"""The dbt project as Dagster assets."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.defs.failures import explained, fail
from orchestration.defs.scheduled import NOT_BUILT
from orchestration.defs.verification import violations
from orchestration.defs.warehouse.command_line import command_line_sensor
from orchestration.defs.warehouse.failed_nodes import what_failed
from orchestration.defs.warehouse.jobs import build_job, build_schedule
from orchestration.defs.warehouse.row_counts import row_counter
from orchestration.lib.database.in_use import database_url
from orchestration.lib.database.retry import says_transient
from orchestration.lib.dbt.environment import dbt_environment, environment
from orchestration.lib.dbt.manifest import DBT, ensure_manifest
from orchestration.lib.dbt.runner import refusal
from orchestration.lib.errors import GovernanceError, NotBuiltError
from orchestration.lib.settings import dbt_target
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock
from orchestration.lib.warehouse.refresh import is_built

# refresh_job runs each quarter of an hour; rule stale_rollups allows as long
_FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(hours=1))
_KINDS = {"managed_table": "table", "rollup": "rollup", "seed": "seed"}


class WarehouseProject(DbtProjectComponent):
    """Reads the project where it lies and builds it on the database that `governance url` names at that moment."""

    @staticmethod
    @dg.template_var
    def dbt_target() -> str:
        """For defs.yaml: where dbt's manifest lies."""
        return str(dbt_target())

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets and checks of the project as it is now: reloading the definitions shows what changed."""
        ensure_manifest()
        # The component would copy the whole project, its environment and its database too, and read the copy.
        definitions = self.build_defs_from_state(context, state_path=None)
        (dbt_build,) = (each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition))
        others = dg.Definitions(
            jobs=[build_job], schedules=[build_schedule()], sensors=[command_line_sensor(dbt_build)]
        )
        return dg.Definitions.merge(definitions, others)

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The asset of a node: of the group of its folder, which is a domain of core, rollups, reporting or seeds.

        All rules are verification. A rollup is to be refreshed within hours. As templates in defs.yaml the same takes
        twice as long as everything else that is loaded.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        group = "verification" if node["fqn"][1] == "verification" else Path(node["original_file_path"]).parent.name
        return spec.replace_attributes(
            group_name=group,
            description=node["description"],
            owners=["team:platform"],
            kinds={"dbt", "postgres", _KINDS.get(node["config"].get("materialized"), "view")},
            freshness_policy=_FRESH if group == "rollups" else None,
        )

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check of a data test, described by its YAML, else by the comment it begins with, else by its model."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        node = self.get_resource_props(manifest, unique_id)
        comment = takewhile(lambda line: line.startswith("--"), node["raw_code"].splitlines())
        words = node["description"] or " ".join(line[2:].strip() for line in comment)
        if not words and node["attached_node"]:
            words = self.get_resource_props(manifest, node["attached_node"])["description"]
        return spec._replace(description=words)

    def execute(self, context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        """Run `dbt build` for the selected assets, one build at a time on a database.

        A rule that is violated shows its violations. dbt's target folder stays only after a failure, to be looked into.
        """
        with explained():
            url = database_url()
            if not context.selected_asset_keys and not is_built(url):
                raise NotBuiltError(NOT_BUILT)
            with (
                environment(dbt_environment(url, APPLICATION, unit_tests=False)),
                build_lock(url, "governance dagster"),
                row_counter(url, context.asset_key_for_output) as with_row_count,
            ):
                dbt = DbtCliResource(self.dbt_project, dbt_executable=DBT)
                build = dbt.cli(self.get_cli_args(context), context=context)
                # asked once, when dbt has ended
                asked: list[tuple[str, Any]] = []
                failure: DagsterDbtCliRuntimeError | None = None
                try:
                    for event in build.stream():
                        if (rule := _rule_of(event)) is None:
                            yield with_row_count(event)
                        else:
                            asked.append((rule, event))
                except DagsterDbtCliRuntimeError as error:
                    failure = error
                found = violations.of_rules(url, [rule for rule, _ in asked], program="governance dagster")
                for rule, event in asked:
                    yield event.with_metadata({**event.metadata, **found[rule]})
                if failure is not None:
                    said = refusal(str(failure))
                    if says_transient(str(failure)):
                        fail(said or str(failure), failure, transient=True)
                    raise GovernanceError(said or what_failed(build, found) or str(failure)) from failure
        shutil.rmtree(build.target_path)


def _rule_of(event: Any) -> str | None:
    if not isinstance(event, dg.AssetCheckResult) or not event.asset_key or not event.check_name:
        return None
    return violations.rule_of(dg.AssetCheckKey(event.asset_key, event.check_name))
