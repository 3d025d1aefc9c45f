"""Loads reports of providers into core.provider_usage: what a period sums up to, replaced by a newer report of it."""
# ruff: noqa: S608 - statements are built of this module's own words

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration.lib import errors
from orchestration.lib.database.connection import connect
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.files import OpenReportFile, Position, UsageFile
from orchestration.lib.usage.ledger import note_report
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources.report import Report, Row

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

_SCOPE = ("account", "report", "provider", "period_start", "period_end")
_COLUMNS = (
    *_SCOPE,
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
    "dimensions",
)
_LISTED, _SCOPES = ", ".join(_COLUMNS), ", ".join(_SCOPE)
_SAME = " and ".join(f"a.{name} = b.{name}" for name in _SCOPE)
_INSTANT = "now() + file * interval '1 microsecond'"
_LONGEST = 1_000


def ingest_reports(
    url: str,
    files: Sequence[str],
    report: Report,
    constants: Mapping[str, str],
    *,
    file_format: str | None = None,
    tries: bool = False,
    progress: Callable[[str, Position, IngestReport], None] = lambda source, position, report: None,
) -> IngestReport:
    """Loads the files, all of them or none, and says what became of their rows; with `tries` nothing is written.

    What the files say of a period takes the place of what was there: the last page that has it wins, of FOCUS all lines
    of all files together. `constants` may name the `account` where a report doesn't. Raises GovernanceError.
    """
    if unknown := [name for name in constants if name != "account"]:
        raise GovernanceError(f"{report.name} is a report, of which only the account can be set, not {unknown[0]}")
    named = [UsageFile.named(path, file_format) for path in files]
    result = IngestReport()
    with connect(url) as connection, errors.explained():
        connection.execute(
            "create temporary table report_rows as"
            f" select 0 as file, 0::bigint as page, {_LISTED} from core.provider_usage where false"
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
        with_retries(lambda: _merge(connection, report.name, sources, constants, result, tries))
    return result


def _stage(
    connection: "psycopg.Connection[TupleRow]",
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
    copied = f"copy report_rows (file, page, {_LISTED}) from stdin"
    with connection.cursor() as cursor, cursor.copy(copied) as copy, closing(opened.said()) as records:
        for page, (_, problem, raw, said) in enumerate(records, page + 1):  # noqa: B020 - it goes on from there
            if said is None:
                number += 1
                refused.append((number, [problem or ""], raw or ""))
                continue
            for row in report.rows(said):
                number += 1
                if constants.get("account"):
                    row["account"] = constants["account"]
                if wrong := (row.get("wrong") or _too_long(row)):
                    refused.append((number, wrong, _texts(row)))
                else:
                    copy.write_row((file, 0 if is_whole else page, *(_value(row, c) for c in _COLUMNS)))
    result.read += number
    result.quarantined += len(refused)
    result.reasons.update(Counter(reason for _, reasons, _ in refused for reason in reasons))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into report_refused values (%s, %s, %s, %s::jsonb)",
            [(file, line, reasons, _as_jsonb(data)) for line, reasons, data in refused],
        )
    return page


def _merge(
    connection: "psycopg.Connection[TupleRow]",
    source: str,
    files: Sequence[str],
    constants: Mapping[str, str],
    result: IngestReport,
    tries: bool,
) -> None:
    with connection.transaction(force_rollback=tries):
        # one report at a time: what is there is compared and replaced
        connection.execute("lock table core.provider_usage in share row exclusive mode")
        counted: dict[int, int] = dict(
            connection.execute("select file, count(*) from report_rows group by file").fetchall()
        )
        staged = [counted.get(number, 0) for number in range(len(files))]
        connection.execute(
            f"delete from report_rows as a using (select {_SCOPES}, max(page) as page from report_rows"
            f" group by {_SCOPES}) as b where {_SAME} and a.page < b.page"
        )
        _refuse_overlaps(connection, source)
        digest = f"md5(string_agg(row({_LISTED})::text, chr(10) order by row({_LISTED})::text))"
        connection.execute("drop table if exists pg_temp.report_changed")
        connection.execute(
            f"""
            create temporary table report_changed as
            with said as (select {_SCOPES}, {digest} as digest from report_rows group by {_SCOPES}),
            stored as (
                select {_SCOPES}, {digest} as digest
                from core.provider_usage as a
                where source = %s and exists (select from said as b where {_SAME})
                group by {_SCOPES}
            )
            select {", ".join(f"b.{name}" for name in _SCOPE)}
            from said as b
            left join stored as a on {_SAME}
            where a.digest is distinct from b.digest
            """,
            [source],
        )
        connection.execute(
            f"delete from core.provider_usage as a using report_changed as b where a.source = %s and {_SAME}", [source]
        )
        # files have an instant each, by which their rows are known
        loaded = connection.execute(
            f"insert into core.provider_usage (source, loaded_at, {_LISTED})"
            f" select %s, {_INSTANT}, {', '.join(f'a.{name}' for name in _COLUMNS)}"
            f" from report_rows as a inner join report_changed as b on {_SAME}",
            [source],
        ).rowcount
        # of a file that is read again only what is refused now is kept
        connection.execute("delete from internal.quarantine where source = any(%s)", [list(files)])
        connection.execute(
            "insert into internal.quarantine (source, quarantined_at, line, reasons, row_data, row_hash)"
            f" select (%s::text[])[file + 1], {_INSTANT}, line, reasons, row_data,"
            " sha256(convert_to(row_data::text, 'UTF8')) from report_refused on conflict (source, line, row_hash)"
            " do nothing",
            [list(files)],
        )
        for number, (file, rows) in enumerate(zip(files, staged, strict=True)):
            note_report(connection, source, file, number, rows, constants)
    result.loaded, result.duplicate = loaded, sum(staged) - loaded


def _refuse_overlaps(connection: "psycopg.Connection[TupleRow]", source: str) -> None:
    """Buckets of an hour beside those of their day would count twice."""
    found = connection.execute(
        f"""
        with said as (select distinct {_SCOPES} from report_rows)
        select b.period_start, b.period_end, a.period_start, a.period_end
        from said as b
        inner join (
            select {_SCOPES} from core.provider_usage where source = %s
            union all
            select {_SCOPES} from said
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
