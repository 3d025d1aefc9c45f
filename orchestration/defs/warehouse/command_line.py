"""What `governance build` and the demo did, shown in Dagster as if it had been done there."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from orchestration.defs.identity.assets import admin_account, made_account
from orchestration.defs.retention.figures import figures_of_rules
from orchestration.defs.verification import violations
from orchestration.defs.warehouse.row_counts import row_count
from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import database_url
from orchestration.lib.dbt.results import NodeResult, results_since
from orchestration.lib.errors import GovernanceError, explained

# the metadata that dagster-dbt gives each asset and each check
_NODE = "dagster_dbt/unique_id"
_SECONDS = 30
_BY = "By the command line."

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.AssetObservation


def command_line_sensor(dbt_build: dg.AssetsDefinition) -> dg.SensorDefinition:
    """Reports what the database says was built and tested since the last time, for the assets and checks of dbt."""
    assets = {str(spec.metadata[_NODE]): spec.key for spec in dbt_build.specs}
    checks = {str(spec.metadata[_NODE]): spec.key for spec in dbt_build.check_specs}

    @dg.sensor(
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows what `governance build` and `governance demo` built and tested, here or elsewhere.",
    )
    def command_line_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            url = database_url()
            with explained(), connect(url) as connection:
                results = results_since(connection, datetime.fromisoformat(context.cursor) if context.cursor else None)
                account = made_account(connection) if results else None
                built = [assets[each.node] for each in results if each.node in assets and each.status == "success"]
                rows = {key: row_count(connection, key) for key in built}
        except GovernanceError as error:
            return dg.SkipReason(str(error))
        if not results:
            return dg.SkipReason("the command line has built and tested nothing since")
        events: list[Event] = [*_materializations(results, assets, rows), *_evaluations(results, checks, url)]
        if account is not None:
            events.append(dg.AssetMaterialization(admin_account.key, description=_BY, metadata=account))
        return dg.SensorResult(asset_events=events, cursor=results[-1].recorded_at.isoformat())

    return command_line_sensor


def _materializations(
    results: Iterable[NodeResult], assets: dict[str, dg.AssetKey], rows: dict[dg.AssetKey, dict[str, Any]]
) -> Iterator[Event]:
    for each in results:
        if each.node in assets and each.status == "success":
            key = assets[each.node]
            yield dg.AssetMaterialization(key, description=_BY, metadata=_metadata(each) | rows[key])


def _evaluations(results: Iterable[NodeResult], checks: dict[str, dg.AssetCheckKey], url: str) -> Iterator[Event]:
    tested = [each for each in results if each.node in checks]
    failed = [violations.rule_of(checks[each.node]) for each in tested if each.status != "pass"]
    found = violations.of_rules(url, [rule for rule in failed if rule])
    asked = [violations.rule_of(checks[each.node]) for each in tested]
    figures = figures_of_rules(url, [rule for rule in asked if rule])
    for each in tested:
        key, passed = checks[each.node], each.status == "pass"
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN if each.status == "warn" else dg.AssetCheckSeverity.ERROR,
            description=_BY,
            metadata=_metadata(each)
            | figures.get(violations.rule_of(key) or "", {})
            | ({} if passed else found.get(violations.rule_of(key) or "", {})),
        )


def _metadata(result: NodeResult) -> dict[str, Any]:
    return {
        "ended at": dg.MetadataValue.timestamp(result.finished_at),
        "seconds": round(result.seconds, 3),
        "status": result.status,
    } | ({} if result.failures is None else {"failed rows": result.failures})
