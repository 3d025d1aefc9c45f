"""What is asked each night, also when nothing was built: every check, and before it what takes long to compare."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import limits, scheduled
from orchestration.lib.database.in_use import database_url
from orchestration.lib.evidence.compared import Search
from orchestration.lib.identity.passwords import PASSWORDS
from orchestration.lib.verification.audit import AUDIT_TRAIL
from orchestration.lib.verification.comparison import CLOSED_DAYS

# of a night, for each; what is left over waits for the next one
_SECONDS = 600


def _look(context: dg.OpExecutionContext, search: Search) -> None:
    with explained():
        done = search.run(database_url(), seconds=_SECONDS)
    context.log.info("%s looked at, %s of them wrong, %s left", done.looked_at, done.wrong, done.left)


@dg.op
def compare_passwords(context: dg.OpExecutionContext) -> None:
    """Compare passwords with well-known ones; the rule well_known_passwords shows what was found."""
    _look(context, PASSWORDS)


@dg.job(tags=limits(30))
def passwords_job() -> None:
    """Compares passwords that were not yet compared with well-known ones."""
    compare_passwords()


@dg.op
def compare_days(context: dg.OpExecutionContext) -> None:
    """Compare closed days of the rollups with raw rows; the rule compared_days_differ shows what was found."""
    _look(context, CLOSED_DAYS)


@dg.op
def check_entries(context: dg.OpExecutionContext) -> None:
    """Compute the checksums of the audit trail; the rule audit_checksum_mismatch shows what was found."""
    _look(context, AUDIT_TRAIL)


@dg.job(tags=limits(60))
def comparison_job() -> None:
    """Compares closed days of the rollups with raw rows and checks the audit trail, the longest not looked at first."""
    compare_days()
    check_entries()


verification_job = dg.define_asset_job(
    "verification_job",
    selection=dg.AssetSelection.all_asset_checks(),
    description="Runs every check and materializes nothing.",
    tags=limits(120),
)


@dg.definitions
def defs() -> dg.Definitions:
    """The jobs that compare run before the checks, which show what they found."""
    return dg.Definitions(
        jobs=[passwords_job, comparison_job, verification_job],
        schedules=[
            scheduled(
                "passwords", "30 3 * * *", "Compares new passwords with well-known ones, before somebody else does."
            ),
            scheduled("comparison", "45 3 * * *", "Compares closed days with raw rows, checks the audit trail."),
            scheduled("verification", "0 4 * * *", "Runs every check, also where nothing was built."),
        ],
    )
