"""The `governance` command. Results go to stdout, progress and messages to stderr."""

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.terminal import visible
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from datetime import datetime

    from orchestration.lib.embedded import EmbeddedServer


class _Group(click.Group):
    """Turns what goes wrong in any command into one sentence on stderr and exit code 1, or 130 after ctrl-c."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            with explained():
                return super().invoke(ctx)
        except GovernanceError as error:
            click.echo(f"error: {visible(str(error))}", err=True)
            sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\ninterrupted: run the same command again, it goes on from what is done", err=True)
            sys.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-governance-warehouse")
def main() -> None:
    """Governs an organisation's use of large language models on PostgreSQL."""


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; without it the one of the last time.")
def up(port: int | None) -> None:
    """Start the embedded PostgreSQL server.

    Makes the database at the first time and does nothing if it runs. The data lie in $GOVERNANCE_HOME (.governance in
    the project, unless set) and survive restarts. `governance url` prints the URL with the password.
    """
    from orchestration.lib.database import without_password

    click.echo(without_password(_embedded_server().up(port)))
    if os.environ.get("GOVERNANCE_DATABASE_URL"):
        click.echo("note: GOVERNANCE_DATABASE_URL is set, so the other commands use that database", err=True)


@main.command()
@click.option("--destroy", is_flag=True, help="Delete the database and all its data after stopping the server.")
@click.option("--yes", is_flag=True, help="Don't ask before deleting.")
@click.option("--force", is_flag=True, help="Stop it also while others use it: what they have begun is rolled back.")
def down(destroy: bool, yes: bool, force: bool) -> None:
    """Stop the embedded PostgreSQL server; the data stay unless --destroy is given.

    Refuses while a build, `governance ui` or another program uses it. A server of your own in GOVERNANCE_DATABASE_URL
    is never touched.
    """
    server = _embedded_server()
    if os.environ.get("GOVERNANCE_DATABASE_URL"):
        click.echo(
            f"note: this is about the embedded server of {server.home}, not about GOVERNANCE_DATABASE_URL", err=True
        )
    if not force:
        _assert_unused(server)
    if destroy and not yes:
        question = f"Delete the embedded database in {server.home} with all its data?"
        try:
            confirmed = sys.stdin is not None and click.confirm(question, err=True)
        except click.Abort:
            click.echo(err=True)
            confirmed = False
        if not confirmed:
            raise GovernanceError("nothing is deleted: it wasn't confirmed (--yes does without the question)")
    what = f"the embedded server of {server.home}"
    if destroy:
        click.echo(f"deleted {what} with its data" if server.destroy() else "there is no embedded database", err=True)
    elif (port := server.status().port) and server.down():
        click.echo(f"stopped {what} (port {port})", err=True)
    else:
        click.echo(f"{what} wasn't running", err=True)


def _assert_unused(server: "EmbeddedServer") -> None:
    try:
        users = server.in_use_by()
    except GovernanceError as error:
        # one whose password is lost must be stopped to get another
        click.echo(f"note: could not ask who uses it: {error}", err=True)
        return
    if users:
        raise GovernanceError(
            f"the embedded server of {server.home} is in use by {', '.join(users)}: end that first, "
            "or stop the server all the same with --force"
        )


@main.command()
def status() -> None:
    """Show the database in use; exit code 0 if it runs, 3 if not."""
    from orchestration.lib.database import describe

    running, facts = describe()
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {visible(value)}")
    if not running:
        sys.exit(3)


@main.command()
def url() -> None:
    """Print the URL of the database in use, with its password, for other programs.

    That is $GOVERNANCE_DATABASE_URL, else the embedded server: pg_dump -Fc "$(governance url)"
    """
    from orchestration.lib.database import database_url

    click.echo(database_url())


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("psql_args", nargs=-1, type=click.UNPROCESSED)
def psql(psql_args: tuple[str, ...]) -> None:
    """Open psql on the database in use.

    It is the one that comes with the embedded server, else the one on the PATH. PSQL_ARGS go to it, for instance -c
    'select * from cost_summary_view limit 10'. The password isn't part of its command line.
    """
    from orchestration.lib.psql import open_psql

    open_psql(psql_args)


