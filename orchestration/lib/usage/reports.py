"""Loads reports and invoices of providers into core.provider_usage: what a period sums up to.

A report is replaced by a newer one of its period, an invoice only where that is asked for, and then stays beside it.
"""
# ruff: noqa: S608 - statements are built of this module's own words

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal

from orchestration.lib import errors
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.files import OpenReportFile, Position, UsageFile
from orchestration.lib.usage.ledger import note_report
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources.report import Report, Row

# what a newer one takes the place of
_PERIOD = ("account", "report", "provider", "period_start", "period_end")
_INVOICE = ("provider", "report", "invoice_id")
_COLUMNS = (
    *_PERIOD,
    "starts_at",
    "ends_at",
    "model",
    "line_item",
    "requests",
    *TOKEN_CLASSES,
    "cost_amount",
    "effective_cost_amount",
    "list_cost_amount",
    "currency",
    "zone",
    "invoice_id",
    "dimensions",
)
_LISTED = ", ".join(_COLUMNS)
_LISTED_CHANGES = 5
_LONGEST = 1_000


def ingest_reports(
    url: str,
    files: Sequence[str],
    report: Report,
    constants: Mapping[str, str],
    *,
    file_format: str | None = None,
    replaces: bool = False,
    tries: bool = False,
    progress: Callable[[str, Position, IngestReport], None] = lambda source, position, report: None,
) -> IngestReport:
    """Loads the files, all of them or none, and says what became of their rows; with `tries` nothing is written.

    What the files say of a period takes the place of what was there: the last page that has it wins, of FOCUS all lines
    of all files together. `constants` may name the `account` where a report doesn't, and what is in `report.sets`.
    Raises GovernanceError.
    """
    settable = ["account", *report.sets]
    if unknown := [name for name in constants if name not in settable]:
        raise GovernanceError(
            f"{report.name} is a report, of which only the {' and the '.join(settable)} can be set, not {unknown[0]}"
        )
    named = [UsageFile.named(path, file_format) for path in files]
    result = IngestReport()
    with connect(url) as connection, errors.explained():
        connection.execute(
            "create temporary table report_rows as"
            f" select 0 as file, 0::bigint as page, 0::bigint as line, {_LISTED} from core.provider_usage where false"
        )
        connection.execute(
            "create temporary table report_refused (file integer, line bigint, reasons text[], row_data jsonb)"
        )
        page = 0
        for number, file in enumerate(named):
            with OpenReportFile(file, report) as opened:
                before = result.read, result.quarantined
                page = _stage(connection, opened, number, report, constants, result, page)
                progress(file.source, opened.position(), result)
                if 0 < result.read - before[0] == result.quarantined - before[1]:
                    result.refused.append(file.source)
        sources = [file.source for file in named]
        if report.is_invoice:
            _refuse_parts(connection, sources, result)
        with_retries(lambda: _merge(connection, report, sources, constants, result, replaces, tries))
    return result


def _stage(
    connection: Connection,
    opened: OpenReportFile,
    file: int,
    report: Report,
    constants: Mapping[str, str],
    result: IngestReport,
    page: int,
) -> int:
    """Copies the good rows of a file into one temporary table, the others into another; returns the last page."""
    refused: list[tuple[int, list[str], dict[str, str] | str]] = []
    number = 0
    # lines of a table belong together as pages of a period don't
    is_whole = report.is_whole or opened.has_columns
    copied = f"copy report_rows (file, page, line, {_LISTED}) from stdin"
    said_of_all = {name: constants[name] for name in report.sets if name in constants}
    with connection.cursor() as cursor, cursor.copy(copied) as copy, closing(opened.said()) as records:
        for page, (line, problem, raw, said) in enumerate(records, page + 1):  # noqa: B020 - it goes on from there
            if said is None:
                number += 1
                refused.append((line if report.is_invoice else number, [problem or ""], raw or ""))
                continue
            for row in report.rows({**said, **said_of_all} if said_of_all else said):
                number += 1
                place = line if opened.has_columns else number
                if constants.get("account"):
                    row["account"] = constants["account"]
                if wrong := (row.get("wrong") or _too_long(row)):
                    refused.append((line if report.is_invoice else number, wrong, _texts(row)))
                else:
                    copy.write_row((file, 0 if is_whole else page, place, *(_value(row, c) for c in _COLUMNS)))
    result.read += number
    result.quarantined += len(refused)
    result.reasons.update(Counter(reason for _, reasons, _ in refused for reason in reasons))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into report_refused values (%s, %s, %s, %s::jsonb)",
            [(file, line, reasons, _as_jsonb(data)) for line, reasons, data in refused],
        )
    return page


