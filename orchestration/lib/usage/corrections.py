"""Records that say something else than the request of theirs that is stored: found, and kept, replaced or refused.

What the record doesn't say contradicts nothing. What counts is every target that it fills but `time` and `request_id`,
which tell what request it is of, and `source` and `price_id`, which aren't about the request.
"""
# ruff: noqa: S608 - statements are built of this module's own words, names of targets and quoted values

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from orchestration.lib.database.connection import Connection
from orchestration.lib.database.locks import Lock
from orchestration.lib.owners.resolution import GIVEN, UNRESOLVED
from orchestration.lib.usage.costing import STORED_COST, costed
from orchestration.lib.usage.reading import Reading, listed, quoted
from orchestration.lib.usage.record import TARGETS, TOKEN_CLASSES
from orchestration.lib.usage.rewriting import rewrite

Conflict = Literal["keep", "replace", "quarantine"]

_NOT_COMPARED = ("time", "request_id", "source", "price_id")
# what two sources should agree on where both saw a request; each has a latency, a name and metadata of its own for it
_SHARED = (*TOKEN_CLASSES, "cost_amount", "currency")
# a cost that was computed goes by these
_PRICED_BY = ("provider", "model", "operation", "service_tier", *TOKEN_CLASSES)
# what our prices and the choice between theirs and the source's cost go by
_COSTED_BY = (*_PRICED_BY, "region", "team_id", "status", "cost_amount", "cost_source", "currency")
# in the order in which they are named
_NAMED = (*TARGETS, "source_cost_amount")
_REFUSED = "it says something else than the request that is stored: "
# columns that are named where they differ: whose cost it is follows from there being another one
_TOLD = "c.said ? name and name <> 'price_id' and not (name = 'cost_source' and c.said ? 'cost_amount')"


@dataclass
class Changed:
    """How many records say something else, how many of them are refused for it or replaced what was stored, and what
    the first of them say.
    """

    records: int = 0
    replaced: int = 0
    refused: int = 0
    sentences: list[str] = field(default_factory=list)


