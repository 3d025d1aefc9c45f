"""Writes compliance reports: each kind an asset with a partition for each period, and a job that writes one."""

from pathlib import Path

import dagster as dg

from orchestration.defs.compliance.metadata import as_metadata
from orchestration.defs.compliance.periods import KINDS, Kind, due, period_of
from orchestration.defs.failures import explained
from orchestration.defs.scheduled import built_database, limits, scheduled
from orchestration.lib.audit.sign import public_keys
from orchestration.lib.compliance.period import Period
from orchestration.lib.compliance.report import is_whole, verify_report, write_report
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import governance_home, settings


def report_asset(kind: Kind) -> dg.AssetSpec:
    """The reports of a kind. "Materialize all" is to build the warehouse, so it leaves them to their jobs."""
    return dg.AssetSpec(
        kind.key,
        deps=[dg.AssetKey(["verification", "findings"]), dg.AssetKey(["reporting", "access_review"])],
        description=f"{kind.what} A folder in `reports` of the home folder, which {kind.job} writes; `governance "
        "report` writes the same.",
        partitions_def=kind.partitions(),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=kind.fresh_within),
        group_name="compliance",
        owners=["team:governance"],
        kinds={"python", "html"},
    )


def report_job(kind: Kind) -> dg.JobDefinition:
    """Writes the report of its partition."""

    @dg.op(name=f"write_{kind.asset}", pool="reports", description=f"Write the report of a {kind.period}.")
    def write(context: dg.OpExecutionContext) -> None:
        with explained():
            metadata = as_metadata(_written(context, period_of(kind, context.partition_key)))
        context.log_event(dg.AssetMaterialization(kind.key, partition=context.partition_key, metadata=metadata))

    @dg.job(
        name=kind.job,
        description=f"Writes the report of a {kind.period} that is over. {kind.what}",
        partitions_def=kind.partitions(),
        tags=limits(30),
    )
    def job() -> None:
        write()

    return job


def _written(context: dg.OpExecutionContext, period: Period) -> Path:
    """The folder of the report: one that is there, of the command line or of a run that was killed, stays."""
    url, reports, key = built_database(), governance_home() / "reports", settings().audit_key
    folder = reports / f"{period.kind}-{period.name}"
    if not folder.exists():
        keys = public_keys(key) if key is not None else []
        anchors = settings().audit_anchors
        folder, _ = write_report(url, period.name, reports, keys=keys, checkpoints=anchors, only_whole=True)
        return folder
    if faults := verify_report(folder):
        raise GovernanceError(f"{folder} is there already and is not as it was written: {faults[0]}; move it away")
    if not is_whole(folder):
        raise GovernanceError(f"{folder} was written before {period.name} had ended: move it away, and run this again")
    context.log.info("%s is there already, as it was written", folder)
    return folder


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, jobs and schedules of the reports, which run after the checks of the night."""
    day, week, month, quarter = KINDS
    of_month = "Writes the compliance report of the month that is over."
    of_quarter = "Writes the access review of the quarter that is over."
    missed = "What failed, or was missed while Dagster was down, is caught up, each day."
    return dg.Definitions(
        assets=[report_asset(kind) for kind in KINDS],
        jobs=[report_job(kind) for kind in KINDS],
        schedules=[
            scheduled("daily_report", "0 6 * * *", f"Writes the report of the day before. {missed}", due=due(day)),
            scheduled("weekly_report", "15 6 * * *", f"Writes the report of the week before. {missed}", due=due(week)),
            scheduled("report", "30 6 * * *", f"{of_month} {missed}", due=due(month)),
            scheduled("quarterly_report", "45 6 * * *", f"{of_quarter} {missed}", due=due(quarter)),
        ],
    )
