"""The rollups follow the clock, also where no background policy refreshes them."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import limits, scheduled
from orchestration.lib.database.in_use import database_url
from orchestration.lib.warehouse.refresh import RefreshedRollup, refresh


@dg.op(pool="rollups")
def refresh_rollups(context: dg.OpExecutionContext) -> None:
    """Make partitions ahead and store the buckets that were closed or touched since; materializes every rollup."""
    with explained():
        refreshed = refresh(database_url())
    for rollup in refreshed:
        context.log.info("%s: %s", rollup.name, rollup.reach)
        context.log_event(materialization(rollup))


@dg.job(tags=limits(60, severity="medium"))
def refresh_job() -> None:
    """Brings the rollups up to the last closed hour, and makes partitions ahead."""
    refresh_rollups()


def materialization(rollup: RefreshedRollup) -> dg.AssetMaterialization:
    """That the rollup was stored up to its watermark; newer buckets are computed when asked."""
    watermark = rollup.watermark
    return dg.AssetMaterialization(
        dg.AssetKey(["rollups", rollup.name]),
        description="Refreshed.",
        metadata={} if watermark is None else {"stored before": dg.MetadataValue.timestamp(watermark)},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The job, each quarter of an hour: where nothing is new it takes milliseconds."""
    schedule = scheduled(
        "refresh", "*/15 * * * *", "Brings the rollups up to date: reports stay fast, and late rows count."
    )
    return dg.Definitions(jobs=[refresh_job], schedules=[schedule])
