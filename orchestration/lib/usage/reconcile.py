"""Compares what is loaded of LiteLLM with LiteLLM's own daily tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration.lib import errors
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.money import minus, plus
from orchestration.lib.usage.pull import columns_of, location_name, plain
from orchestration.lib.usage.sources import litellm
from orchestration.lib.usage.sources.values import SECRET

if TYPE_CHECKING:
    import psycopg

# what it said, where our prices count too
_SAID = "case when price_id is null or computed_cost_amount is not null then cost_amount else source_cost_amount end"
# each measure: what it is here and there. Calls that the proxy made for itself cost but are no requests there
_ASKED = f"not coalesce(metadata ? '{litellm.OWN_CALL}', false)"
MEASURES = {
    "requests": (f"count(*) filter (where {_ASKED})", "api_requests"),
    "failed requests": (f"count(*) filter (where status <> 'success' and {_ASKED})", "failed_requests"),
    "prompt tokens": (
        "sum(input_tokens + cache_read_tokens + cache_write_tokens + audio_input_tokens)",
        "prompt_tokens",
    ),
    "completion tokens": ("sum(output_tokens + reasoning_tokens + audio_output_tokens)", "completion_tokens"),
    "cache read tokens": ("sum(cache_read_tokens)", "cache_read_input_tokens"),
    "cache write tokens": ("sum(cache_write_tokens)", "cache_creation_input_tokens"),
    "spend": (f"coalesce(sum({_SAID}), 0)", "spend"),
}
# the tables, and what they tell apart besides day, key, provider and model: here, there
_TABLES = {
    "LiteLLM_DailyUserSpend": ("''", "''"),
    "LiteLLM_DailyTeamSpend": ("coalesce(metadata #>> '{source_owner,team}', '')", "coalesce(team_id, '')"),
}
_HERE = """
    select
        to_char(time at time zone 'UTC', 'YYYY-MM-DD') collate "C" as day, {team} collate "C" as team,
        coalesce(metadata #>> '{{source_owner,key}}', '') collate "C" as key, provider collate "C" as provider,
        model collate "C" as model, {measures}
    from core.llm_metrics
    where source = 'litellm' and time >= %(since)s::date and time < %(until)s::date + 1 and {wanted}
    group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""
# names as the adapter reads them, so that both sides say the same
_THERE = """
    select
        date collate "C" as day, {team} collate "C" as team, key collate "C" as key,
        provider collate "C" as provider,
        case when provider <> '' and starts_with(name, provider || '/') then substr(name, length(provider) + 2)
            else name end collate "C" as model,
        {measures}
    from (
        select
            *, coalesce(model, '') as name,
            coalesce(nullif({provider}, ''), substring(model from '^([^/]*)/'), '') as provider,
            case when api_key ~ '^{secret}' then encode(sha256(convert_to(api_key, 'UTF8')), 'hex')
                else coalesce(api_key, '') end as key
        from {table}
    ) as said
    where date >= %(since)s::text and date <= %(until)s::text and {tools} and {wanted}
    group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""
_FETCHED = 2_000
Names = tuple[str, str, str, str, str]
Sums = tuple[Decimal, ...]


@dataclass(frozen=True)
class Difference:
    """A measure of a day, key and model that isn't the same; `team` is empty where the table has no teams."""

    table: str
    day: str
    team: str
    key: str
    provider: str
    model: str
    measure: str
    here: Decimal
    there: Decimal


@dataclass
class Compared:
    """What became of one of LiteLLM's tables: how many sums by day, key and model there are, and in how many differ."""

    table: str
    measures: list[str]
    sums: int = 0
    differing: int = 0
    here: list[Decimal] = field(default_factory=list)
    there: list[Decimal] = field(default_factory=list)


@dataclass(frozen=True)
class Reconciliation:
    """The days that were compared, both inclusive, and what was found; `read_to` is how far the proxy was read."""

    since: date
    until: date
    read_to: date | None
    tables: list[Compared]
    differences: list[Difference]


def reconcile(
    url: str,
    location: str,
    *,
    since: date | None = None,
    until: date | None = None,
    tolerance: Decimal = Decimal("0.0001"),
    notify: Callable[[str], None] = lambda message: None,
) -> Reconciliation:
    """Compares whole days of UTC, of spend what is beyond `tolerance` dollars, of all else exactly.

    Without `since` it is from the first whole day that raw rows reach back to, without `until` up to yesterday. Both
    databases are only read. Raises GovernanceError.
    """
    there_url, schema = plain(location)
    name = location_name(location)
    with connect(url) as here, connect(there_url) as there, errors.explained():
        here.read_only = there.read_only = True
        first, yesterday, mark = _bounds(here, name)
        since, until = since or first, until or yesterday
        if since > until:
            raise GovernanceError(f"there is no whole day to compare from {since} to {until}: give another --since")
        if since < first:
            notify(f"raw rows reach back to {first} only: what is before is compared with what is left of them")
        if mark is None:
            notify(f"{name} was never read here: `governance ingest --source litellm {name}` does")
        elif mark <= until:
            notify(f"{name} was read up to {mark}: `governance ingest --source litellm {name}` reads on")
        result = Reconciliation(since, until, mark, [], [])
        for table in _TABLES:
            with here.transaction(), there.transaction():
                where, columns = columns_of(there, name, table, schema)
                _compare(here, there, table, where, columns, tolerance, result)
    return result


def _bounds(connection: Connection, name: str) -> tuple[date, date, date | None]:
    [(first, yesterday, mark)] = connection.execute(
        "select (internal.raw_floor('llm_metrics') at time zone 'UTC')::date + 1,"
        " (now() at time zone 'UTC')::date - 1, (select (high_water at time zone 'UTC')::date"
        " from internal.source_marks where source = 'litellm' and location = %s)",
        [name],
    )
    return first, yesterday, mark


def _compare(
    here: Connection,
    there: Connection,
    table: str,
    schema: str,
    columns: list[str],
    tolerance: Decimal,
    result: Reconciliation,
) -> None:
    from psycopg import sql

    measures = {measure: both for measure, both in MEASURES.items() if both[1] in columns}
    compared = Compared(table, list(measures))
    compared.here, compared.there = ([Decimal(0)] * len(measures) for _ in range(2))
    result.tables.append(compared)
    team_here, team_there = _TABLES[table]
    days = {"since": result.since, "until": result.until}
    ours = _HERE.format(
        team=team_here,
        measures=", ".join(f"({said})::text" for said, _ in measures.values()),
        wanted="true" if team_here == "''" else f"{team_here} <> ''",
    )
    theirs = sql.SQL(
        _THERE.format(
            team=team_there,
            # older releases have fewer columns
            provider="custom_llm_provider" if "custom_llm_provider" in columns else "null",
            tools="coalesce(mcp_namespaced_tool_name, '') = ''" if "mcp_namespaced_tool_name" in columns else "true",
            secret=SECRET.pattern,
            measures=", ".join(f"coalesce(sum({said}), 0)::text" for _, said in measures.values()),
            wanted="true" if team_there == "''" else f"{team_there} not in ('', {_quoted(litellm.NOBODY)})",
            table="{table}",
        )
    ).format(table=sql.Identifier(schema, table))
    pairs = _side_by_side(_sums(here, sql.SQL(ours), days), _sums(there, theirs, days), len(measures))
    for names, own, other in pairs:
        compared.sums += 1
        found = [
            Difference(table, *names, measure, a, b)
            for measure, a, b in zip(measures, own, other, strict=True)
            if minus(a, b).copy_abs() > (tolerance if measure == "spend" else 0)
        ]
        compared.differing += bool(found)
        result.differences.extend(found)
        for place, (a, b) in enumerate(zip(own, other, strict=True)):
            compared.here[place] = plus(compared.here[place], a)
            compared.there[place] = plus(compared.there[place], b)


def _sums(
    connection: Connection, query: "psycopg.sql.SQL | psycopg.sql.Composed", days: dict[str, date]
) -> Iterator[tuple[Names, Sums]]:
    with connection.cursor(name="sums") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(query, days)
        for day, team, key, provider, model, *sums in cursor:
            yield (day, team, key, provider, model), tuple(map(Decimal, sums))


def _side_by_side(
    here: Iterator[tuple[Names, Sums]], there: Iterator[tuple[Names, Sums]], measures: int
) -> Iterator[tuple[Names, Sums, Sums]]:
    """Both in the order of their names; where one side has none it is zeros."""
    nothing = (Decimal(0),) * measures
    own, other = next(here, None), next(there, None)
    while own or other:
        if own and (other is None or own[0] < other[0]):
            yield own[0], own[1], nothing
            own = next(here, None)
        elif other and (own is None or other[0] < own[0]):
            yield other[0], nothing, other[1]
            other = next(there, None)
        else:
            assert own
            assert other
            yield own[0], own[1], other[1]
            own, other = next(here, None), next(there, None)


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)