@main.command()
def env() -> None:
    """Print the exports that a plain dbt needs: eval "$(governance env)" && dbt build"""
    from orchestration.lib.database import database_url, dbt_environment

    for name, value in dbt_environment(database_url()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _embedded_server() -> "EmbeddedServer":
    from orchestration.lib.embedded import EmbeddedServer
    from orchestration.lib.settings import governance_home

    return EmbeddedServer(governance_home(), notify=lambda message: click.echo(message, err=True))


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--reapply", is_flag=True, help="Send the DDL of every object again: heals what `verify --deep` finds.")
@click.argument("dbt_args", nargs=-1, type=click.UNPROCESSED)
def build(reapply: bool, dbt_args: tuple[str, ...]) -> None:
    """Build tables, seeds, rollups and views, refresh the rollups and run every test.

    DBT_ARGS go to `dbt build`, for instance --select rollups.
    """
    from orchestration.lib.warehouse import build_warehouse

    _show_first_password(build_warehouse(list(dbt_args), reapply=reapply))


def _show_first_password(password: str | None) -> None:
    if password:
        click.echo(f"First password of admin@llmgovernance.local, shown only now: {password}", err=True)


@main.command()
@click.option("--plan", is_flag=True, help="Only show the changes that would run, with their SQL.")
def migrate(plan: bool) -> None:
    """Apply the schema changes of this release to a database built by an older one.

    A build applies them first, where its role may. This is for the role that owns the schema, where another one builds.
    """
    from orchestration.lib.warehouse import migrate as apply_changes

    apply_changes(plan=plan, tell=click.echo)


@main.command("rebuild-rollups", context_settings={"ignore_unknown_options": True})
@click.argument("dbt_args", nargs=-1, type=click.UNPROCESSED)
def rebuild_rollups(dbt_args: tuple[str, ...]) -> None:
    """Store the rollups anew from raw rows, after a change of the reporting zone.

    Buckets that raw rows no longer cover are kept as they are, days of the zone they were stored in. After a change of
    a rollup's definition `governance build` does this by itself.
    """
    from orchestration.lib.warehouse import rebuild_rollups as rebuild

    _show_first_password(rebuild(list(dbt_args)))


@main.command("move-to-hypertables")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be moved, and change nothing.")
@click.option("--vars", "variables", help="Vars for dbt, as you give them to `governance build`.")
def move_to_hypertables(only_plan: bool, variables: str | None) -> None:
    """Move time-series tables that began as native partitions to TimescaleDB's hypertables.

    One partition at a time, each compared row by row before it is dropped, so it needs free disk space for the largest
    one. Readers have right answers throughout, writers are refused until it has ended. Stopped anywhere, it goes on
    when it is run again. The build at its end makes the rollups what the engine does best.
    """
    from orchestration.lib.hypertables import move_to_hypertables as move
    from orchestration.lib.hypertables import plan

    series = plan()
    for each in series:
        click.echo(str(each), err=not only_plan)
    if only_plan:
        click.echo("nothing is to be moved" if not series else "nothing can be written to them while they are moved")
        return
    move(dbt_options=["--vars", variables] if variables else [], notify=lambda message: click.echo(message, err=True))


@main.command()
def retain() -> None:
    """Drop raw rows past their retention, whole partitions or chunks at a time; the rollups keep them counted."""
    from orchestration.lib.retention import retain as drop_old

    dropped = drop_old()
    for part in dropped:
        rows = counted(part.rows, "row")
        click.echo(f"{part.series}: dropped {part.name} with {rows} from before {part.older_than:%Y-%m-%d}")
    if not dropped:
        click.echo("nothing is older than its retention")


@main.command()
def refresh() -> None:
    """Bring the rollups up to the last closed hour."""
    from orchestration.lib.refresh import refresh as refresh_rollups

    for rollup in refresh_rollups():
        click.echo(f"{rollup.name}: stored before {rollup.watermark:%Y-%m-%d %H:%M %Z}, live from there")


@main.command()
@click.option(
    "--select",
    "-s",
    multiple=True,
    metavar="RULE",
    help="Only this rule or family; may hold * and be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a table.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long a rule may take.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare the whole catalog with what this project builds, in a database made for it and dropped again.",
)
@click.option("--probe", is_flag=True, help="Also try what must be refused, in transactions that are rolled back.")
def verify(select: tuple[str, ...], as_json: bool, timeout: float, deep: bool, probe: bool) -> None:
    """Ask every rule what is not as it should be, and what to do about it.

    Needs no more than the right to read schema `verification`; --probe needs the owner, --deep one who may create a
    database too. docs/rules explains each rule. Exit code 0 without a violation at level error, 1 with one, 2 if
    something could not be asked.
    """
    from orchestration.lib import verify as rules
    from orchestration.lib.drift import find_drift
    from orchestration.lib.probes import probe_database

    try:
        with explained():
            verification = rules.verify(None, select, timeout_seconds=timeout)
            if deep:
                drift = find_drift(notify=lambda message: click.echo(message, err=True))
                verification = rules.united([verification, drift])
            if probe:
                verification = rules.united([verification, probe_database()])
    except GovernanceError as error:
        click.echo(f"error: {visible(str(error))}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(rules.as_json(verification))
    else:
        rules.print_verification(verification, sys.stdout)
    sys.exit(verification.exit_code)


def _assignments(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE pairs; each name once."""
    pairs: dict[str, str] = {}
    for value in values:
        name, separator, rest = value.partition("=")
        if not separator or not name.strip():
            raise click.BadParameter(f"{value!r} is not {parameter.metavar}", ctx, parameter)
        if name.strip() in pairs:
            raise click.BadParameter(f"{name.strip()} is given twice", ctx, parameter)
        pairs[name.strip()] = rest
    return pairs


def _meanings(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """TARGET:FROM=TO triples: for each target what its values mean."""
    meanings: dict[str, dict[str, str]] = {}
    for value in values:
        target, colon, rest = value.partition(":")
        said, separator, means = rest.rpartition("=")
        if not colon or not separator or not target.strip():
            raise click.BadParameter(f"{value!r} is not {parameter.metavar}", ctx, parameter)
        if said in meanings.setdefault(target.strip(), {}):
            raise click.BadParameter(f"{target.strip()}:{said} is given twice", ctx, parameter)
        meanings[target.strip()][said] = means
    return meanings


@main.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="TARGET=SOURCE",
    callback=_assignments,
    help="Column (JSON Lines: key, or dotted path such as usage.prompt_tokens) that fills a target.",
)
@click.option(
    "--set",
    "constants",
    multiple=True,
    metavar="TARGET=VALUE",
    callback=_assignments,
    help="Value that fills a target in every row.",
)
@click.option(
    "--map-value",
    "values",
    multiple=True,
    metavar="TARGET:FROM=TO",
    callback=_meanings,
    help="What a value of the file means, for instance status:degraded=error.",
)
@click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="Column that is left aside.")
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "jsonl"]), help="Format where a file's name doesn't tell it."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be loaded and refused; writes nothing.")
@click.option("--no-refresh", is_flag=True, help="Leave the rollups as they are, so reports don't have it yet.")
@click.option("--loads", "lists", is_flag=True, help="List the latest loads.")
@click.option("--undo", metavar="SOURCE", help="Take back the load of a file, named as it was then or by its number.")
def ingest(
    files: tuple[str, ...],
    mapping: dict[str, str],
    constants: dict[str, str],
    values: dict[str, dict[str, str]],
    ignored: tuple[str, ...],
    file_format: str | None,
    dry_run: bool,
    no_refresh: bool,
    lists: bool,
    undo: str | None,
) -> None:
    """Load usage from CSV or JSON Lines files, also gzipped; - is standard input.

    Columns with the name of a target fill it, --map names others, times without a zone are UTC. Loading a file again
    adds nothing: a request is known by its request_id and time, and where there is no request_id by what its row says.
    Rows that can't be loaded go to internal.quarantine with their line and every reason. Exit code 3 if that are all
    of a file.

    \b
    Targets, the first three required:
      time                  ISO 8601, or Unix time in s, ms, us or ns
      provider, model       text; requested_model: the one asked for
      request_id            text, the identity of the request
      user_id, team_id, api_key_id, session_id, trace_id
                            uuids: whose request it is
      application, environment, region, service_tier
                            text
      operation             chat, completion, embedding, image, audio, rerank,
                            moderation
      input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
      reasoning_tokens, audio_input_tokens, audio_output_tokens
                            whole numbers that don't overlap
      cost_amount           0 or more; none is unpriced, not 0
      currency              three letters, else the setting default_currency
      cost_source           provider, computed, estimated, unpriced
      price_id              uuid of the price
      status                success, error, blocked, rate_limited
      error_code            text
      latency_ms, time_to_first_token_ms
                            milliseconds
      policy_id             uuid; policy_decision: allow, flag, block
      tags, metadata        JSON objects
      source                text, where the record came from
    """
    from orchestration.lib.ingest.command import list_loads, load_files, undo_load

    if [bool(files), lists, undo is not None].count(True) != 1:
        raise click.UsageError("give files to load, or --loads, or --undo SOURCE")
    if lists:
        list_loads()
    elif undo is not None:
        undo_load(undo, refreshes=not no_refresh)
    else:
        code = load_files(
            files,
            mapping,
            constants,
            values,
            ignored=ignored,
            file_format=file_format,
            dry_run=dry_run,
            refreshes=not no_refresh,
        )
        sys.exit(code)


@main.command()
@click.option("--seed", type=click.IntRange(0), help="What all choices follow from.  [default: 1]")
@click.option("--people", type=click.IntRange(5, 5000), help="Size of the organisation.  [default: 200]")
@click.option("--days", type=click.IntRange(1, 365), help="Days of usage up to now.  [default: 90]")
@click.option("--default-password", is_flag=True, help="Give the administrator the well-known password Admin123!.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), hidden=True)
def demo(
    seed: int | None, people: int | None, days: int | None, default_password: bool, today: "datetime | None"
) -> None:
    """Build the warehouse, load a made-up organisation and its usage, and show an answer from each view.

    Starts the embedded database unless GOVERNANCE_DATABASE_URL names another. It grows once a day: run again on the
    same day it adds nothing, on a later day the usage since. Only for a database without people and usage of your own.
    """
    from orchestration.demo.render import look_further, print_summary
    from orchestration.demo.run import run_demo
    from orchestration.demo.summary import answers

    run = run_demo(
        seed=seed,
        people=people,
        days=days,
        today=today.date() if today else None,
        default_password=default_password,
        notify=lambda message: click.echo(message, err=True),
    )
    print_summary(run.heading, answers(run.url), look_further(run))


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the web page.")
def ui(port: int) -> None:
    """Open Dagster in the browser: every seed, table, rollup and view as an asset, every data test as a check.

    Starts the embedded database unless GOVERNANCE_DATABASE_URL names another. Listens on 127.0.0.1 only.
    """
    from orchestration.lib.ui import open_ui

    open_ui(port, notify=lambda message: click.echo(message, err=True))
