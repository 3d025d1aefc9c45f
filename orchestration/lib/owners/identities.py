"""What names of sources mean: decided by somebody, for a span of time, and what requests that changes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.retry import with_retries
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.owners.attribution import Move, Name, find, move, prepare

_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Identity:
    """Who is meant by a name; `owner` says it for people, `where` where it was said, for errors."""

    name: Name
    user_id: UUID | None
    team_id: UUID | None
    api_key_id: UUID | None
    owner: str
    where: str = ""

    @property
    def ids(self) -> tuple[UUID | None, UUID | None, UUID | None]:
        """The ids of the warehouse that it stands for."""
        return self.user_id, self.team_id, self.api_key_id

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The time for which it holds, with ends."""
        return self.name.valid_from or _EVER[0], self.name.valid_to or _EVER[1]


@dataclass(frozen=True)
class Plan:
    """What a decision does: identities that are new and such as are there already, requests that move.

    `others` are requests that have another owner and keep it; `done` says whether it is done.
    """

    new: int
    known: int
    moves: Move
    others: Move | None
    done: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether it changes anything."""
        return bool(self.new or self.moves.changed)


@dataclass(frozen=True)
class Unresolved:
    """A name that requests lack an owner for, with these requests and what they cost."""

    source: str | None
    kind: str
    external_id: str
    reason: str
    requests: int
    costs: str
    unpriced: int
    last_request_at: datetime


@dataclass(frozen=True)
class Decided:
    """A row of core.source_identities for people."""

    source: str
    kind: str
    external_id: str
    user: str | None
    team: str | None
    key: str | None
    valid_from: datetime | None
    valid_to: datetime | None
    decided_by: str
    decided_at: datetime


def unresolved(url: str, source: str | None = None) -> list[Unresolved]:
    """The names that nobody is found for, of one source or of all, those with most requests first."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select
                source, kind, external_id, max(reason), sum(requests)::bigint,
                coalesce(
                    string_agg(format('%%s %%s', trim_scale(cost), currency), ', ' order by currency)
                        filter (where cost is not null),
                    ''
                ),
                sum(unpriced)::bigint, max(last_request_at)
            from (
                select
                    source, kind, external_id, currency, max(reason) as reason, sum(requests) as requests,
                    sum(cost) as cost, sum(unpriced_requests) as unpriced, max(last_request_at) as last_request_at
                from reporting.unresolved_owners_view
                where %(source)s::text is null or source = %(source)s
                group by source, kind, external_id, currency
            ) as by_currency
            group by source, kind, external_id
            order by 5 desc, source, kind, external_id
            """,
            {"source": source},
        )
        return [Unresolved(*row) for row in rows]


def decided(url: str, source: str | None = None) -> list[Decided]:
    """What was decided about names, of one source or of all."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select
                i.source, i.kind, i.external_id, u.email, t.slug, k.key_prefix, i.valid_from, i.valid_to, i.decided_by,
                i.decided_at
            from core.source_identities as i
            left join core.users as u on u.id = i.user_id
            left join core.teams as t on t.id = i.team_id
            left join core.api_keys as k on k.id = i.api_key_id
            where %(source)s::text is null or i.source = %(source)s
            order by i.source, i.kind, i.external_id, i.valid_from nulls first
            """,
            {"source": source},
        )
        return [Decided(*row) for row in rows]


def decide(
    url: str,
    find_identities: Callable[[Connection], Sequence[Identity]] | None,
    confirm: Callable[[Plan], object],
    *,
    by: str | None = None,
    replaces: bool = False,
    reattributes: bool = False,
) -> Plan:
    """Writes down who is meant and attributes the requests that bear the names, in one transaction.

    `find_identities` None decides nothing new, and attributes all requests by what is known by now. `confirm` gets
    what would happen first; where it raises an error nothing is done. Where a name means something else at that time
    already it is refused, or `replaces` it for the new span. Raises GovernanceError.
    """
    with _refusals(), explained("run it again, nothing was changed"), connect(url) as connection:
        prepare(connection)
        identities = find_identities(connection) if find_identities else ()
        names = [identity.name for identity in identities] if find_identities else None

        def plan(*, acts: bool) -> Plan:
            with connection.transaction(force_rollback=not acts):
                if by:
                    # for the audit trail
                    connection.execute("select set_config('governance.actor_label', %s, true)", [by])
                new = sum(_write(connection, identity, by, replaces=replaces) for identity in identities)
                others = None
                if not acts and not reattributes and names is not None:
                    others = find(connection, names, reattributes=True)
                moves = find(connection, names, reattributes=reattributes)
                if acts:
                    move(connection, moves)
            return Plan(new, len(identities) - new, moves, others, done=acts)

        planned = plan(acts=False)
        if not planned.is_needed:
            return planned
        confirm(planned)
        # on TimescaleDB many changes in a compressed chunk are made while it is not compressed
        [(opened,)] = connection.execute(
            "select internal.open_chunks('llm_metrics', %s, %s)", [planned.moves.days, planned.moves.rows]
        )
        try:
            return with_retries(partial(plan, acts=True))
        finally:
            if opened and not connection.closed:
                connection.execute("select internal.close_chunks(%s)", [opened])


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the table refuses into a sentence."""
    try:
        yield
    except psycopg.errors.ExclusionViolation as error:
        raise GovernanceError("somebody else decided about the same name a moment ago: nothing is changed") from error
    except psycopg.errors.CheckViolation as error:
        raise GovernanceError(f"{error.diag.message_primary}: nothing is changed") from error


