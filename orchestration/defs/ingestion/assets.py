"""An asset for each source in sources.yml, and what loads it: a sensor for files, a schedule for a database."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.ingestion.landing import run_key
from orchestration.defs.scheduled import limits, run_unless_unbuilt, zone
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.landed import refusal, waiting
from orchestration.lib.usage.configured import ConfiguredSource, configured_sources
from orchestration.lib.usage.landing import Collected, collect, look, place_of
from orchestration.lib.warehouse.refresh import refresh

_SECONDS = 30
_HOURLY = "10 * * * *"
_AGAIN = "It isn't tried again before the file is written anew or sources.yml changes"
_SHOWN = 20
_LIMITS = limits(240)


def usage_asset(source: ConfiguredSource) -> dg.AssetsDefinition:
    """What the source has that is new, loaded into the warehouse. It is materialized where something new came."""

    @dg.asset(
        key=["usage", source.name],
        deps=[dg.AssetKey(["core", "provider_usage" if source.is_report else "llm_metrics"])],
        description=_description(source),
        group_name="ingestion",
        owners=["team:platform"],
        kinds={"python", "postgres"},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=source.fresh_within),
        output_required=False,
        pool="ingestion",
    )
    def usage(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with explained():
            url = database_url()
            collected = collect(url, source, notify=context.log.info)
            if collected.report.loaded and not source.is_report:
                refresh(url)
        metadata = _metadata(collected)
        if collected.report.loaded:
            yield dg.MaterializeResult(metadata=metadata)
        elif not collected.refused:
            context.log.info("nothing new: %s", collected.report)
        if collected.refused:
            raise dg.Failure(
                refusal(collected.refused, _AGAIN),
                metadata=metadata,
                # what is wrong with a file doesn't pass
                allow_retries=False,
            )

    return usage


def _description(source: ConfiguredSource) -> str:
    of = f" of {source.source}" if source.source else ""
    if source.files is not None:
        return f"Usage{of} in files that land as {source.files}; sources.yml says so."
    return f"Usage{of} in the database that {source.url_variable} names; sources.yml says so."


def _metadata(collected: Collected) -> dict[str, Any]:
    report = collected.report
    counted: dict[str, Any] = {
        "read": report.read,
        "loaded": report.loaded,
        "duplicate": report.duplicate,
        "quarantined": report.quarantined,
    }
    if report.reasons:
        reasons = [f"- {reason} ({count:,})" for reason, count in report.reasons.most_common(_SHOWN)]
        counted["quarantined because"] = dg.MetadataValue.md("\n".join(reasons))
    if collected.files:
        counted["files"] = dg.MetadataValue.md("\n".join(f"- {path}" for path in collected.files[:_SHOWN]))
        counted["number of files"] = len(collected.files)
    return counted


def landing_sensor(source: ConfiguredSource, asset: dg.AssetsDefinition) -> dg.SensorDefinition:
    """Asks for a run when a complete file has landed that wasn't taken yet."""

    @dg.sensor(
        name=f"usage_{source.name}_sensor",
        target=asset,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED if source.is_off else dg.DefaultSensorStatus.RUNNING,
        description=f"Loads what lands as {source.files}, once it is complete.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            landing = look(database_url(), source)
        except GovernanceError as error:
            return dg.SkipReason(str(error))
        if not landing.pending:
            return dg.SkipReason(waiting(place_of(source), landing))
        return dg.RunRequest(run_key=run_key(landing), tags=_LIMITS)

    return sensor


def _run(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    asked = run_unless_unbuilt(context)
    return asked if isinstance(asked, dg.SkipReason) else dg.RunRequest(tags=_LIMITS)


def pull_schedule(source: ConfiguredSource, asset: dg.AssetsDefinition) -> dg.ScheduleDefinition:
    """Asks the source's database by the clock. Raises GovernanceError where its time makes no sense."""
    try:
        return dg.ScheduleDefinition(
            name=f"usage_{source.name}_schedule",
            target=asset,
            cron_schedule=source.schedule or _HOURLY,
            execution_timezone=zone(),
            default_status=dg.DefaultScheduleStatus.STOPPED if source.is_off else dg.DefaultScheduleStatus.RUNNING,
            description=f"Loads what is new in the database that {source.url_variable} names.",
            execution_fn=_run,
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise GovernanceError(
            f"{source.name} in sources.yml has the schedule {source.schedule!r}, which is no time: give the five "
            f"fields of cron, such as {_HOURLY!r}, or `off`"
        ) from error


@dg.definitions
def defs() -> dg.Definitions:
    """Nothing where no source is configured."""
    sources = [(source, usage_asset(source)) for source in configured_sources()]
    return dg.Definitions(
        assets=[asset for _, asset in sources],
        sensors=[landing_sensor(source, asset) for source, asset in sources if source.files is not None],
        schedules=[pull_schedule(source, asset) for source, asset in sources if source.files is None],
    )
