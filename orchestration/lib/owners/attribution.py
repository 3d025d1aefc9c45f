"""Gives requests that are there the owners that are known by now: an explicit act, counted before it is done."""
# ruff: noqa: S608 - statements are built of this module's own words

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orchestration.lib.database.chunks import ready_for_chunks
from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.owners.resolution import (
    GIVEN,
    NAMES,
    OWNER,
    OWNERS,
    UNRESOLVED,
    name_of,
    names_owners,
    owner_said,
    resolution,
)
from orchestration.lib.words import counted


@dataclass(frozen=True)
class Name:
    """What a source calls somebody, and the time for which it is asked: half open, None is without an end."""

    source: str
    kind: str
    external_id: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Move:
    """What gets another owner: requests, their cost by currency, and how many of them have no price.

    `changed` rows are also those of which only the reason for a missing owner is another; `taken` are requests that are
    taken from an owner they had, `seen` all that were looked at. `days` and `rows` say where the changed rows are.
    """

    requests: int
    costs: tuple[tuple[str, Decimal], ...]
    unpriced: int
    changed: int
    taken: int
    seen: int
    days: list[datetime]
    rows: list[int]

    def __str__(self) -> str:
        """The requests and their cost."""
        money = " and ".join(f"{cost:f} {currency}" for currency, cost in self.costs)
        without = f"{self.unpriced:,} without a price" if self.unpriced else ""
        return f"{counted(self.requests, 'request')}, {', '.join(filter(None, (money, without))) or 'no money'}"


def prepare(connection: Connection) -> None:
    """Settings of a session that attributes requests, as of one that loads them."""
    connection.execute("set work_mem = '64MB'")
    # what is joined has no statistics
    connection.execute("set enable_nestloop = off")
    ready_for_chunks(connection)


def find(connection: Connection, names: Collection[Name] | None, *, reattributes: bool) -> Move:
    """What would move, in a transaction that is open: kept in the temporary table identity_moves until its end.

    Looked at are requests that bear one of the names at its time, with None all whose source names somebody. An owner
    that a request has stays unless it `reattributes`, and an id that the source gave itself stays always; no owner is
    ever lost. Requests from before the raw retention stay as they are, for only the rollups count them.
    """
    connection.execute("drop table if exists pg_temp.identity_names, pg_temp.identity_rows, pg_temp.identity_moves")
    connection.execute(
        "create temporary table identity_names (source text, kind text, external_id text, valid_from timestamptz,"
        " valid_to timestamptz) on commit drop"
    )
    with connection.cursor() as cursor:
        for name in names or ():
            cursor.execute(
                "insert into identity_names values (%s, %s, %s, %s, %s)",
                [name.source, name.kind, name.external_id, name.valid_from, name.valid_to],
            )
    given = ", ".join(
        f"case when m.metadata -> '{GIVEN}' ? '{column}' then m.{column} end as given_{column}"
        if reattributes
        else f"m.{column} as given_{column}"
        for column in OWNERS
    )
    connection.execute(
        f"""
        create temporary table identity_rows on commit drop as
        select
            row_number() over () as line, m.request_id, m.time, coalesce(m.source, '') as source,
            {owner_said("m.metadata", "m.metadata -> 'source_values'")} as owner,
            {given}, m.user_id, m.team_id, m.api_key_id, m.metadata -> '{UNRESOLVED}' as unresolved,
            m.cost_amount, m.currency
        from core.llm_metrics as m
        where m.time >= internal.raw_floor('llm_metrics')
            and {names_owners("m.metadata", "m.metadata -> 'source_values'")}
            {"" if names is None else f"and {_IS_NAMED}"}
        """
    )
    rows = "select line, time, source, owner, " + ", ".join(f"given_{c} as {c}" for c in OWNERS) + " from identity_rows"
    new = ", ".join(f"coalesce(o.{column}, r.{column}) as {column}" for column in OWNERS)
    connection.execute(
        f"""
        create temporary table identity_moves on commit drop as
        select
            c.*,
            (c.user_id, c.team_id, c.api_key_id) is distinct from (c.had_user, c.had_team, c.had_key) as moves,
            coalesce(c.had_user <> c.user_id, false) or coalesce(c.had_team <> c.team_id, false)
                or coalesce(c.had_key <> c.api_key_id, false) as is_taken
        from (
            select
                r.request_id, r.time, {new}, o.unresolved, r.cost_amount, r.currency,
                r.user_id as had_user, r.team_id as had_team, r.api_key_id as had_key, r.unresolved as had_unresolved
            from ({resolution(rows, "line")}) as o
            inner join identity_rows as r using (line)
        ) as c
        where (c.user_id, c.team_id, c.api_key_id, c.unresolved)
            is distinct from (c.had_user, c.had_team, c.had_key, c.had_unresolved)
        """
    )
    return _counted(connection)


def _counted(connection: Connection) -> Move:
    [(requests, unpriced, changed, taken, seen)] = connection.execute(
        """
        select
            count(*) filter (where moves), count(*) filter (where moves and cost_amount is null), count(*),
            count(*) filter (where is_taken), (select count(*) from identity_rows)
        from identity_moves
        """
    )
    costs = connection.execute(
        "select currency, trim_scale(sum(cost_amount)) from identity_moves where moves and cost_amount is not null"
        " group by currency order by currency"
    ).fetchall()
    days = connection.execute(
        "select date_trunc('day', time), count(*) from identity_moves group by 1 order by 1"
    ).fetchall()
    of_days = {"days": [day for day, _ in days], "rows": [number for _, number in days]}
    return Move(requests, tuple(costs), unpriced, changed, taken, seen, **of_days)


def move(connection: Connection, moves: Move) -> None:
    """Changes the rows that `find` found, in its transaction. Raises GovernanceError where they are others by now."""
    if not moves.changed:
        return
    [bounds] = connection.execute("select min(time), max(time) from identity_moves")
    changed = connection.execute(
        f"""
        update core.llm_metrics as m
        set user_id = c.user_id, team_id = c.team_id, api_key_id = c.api_key_id,
            metadata = m.metadata - '{UNRESOLVED}' || case
                when c.unresolved is null then '{{}}' else jsonb_build_object('{UNRESOLVED}', c.unresolved)
            end
        from identity_moves as c
        where m.request_id = c.request_id and m.time = c.time and m.time between %s and %s
        """,
        bounds,
    ).rowcount
    if changed != moves.changed:
        raise GovernanceError("another program writes to the same requests: nothing is changed, try again")


def _is_named() -> str:
    """Condition for a row that bears a name of identity_names at its time."""
    said = {
        kind: [name_of(f"coalesce(m.metadata #>> '{{{OWNER},{name}}}', '')") for name in names]
        for kind, names in NAMES.items()
    }
    for kind, column in (("user", "user_id"), ("team", "team_id"), ("key", "api_key_id")):
        said[kind].append(name_of(f"coalesce(m.metadata #>> '{{source_values,{column}}}', '')"))
    known = "(select n.source, n.kind, n.external_id from identity_names as n)"
    bears = " or ".join(f"(m.source, '{kind}', {text}) in {known}" for kind, texts in said.items() for text in texts)
    is_one = " or ".join(f"n.kind = '{kind}' and n.external_id in ({', '.join(texts)})" for kind, texts in said.items())
    return f"""({bears}) and exists (
        select from identity_names as n
        where n.source = m.source and ({is_one})
            and (n.valid_from is null or m.time >= n.valid_from) and (n.valid_to is null or m.time < n.valid_to)
    )"""


_IS_NAMED = _is_named()
