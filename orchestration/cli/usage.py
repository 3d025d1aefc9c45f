"""The command that loads usage, and what it says."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orchestration.lib.usage.corrections import Conflict


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


class _Ingest(click.Command):
    """Lists the sources at the end of its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from orchestration.lib.usage.sources.catalogue import REPORTS, SOURCES

        with formatter.section("Sources"):
            formatter.write_dl([(source.name, source.title) for source in SOURCES.values()])
        with formatter.section("Reports of providers, kept beside the requests"):
            formatter.write_dl([(report.name, report.title) for report in REPORTS.values()])


@click.command(cls=_Ingest)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--source", metavar="NAME", help="System whose files they are, listed below: nothing has to be mapped.")
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
    "--format",
    "file_format",
    type=click.Choice(["csv", "jsonl", "json", "parquet", "proto"]),
    help="Format where a file's name doesn't tell it.",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["keep", "replace", "quarantine"]),
    default="keep",
    show_default=True,
    help="What becomes of a record that says something else than the request of its id and time that is stored.",
)
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    help="Decimal mark of the numbers of a CSV or an invoice, 1.234,56 or 1,234.56; else only 1234.56 is one.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be loaded and refused; writes nothing.")
@click.option("--no-refresh", is_flag=True, help="Leave the rollups as they are, so reports don't have it yet.")
@click.option("--loads", "lists", is_flag=True, help="List the latest loads.")
@click.option("--undo", metavar="SOURCE", help="Take back the load of a file, named as it was then or by its number.")
def ingest(
    files: tuple[str, ...],
    source: str | None,
    mapping: dict[str, str],
    constants: dict[str, str],
    values: dict[str, dict[str, str]],
    ignored: tuple[str, ...],
    file_format: str | None,
    on_conflict: "Conflict",
    decimal: str | None,
    dry_run: bool,
    no_refresh: bool,
    lists: bool,
    undo: str | None,
) -> None:
    """Load usage from CSV or JSON Lines files, also gzipped; - is standard input.

    Files of a --source need nothing more. In others, columns with the name of a target fill it, --map names others,
    times without a zone are UTC. Loading a file again adds nothing: a request is known by its request_id and time, and
    where there is no request_id by what its row says. A record that says something else than is stored counts as
    changed, and the request stays as it is; --on-conflict replace takes what it says. Rows that can't be loaded go to
    internal.quarantine with their line and every reason. Exit code 3 if not one row of a file could be loaded.

    \b
    governance ingest usage.csv --map time=timestamp --map input_tokens=prompt_tokens --set provider=openai
    governance ingest --source otlp traces.json --dry-run
    zcat logs.gz | governance ingest - --format jsonl
    governance ingest --undo usage.csv

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
    from orchestration.cli.loading import list_loads, load_files, undo_load

    if [bool(files), lists, undo is not None].count(True) != 1:
        raise click.UsageError("give files to load, or --loads, or --undo SOURCE")
    if lists:
        list_loads()
    elif undo is not None:
        undo_load(undo, refreshes=not no_refresh)
    else:
        if decimal:
            constants["decimal"] = decimal
        code = load_files(
            files,
            mapping,
            constants,
            values,
            ignored=ignored,
            file_format=file_format,
            source=source,
            on_conflict=on_conflict,
            dry_run=dry_run,
            refreshes=not no_refresh,
        )
        sys.exit(code)
