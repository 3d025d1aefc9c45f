"""Requests that come from two sources, or again with their time spelt otherwise: known by an id that both have.

A gateway, a tracer and the application see one request at moments that differ, so its time doesn't name it there.
"""
# ruff: noqa: S608 - statements are built of this module's own words and quoted values

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from orchestration.lib.database.connection import Connection
from orchestration.lib.database.locks import Lock
from orchestration.lib.usage.reading import quoted
from orchestration.lib.usage.sources.values import SHORTEST_ID

# what calls requests by an id that no other request has, most of them by the provider's
SHARING = ("helicone", "langfuse", "litellm", "openrouter", "otlp")
WINDOW = timedelta(hours=1)


class SharedIds:
    """Gives rows of a batch the time of the request that they are, where that is stored under another time.

    `source` is what the rows name as theirs, None where they don't share ids with others.
    """

    def __init__(self, connection: Connection, targets: Sequence[str], constants: Mapping[str, str]) -> None:
        self._connection = connection
        source = constants.get("source")
        self.source = source if source in SHARING and "request_id" in targets else None
        self._has_metadata = "metadata" in targets

    def align(self, lines: str, span: tuple[datetime, datetime], load: int) -> tuple[datetime, datetime]:
        """Aligns the lines of ingest_rows, all within the span; returns the span as it is then.

        Where no other load of such a source has rows of this time, which is told by its batches, nothing is looked up.
        """
        if self.source is None:
            return span
        low, high = span[0] - WINDOW, span[1] + WINDOW
        sharing = f"l.undone_at is null and l.constants ->> 'source' = any({quoted(list(SHARING))})"
        if self._holds(
            f"select from internal.loads as l where {sharing} and l.constants ->> 'source' <> {quoted(self.source)}"
        ):
            # what the other source loads at this moment
            self._connection.execute("select pg_advisory_xact_lock(%s)", [Lock.CORRECTIONS])
        if not self._holds(
            f"""
            select
            from internal.load_batches as b
            inner join internal.loads as l on l.id = b.load_id
            where b.loaded > 0 and b.newest >= {quoted(low)} and b.oldest <= {quoted(high)}
                and l.id <> {load} and {sharing}
            """
        ):
            return span
        own = "r.metadata ->> 'source_id'" if self._has_metadata else "null"
        # a lookup for each row, as in `Corrections`
        aligned = self._connection.execute(
            f"""
            with found as materialized (
                select r.line, d.time
                from (
                    select * from ingest_rows as r
                    where r.reasons is null and length(r.request_id) >= {SHORTEST_ID} and r.{lines}
                    offset 0
                ) as r
                cross join lateral (
                    select m.time
                    from core.llm_metrics as m
                    where m.request_id = r.request_id
                        and m.time between r.time - {quoted(WINDOW)} and r.time + {quoted(WINDOW)}
                        and m.time between {quoted(low)} and {quoted(high)}
                        -- one source that calls two requests by one provider's id has an id of its own for each
                        and (
                            m.source is distinct from {quoted(self.source)}
                            or m.metadata ->> 'source_id' is not distinct from {own}
                        )
                    order by greatest(m.time - r.time, r.time - m.time), m.time
                    limit 1
                ) as d
                where d.time <> r.time
            )
            update ingest_rows as r set time = f.time from found as f where f.line = r.line
            """
        ).rowcount
        return (low, high) if aligned else span

    def _holds(self, query: str) -> bool:
        [(holds,)] = self._connection.execute(f"select exists ({query})")
        return bool(holds)
