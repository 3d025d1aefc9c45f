"""The commands of reviews of access."""

from pathlib import Path

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.words import counted


@click.group("access-review", cls=Group)
def access_review() -> None:
    """Carry out what reviewers of access decided."""


@access_review.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the file and say what it would do; writes nothing.")
def import_decisions(file: Path, *, dry_run: bool) -> None:
    """Take the decisions in FILE, the access_review.csv of a report with decision, reviewer and decided_on filled in.

    A decision is keep or revoke; lines without one are left. Roles and keys are revoked at once, in the name of the
    reviewer, who can't be the one whose access it is. All of the file is carried out or, if a line is wrong, nothing.
    The same file again changes nothing. The next report says which decisions were carried out.

    \b
    governance access-review import access_review.csv --dry-run
    """
    from orchestration.lib.compliance.decisions import carry_out, read_decisions

    decisions, undecided = read_decisions(file)
    if not decisions:
        raise GovernanceError(f"{file} has no decision: write keep or revoke, the reviewer and the day into its lines")
    outcome = carry_out(database_url(), decisions, dry_run=dry_run)
    if outcome.known:
        click.echo(f"{counted(outcome.known, 'decision was', 'decisions were')} recorded before")
    if outcome.ended_before:
        click.echo(f"{counted(outcome.ended_before, 'item')} to revoke had ended already")
    if undecided:
        click.echo(f"{counted(undecided, 'line')} without a decision: left as they are")
    click.echo(
        f"{'would record' if dry_run else 'recorded'} {counted(outcome.recorded, 'decision')}: {outcome.kept} to keep; "
        f"{counted(outcome.roles_revoked, 'role')} and {counted(outcome.keys_revoked, 'key')} revoked"
    )
    if not dry_run and outcome.recorded:
        tell(f"in core.audit_logs they have the request_id {outcome.request}")
