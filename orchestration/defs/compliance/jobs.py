"""Writes the compliance report of the last month and the last week."""

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import scheduled
from orchestration.lib.audit.sign import public_key
from orchestration.lib.compliance.report import write_report
from orchestration.lib.database.in_use import database_url
from orchestration.lib.settings import governance_home, settings


@dg.op(config_schema={"period": dg.Field(str, default_value="last-month", description="Such as 2026-10 or last-week.")})
def write_compliance_report(context: dg.OpExecutionContext) -> None:
    """Write the report about a period into `reports` of $GOVERNANCE_HOME."""
    key = settings().audit_key
    with explained():
        folder, contents = write_report(
            database_url(),
            context.op_config["period"],
            governance_home() / "reports",
            keys=[public_key(key)] if key is not None else [],
            checkpoints=settings().audit_anchors,
        )
    for verdict in contents.verdicts:
        context.log.info("%s %s: %s", verdict.state, verdict.subject, verdict.message)
    context.add_output_metadata(
        {
            "verdict": contents.state,
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            "parts": dg.MetadataValue.md(
                "\n".join(
                    ["| part | state | what was found |", "|---|---|---|"]
                    + [f"| {verdict.subject} | {verdict.state} | {verdict.message} |" for verdict in contents.verdicts]
                )
            ),
        }
    )


@dg.job
def report_job() -> None:
    """Writes the compliance report of the last month, or of the period that its configuration names."""
    write_compliance_report()


@dg.definitions
def defs() -> dg.Definitions:
    """On the first of a month, after the checks of the night."""
    return dg.Definitions(
        jobs=[report_job],
        schedules=[scheduled("report", "30 6 1 * *", "Writes the compliance report of the month that is over.")],
    )