class Corrections:
    """Settles the records of one source that say something else, in the transaction of their batch.

    `reading` is that of the source, `into` is the table with the requests. Where `shares` names the source, requests
    may be another source's too, and only what both should agree on is compared. `is_noted` keeps them in
    internal.changed_requests.
    """

    def __init__(
        self,
        connection: Connection,
        source: str,
        reading: Reading,
        into: str,
        on_conflict: Conflict,
        *,
        shares: str | None,
        is_noted: bool,
    ) -> None:
        self._connection, self._source, self._into = connection, source, into
        self._prefers_prices, targets = reading.prefers_prices, reading.targets
        self._stored_cost = STORED_COST.format(said_price="r.price_id" if "price_id" in targets else "null")
        self._on_conflict, self._is_noted = on_conflict, is_noted
        self._is_same_source = f"m.source is not distinct from {quoted(shares)}" if shares else "true"
        self._compared = [name for name in targets if name not in _NOT_COMPARED] if "request_id" in targets else []
        self._values = self._new_values(targets)
        self._differs = " or ".join(f"({self._differing(name)})" for name in self._compared)
        for name in ("ingest_changed", "ingest_turns"):
            self._execute(f"drop table if exists pg_temp.{name}")
        self._execute(
            "create temporary table ingest_changed (line bigint, request_id text, time timestamptz,"
            " ingested_at timestamptz, stored jsonb, said jsonb)"
        )
        self._execute("create temporary table ingest_turns (line bigint, turn bigint)")

    def settle(self, rows: str, span: tuple[datetime, datetime], wanted: int) -> Changed:
        """Settles those of the `rows` of ingest_rows (as `r`) that say something else, and tells of the first `wanted`.

        No row is outside of the span, which is for the planner to leave partitions out.
        """
        if not self._compared:
            return Changed()
        if self._on_conflict == "replace":
            # what is compared stays so until it is replaced
            self._connection.execute("select pg_advisory_xact_lock(%s)", [Lock.CORRECTIONS])
        found = self._find(rows, span)
        if not found:
            return Changed()
        if self._on_conflict == "replace":
            return self._replace(rows, span, wanted)
        changed = Changed(found, sentences=self._sentences(wanted))
        if self._on_conflict == "keep":
            self._note("kept")
        else:
            changed.refused = self._execute(
                f"""
                update ingest_rows as r
                set reasons = array[{quoted(_REFUSED)} || (
                    select string_agg(name, ', ' order by place)
                    from unnest({_names(_NAMED)}) with ordinality as n (name, place)
                    where {_TOLD}
                )]
                from ingest_changed as c
                where c.line = r.line
                """
            )
        return changed

    def _replace(self, rows: str, span: tuple[datetime, datetime], wanted: int) -> Changed:
        """Where a request has several records in the batch they take turns, so the last one is what stays."""
        self._execute("truncate ingest_turns")
        self._execute(
            f"""
            insert into ingest_turns (line, turn)
            select r.line, row_number() over (partition by r.request_id, r.time order by r.line)
            from ingest_rows as r
            where r.reasons is null and {rows}
                and (r.request_id, r.time) in (select c.request_id, c.time from ingest_changed as c)
            """
        )
        [(turns,)] = self._connection.execute("select max(turn) from ingest_turns")
        changed = Changed()
        for turn in range(1, turns + 1):
            if turns > 1:
                self._find(f"r.line in (select t.line from ingest_turns as t where t.turn = {turn})", span)
            changed.sentences += self._sentences(wanted - len(changed.sentences))
            self._note("replaced")
            changed.records += rewrite(self._connection, self._into, "ingest_changed", "said")
        changed.replaced = changed.records
        return changed

    def _find(self, rows: str, span: tuple[datetime, datetime]) -> int:
        """Fills ingest_changed with those of the rows that say something else; returns how many."""
        self._execute("truncate ingest_changed")
        found = self._execute(self.finding(rows, span))
        return found - self._cost(span) if found else 0

    def _cost(self, span: tuple[datetime, datetime]) -> int:
        """Costs by our prices what says something else about what they go by; returns how many it was nothing for."""
        low, high = span
        joined = f"""
            pg_temp.ingest_changed as c
            inner join pg_temp.ingest_rows as r on r.line = c.line
            inner join {self._into} as m on m.request_id = c.request_id and m.time = c.time
                and m.time between {quoted(low)} and {quoted(high)}
            cross join lateral jsonb_populate_record(m, c.said) as n
            cross join lateral (
                select case when c.said ? 'cost_amount' then n.cost_amount else {self._stored_cost} end as cost
            ) as v
        """
        # of metadata only what our prices are for too
        costed_by = (
            f"(c.said ?| {_names(_COSTED_BY)} or (n.metadata -> 'units') is distinct from (m.metadata -> 'units'))"
        )
        requests = f"""
            select
                c.line, n.time, n.provider, n.model, n.service_tier, n.region, n.team_id,
                case when v.cost is not null then n.currency end as currency, n.status, n.metadata -> 'units' as units,
                {listed(f"n.{name}" for name in TOKEN_CLASSES)}
            from {joined}
            where {costed_by}
        """
        said = {"cost_amount": "v.cost", "currency": "n.currency"}
        said["cost_source"] = "case when v.cost is null then 'unpriced' else n.cost_source end"
        values = costed(said, prefers_prices=self._prefers_prices)
        pairs = [f"('{name}', to_jsonb(m.{name}), to_jsonb({new}))" for name, new in values.items()]
        costs = f"internal.cost_requests({quoted(requests)}, {quoted(self._is_noted)})"
        self._execute(
            f"""
            update ingest_changed as changed
            set
                stored = changed.stored - {_names(values)} || coalesce(d.stored, '{{}}'),
                said = changed.said - {_names(values)} || coalesce(d.said, '{{}}')
            from (
                select c.line, d.stored, d.said
                from {joined}
                left join {costs} as cost on cost.line = c.line
                cross join lateral (
                    select jsonb_object_agg(name, old) as stored, jsonb_object_agg(name, new) as said
                    from (values {listed(pairs)}) as v (name, old, new)
                    where old is distinct from new
                ) as d
                where {costed_by}
            ) as d
            where d.line = changed.line
            """
        )
        return self._execute("delete from ingest_changed where said = '{}'")

    def finding(self, rows: str, span: tuple[datetime, datetime]) -> str:
        """The statement that finds them."""
        low, high = span
        pairs = [f"('{name}', to_jsonb(m.{name}), to_jsonb({new}))" for name, new in self._values.items()]
        # a lookup for each row that isn't pulled up: where statistics are from before a load, the planner would have a
        # join read the span once for each
        return f"""
        insert into ingest_changed (line, request_id, time, ingested_at, stored, said)
        select r.line, r.request_id, r.time, m.ingested_at, d.stored, d.said
        from (
            select * from ingest_rows as r where r.reasons is null and r.request_id is not null and {rows} offset 0
        ) as r
        cross join lateral (
            select *
            from {self._into} as m
            where m.request_id = r.request_id and m.time = r.time
                and m.time between {quoted(low)} and {quoted(high)}
                and ({self._differs})
            limit 1
        ) as m
        cross join lateral (
            select jsonb_object_agg(name, old) as stored, jsonb_object_agg(name, new) as said
            from (values {listed(pairs)}) as v (name, old, new)
            where old is distinct from new
        ) as d
        where d.said is not null
        """

    def _sentences(self, wanted: int) -> list[str]:
        rows = self._connection.execute(
            f"""
            select format('line %s, request %s: %s', c.line, c.request_id, (
                select string_agg(
                    format('%s is %s, stored is %s', name, coalesce(left(c.said ->> name, 60), 'nothing'),
                        coalesce(left(c.stored ->> name, 60), 'nothing')),
                    '; ' order by place
                )
                from unnest({_names(_NAMED)}) with ordinality as n (name, place)
                where {_TOLD}
            ))
            from ingest_changed as c
            order by c.line
            limit {wanted}
            """
        )
        return [sentence for (sentence,) in rows]

    def _note(self, decision: str) -> None:
        if not self._is_noted:
            return
        self._execute(
            f"""
            insert into internal.changed_requests
                (decision, source, line, request_id, time, ingested_at, stored, said)
            select '{decision}', {quoted(self._source)}, line, request_id, time, ingested_at, stored, said
            from ingest_changed
            order by line
            on conflict (request_id, time, jsonb_hash_extended(said, 0)) where decision = 'kept' do nothing
            """
        )

    # what the record says, r, against what is stored, m

    def _differing(self, name: str) -> str:
        """Condition: the record says a value and it isn't the stored one."""
        stored = self._stored_cost if name == "cost_amount" else _compared(name, "m")
        said = f"r.{name} is not null and {_compared(name, 'r')} is distinct from {stored}"
        if name == "cost_source":
            said = f"{said} and r.cost_amount is not null" if "cost_amount" in self._compared else "false"
        if name in ("cost_source", "currency"):
            # whose cost counts, and in which currency, follows from our prices where they count
            ours = "m.price_id is not null and m.computed_cost_amount is null"
            said = f"{said} and not ({ours})"
        return said if name in _SHARED else f"{said} and {self._is_same_source}"

    def _new_values(self, targets: Sequence[str]) -> Mapping[str, str]:
        """What the record makes of each column."""
        values = {
            name: f"case when {self._differing(name)} then r.{name} else m.{name} end"
            for name in self._compared
            if name not in ("cost_amount", "cost_source", "metadata")
        }
        if "metadata" in self._compared:
            # what couldn't be read is kept beside it, of both
            own = "m.metadata -> 'source_values'"
            before = f"case when jsonb_typeof({own}) = 'object' then {own} else '{{}}' end"
            aside = f"nullif({before} || coalesce(r.kept, '{{}}'), '{{}}')"
            values["metadata"] = f"""case
                when not ({self._differing("metadata")}) then m.metadata
                else r.metadata || jsonb_strip_nulls(jsonb_build_object(
                    'source_values', {aside},
                    '{UNRESOLVED}', m.metadata -> '{UNRESOLVED}', '{GIVEN}', m.metadata -> '{GIVEN}'
                ))
            end"""
        costs = self._differing("cost_amount") if "cost_amount" in self._compared else "false"
        named = self._differing("cost_source") if "cost_source" in self._compared else "false"
        said = "r.cost_amount" if "cost_amount" in self._compared else "null"
        priced_by = [f"({self._differing(name)})" for name in _PRICED_BY if name in self._compared] or ["false"]
        stale = f"(m.cost_source = 'computed' and {said} is null and ({' or '.join(priced_by)}))"
        source = "coalesce(r.cost_source, 'provider')" if "cost_source" in self._compared else "'provider'"
        values["cost_amount"] = f"case when {stale} then null when {costs} then {said} else m.cost_amount end"
        values["cost_source"] = (
            f"case when {stale} then 'unpriced' when {costs} or {named} then {source} else m.cost_source end"
        )
        price = "r.price_id" if "price_id" in targets else "null"
        values["price_id"] = f"case when {stale} or {costs} or {named} then {price} else m.price_id end"
        return values

    def _execute(self, statement: str) -> int:
        return self._connection.execute(statement).rowcount


def _compared(name: str, of: str) -> str:
    if name == "metadata":
        return f"({of}.metadata - array['source_values', '{UNRESOLVED}', '{GIVEN}'])"
    # earlier releases stored a provider as it was written
    return f'lower({of}.provider collate "C")' if name == "provider" else f"{of}.{name}"


def _names(names: Iterable[str]) -> str:
    return f"{quoted(list(names))}::text[]"