def _write(connection: Connection, identity: Identity, by: str | None, *, replaces: bool) -> bool:
    """Adds the identity, unless it is there already; whether it did."""
    name = identity.name
    there = [
        (id_, replace(identity, name=replace(name, valid_from=low, valid_to=high), user_id=u, team_id=t, api_key_id=k))
        for id_, u, t, k, low, high in connection.execute(
            """
            select id, user_id, team_id, api_key_id, valid_from, valid_to
            from core.source_identities
            where source = %s and kind = %s and external_id = %s
                and tstzrange(valid_from, valid_to) && tstzrange(%s, %s)
            order by valid_from nulls first
            for update
            """,
            [name.source, name.kind, name.external_id, name.valid_from, name.valid_to],
        ).fetchall()
    ]
    low, high = identity.span
    if any(other.ids == identity.ids and other.span[0] <= low and high <= other.span[1] for _, other in there):
        return False
    if there and not replaces:
        raise GovernanceError(
            f"{identity.where}{name.kind} {name.external_id} of {name.source} means {_said(connection, there[0][0])} "
            "already: give --replace to end that where this begins, or a span of time beside it"
        )
    for id_, other in there:
        _cut(connection, id_, other, name)
    connection.execute(
        """
        insert into core.source_identities
            (source, kind, external_id, user_id, team_id, api_key_id, valid_from, valid_to, decided_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, coalesce(%s::text, session_user::text))
        """,
        [name.source, name.kind, name.external_id, *identity.ids, name.valid_from, name.valid_to, by],
    )
    return True


def _cut(connection: Connection, id_: UUID, other: Identity, name: Name) -> None:
    """Takes the span of `name` out of another identity, which may leave a part before it and one after it."""
    low, high = name.valid_from or _EVER[0], name.valid_to or _EVER[1]
    is_before, is_after = other.span[0] < low, other.span[1] > high
    if is_before and is_after:
        connection.execute(
            """
            with cut as (update core.source_identities set valid_to = %s where id = %s returning *)
            insert into core.source_identities
                (source, kind, external_id, user_id, team_id, api_key_id, valid_from, valid_to, decided_by, decided_at)
            select source, kind, external_id, user_id, team_id, api_key_id, %s, %s, decided_by, decided_at from cut
            """,
            [low, id_, high, other.name.valid_to],
        )
    elif is_before:
        connection.execute("update core.source_identities set valid_to = %s where id = %s", [low, id_])
    elif is_after:
        connection.execute("update core.source_identities set valid_from = %s where id = %s", [high, id_])
    else:
        connection.execute("delete from core.source_identities where id = %s", [id_])


def _said(connection: Connection, id_: UUID) -> str:
    [(owner, valid_from, valid_to)] = connection.execute(
        """
        select concat_ws(', ', u.email, t.slug, k.key_prefix), i.valid_from, i.valid_to
        from core.source_identities as i
        left join core.users as u on u.id = i.user_id
        left join core.teams as t on t.id = i.team_id
        left join core.api_keys as k on k.id = i.api_key_id
        where i.id = %s
        """,
        [id_],
    )
    return f"{owner}{span_in_words(valid_from, valid_to)}"


def span_in_words(valid_from: datetime | None, valid_to: datetime | None) -> str:
    """As in ` from 2026-01-01 00:00 UTC to …`; nothing for all time."""
    begin = f" from {valid_from:%Y-%m-%d %H:%M %Z}" if valid_from else ""
    return begin + (f" to {valid_to:%Y-%m-%d %H:%M %Z}" if valid_to else "")
