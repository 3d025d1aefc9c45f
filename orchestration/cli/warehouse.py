"""Commands that build the warehouse and keep it up to date."""

import click

from orchestration.cli.terminal import tell
from orchestration.lib.database.in_use import database_url
from orchestration.lib.words import counted


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--reapply", is_flag=True, help="Send the DDL of every object again: heals what `verify --deep` finds.")
@click.argument("dbt_args", nargs=-1, type=click.UNPROCESSED)
def build(reapply: bool, dbt_args: tuple[str, ...]) -> None:
    """Build tables, seeds, rollups and views, refresh the rollups and run every data test.

    DBT_ARGS go to `dbt build`.

    \b
    governance build
    governance build --select cost_summary_view
    governance build --vars '{llm_metrics_retention: 1 year}'
    """
    from orchestration.lib.warehouse.build import build_warehouse

    _show_first_password(build_warehouse(list(dbt_args), database_url(), reapply=reapply))


def _show_first_password(password: str | None) -> None:
    if password:
        tell(f"First password of admin@llmgovernance.local, shown only now: {password}")


@click.command()
@click.option("--plan", is_flag=True, help="Only show the changes that would run, with their SQL.")
def migrate(plan: bool) -> None:
    """Apply the schema changes of this release to a database built by an older one.

    A build applies them first, where its role may. This is for the role that owns the schema, where another one builds.
    """
    from orchestration.lib.warehouse.build import migrate as apply_changes

    apply_changes(database_url(), plan=plan, tell=click.echo)


@click.command("rebuild-rollups", context_settings={"ignore_unknown_options": True})
@click.argument("dbt_args", nargs=-1, type=click.UNPROCESSED)
def rebuild_rollups(dbt_args: tuple[str, ...]) -> None:
    """Store the rollups anew from raw rows, after a change of the reporting zone.

    Buckets that raw rows no longer cover are kept as they are, days of the zone they were stored in. After a change of
    a rollup's definition `governance build` does this by itself. DBT_ARGS go to `dbt build`.
    """
    from orchestration.lib.warehouse.build import rebuild_rollups as rebuild

    _show_first_password(rebuild(list(dbt_args), database_url()))


@click.command("move-to-hypertables")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be moved, and change nothing.")
@click.option("--vars", "variables", help="Vars for dbt, as you give them to `governance build`.")
def move_to_hypertables(only_plan: bool, variables: str | None) -> None:
    """Move time-series tables that began as native partitions to TimescaleDB's hypertables.

    One partition at a time, each compared row by row before it is dropped, so it needs free disk space for the largest
    one. Readers have right answers throughout, writers are refused until it has ended. Stopped anywhere, it goes on
    when it is run again. The build at its end makes the rollups what the engine does best.
    """
    from orchestration.lib.warehouse.hypertables import move_to_hypertables as move
    from orchestration.lib.warehouse.hypertables import plan

    url = database_url()
    series = plan(url)
    for each in series:
        click.echo(str(each), err=not only_plan)
    if only_plan:
        click.echo("nothing is to be moved" if not series else "nothing can be written to them while they are moved")
        return
    move(url, ["--vars", variables] if variables else [], notify=tell)


@click.command()
def retain() -> None:
    """Drop what is past its retention: raw rows, which the rollups keep counted, and evidence of verification.

    Raw rows go by whole partitions or chunks.
    """
    from orchestration.lib.evidence.store import drop_old_evidence
    from orchestration.lib.warehouse.retention import retain as drop_old

    url = database_url()
    dropped = drop_old(url)
    for part in dropped:
        rows = counted(part.rows, "row")
        click.echo(f"{part.series}: dropped {part.name} with {rows} from before {part.older_than:%Y-%m-%d}")
    evidence = drop_old_evidence(url)
    if evidence:
        click.echo(f"verification: dropped {counted(evidence, 'row')} of runs and resolved findings")
    if not dropped and not evidence:
        click.echo("nothing is older than its retention")


@click.command()
def refresh() -> None:
    """Bring the rollups up to the last closed hour.

    Reports are right without it, for what isn't stored is computed when asked, but slower; and late rows are counted
    in the hours they belong to by the next refresh.
    """
    from orchestration.lib.warehouse.refresh import refresh as refresh_rollups

    for rollup in refresh_rollups(database_url()):
        click.echo(f"{rollup.name}: {rollup.reach}")
