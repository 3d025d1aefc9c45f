"""What the models that usage names are called, and the rules for it that are added to those of the seeds."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, explained

EVERY_PROVIDER = "*"
AS_SAID = "as said"

_SPELLINGS = """
    with traffic as (
        select
            provider, model, currency, sum(request_count)::bigint as requests, sum(cost_amount) as cost,
            min(day) as first_day, max(day) as last_day
        from rollups.llm_model_daily
        group by provider, model, currency
    )
    select
        t.provider,
        t.model,
        coalesce(n.canonical_provider, t.provider),
        coalesce(n.canonical_model, t.model),
        n.base_model,
        coalesce(n.provider_origin, %(as_said)s),
        coalesce(n.origin, %(as_said)s),
        coalesce(n.is_known, false),
        t.currency,
        t.requests,
        t.cost,
        t.first_day,
        t.last_day
    from traffic as t
    left join internal.model_names as n on n.provider = t.provider and n.model = t.model
    order by 3, 4, t.provider, t.model, t.currency
"""


@dataclass
class Spelling:
    """A provider and model as a source says them, what reports call them and why, and the traffic under that spelling.

    `costs` has the exact cost by currency, None where no request of it has a price.
    """

    provider: str
    model: str
    canonical_provider: str
    canonical_model: str
    base_model: str | None
    provider_origin: str
    origin: str
    is_known: bool
    requests: int = 0
    costs: dict[str, Decimal | None] = field(default_factory=dict)
    first_day: date = date.max
    last_day: date = date.min


@dataclass(frozen=True)
class Alias:
    """A rule that was added here; `provider` is the one a rule for models is about, * for all."""

    kind: str
    provider: str
    match: str
    said: str
    canonical: str
    priority: int = 100
    note: str | None = None


@dataclass(frozen=True)
class Renamed:
    """A spelling that a change of the rules has given another name; `before` and `after` are provider and model."""

    said: tuple[str, str]
    before: tuple[str, str]
    after: tuple[str, str]


def spellings(url: str) -> list[Spelling]:
    """Every provider and model that usage names, in the order of their names, then of what was said."""
    found: dict[tuple[str, str], Spelling] = {}
    with explained(), connect(url) as connection:
        for *name, currency, requests, cost, first, last in connection.execute(_SPELLINGS, {"as_said": AS_SAID}):
            spelling = found.setdefault((name[0], name[1]), Spelling(*name))
            spelling.requests += requests
            spelling.costs[currency] = cost
            spelling.first_day = min(spelling.first_day, first)
            spelling.last_day = max(spelling.last_day, last)
    return list(found.values())


def name_new_models(connection: Connection) -> None:
    """Names what the batch in ingest_rows brings and nothing has brought before, by today's rules.

    Best in a transaction of its own: another load that brings the same then waits for no more than this.
    """
    connection.execute(
        "select internal.name_models(array_agg(provider), array_agg(model)) from ("
        "select provider, model from ingest_rows where reasons is null"
        " except select provider, model from internal.model_names"
        ") as new having count(*) > 0"
    )


def aliases(url: str) -> list[Alias]:
    """The rules that were added here, in the order in which they are asked."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            "select kind, provider, match, said, canonical, priority, note from core.name_aliases"
            " order by kind desc, priority, match, said, provider"
        ).fetchall()
    return [Alias(*row) for row in rows]


def add_alias(url: str, alias: Alias) -> list[Renamed]:
    """Adds the rule, in place of one for the same spelling, and names all anew; returns what is called otherwise now.

    A provider may be given under any of its names. Raises GovernanceError where the rule can't be read, or leads with
    others in a circle; then nothing has changed.
    """
    with explained(), connect(url) as connection, connection.transaction():
        before = _names(connection)
        provider = _provider(connection, alias.provider)
        try:
            connection.execute(
                "insert into core.name_aliases (kind, provider, match, said, canonical, priority, note)"
                " values (%s, %s, %s, %s, %s, %s, %s) on conflict (kind, provider, match, said) do update"
                " set canonical = excluded.canonical, priority = excluded.priority, note = excluded.note",
                [alias.kind, provider, alias.match, alias.said, alias.canonical, alias.priority, alias.note],
            )
        except psycopg.errors.InvalidRegularExpression as error:
            raise GovernanceError(
                f"{alias.said} is no pattern ({error.diag.message_primary}): correct it, or leave --match out"
            ) from error
        except psycopg.errors.CheckViolation as error:
            raise GovernanceError(f"the rule can't be kept: {error.diag.message_primary}") from error
        if alias.match == "exact":
            _refuse_circle(connection, alias, provider)
        connection.execute("select internal.refresh_model_names()")
        return _changes(before, _names(connection))


def drop_alias(url: str, kind: str, said: str, provider: str = EVERY_PROVIDER) -> list[Renamed]:
    """Takes the rules for a spelling back and names all anew. Raises GovernanceError where there is none."""
    with explained(), connect(url) as connection, connection.transaction():
        before = _names(connection)
        dropped = connection.execute(
            "delete from core.name_aliases where kind = %s and provider = %s and said = %s",
            [kind, _provider(connection, provider), said],
        ).rowcount
        if not dropped:
            raise GovernanceError(
                f"there is no rule of your own for the {kind} {said}: `governance models rules` lists them, "
                "those for one provider need --provider"
            )
        connection.execute("select internal.refresh_model_names()")
        return _changes(before, _names(connection))


def _provider(connection: Connection, said: str) -> str:
    if said == EVERY_PROVIDER:
        return said
    [(provider,)] = connection.execute(
        "select canonical_provider from internal.resolve_names(array[%s], array[''])", [said]
    )
    return str(provider)


def _refuse_circle(connection: Connection, alias: Alias, provider: str) -> None:
    pair = [alias.said, ""] if alias.kind == "provider" else [provider, alias.said]
    [row] = connection.execute("select provider_origin, origin from internal.resolve_names(array[%s], array[%s])", pair)
    if row[alias.kind == "model"].startswith(f"{AS_SAID},"):
        raise GovernanceError(
            f"another rule calls {alias.canonical} {alias.said}, so neither would be a name: take that one back first "
            "(`governance models rules`), or choose the other name"
        )


def _names(connection: Connection) -> dict[tuple[str, str], tuple[str, str]]:
    rows = connection.execute("select provider, model, canonical_provider, canonical_model from internal.model_names")
    return {(provider, model): (name, canonical) for provider, model, name, canonical in rows}


def _changes(
    before: dict[tuple[str, str], tuple[str, str]], after: dict[tuple[str, str], tuple[str, str]]
) -> list[Renamed]:
    return [
        Renamed(said, before.get(said, said), name)
        for said, name in sorted(after.items())
        if before.get(said, said) != name
    ]
