"""Writes compliance reports: each an asset with a partition for each period."""

import dagster as dg

from orchestration.defs.compliance.metadata import as_metadata
from orchestration.defs.compliance.periods import KINDS, Kind, due, period_of
from orchestration.defs.failures import explained
from orchestration.defs.scheduled import NOT_BUILT, limits, scheduled
from orchestration.lib.audit.sign import public_key
from orchestration.lib.compliance.report import verify_report, write_report
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError, NotBuiltError
from orchestration.lib.settings import governance_home, settings
from orchestration.lib.warehouse.refresh import is_built


def report_asset(kind: Kind) -> dg.AssetsDefinition:
    """The reports of a kind, a partition for each period."""

    @dg.asset(
        key=kind.key,
        deps=[dg.AssetKey(["verification", "findings"]), dg.AssetKey(["reporting", "access_review"])],
        description=f"{kind.what} A folder in `reports` of the home folder; `governance report` writes the same.",
        partitions_def=kind.partitions(),
        group_name="compliance",
        owners=["team:governance"],
        kinds={"python", "html"},
        pool="reports",
        # it is written when its period is over, so that a backfill asks for each by itself
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        key, period = settings().audit_key, period_of(kind, context.partition_key)
        reports = governance_home() / "reports"
        with explained():
            url = database_url()
            if not is_built(url):
                raise NotBuiltError(NOT_BUILT)
            folder = reports / f"{period.kind}-{period.name}"
            if folder.exists():
                # of the command line, or of a run that ended before it could say so
                if faults := verify_report(folder):
                    raise GovernanceError(f"{folder} is there already and is not as it was written: {faults[0]}")
                context.log.info("%s is there already, as it was written", folder)
            else:
                keys = [public_key(key)] if key is not None else []
                folder, _ = write_report(url, period.name, reports, keys=keys, checkpoints=settings().audit_anchors)
            return dg.MaterializeResult(metadata=as_metadata(folder))

    return report


@dg.definitions
def defs() -> dg.Definitions:
    """After the checks of the night, when a period is over."""
    day, week, month, quarter = KINDS
    missed = "What was missed while Dagster was down is caught up."
    return dg.Definitions(
        assets=[report_asset(kind) for kind in KINDS],
        jobs=[
            dg.define_asset_job(
                kind.job,
                selection=dg.AssetSelection.assets(kind.key),
                description=f"Writes the report of a {kind.period} that is over. {kind.what}",
                tags=limits(30),
            )
            for kind in KINDS
        ],
        schedules=[
            scheduled("daily_report", "0 6 * * *", f"Writes the report of the day before. {missed}", due=due(day)),
            scheduled("weekly_report", "15 6 * * 1", f"Writes the report of the week before. {missed}", due=due(week)),
            scheduled(
                "report",
                "30 6 1 * *",
                f"Writes the compliance report of the month that is over. {missed}",
                due=due(month),
            ),
            scheduled(
                "quarterly_report",
                "45 6 1 1,4,7,10 *",
                f"Writes the access review of the quarter that is over. {missed}",
                due=due(quarter),
            ),
        ],
    )
