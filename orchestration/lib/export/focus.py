"""Writes a month's charges as a file of FOCUS, the FinOps Open Cost and Usage Specification.

The database makes the CSV, so that a million rows pass by without growing memory; Parquet is made of it. A file is
whole under its name, or not there.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Decimal, localcontext
from pathlib import Path
from typing import IO

from orchestration.lib.compliance.period import Period, now, parsed_month
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.export.focus_columns import DATASETS, VERSIONS, Column, Dataset, dataset

FORMATS = ("csv", "parquet")
# of what engines take for a decimal of 128 bits: amounts up to 10^18, with all their digits
_PRECISION, _SCALE = 38, 20
_BLOCK = 4 << 20
_INSTALL = (
    "writing Parquet needs pyarrow, which isn't installed: install the extra `parquet` (in a clone: `make parquet`), "
    "or export with --format csv"
)


@dataclass(frozen=True)
class Exported:
    """What was written of the month: rows, their billed cost by currency; the requests without a price are no charge.

    `charged` is what the report of charges says of the month; `is_over`, whether the month has ended, so that its
    figures no longer grow by the day.
    """

    month: str
    rows: int
    totals: dict[str, Decimal]
    charged: dict[str, Decimal]
    unpriced_requests: int
    is_over: bool


def export_focus(
    url: str,
    period: str,
    output: Path,
    *,
    file_format: str = "csv",
    version: str = "1.2",
    dataset_name: str = "cost-and-usage",
) -> Exported:
    """Writes a dataset of a month, such as 2026-10, into a new file.

    Raises GovernanceError where the month has not begun or is none, where format, version or dataset are not known,
    and where the file is there already; then nothing is written.
    """
    _require_known(file_format, version, dataset_name)
    output = output.absolute()
    if output.exists():
        raise GovernanceError(f"{output} is there already: name a file that isn't, an export is never written over")
    if not output.parent.is_dir():
        raise GovernanceError(f"the folder {output.parent} isn't there: make it, or name another file")
    if file_format == "parquet":
        _require_pyarrow()
    with connect(url, autocommit=False, application="governance export") as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        # for a month of a large organisation, whose charges by team and price would go to disk otherwise
        connection.execute("set local work_mem = '64MB'")
        _, zone, today = now(connection)
        month, wanted = _begun(period, zone, today), dataset(dataset_name, version)
        with _whole_file(output) as file:
            if file_format == "csv":
                written = _write_csv(connection, wanted, month, file)
            else:
                with tempfile.TemporaryFile(dir=output.parent) as lines:
                    written = _write_csv(connection, wanted, month, lines)
                    lines.seek(0)
                    _write_parquet(lines, wanted, file)
            return _exported(connection, month, today, *written)


def _require_known(file_format: str, version: str, name: str) -> None:
    for said, known, what in (
        (file_format, FORMATS, "format"),
        (version, VERSIONS, "version of FOCUS that is written"),
        (name, DATASETS, "dataset"),
    ):
        if said not in known:
            raise GovernanceError(f"{said!r} is no {what}: give one of {', '.join(known)}")
    if name != "cost-and-usage" and version == "1.2":
        raise GovernanceError(f"FOCUS 1.2 has no dataset {name}: export it with --focus-version 1.4")


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise GovernanceError(_INSTALL) from error


def _begun(period: str, zone: str, today: date) -> Period:
    found = parsed_month(period, zone, today)
    if found.first > today:
        raise GovernanceError(f"{found.name} has not begun: export a month that has charges, {today:%Y-%m} or earlier")
    return found


def _query(wanted: Dataset) -> str:
    columns = ", ".join(f'{_formatted(column)} as "{column.name}"' for column in wanted.columns)
    places = ", ".join(str(place + 1) for place in range(wanted.grouped_by))
    # an adjustment may be about a month before; without the second bound every day of usage would be read
    of_month = "billing_period_start = {start} and (charge_period_start >= {start} or charge_class is not null)"
    grouped = f" group by {places} order by {places}" if places else ""
    return f"select {columns} from reporting.focus_cost_and_usage where {of_month}{grouped}"  # noqa: S608 - ours


def _formatted(column: Column) -> str:
    match column.kind:
        case "time":
            return f"""to_char({column.source} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
        case "json":
            return f"{column.source}::text"
    return column.source


def _write_csv(
    connection: Connection, wanted: Dataset, month: Period, file: IO[bytes]
) -> tuple[int, dict[str, Decimal]]:
    """Writes the rows of the month as CSV, nulls as nothing; returns how many they are and their sums by currency."""
    from psycopg import sql

    query = sql.SQL("copy ({}) to stdout (format csv, header)").format(
        sql.SQL(_query(wanted)).format(start=sql.Literal(month.start))
    )
    sums: dict[bytes, Decimal] = {}
    with connection.cursor() as cursor, localcontext(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN):
        with cursor.copy(query) as lines:
            rows = iter(lines)
            file.write(next(rows))
            for row in rows:
                file.write(row)
                if not wanted.grouped_by:
                    # the two first, neither of which is ever quoted
                    amount, currency, _ = bytes(row).split(b",", 2)
                    sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount.decode())
        return cursor.rowcount, {currency.decode(): sums[currency].normalize() for currency in sorted(sums)}


def _write_parquet(lines: IO[bytes], wanted: Dataset, file: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    types = {"text": pa.string(), "json": pa.string(), "time": pa.timestamp("us", tz="UTC")}
    decimal = pa.decimal128(_PRECISION, _SCALE)
    schema = pa.schema([(column.name, types.get(column.kind, decimal)) for column in wanted.columns])
    options = csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    read = csv.ReadOptions(block_size=_BLOCK)
    parse = csv.ParseOptions(newlines_in_values=True)
    try:
        reader = csv.open_csv(lines, read_options=read, parse_options=parse, convert_options=options)
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    except pa.ArrowInvalid as error:
        raise GovernanceError(
            f"an amount has more than {_SCALE} digits behind the point, which Parquet can't keep ({error}): "
            "export with --format csv, which keeps all"
        ) from error


def _exported(connection: Connection, month: Period, today: date, rows: int, totals: dict[str, Decimal]) -> Exported:
    charged = connection.execute(
        "select currency, trim_scale(sum(total)) from reporting.chargeback where month = %s and total is not null"
        " group by currency order by currency",
        [month.first],
    ).fetchall()
    [(unpriced,)] = connection.execute(
        "select coalesce(sum(unpriced_requests), 0)::bigint from reporting.spend_by_model_view"
        " where day >= %s and day < %s",
        [month.first, month.after],
    )
    return Exported(month.name, rows, totals, dict(charged), int(unpriced), today >= month.after)


@contextmanager
def _whole_file(output: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which has the name of `output` at the end; nothing is left where the writing fails."""
    written = output.with_name(f".{output.name}-{os.getpid()}")
    try:
        with written.open("xb", buffering=_BLOCK) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        written.rename(output)
    except OSError as error:
        raise GovernanceError(
            f"{output} can't be written ({error.strerror}): see to that, or name a file elsewhere"
        ) from error
    finally:
        written.unlink(missing_ok=True)
