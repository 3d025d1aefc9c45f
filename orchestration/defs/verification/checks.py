"""What the rules of schema `verification` can't ask by themselves; the nightly job runs every check, these too."""

import dagster as dg

from orchestration.defs.scheduled import limits
from orchestration.defs.verification.violations import as_metadata
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.result import Collector
from orchestration.lib.evidence.store import collect
from orchestration.lib.verification.drift.find import find_drift
from orchestration.lib.verification.probes import probe_database
from orchestration.lib.verification.role_probes import probe_roles

RULES = dg.AssetKey(["verification", "rules"])


# it runs dbt: one at a time, see `concurrency` in dagster.yaml
@dg.asset_check(asset=RULES, pool="dbt")
def deep_drift() -> dg.AssetCheckResult:
    """The catalog is the one this project builds, in a database made for it and dropped again."""
    return _result(find_drift)


@dg.asset_check(asset=RULES)
def probe() -> dg.AssetCheckResult:
    """What must be refused is refused, and what must happen by itself happens; tried and rolled back."""
    return _result(probe_database, probe_roles)


deep_verification_job = dg.define_asset_job(
    "deep_verification_job",
    selection=dg.AssetSelection.checks(deep_drift, probe),
    description="Compares the catalog with a build of its own, and tries what must be refused.",
    tags=limits(60),
)


def _result(*asks: Collector) -> dg.AssetCheckResult:
    """Fails with a table of what is wrong; as a warning where it isn't known, which is no pass."""
    try:
        verification = collect(database_url(), asks, program="governance dagster")
    except GovernanceError as error:
        return dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, metadata={"could not run": str(error)}
        )
    return dg.AssetCheckResult(
        passed=not verification.violations and not verification.not_run,
        severity=dg.AssetCheckSeverity.ERROR if verification.violations else dg.AssetCheckSeverity.WARN,
        metadata=as_metadata(verification),
    )
