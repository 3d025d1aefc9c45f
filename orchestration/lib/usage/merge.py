"""Puts staged records into core.llm_metrics: validated, converted, merged and, where refused, quarantined, all in SQL.

Each batch goes through temporary tables: `ingest_lines` (text as given), `ingest_rows` (typed, with the reasons
against a row), `ingest_known` (lines whose request_id was there already or comes twice, unless no row was new),
`ingest_seen` (how often each row without a request_id came so far in this source) and those of `corrections`.
"""
# ruff: noqa: S608 - statements are built of this module's own words, names of targets and quoted values

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

from orchestration.lib import errors
from orchestration.lib.database.chunks import ready_for_chunks
from orchestration.lib.database.connection import Connection
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import GovernanceError
from orchestration.lib.owners.resolution import OWNERS
from orchestration.lib.usage.corrections import Changed, Conflict, Corrections
from orchestration.lib.usage.encoding import COPY_OPTIONS, trimmed
from orchestration.lib.usage.hints import DURATIONS, seconds
from orchestration.lib.usage.insertion import Insertion
from orchestration.lib.usage.ledger import Inserted, Ledger
from orchestration.lib.usage.names import name_new_models
from orchestration.lib.usage.quarantine import quarantining, release
from orchestration.lib.usage.reading import Reading, listed, quoted
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.shared_ids import SharedIds

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

# of records that say something else than what is stored as many are shown
_DIFFERENCES = 5
# classes of errors that are a row's own: bad data, exceeded limit; besides violated constraint, refused by a trigger
_UNREADABLE = ("22", "54")
_ROW_REFUSED = (*_UNREADABLE, "23", "P0")


@dataclass
class IngestReport:
    """What became of the records: read = loaded + duplicate + changed + quarantined.

    `reasons` counts why rows were refused, `notes` what was noted of rows that were not: a value that can't be read
    and is kept in metadata, for instance.
    """

    read: int = 0
    loaded: int = 0
    duplicate: int = 0
    # of a request that is stored, and say something else: kept as it is, or replaced
    changed: int = 0
    quarantined: int = 0
    replaced: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    # what the first say of those that say something else
    differences: list[str] = field(default_factory=list)
    # loaded requests that lack an owner whom their source names
    unresolved: int = 0
    # sources of which every record was refused
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"read {self.read:,} = loaded {self.loaded:,} + duplicate {self.duplicate:,} "
            f"+ changed {self.changed:,} + quarantined {self.quarantined:,}"
        )


