"""What is asked each night, also when nothing was built: every check, and passwords that nobody has compared yet."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import scheduled
from orchestration.lib.passwords import judge_passwords

# of a night; what is left over waits for the next one
JUDGING_SECONDS = 600


@dg.op
def compare_passwords(context: dg.OpExecutionContext) -> None:
    """Compare passwords with well-known ones; the rule well_known_passwords shows what was found."""
    with explained():
        judgement = judge_passwords(seconds=JUDGING_SECONDS)
    context.log.info("%s compared, %s well known, %s left", judgement.judged, judgement.found, judgement.left)


@dg.job
def passwords_job() -> None:
    """Compares passwords that were not yet compared with well-known ones."""
    compare_passwords()


verification_job = dg.define_asset_job(
    "verification_job",
    selection=dg.AssetSelection.all_asset_checks(),
    description="Runs every check and materializes nothing.",
)


@dg.definitions
def defs() -> dg.Definitions:
    """The passwords first, for a check asks what was found."""
    return dg.Definitions(
        jobs=[passwords_job, verification_job],
        schedules=[
            scheduled(
                "passwords", "30 3 * * *", "Compares new passwords with well-known ones, before somebody else does."
            ),
            scheduled("verification", "0 4 * * *", "Runs every check, also where nothing was built."),
        ],
    )
