"""The command that writes a compliance report, and the one that checks the files of one."""

import sys
from pathlib import Path

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.settings import governance_home, settings


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--period",
    default="last-month",
    metavar="PERIOD",
    show_default=True,
    help="2026-10, 2026-Q3, 2026-W47, 2026-11-27 or last-week, last-quarter …",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report's folder is made; `reports` in $GOVERNANCE_HOME, unless given.",
)
@click.pass_context
def report(ctx: click.Context, period: str, output: Path | None) -> None:
    """Write the compliance report about a period; prints its folder last.

    report.html and report.pdf are for reading, the CSV files have every row, manifest.json the hash of each file and
    of the report before. The audit trail is verified where GOVERNANCE_AUDIT_KEY and GOVERNANCE_AUDIT_ANCHORS are set.

    \b
    governance report
    governance report --period 2026-Q3 --output /srv/reports
    governance report verify .governance/reports/month-2026-10
    """
    if ctx.invoked_subcommand is not None:
        return
    from orchestration.lib.audit.sign import public_keys
    from orchestration.lib.compliance.report import PAPER, write_report

    key, anchors = settings().audit_key, settings().audit_anchors
    keys = public_keys(key) if key is not None else []
    folder, contents = write_report(
        database_url(), period, output or governance_home() / "reports", keys=keys, checkpoints=anchors
    )
    for verdict in contents.verdicts:
        tell(f"{verdict.state:<10} {verdict.subject}: {visible(verdict.message)}")
    if not (folder / PAPER).exists():
        tell(f"without {PAPER}: what writes it isn't installed (`make pdf`, or pip install '.[pdf]')")
    click.echo(folder)


@report.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def verify(folder: Path) -> None:
    """Check that each file of a report is the one that was written, and that it continues the one before.

    Exit code 1 if not.
    """
    from orchestration.lib.compliance.report import verify_report

    faults = verify_report(folder)
    for fault in faults:
        click.echo(visible(fault))
    if faults:
        sys.exit(1)
    click.echo("OK")
