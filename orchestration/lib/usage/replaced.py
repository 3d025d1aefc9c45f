"""What a load replaced in requests that were stored before it: kept in internal.changed_requests, and taken back."""
# ruff: noqa: S608 - statements are built of this module's own words

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.rewriting import rewrite

_OWN = "select b.ingested_at from internal.load_batches as b where b.load_id = %(load)s"


def replaced_times() -> str:
    """The query for the times of the requests that the load %(load)s replaced."""
    return f"select time from internal.changed_requests where decision = 'replaced' and changed_at in ({_OWN})"


def adjust(connection: Connection, notes: str, before: str, after: str) -> None:
    """Adds what the notes of a query changed, from the column `before` to `after`, to the sums of their loads."""
    connection.execute(
        f"""
        update internal.load_batches as b
        set cost_amount = b.cost_amount + d.cost, tokens = b.tokens + d.tokens
        from (
            select
                n.ingested_at,
                sum(coalesce((n.{after} ->> 'cost_amount')::numeric, 0)
                    - coalesce((n.{before} ->> 'cost_amount')::numeric, 0)) as cost,
                sum((
                    select coalesce(sum((n.{after} ->> name)::bigint - (n.{before} ->> name)::bigint), 0)
                    from jsonb_object_keys(n.{after}) as name
                    where name like '%%\\_tokens'
                )) as tokens
            from ({notes}) as n
            where n.decision = 'replaced'
            group by n.ingested_at
        ) as d
        where d.ingested_at = b.ingested_at
        """,
        [],
    )


def take_back(connection: Connection, load: int, name: str) -> int:
    """Gives requests that the load replaced their values again, and removes its notes; returns how many they were.

    In a transaction that is open. Raises GovernanceError where they are no longer as the load left them.
    """
    later = connection.execute(
        f"""
        select b.load_id
        from internal.changed_requests as c
        inner join internal.changed_requests as own
            on own.request_id = c.request_id and own.time = c.time and own.id < c.id
        inner join internal.load_batches as b on b.ingested_at = c.changed_at
        where own.changed_at in ({_OWN}) and own.decision = 'replaced' and c.decision = 'replaced'
            and b.load_id <> %(load)s
        limit 1
        """,
        {"load": load},
    ).fetchone()
    if later:
        raise GovernanceError(_changed_since(name, later[0]))
    connection.execute("drop table if exists pg_temp.replaced")
    # where a load replaced a value several times, the first that was stored and the last that was said
    connection.execute(
        f"""
        create temporary table replaced on commit drop as
        with own as (
            select id, decision, request_id, time, ingested_at, name, stored -> name as stored, said -> name as said
            from internal.changed_requests
            cross join jsonb_object_keys(said) as name
            where decision = 'replaced' and changed_at in ({_OWN}) and ingested_at not in ({_OWN})
        )
        select
            decision, request_id, time, ingested_at,
            (select jsonb_object_agg(name, stored) from (
                select distinct on (name) name, stored from own as o
                where o.request_id = r.request_id and o.time = r.time order by name, id
            ) as first) as stored,
            (select jsonb_object_agg(name, said) from (
                select distinct on (name) name, said from own as o
                where o.request_id = r.request_id and o.time = r.time order by name, id desc
            ) as last) as said
        from (select distinct decision, request_id, time, ingested_at from own) as r
        """,
        {"load": load},
    )
    ((replaced, unchanged),) = connection.execute(
        """
        select count(*), count(*) filter (where exists (
            select
            from core.llm_metrics as m
            where m.request_id = r.request_id and m.time = r.time
                and (select jsonb_object_agg(name, to_jsonb(m) -> name) from jsonb_object_keys(r.said) as name) = r.said
        ))
        from replaced as r
        """
    ).fetchall()
    if replaced != unchanged:
        raise GovernanceError(
            f"{name} can't be taken back as it was: of the {replaced:,} requests that it replaced "
            f"{replaced - unchanged:,} are gone or were changed since; internal.changed_requests has what they were"
        )
    rewrite(connection, "core.llm_metrics", "replaced", "stored")
    adjust(connection, "select * from replaced", "said", "stored")
    connection.execute(f"delete from internal.changed_requests where changed_at in ({_OWN})", {"load": load})
    return int(replaced)


def refuse_replaced_since(connection: Connection, load: int, name: str) -> None:
    """Raises GovernanceError where another load replaced rows of this one; forgets what others only said of them."""
    since = connection.execute(
        f"""
        select b.load_id
        from internal.changed_requests as c
        inner join internal.load_batches as b on b.ingested_at = c.changed_at
        where c.ingested_at in ({_OWN}) and c.decision = 'replaced' and b.load_id <> %(load)s
        limit 1
        """,
        {"load": load},
    ).fetchone()
    if since:
        raise GovernanceError(_changed_since(name, since[0]))
    connection.execute(f"delete from internal.changed_requests where ingested_at in ({_OWN})", {"load": load})


def _changed_since(name: str, load: int) -> str:
    return f"{name} can't be taken back: load {load} replaced some of its figures since; take that one back first"
