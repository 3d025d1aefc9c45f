"""Raw rows past their retention are dropped each night."""

from itertools import groupby

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import limits, scheduled
from orchestration.lib.database.in_use import database_url
from orchestration.lib.evidence.store import drop_old_evidence
from orchestration.lib.warehouse.retention import retain


@dg.op(pool="rollups")
def drop_raw_rows(context: dg.OpExecutionContext) -> None:
    """Refresh the rollups, then drop the partitions or chunks that are older than their retention."""
    with explained():
        url = database_url()
        dropped = retain(url)
        evidence = drop_old_evidence(url)
    for series, parts in groupby(dropped, key=lambda part: part.series):
        lost = list(parts)
        for part in lost:
            context.log.info("%s: dropped %s with %s rows", series, part.name, part.rows)
        context.log_event(
            dg.AssetObservation(
                dg.AssetKey(["core", series]),
                description="Raw rows past their retention were dropped; the rollups keep them counted.",
                metadata={
                    "rows dropped": sum(part.rows for part in lost),
                    "parts dropped": ", ".join(part.name for part in lost),
                    "raw rows since": dg.MetadataValue.timestamp(lost[0].older_than),
                },
            )
        )
    if evidence:
        context.log.info("dropped %s rows of runs of verification and resolved findings", evidence)
    if not dropped and not evidence:
        context.log.info("nothing is older than its retention")


@dg.job(tags=limits(120))
def retention_job() -> None:
    """Drops raw rows past their retention; the rollups keep them counted."""
    drop_raw_rows()


@dg.definitions
def defs() -> dg.Definitions:
    """The job, which runs at night, when few write."""
    schedule = scheduled(
        "retention", "0 3 * * *", "Drops raw rows past their retention; the rollups keep them counted."
    )
    return dg.Definitions(jobs=[retention_job], schedules=[schedule])
