"""Reads usage from the database of a source: what is new since the last time, and what may have come late."""

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from orchestration.lib import errors
from orchestration.lib.database.connection import Connection, connect, without_password
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record
from orchestration.lib.usage.files import Position
from orchestration.lib.usage.sources import litellm
from orchestration.lib.usage.sources.adapted import AdaptedSource
from orchestration.lib.usage.sources.adapter import Source
from orchestration.lib.usage.sources.jsonl import decode
from orchestration.lib.usage.sources.objects import Read

# so long before the latest request that was read may others have begun that weren't there yet
LATE = timedelta(days=1)
_FETCHED = 2_000
_SCHEMES = ("postgresql://", "postgres://")
# of Prisma, which LiteLLM's own URL may have and libpq doesn't know
_PRISMA = ("schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size")
_TABLE = "LiteLLM_SpendLogs"
_JSON = ("metadata", "request_tags")


def is_location(path: str) -> bool:
    """Whether this names a database and not a file."""
    return path.startswith(_SCHEMES)


def location_name(location: str) -> str:
    """What a database is called in messages, in loads and in quarantine."""
    return without_password(plain(location)[0])


class Marks:
    """How far one location was read, kept in the warehouse; `connection` is that of the load, in autocommit mode."""

    def __init__(self, connection: Connection, source: str, location: str) -> None:
        self._connection, self._key = connection, [source, location]

    def begin(self) -> datetime:
        """From where to read: the mark less the late window, else as far back as raw rows reach."""
        with errors.explained():
            [row] = self._connection.execute(
                "select greatest(internal.raw_floor('llm_metrics'), ("
                "select high_water - %s from internal.source_marks where source = %s and location = %s))",
                [LATE, *self._key],
            )
        begin: datetime = row[0]
        return begin

    def move(self, to: datetime) -> None:
        """Notes that all before is loaded; never back, nor beyond now, for a clock may be wrong."""
        with errors.explained():
            self._connection.execute(
                "insert into internal.source_marks as m (source, location, high_water)"
                " values (%s, %s, least(%s, now())) on conflict (source, location) do update"
                " set high_water = greatest(m.high_water, excluded.high_water), updated_at = now()",
                [*self._key, to],
            )


class LiteLlmDatabase:
    """LiteLLM's table of requests from `begin` on, in the order of their time. Use as a context manager.

    It is read in one transaction that only reads, by a cursor of the server. Raises GovernanceError.
    """

    def __init__(
        self,
        location: str,
        source: Source | None,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
        begin: datetime | None = None,
    ) -> None:
        if source is not litellm.SOURCE:
            raise GovernanceError("usage is read from a database with --source litellm only")
        url, schema = plain(location)
        self.source = source
        self.name = location_name(location)
        self._begin = begin
        self._latest: datetime | None = None
        self._read = 0
        self._connection = connect(url)
        try:
            self._columns = self._find(schema, mapping.values())
            self.read = AdaptedSource(self._said(), source, mapping, constants, ignored)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "LiteLlmDatabase":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def position(self) -> Position:
        """Nobody counts the rows before; how far it is read is the time of the last."""
        return Position(self._read, None, self._latest)

    def volume(self) -> int:
        """Characters aren't counted: rows are small."""
        return 0

    def records(self) -> Iterator[Record]:
        """The requests."""
        with errors.explained("run the same command again, it goes on from what is done"):
            yield from self.read.records()

    def _find(self, schema: str | None, mapped: Collection[str]) -> list[str]:
        self._schema, columns = columns_of(self._connection, self.name, _TABLE, schema)
        wanted = dict.fromkeys((*litellm.COLUMNS, *(column.split(".")[0] for column in mapped)))
        if absent := [name for name in wanted if name not in columns and name not in litellm.COLUMNS]:
            raise GovernanceError(f"{_TABLE} has no column {absent[0]}: it has {', '.join(sorted(columns))}")
        return [name for name in wanted if name in columns]

    def _said(self) -> Iterator[Read]:
        from psycopg import sql

        columns = self._columns
        # exact as texts: numbers with all their digits, times as they are
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("l", name)) for name in columns)
        query = sql.SQL(
            'select l."startTime", {} from {} as l where l."startTime" >= %s order by l."startTime", l.request_id'
        ).format(texts, sql.Identifier(self._schema, _TABLE))
        connection = self._connection
        connection.read_only = True
        assert self._begin
        # its times are of UTC, without saying so
        begin = self._begin.replace(tzinfo=None)
        with connection.transaction(), connection.cursor(name="spend_logs") as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(query, [begin])
            for time, *values in cursor:
                row: dict[str, object] = dict(zip(columns, values, strict=True))
                for name in _JSON:
                    if isinstance(text := row.get(name), str):
                        with contextlib.suppress(RecursionError):
                            row[name] = decode(text)
                self._latest = time
                self._read += 1
                yield _number(row.get("request_id")), None, None, row


def columns_of(connection: Connection, name: str, table: str, schema: str | None) -> tuple[str, list[str]]:
    """The schema of a table of LiteLLM's and its columns. Raises GovernanceError where it isn't there, or not once."""
    with errors.explained():
        found = connection.execute(
            "select table_schema, array_agg(column_name::text) from information_schema.columns"
            " where table_name = %s and (table_schema = %s or %s::text is null) group by 1 order by 1",
            [table, schema, schema],
        ).fetchall()
    if not found:
        raise GovernanceError(f"{name} has no table {table} that its user may read: is it LiteLLM's database?")
    if len(found) > 1:
        raise GovernanceError(
            f"{name} has {table} in the schemas {', '.join(name for name, _ in found)}: say which with ?schema=NAME"
        )
    ((where, columns),) = found
    return where, columns


def _number(request_id: object) -> int:
    """Rows have no line: a number that is the same whenever the row is read."""
    return int(hashlib.sha256(str(request_id).encode()).hexdigest()[:15], 16)


def plain(location: str) -> tuple[str, str | None]:
    """The URL as libpq takes it, and the schema that it names."""
    parts = urlsplit(location)
    given = parse_qsl(parts.query, keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in given if name not in _PRISMA])
    return urlunsplit(parts._replace(query=kept)), dict(given).get("schema")
