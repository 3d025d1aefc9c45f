"""Raw rows past their retention are dropped each night."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.lib.retention import retain


@dg.op
def drop_raw_rows(context: dg.OpExecutionContext) -> None:
    """Refresh the rollups, then drop the partitions or chunks that are older than their retention."""
    with explained():
        dropped = retain()
    for part in dropped:
        context.log.info("%s: dropped %s with %s rows", part.series, part.name, part.rows)
    if not dropped:
        context.log.info("nothing is older than its retention")


@dg.job
def retention_job() -> None:
    """Drops raw rows past their retention; the rollups keep them counted."""
    drop_raw_rows()


@dg.definitions
def defs() -> dg.Definitions:
    """On from the start."""
    schedule = dg.ScheduleDefinition(
        name="retention_schedule",
        job=retention_job,
        cron_schedule="0 3 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(jobs=[retention_job], schedules=[schedule])
