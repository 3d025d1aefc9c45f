"""The rollups follow the clock, also where no background policy refreshes them."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.lib.refresh import refresh


@dg.op
def refresh_rollups(context: dg.OpExecutionContext) -> None:
    """Make partitions ahead and store the buckets that were closed or touched since."""
    with explained():
        refreshed = refresh()
    for rollup in refreshed:
        context.log.info("%s: stored before %s", rollup.name, rollup.watermark)


@dg.job
def refresh_job() -> None:
    """Brings the rollups up to the last closed hour."""
    refresh_rollups()


@dg.definitions
def defs() -> dg.Definitions:
    """Every 15 minutes, on from the start; a refresh without news takes milliseconds."""
    schedule = dg.ScheduleDefinition(
        name="refresh_schedule",
        job=refresh_job,
        cron_schedule="*/15 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(jobs=[refresh_job], schedules=[schedule])