def _refuse_parts(connection: Connection, files: Sequence[str], result: IngestReport) -> None:
    """Refuses the other lines of a file of which one can't be read, and of its invoices: their sum would be wrong."""
    reason = "another line of the invoice can't be read, so nothing of it is loaded"
    moved = connection.execute(
        f"""
        with bad as (select distinct file from report_refused), gone as (
            delete from report_rows as a
            where a.file in (select file from bad) or exists (
                select from report_rows as b
                where b.file in (select file from bad) and b.provider = a.provider and b.invoice_id = a.invoice_id
            )
            returning file, line, {_LISTED}
        )
        insert into report_refused
        select file, line, array[%s], jsonb_strip_nulls(to_jsonb(gone) - 'file' - 'line') from gone
        returning file
        """,
        [reason],
    ).fetchall()
    result.quarantined += len(moved)
    result.reasons.update({reason: len(moved)} if moved else {})
    left = {file for (file,) in connection.execute("select distinct file from report_rows")}
    refused = {file for (file,) in connection.execute("select distinct file from report_refused")}
    result.refused = [name for number, name in enumerate(files) if number in refused - left]


def _merge(
    connection: Connection,
    report: Report,
    files: Sequence[str],
    constants: Mapping[str, str],
    result: IngestReport,
    replaces: bool,
    tries: bool,
) -> None:
    scope = _INVOICE if report.is_invoice else _PERIOD
    scopes = ", ".join(scope)
    same = " and ".join(f"a.{name} = b.{name}" for name in scope)
    source = report.name
    with connection.transaction(force_rollback=tries):
        # one report at a time: what is there is compared and replaced
        connection.execute("lock table core.provider_usage in share row exclusive mode")
        counted: dict[int, int] = dict(
            connection.execute("select file, count(*) from report_rows group by file").fetchall()
        )
        staged = [counted.get(number, 0) for number in range(len(files))]
        connection.execute(
            f"delete from report_rows as a using (select {scopes}, max(page) as page from report_rows"
            f" group by {scopes}) as b where {same} and a.page < b.page"
        )
        if report.is_invoice:
            _refuse_zones(connection)
            connection.execute(
                f"update report_rows as a set period_start = b.first, period_end = b.last from (select {scopes},"
                f" min(starts_at) as first, max(ends_at) as last from report_rows group by {scopes}) as b where {same}"
            )
        else:
            _refuse_overlaps(connection, source)
        _find_changed(connection, source, scope, same)
        changed = _changed_invoices(connection, result, replaces) if report.is_invoice else 0
        if report.is_invoice:
            connection.execute(
                "update core.provider_usage as a set replaced_at = now() + b.file * interval '1 microsecond'"
                f" from report_changed as b where a.source = %s and a.replaced_at is null and {same}",
                [source],
            )
        else:
            connection.execute(
                f"delete from core.provider_usage as a using report_changed as b where a.source = %s and {same}",
                [source],
            )
        from_rows = ", ".join(f"a.{name}" for name in _COLUMNS)
        # files have an instant each, by which their rows are known
        loaded = connection.execute(
            f"insert into core.provider_usage (source, file, line, loaded_at, {_LISTED})"
            f" select %s, (%s::text[])[a.file + 1], a.line, now() + a.file * interval '1 microsecond', {from_rows}"
            f" from report_rows as a inner join report_changed as b on {same}",
            [source, list(files)],
        ).rowcount
        _quarantine(connection, files)
        for number, (file, rows) in enumerate(zip(files, staged, strict=True)):
            note_report(connection, source, file, number, rows, constants)
    result.loaded, result.changed = loaded - result.replaced, changed
    result.duplicate = sum(staged) - result.loaded - changed


def _find_changed(connection: Connection, source: str, scope: Sequence[str], same: str) -> None:
    """Fills report_changed with the periods or invoices, by the columns of `scope`, that aren't stored just so."""
    scopes = ", ".join(scope)
    digest = f"md5(string_agg(row({_LISTED})::text, chr(10) order by row({_LISTED})::text))"
    connection.execute("drop table if exists pg_temp.report_changed")
    connection.execute(
        f"""
        create temporary table report_changed as
        with said as (
            select {scopes}, {digest} as digest, min(file) as file, count(*) as lines, sum(cost_amount) as cost
            from report_rows group by {scopes}
        ),
        stored as (
            select {scopes}, {digest} as digest, sum(cost_amount) as cost
            from core.provider_usage as a
            where source = %s and replaced_at is null and exists (select from said as b where {same})
            group by {scopes}
        )
        select
            {", ".join(f"b.{name}" for name in scope)}, b.file, b.lines, b.cost, a.cost as cost_before,
            a.digest is not null as is_there
        from said as b
        left join stored as a on {same}
        where a.digest is distinct from b.digest
        """,
        [source],
    )


