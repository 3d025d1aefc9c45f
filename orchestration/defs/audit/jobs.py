"""Seals, signs and verifies the audit trail."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import NOT_BUILT, built_database, limits, scheduled
from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.seal import seal
from orchestration.lib.audit.timestamp import stamper
from orchestration.lib.audit.verify_offline import NotVerifiableError, Verdict
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.errors import explained as in_a_sentence
from orchestration.lib.settings import settings
from orchestration.lib.warehouse.refresh import is_built

SEALING_SECONDS = 10
NOT_SIGNED = (
    "not signed: GOVERNANCE_AUDIT_KEY names the key (`governance audit key FILE` makes one), GOVERNANCE_AUDIT_ANCHORS "
    "the folders that keep the checkpoints; without both who has all rights in the database could rewrite the trail"
)


@dg.sensor(
    minimum_interval_seconds=SEALING_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Seals what was written to the audit trail.",
)
def sealing_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
    """It does the work itself, for a run would take longer."""
    try:
        with in_a_sentence():
            url = database_url()
            yield dg.SkipReason(f"{seal(url)} entries sealed" if is_built(url) else NOT_BUILT)
    except GovernanceError as error:
        yield dg.SkipReason(f"not sealed: {error}")


@dg.op
def sign_trail(context: dg.OpExecutionContext) -> None:
    """Seal, sign how far the trail is sealed, and keep the checkpoint in each anchor."""
    key, anchors = settings().audit_key, settings().audit_anchors
    with explained():
        url = built_database()
        if key is None or not anchors:
            context.log.warning(NOT_SIGNED)
            return
        seal(url)
        signed = sign.sign(url, key, anchors, stamp=stamper(settings()))
    context.log.info("%s seals signed, kept in %s", signed.checkpoint.size, ", ".join(map(str, signed.kept_in)))


@dg.job(tags=limits(10))
def signing_job() -> None:
    """Signs how far the audit trail is sealed, with a key that the database never sees."""
    sign_trail()


@dg.op
def verify_trail(context: dg.OpExecutionContext) -> None:
    """Compare every entry with its seal, and the seals with the checkpoints; fails unless the verdict is OK."""
    key, anchors = settings().audit_key, settings().audit_anchors
    try:
        with explained():
            url = built_database()
            if key is None or not anchors:
                context.log.warning(NOT_SIGNED)
                return
            report = export.verified(url, anchors, sign.public_keys(key))
    except NotVerifiableError as error:
        raise dg.Failure(f"COULD_NOT_VERIFY: {error}", allow_retries=False) from error
    said = verify_offline.as_text(report)
    if report.verdict != Verdict.OK:
        raise dg.Failure(said, metadata={"verdict": report.verdict.name}, allow_retries=False)
    context.log.info(said)


@dg.job(tags=limits(120, severity="critical"))
def audit_job() -> None:
    """Verifies the whole audit trail against its seals and the signed checkpoints."""
    verify_trail()


@dg.definitions
def defs() -> dg.Definitions:
    """A sensor that seals, and jobs that sign and verify by the clock."""
    return dg.Definitions(
        jobs=[signing_job, audit_job],
        sensors=[sealing_sensor],
        schedules=[
            scheduled("signing", "7 * * * *", "Signs how far the audit trail is sealed."),
            scheduled("audit", "15 4 * * *", "Verifies the audit trail against its seals and checkpoints."),
        ],
    )
