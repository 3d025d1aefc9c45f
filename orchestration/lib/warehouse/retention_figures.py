"""Figures about retention: how old the raw rows are against what is promised, what was stored, and what jobs did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.errors import explained


@dataclass(frozen=True)
class Parts:
    """Partitions or chunks: how many, until when, their bytes, and of those that are compressed the bytes before.

    None where there is no such thing on this engine.
    """

    count: int
    until: datetime | None
    bytes: int
    rows_in_default: int | None = None
    compressed: int = 0
    compress_after: str | None = None
    oldest_uncompressed: datetime | None = None
    bytes_before: int | None = None
    bytes_after: int | None = None


@dataclass(frozen=True)
class SeriesFigures:
    """Of a time-series table: raw rows, their parts, and the buckets of days that outlive what was dropped."""

    series: str
    retention: str
    oldest_row: datetime | None
    dropped_before: datetime | None
    parts: Parts
    oldest_bucket: datetime | None
    outliving_buckets: int


@dataclass(frozen=True)
class JobFigures:
    """Of a background job: what it is for, and how its last runs ended."""

    job: int
    what: str
    last_success: datetime | None
    last_status: str | None
    failures: int


@dataclass(frozen=True)
class RetentionFigures:
    """All of it, of one moment."""

    series: Sequence[SeriesFigures]
    jobs: Sequence[JobFigures]


def retention_figures(url: str) -> RetentionFigures:
    """Of the database at `url`. Raises GovernanceError, NotBuiltError before the first build."""
    with explained(), connect(url) as connection:
        names = [name for (name,) in connection.execute("select name from internal.time_series order by name")]
        of_timescaledb = has_relation(connection, "timescaledb_information.chunks")
        return RetentionFigures(
            [_of_series(connection, name, of_timescaledb) for name in names],
            _jobs(connection) if of_timescaledb else [],
        )


def _of_series(connection: Connection, series: str, of_timescaledb: bool) -> SeriesFigures:
    table = sql.Identifier("core", series)
    [(retention, dropped_before, is_native)] = connection.execute(
        """
        select
            (select value from internal.settings where name = %(series)s || '_retention'),
            nullif(dropped_before, '-infinity'),
            pg_class.relkind = 'p'
        from internal.time_series
        left join pg_class on pg_class.oid = format('core.%%I', name)::regclass
        where name = %(series)s
        """,
        {"series": series},
    )
    # by the index on time
    [(oldest,)] = connection.execute(sql.SQL("select min(time) from {}").format(table))
    chunks = _chunks(connection, series) if of_timescaledb and not is_native else None
    parts = _partitions(connection, series) if chunks is None else chunks
    bucket, buckets = _buckets(connection, series, oldest)
    return SeriesFigures(series, retention, oldest, dropped_before, parts, bucket, buckets)


def _partitions(connection: Connection, series: str) -> Parts:
    [(count, until, size)] = connection.execute(
        """
        select count(*), max(high), coalesce(sum(pg_total_relation_size(partition)), 0)::bigint
        from internal.partition_ranges(format('core.%%I', %s::text)::regclass)
        """,
        [series],
    )
    [(in_default,)] = connection.execute(
        sql.SQL("select count(*) from {}").format(sql.Identifier("core", f"{series}_default"))
    )
    return Parts(count, until, size, rows_in_default=in_default)


def _chunks(connection: Connection, series: str) -> Parts:
    [(count, until, compressed, uncompressed)] = connection.execute(
        """
        select
            count(*), max(range_end), count(*) filter (where is_compressed),
            min(range_end) filter (where not is_compressed)
        from timescaledb_information.chunks
        where hypertable_schema = 'core' and hypertable_name = %s
        """,
        [series],
    )
    [(size,)] = connection.execute(
        "select coalesce(public.hypertable_size(format('core.%%I', %s::text)::regclass), 0)", [series]
    )
    [(after,)] = connection.execute(
        """
        select max(config ->> 'compress_after') from timescaledb_information.jobs
        where proc_name = 'policy_compression' and hypertable_schema = 'core' and hypertable_name = %s
        """,
        [series],
    )
    before = now = None
    if compressed:
        [(before, now)] = connection.execute(
            "select before_compression_total_bytes, after_compression_total_bytes"
            " from public.hypertable_compression_stats(format('core.%%I', %s::text)::regclass)",
            [series],
        )
    return Parts(
        count,
        until,
        size,
        compressed=compressed,
        compress_after=after,
        oldest_uncompressed=uncompressed,
        bytes_before=before,
        bytes_after=now,
    )


def _buckets(connection: Connection, series: str, oldest: datetime | None) -> tuple[datetime | None, int]:
    """The oldest stored bucket of the series, and how many buckets of days are older than the oldest raw row."""
    rows = connection.execute(
        "select name from internal.rollup_state where source = %s"
        " order by bucket = 'day' desc, parent is not null, name limit 1",
        [series],
    ).fetchall()
    if not rows:
        return None, 0
    relation = sql.Identifier("rollups", rows[0][0])
    [(first, count)] = connection.execute(
        sql.SQL(
            "select min(bucket), count(distinct bucket) filter (where bucket < date_trunc('day', %s::timestamptz))"
            " from {}"
        ).format(relation),
        [oldest],
    )
    return first, count


def _jobs(connection: Connection) -> list[JobFigures]:
    rows = connection.execute(
        """
        select
            jobs.job_id,
            coalesce(jobs.config ->> 'rollup', jobs.hypertable_name::text, '') || ': ' || jobs.proc_name,
            nullif(stats.last_successful_finish, '-infinity'),
            stats.last_run_status,
            coalesce(stats.total_failures, 0)
        from timescaledb_information.jobs as jobs
        left join timescaledb_information.job_stats as stats on stats.job_id = jobs.job_id
        where jobs.proc_name in ('policy_retention', 'policy_compression', 'refresh_in_background')
        order by jobs.job_id
        """
    ).fetchall()
    return [JobFigures(*row) for row in rows]
