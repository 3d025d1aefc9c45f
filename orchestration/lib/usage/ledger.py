"""The ledger of loads: which rows came by which load, and how one is taken back.

A batch is one transaction, and its rows have the start of that as `ingested_at`; internal.load_batches keeps it, once
in the whole database. So rows are found by a column that they have anyway, and its BRIN index.
"""
# ruff: noqa: S608 - statements are built of this module's own words

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg

from orchestration.lib.database.chunks import ready_for_chunks
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.replaced import adjust, refuse_replaced_since, replaced_times, take_back


@dataclass(frozen=True)
class Inserted:
    """What a batch put into the table; `unresolved` of its rows lack an owner that their source names."""

    rows: int = 0
    cost: Decimal = Decimal(0)
    tokens: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    unresolved: int = 0


@dataclass(frozen=True)
class Load:
    """A load as it is remembered; `ended_at` is None while it runs and where it was killed."""

    number: int
    source: str
    # the report whose file it is, None for usage
    report: str | None
    started_at: datetime
    ended_at: datetime | None
    loaded: int
    duplicate: int
    changed: int
    quarantined: int
    undone_at: datetime | None
    # records that it put into quarantine and that are there; those of an earlier load stay that one's
    refused: int
    # notes of what it said otherwise, kept or replaced
    notes: int

    @property
    def left_something(self) -> bool:
        """Whether there is anything to take back."""
        return self.undone_at is None and self.loaded + self.refused + self.notes > 0


@dataclass(frozen=True)
class Undone:
    """What taking a load back removed, and how many requests are again as they were before it."""

    load: Load
    rows: int
    quarantined: int
    restored: int


class Ledger:
    """Writes down one load over the connection that loads, which must be in autocommit mode."""

    def __init__(self, mapping: Mapping[str, str], constants: Mapping[str, str]) -> None:
        self._mapping, self._constants = json.dumps(dict(mapping)), json.dumps(dict(constants))

    def begin(self, connection: Connection, source: str) -> None:
        """To be called first, when nothing about the load as such is wrong."""
        self._connection = connection
        with connection.transaction():
            [(self.number,)] = connection.execute(
                "insert into internal.loads (source, mapping, constants) values (%s, %s, %s) returning id",
                [source, self._mapping, self._constants],
            )
            # of the session, so it outlives the transaction that makes the load visible
            connection.execute("select pg_advisory_lock(%s, %s)", [Lock.LOAD, self.number])

    def record(self, inserted: Inserted, duplicate: int, changed: int, quarantined: int) -> None:
        """Notes a batch, in its transaction. Raises SerializationFailure if another batch began in the same instant."""
        noted = self._connection.execute(
            """
            insert into internal.load_batches
                (load_id, ingested_at, loaded, duplicate, changed, quarantined, cost_amount, tokens, oldest, newest)
            values (%s, now(), %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (ingested_at) do nothing
            """,
            [
                self.number,
                inserted.rows,
                duplicate,
                changed,
                quarantined,
                inserted.cost,
                inserted.tokens,
                inserted.oldest,
                inserted.newest,
            ],
        )
        if not noted.rowcount:
            raise psycopg.errors.SerializationFailure("another batch began in the same microsecond")

    def adjust(self) -> None:
        """Has the sums of the loads whose requests this transaction replaced say what is stored now."""
        adjust(self._connection, "select * from internal.changed_requests where changed_at = now()", "stored", "said")

    def close(self) -> None:
        """The load has ended, well or not; needs a connection that lives."""
        self._connection.execute("update internal.loads set ended_at = clock_timestamp() where id = %s", [self.number])
        self._connection.execute("select pg_advisory_unlock(%s, %s)", [Lock.LOAD, self.number])


_ALL_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in TOKEN_CLASSES)


def note_report(
    connection: Connection,
    report: str,
    source: str,
    number: int,
    staged: int,
    constants: Mapping[str, str],
) -> None:
    """Notes a file of a report as a load of one batch, in the transaction that loads it; `number` is its place in that.

    `staged` are its rows that weren't refused. Raises SerializationFailure as `Ledger.record` does.
    """
    noted = connection.execute(
        f"""
        with batch (instant) as (select now() + %(number)s * interval '1 microsecond'), load as (
            insert into internal.loads (source, mapping, constants, ended_at)
            values (%(source)s, jsonb_build_object('report', %(report)s::text), %(constants)s::jsonb, clock_timestamp())
            returning id
        ), loaded as (
            select
                count(*) as rows, coalesce(sum(cost_amount), 0) as cost, min(starts_at) as oldest,
                max(ends_at) as newest, coalesce(sum({_ALL_TOKENS}), 0) as tokens
            from core.provider_usage
            inner join batch on loaded_at = instant
            where source = %(report)s
        ), refused as (
            select count(*) as rows from internal.quarantine inner join batch on quarantined_at = instant
            where source = %(source)s
        )
        insert into internal.load_batches
            (load_id, ingested_at, loaded, duplicate, quarantined, cost_amount, tokens, oldest, newest)
        select
            load.id, instant, loaded.rows, %(staged)s - loaded.rows, refused.rows, loaded.cost, loaded.tokens,
            loaded.oldest, loaded.newest
        from batch, load, loaded, refused
        on conflict (ingested_at) do nothing
        """,
        {"number": number, "report": report, "source": source, "staged": staged, "constants": json.dumps(constants)},
    )
    if not noted.rowcount:
        raise psycopg.errors.SerializationFailure("another batch began in the same microsecond")


