"""The whole build, by the clock: what a release brings, and what changes with time, is in the database by itself."""

import dagster as dg

from orchestration.defs.scheduled import limits, scheduled
from orchestration.defs.verification.checks import deep_drift, probe

build_job = dg.define_asset_job(
    "build_job",
    # all of dbt and the first account; usage and the deep checks have jobs of their own
    selection=(dg.AssetSelection.kind("dbt") | dg.AssetSelection.assets("admin_account"))
    - dg.AssetSelection.checks(deep_drift, probe),
    description="Runs the full `dbt build`: schema, seeds, rollups, views and every data test.",
    tags=limits(180),
)


def build_schedule() -> dg.ScheduleDefinition:
    """Once a week, when nobody works; a release is built when it is put in place."""
    return scheduled("build", "0 1 * * 0", "Runs the full `dbt build`, each test included.")