def _quarantine(connection: Connection, files: Sequence[str]) -> None:
    """Of a file that is read again only what is refused now is kept."""
    connection.execute("delete from internal.quarantine where source = any(%s)", [list(files)])
    connection.execute(
        "insert into internal.quarantine (source, quarantined_at, line, reasons, row_data, row_hash)"
        " select (%s::text[])[file + 1], now() + file * interval '1 microsecond', line, reasons, row_data,"
        " sha256(convert_to(row_data::text, 'UTF8')) from report_refused on conflict (source, line, row_hash)"
        " do nothing",
        [list(files)],
    )


def _refuse_zones(connection: Connection) -> None:
    """A zone that Python knows and the server doesn't would stop the report that reads it."""
    unknown = connection.execute(
        "select distinct zone from report_rows where zone not in (select name from pg_timezone_names) limit 1"
    ).fetchone()
    if unknown:
        raise GovernanceError(f"the database knows no time zone {unknown[0]}: write it as Europe/Berlin or UTC")


def _changed_invoices(connection: Connection, result: IngestReport, replaces: bool) -> int:
    """Notes the invoices that say something else than those that are there; returns how many lines of them stay out."""
    found = connection.execute(
        "select invoice_id, provider, cost_before, cost, lines from report_changed where is_there order by 1, 2"
    ).fetchall()
    result.differences = [
        f"invoice {name} of {provider}: {before:f} in all is stored, {after:f} in the file"
        for name, provider, before, after, _ in found[:_LISTED_CHANGES]
    ]
    lines: int = sum(lines for *_, lines in found)
    if replaces:
        result.replaced = lines
    else:
        connection.execute("delete from report_changed where is_there")
    return lines


def _refuse_overlaps(connection: Connection, source: str) -> None:
    """Buckets of an hour beside those of their day would count twice."""
    scopes = ", ".join(_PERIOD)
    found = connection.execute(
        f"""
        with said as (select distinct {scopes} from report_rows)
        select b.period_start, b.period_end, a.period_start, a.period_end
        from said as b
        inner join (
            select {scopes} from core.provider_usage where source = %s
            union all
            select {scopes} from said
        ) as a
            on a.account = b.account and a.report = b.report and a.provider = b.provider
            and a.period_start < b.period_end and b.period_start < a.period_end
            and (a.period_start, a.period_end) <> (b.period_start, b.period_end)
        limit 1
        """,
        [source],
    ).fetchone()
    if found:
        shown = [f"{moment:%Y-%m-%d %H:%M}" for moment in found]
        raise GovernanceError(
            f"the period {shown[0]} to {shown[1]} overlaps {shown[2]} to {shown[3]} of the same report, so it would "
            "count twice: load reports with periods of one length, or delete the others from core.provider_usage first"
        )


def _too_long(row: Row) -> list[str]:
    texts = {name: row.get(name) for name in ("account", "report", "provider", "model", "line_item")}
    wrong = [
        f"{name} is longer than {_LONGEST} characters" for name, v in texts.items() if len(str(v or "")) > _LONGEST
    ]
    wrong += [f"{name} is missing" for name in ("report", "provider") if not texts[name]]
    return wrong


def _value(row: Row, name: str) -> object:
    value = row.get(name)
    if name == "dimensions":
        return _as_jsonb(row.get("dimensions") or {})
    if name == "zone":
        return value or "UTC"
    return _storable(value) if isinstance(value, str) else value


def _texts(row: Row) -> dict[str, str]:
    """What a refused row says, as texts."""
    said = {name: value for name, value in row.items() if name not in ("wrong", "dimensions") and value is not None}
    return {
        **(row.get("dimensions") or {}),
        **{n: v.isoformat() if isinstance(v, datetime) else f"{v:f}" if isinstance(v, Decimal) else str(v)
           for n, v in said.items()},
    }  # fmt: skip


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _as_jsonb(value: Mapping[str, str] | str) -> str:
    if isinstance(value, str):
        return json.dumps(_storable(value))
    return json.dumps({_storable(name): _storable(text) for name, text in value.items()})