_LOADS = """
    select
        l.id, l.source, l.mapping ->> 'report', l.started_at, l.ended_at, coalesce(sum(b.loaded), 0)::bigint,
        coalesce(sum(b.duplicate), 0)::bigint, coalesce(sum(b.changed), 0)::bigint,
        coalesce(sum(b.quarantined), 0)::bigint, l.undone_at,
        (
            select count(*)
            from internal.load_batches as own
            inner join internal.quarantine as q on q.source = l.source and q.quarantined_at = own.ingested_at
            where own.load_id = l.id and own.quarantined > 0
        ),
        (
            select count(*)
            from internal.load_batches as own
            inner join internal.changed_requests as c on c.changed_at = own.ingested_at
            where own.load_id = l.id and own.changed > 0
        )
    from internal.loads as l
    left join internal.load_batches as b on b.load_id = l.id
"""


def loads(url: str, *, limit: int) -> list[Load]:
    """The latest loads, the last one first."""
    with connect(url) as connection:
        rows = connection.execute(f"{_LOADS} group by l.id order by l.id desc limit %s", [limit])
        return [Load(*row) for row in rows]


def undo(url: str, which: str) -> Undone:
    """Takes back the load of this number or source, wholly or not at all: its rows, what it replaced and quarantined.

    Rollups follow at their next refresh. Raises GovernanceError where it isn't clear which load is meant, where it
    still runs, where its rows are no longer as they were loaded, and where a later load replaced some of them.
    """
    with connect(url) as connection:
        load = _choose(connection, which)
        [(is_locked,)] = connection.execute("select pg_try_advisory_lock(%s, %s)", [Lock.LOAD, load.number])
        if not is_locked:
            raise GovernanceError(f"load {load.number} of {load.source} is still running: wait for its end, or stop it")
        connection.execute("set timezone = 'UTC'")
        ready_for_chunks(connection)
        opened = [] if load.report else _open_chunks(connection, load)
        try:
            with connection.transaction():
                return _take_back(connection, load)
        finally:
            if opened and not connection.closed:
                connection.execute("select internal.close_chunks(%s)", [opened])


def _choose(connection: Connection, which: str) -> Load:
    by_number = which.isascii() and which.isdigit() and len(which) < 10
    # a file also by its name without the folder that it was loaded from
    condition = (
        "l.id = %(which)s::bigint" if by_number else "%(which)s in (l.source, regexp_replace(l.source, '.*/', ''))"
    )
    query = f"{_LOADS} where {condition} group by l.id order by l.id"
    found = [Load(*row) for row in connection.execute(query, {"which": which})]
    if not found:
        raise GovernanceError(
            f"there is no load {'with the number ' if by_number else 'of '}{which}: "
            "`governance ingest --loads` lists them"
        )
    left = [load for load in found if load.left_something]
    if not left:
        undone = found[-1].undone_at
        said = f"was taken back at {undone:%Y-%m-%d %H:%M:%S %Z}" if undone else "loaded nothing"
        raise GovernanceError(f"there is nothing to take back: load {found[-1].number} of {found[-1].source} {said}")
    if len(left) > 1:
        listed = ", ".join(f"{load.number} of {load.started_at:%Y-%m-%d %H:%M:%S}" for load in left)
        raise GovernanceError(f"{len(left)} loads of {which} brought something: name one by its number ({listed})")
    return left[0]


# bounds as values, so that partitions and chunks without such rows aren't looked at
_ROWS = """
    internal.load_batches as b
    where b.load_id = %(load)s and b.loaded > 0 and m.ingested_at = b.ingested_at
        and m.ingested_at between %(first)s and %(last)s
        and m.time between %(oldest)s and %(newest)s
"""


