"""The figures behind the checks of retention, as metadata of each."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.retention_figures import JobFigures, RetentionFigures, SeriesFigures, retention_figures

Row = dict[str, Any]


def figures_of_rules(url: str, rules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The figures of each of the rules that has some, as metadata."""
    wanted = [rule for rule in rules if rule in _SHOWN]
    if not wanted:
        return {}
    try:
        figures = retention_figures(url)
    except GovernanceError as error:
        return {rule: {"figures could not be read": str(error)} for rule in wanted}
    shown = {rule: _SHOWN[rule](figures) for rule in wanted}
    return {rule: {"figures": _table(rows)} if rows else {"figures": "there are none"} for rule, rows in shown.items()}


def _table(rows: list[Row]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows])


def _per_series(*columns: Callable[[SeriesFigures], Row]) -> Callable[[RetentionFigures], list[Row]]:
    return lambda figures: [
        {"table": f"core.{each.series}"} | {name: value for column in columns for name, value in column(each).items()}
        for each in figures.series
    ]


def _age(each: SeriesFigures) -> Row:
    return {
        "oldest row": _day(each.oldest_row),
        "policy keeps": each.retention,
        "dropped before": _day(each.dropped_before),
    }


def _outliving(each: SeriesFigures) -> Row:
    return {"oldest bucket of rollups": _day(each.oldest_bucket), "buckets older than raw rows": each.outliving_buckets}


def _size(each: SeriesFigures) -> Row:
    return {"bytes": each.parts.bytes, "parts": each.parts.count}


def _compression(each: SeriesFigures) -> Row:
    return {
        "compressed after": each.parts.compress_after or "never",
        "compressed parts": each.parts.compressed,
        "oldest uncompressed part ends": _day(each.parts.oldest_uncompressed),
        "bytes before": _text(each.parts.bytes_before),
        "bytes after": _text(each.parts.bytes_after),
    }


def _ahead(each: SeriesFigures) -> Row:
    return {"parts until": _day(each.parts.until), "parts": each.parts.count}


def _default(each: SeriesFigures) -> Row:
    return {"rows in the default partition": _text(each.parts.rows_in_default)}


def _of_jobs(figures: RetentionFigures) -> list[Row]:
    return [_job(each) for each in figures.jobs]


def _job(each: JobFigures) -> Row:
    return {
        "job": each.job,
        "what": each.what,
        "last success": _day(each.last_success, "%Y-%m-%d %H:%M"),
        "last run": each.last_status or "none",
        "failures": each.failures,
    }


def _day(moment: datetime | None, form: str = "%Y-%m-%d") -> str:
    return "-" if moment is None else moment.astimezone(UTC).strftime(form)


def _text(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


_SHOWN: dict[str, Callable[[RetentionFigures], list[Row]]] = {
    "parts_past_retention": _per_series(_age, _outliving, _size),
    "retention_not_run": _per_series(_age),
    "missing_raw_rows": _per_series(_age, _outliving),
    "late_compression": _per_series(_compression, _size),
    "missing_partitions_ahead": _per_series(_ahead),
    "rows_in_default_partition": _per_series(_default),
    "failing_jobs": _of_jobs,
    "wrong_policies": _of_jobs,
}