class UsageMerger:
    """Merges the batches of one source; `targets` names the values of a record, `constants` hold for every record,
    `values` says for a target what the source's values mean (`{"status": {"degraded": "error"}}`). `ledger` is told of
    each batch. `on_conflict` says what becomes of a record that says something else than its request that is stored.

    The connection must be in autocommit mode: partitions are made in a transaction of their own, and each batch is
    merged in one. `stage` and `merge` take turns. Identical records without a request_id are counted over the whole
    source, so what a record is called doesn't depend on where batches end. Raises GovernanceError.
    """

    _into = "core.llm_metrics"
    _is_noted = True

    def __init__(
        self,
        connection: Connection,
        source: str,
        targets: Sequence[str],
        constants: Mapping[str, str],
        values: Mapping[str, Mapping[str, str]] | None = None,
        *,
        ledger: Ledger | None = None,
        on_conflict: Conflict = "keep",
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._values = {
            name: {trimmed(said): trimmed(means) for said, means in meanings.items()}
            for name, meanings in (values or {}).items()
            if name in targets or name in constants
        }
        self._source = source
        self._given = list(targets)
        self._targets = [name for name in TARGETS if name in targets or name in constants]
        with explained():
            self._configure()
            self._reading = self._made_reading()
            self._staged = 0
            self._span = self._reading.floor, self._reading.ceiling
            self._insertion = Insertion(connection, self._reading, self._into, keeps_prices=self._is_noted)
            self._shared_ids = SharedIds(connection, self._targets, constants)
            self._corrections = Corrections(
                connection,
                source,
                self._reading,
                self._into,
                on_conflict,
                shares=self._shared_ids.source,
                is_noted=self._is_noted,
            )
            self._opened: set[str] = set()
            self._covered: tuple[datetime, datetime] | None = None
            constants = {name: trimmed(value) for name, value in constants.items()}
            self._check_constants(constants)
            self._check_values()
            self._create_tables(constants)
            if self._ledger:
                self._ledger.begin(connection, source)

    def _configure(self) -> None:
        self._execute("set timezone = 'UTC'")
        self._execute("set datestyle = 'ISO'")
        self._execute("set client_encoding = 'UTF8'")
        self._execute("set jit = off")
        self._execute("set work_mem = '64MB'")
        # the temporary tables have no statistics, so the planner might choose one for joins of whole batches
        self._execute("set enable_nestloop = off")
        ready_for_chunks(self._connection)

    def _made_reading(self) -> Reading:
        """By the settings of the warehouse as they are now."""
        *settings, self._has_quarantine, is_moving = self._row(
            f"""
            select
                internal.raw_floor('llm_metrics'),
                now() + interval '1 day',
                (select value from internal.settings where name = 'default_currency'),
                -- a new database has had no rows of earlier releases
                (select applied_at from internal.schema_changes where id = 8 and kind = 'applied'),
                exists (select from internal.settings where name = 'cost_precedence' and value = 'prices'),
                exists (select from internal.quarantine where source = {quoted(self._source)}),
                (select relkind = 'v' from pg_class where oid = 'core.llm_metrics'::regclass)
            """
        )
        if is_moving:
            raise GovernanceError(
                "llm_metrics is being moved to a hypertable: load again when `governance move-to-hypertables` has ended"
            )
        return Reading(self._given, self._targets, self._values, *settings)

    def _check_constants(self, constants: Mapping[str, str]) -> None:
        for name, value in constants.items():
            if not value:
                raise GovernanceError(f"--set {name}= has no value: leave it out, or give it one")
            # what is no uuid is a name, and looked up as in a file
            if name not in OWNERS and (problem := self._flaw(name, value)):
                raise GovernanceError(f"--set {name}={value} can't be used: {problem}")

    def _check_values(self) -> None:
        for name, values in self._values.items():
            for said, means in values.items():
                if means and (problem := self._flaw(name, means)):
                    raise GovernanceError(f"--map-value {name}:{said}={means} can't be used: {problem}")

    def _flaw(self, name: str, value: str) -> str | None:
        flaw: str | None
        (flaw,) = self._row(f"select {TARGETS[name].flaw} from (select {quoted(value)} as {name} offset 0) as value")
        return flaw

    def _create_tables(self, constants: Mapping[str, str]) -> None:
        for name in ("ingest_lines", "ingest_rows", "ingest_known", "ingest_seen"):
            self._execute(f"drop table if exists pg_temp.{name}")
        texts = [
            f"{name} text" + (f" default {quoted(constants[name])}" if name in constants else "")
            for name in self._targets
        ]
        self._execute(
            f"create temporary table ingest_lines (line bigint not null, wrong text, raw text, {', '.join(texts)})"
        )
        # the types of the table itself
        typed = "".join(f", {name}" for name in self._targets)
        self._execute(
            f"create temporary table ingest_rows as select null::bigint as line, null::text[] as reasons,"
            " null::text[] as notes, null::jsonb as kept, null::bytea as digest, null::bytea as spelled"
            f" {typed} from core.llm_metrics where false"
        )
        self._execute("create temporary table ingest_known (line bigint primary key)")
        # the time comes first: identical rows have the same, and files are mostly in the order of time
        self._execute(
            "create temporary table ingest_seen (time timestamptz, digest bytea, before bigint, total bigint,"
            " primary key (time, digest))"
        )

    def stage(self, chunks: Iterable[bytes]) -> None:
        """Copies a batch of encoded records (`encoding.encode`) into the staging table."""
        columns = ", ".join(("line", "wrong", "raw", *self._given))
        with explained(), self._connection.cursor() as cursor:
            cursor.execute("truncate ingest_lines")
            with cursor.copy(f"copy ingest_lines ({columns}) from stdin ({COPY_OPTIONS})") as copy:
                for chunk in chunks:
                    copy.write(chunk)
            self._staged = cursor.rowcount

    def remarks(self) -> list[str]:
        """Sentences about what is staged that look at all values of a target, not at one."""
        durations = [name for name in DURATIONS if name in self._given]
        if not durations:
            return []
        tests = [f"count({name}), count(*) filter (where {name} ~ '^[0-9]{{1,2}}[.][0-9]+$')" for name in durations]
        with explained():
            counts = self._row(f"select {listed(tests)} from ingest_lines")
        found = [seconds(d, *counts[2 * place : 2 * place + 2]) for place, d in enumerate(durations)]
        return [sentence for sentence in found if sentence]

    def merge(self, report: IngestReport) -> None:
        """Moves what is staged into core.llm_metrics or into quarantine, and adds what is committed to the report."""
        with explained():
            self._execute("truncate ingest_rows, ingest_known")
            self._read()
            first, last, oldest, newest = self._row(
                "select min(line), max(line), min(time) filter (where reasons is null),"
                " max(time) filter (where reasons is null) from ingest_rows"
            )
            if oldest is not None:
                self._span = oldest, newest
                self._make_partitions(oldest, newest)
                self._open_chunks()
                self._name_models()
            if first is not None:
                self._merge_lines(first, last, report)

    def _read(self) -> None:
        """Fills ingest_rows from ingest_lines: what is plain at once, the rest closely."""
        plain = 0
        try:
            plain = self._execute(self._reading.plain())
        except psycopg.DatabaseError as error:
            # something only looked plain, February 30 for instance: then the whole batch is judged closely
            if not _is_of(error, _UNREADABLE):
                raise
        if plain < self._staged:
            self._execute(self._reading.closely())

    def _make_partitions(self, oldest: datetime, newest: datetime) -> None:
        if self._covered and self._covered[0] <= oldest and newest <= self._covered[1]:
            return

        def make() -> None:
            # some at a time, each time in a transaction of its own, until none is missing
            while self._row(
                f"select internal.ensure_partitions('core.llm_metrics', {quoted(oldest)}, {quoted(newest)})"
            ) != (0,):
                pass

        with_retries(make)
        low, high = self._covered or (oldest, newest)
        self._covered = min(low, oldest), max(high, newest)

    def _open_chunks(self) -> None:
        """Sees to chunks that are compressed and get many late rows; `close` undoes it."""

        def act() -> None:
            (opened,) = self._row(
                "select internal.open_chunks('llm_metrics', array_agg(day), array_agg(rows)) from ("
                "select date_trunc('day', time) as day, count(*) as rows from ingest_rows"
                " where reasons is null group by 1"
                ") as days"
            )
            self._opened.update(opened)

        with_retries(act)

    def _name_models(self) -> None:
        with_retries(lambda: name_new_models(self._connection))

    def close(self) -> None:
        """To be called when the source is read to its end, or the load broke off; needs a connection that lives."""
        if self._opened and not self._connection.closed:
            with explained():
                with_retries(lambda: self._row(f"select internal.close_chunks({quoted(sorted(self._opened))})"))
            self._opened.clear()
        if self._ledger and not self._connection.closed:
            with explained():
                self._ledger.close()

    def _merge_lines(self, first: int, last: int, report: IngestReport) -> None:
        """Merges the lines in one transaction; where the database refuses a row, all but that one."""
        try:
            with_retries(lambda: self._merge_at_once(first, last, report))
        except psycopg.DatabaseError as error:
            if not _is_of(error, _ROW_REFUSED):
                raise
            if first < last:
                middle = (first + last) // 2
                self._merge_lines(first, middle, report)
                self._merge_lines(middle + 1, last, report)
            else:
                reason = f"the database refuses it: {error.diag.message_primary}"
                self._execute(f"update ingest_rows set reasons = array[{quoted(reason)}] where line = {first}")
                with_retries(lambda: self._merge_at_once(first, last, report))

    def _merge_at_once(self, first: int, last: int, report: IngestReport) -> None:
        lines = f"line between {first} and {last}"
        inserted, changed, span = Inserted(), Changed(), self._span
        with self._connection.transaction():
            (good,) = self._row(f"select count(*) from ingest_rows where reasons is null and {lines}")
            if good:
                span = self._shared_ids.align(lines, span, self._ledger.number if self._ledger else 0)
                self._look_up(lines, span)
                inserted = self._insertion.insert(lines, good)
            if inserted.rows < good:
                known = "r.line in (table ingest_known)" if inserted.rows else "true"
                wanted = _DIFFERENCES - len(report.differences)
                changed = self._corrections.settle(f"r.{lines} and {known}", span, wanted)
            bad, noted = self._row(
                f"select count(reasons), count(notes) filter (where reasons is null) from ingest_rows where {lines}"
            )
            reasons, notes = Counter[str](), Counter[str]()
            if bad:
                self._refuse(lines)
                rows = self._connection.execute(
                    "select reason, count(*) from ingest_rows cross join unnest(reasons) as reason"
                    f" where {lines} group by reason"
                )
                reasons.update(dict(rows.fetchall()))
            if noted:
                rows = self._connection.execute(
                    "select note, count(*) from ingest_rows cross join unnest(notes) as note"
                    f" where reasons is null and {lines} group by note"
                )
                notes.update(dict(rows.fetchall()))
            if good and self._has_quarantine:
                self._execute(release(self._source, self._targets, lines))
            duplicate = good - inserted.rows - changed.records
            if self._ledger:
                self._ledger.record(inserted, duplicate, changed.records - changed.refused, bad)
                if changed.replaced:
                    self._ledger.adjust()
        report.read += inserted.rows + duplicate + changed.records - changed.refused + bad
        report.loaded += inserted.rows
        report.unresolved += inserted.unresolved
        report.duplicate += duplicate
        report.changed += changed.records - changed.refused
        report.replaced += changed.replaced
        report.differences += changed.sentences
        report.quarantined += bad
        report.reasons.update(reasons)
        report.notes.update(notes)

    def _look_up(self, lines: str, span: tuple[datetime, datetime]) -> None:
        """What a trial has to do before rows are inserted."""

    def _refuse(self, lines: str) -> None:
        self._execute(quarantining(self._source, self._targets, lines))

    def _execute(self, statement: str) -> int:
        return self._connection.execute(statement).rowcount

    def _row(self, query: str) -> "TupleRow":
        [row] = self._connection.execute(query)
        return row


def _is_of(error: psycopg.DatabaseError, classes: Sequence[str]) -> bool:
    return (error.sqlstate or "").startswith(tuple(classes))


def explained() -> AbstractContextManager[None]:
    """Turns errors of the database into a sentence for the user."""
    return errors.explained("run the same command again, what is loaded already counts as duplicate")