def _bounds(connection: Connection, load: Load) -> dict[str, object]:
    [row] = connection.execute(
        "select min(ingested_at), max(ingested_at), min(oldest), max(newest), sum(cost_amount), sum(tokens)"
        " from internal.load_batches where load_id = %s and loaded > 0",
        [load.number],
    )
    names = ("first", "last", "oldest", "newest", "cost", "tokens")
    return {"load": load.number, **dict(zip(names, row, strict=True))}


def _open_chunks(connection: Connection, load: Load) -> list[str]:
    loaded = f"select m.time from core.llm_metrics as m, {_ROWS} union all" if load.loaded else ""
    # read to the end before a chunk that was read is decompressed
    days = connection.execute(
        f"select date_trunc('day', time), count(*) from ({loaded} {replaced_times()}) as t group by 1",
        _bounds(connection, load),
    ).fetchall()
    [(opened,)] = connection.execute(
        "select internal.open_chunks('llm_metrics', %s::timestamptz[], %s::bigint[])",
        [[day for day, _ in days], [rows for _, rows in days]],
    )
    return opened or []


def _take_back(connection: Connection, load: Load) -> Undone:
    marked = connection.execute(
        "update internal.loads set undone_at = now() where id = %s and undone_at is null", [load.number]
    )
    if not marked.rowcount:
        raise GovernanceError(f"load {load.number} of {load.source} was taken back a moment ago")
    restored = take_back(connection, load.number, f"load {load.number} of {load.source}") if load.notes else 0
    refuse_replaced_since(connection, load.number, f"load {load.number} of {load.source}")
    if load.report:
        restored = _restore_report(connection, load)
    delete = _delete_report if load.report else _delete_rows
    rows = delete(connection, load) if load.loaded else 0
    # a database that it was read from is read again from the beginning
    connection.execute("delete from internal.source_marks where location = %s", [load.source])
    quarantined = connection.execute(
        "delete from internal.quarantine as q using internal.load_batches as b"
        " where b.load_id = %s and q.source = %s and q.quarantined_at = b.ingested_at",
        [load.number, load.source],
    ).rowcount
    return Undone(load, rows, quarantined, restored)


def _restore_report(connection: Connection, load: Load) -> int:
    """The lines of an invoice's version before, which hold again, or which the version after has taken the place of."""
    return connection.execute(
        """
        update core.provider_usage as before
        set replaced_at = own.replaced_at
        from internal.load_batches as b
        inner join core.provider_usage as own on own.loaded_at = b.ingested_at
        where b.load_id = %s and own.source = %s and before.source = own.source and before.provider = own.provider
            and before.invoice_id = own.invoice_id and before.replaced_at = b.ingested_at
        """,
        [load.number, load.report],
    ).rowcount


def _delete_report(connection: Connection, load: Load) -> int:
    """Those that are there: a newer report of a period has taken the place of others."""
    return connection.execute(
        "delete from core.provider_usage as p using internal.load_batches as b"
        " where b.load_id = %s and p.source = %s and p.loaded_at = b.ingested_at",
        [load.number, load.report],
    ).rowcount


def _delete_rows(connection: Connection, load: Load) -> int:
    bounds = _bounds(connection, load)
    [(floor, *there)] = connection.execute(
        f"""
        select
            internal.raw_floor('llm_metrics'),
            count(m.time), coalesce(sum(m.cost_amount), 0), coalesce(sum(m.total_tokens), 0)
        from core.llm_metrics as m, {_ROWS}
        """,
        bounds,
    )
    name = f"load {load.number} of {load.source}"
    if bounds["oldest"] < floor:
        raise GovernanceError(
            f"{name} can't be taken back any more: it has requests from before {floor:%Y-%m-%d %H:%M %Z}, past the raw "
            "retention, which only the rollups count"
        )
    by_hand = (
        "to take out what is there: delete from core.llm_metrics where ingested_at in (select ingested_at from "
        f"internal.load_batches where load_id = {load.number})"
    )
    if there[0] != load.loaded:
        raise GovernanceError(
            f"{name} can't be taken back as it was: of the {load.loaded:,} rows that it loaded {there[0]:,} are there; "
            + by_hand
        )
    if there[1:] != [bounds["cost"], bounds["tokens"]]:
        raise GovernanceError(
            f"{name} can't be taken back as it was, for its rows were changed since: cost {there[1]} instead of "
            f"{bounds['cost']}, {there[2]} tokens instead of {bounds['tokens']}; {by_hand}"
        )
    gone = connection.execute(f"delete from core.llm_metrics as m using {_ROWS}", bounds).rowcount
    if gone != load.loaded:
        raise GovernanceError(f"another program writes to the rows of {name}: try again")
    return gone
