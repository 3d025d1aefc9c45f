"""Which price applies to a request, and why; and what the list says."""

import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, explained


@dataclass(frozen=True)
class UnitPrice:
    """The price of a million units: by the list (None where it has none) and as applied; where it comes from."""

    unit: str
    listed: Decimal | None
    applied: Decimal
    # the class it is billed as, where the list doesn't name it
    entered_for: str
    entered_as: str
    price_list: str
    service_tier: str
    region: str | None
    starts: datetime | None
    ends: datetime | None
    date_basis: str
    origin: str


@dataclass(frozen=True)
class AppliedPrice:
    """The prices of requests with more than `context_above` input tokens."""

    provider: str
    model: str
    service_tier: str
    context_above: int
    currency: str
    is_estimate: bool
    agreement: str | None
    agreement_origin: str | None
    discount_percent: Decimal | None
    units: Sequence[UnitPrice]


@dataclass(frozen=True)
class Question:
    """What is asked: the price of a request to a model, said as a source would say it."""

    model: str
    at: datetime
    provider: str | None = None
    service_tier: str = "standard"
    region: str = ""
    team: str | None = None


def applied_prices(url: str, question: Question) -> list[AppliedPrice]:
    """The prices that apply, by provider and context length. Raises GovernanceError where there are none."""
    with explained(), connect(url) as connection, connection.transaction():
        team = _team(connection, question.team) if question.team else None
        connection.execute("select internal.begin_pricing()")
        # names say what a model is called, so a model without a provider is asked of each that has it by some name
        providers = [question.provider] if question.provider else _providers(connection)
        for number, provider in enumerate(providers):
            connection.execute(
                """
                insert into pg_temp.price_keys
                    (key_id, said_provider, said_model, said_tier, service_tier, region, team_id, low, high)
                select %(number)s, %(provider)s, %(model)s, %(tier)s, %(tier)s, %(region)s, %(team)s, %(at)s, %(at)s
                """,
                {
                    "number": number,
                    "provider": provider,
                    "model": question.model,
                    "tier": question.service_tier,
                    "region": question.region,
                    "team": team,
                    "at": question.at,
                },
            )
        connection.execute("select internal.name_price_keys(), internal.resolve_prices()")
        found = _found(connection)
        if not found:
            raise GovernanceError(_why_not(connection, question))
    return found


def _team(connection: Connection, team: str) -> object:
    row = connection.execute(
        "select id from core.teams where slug = %s and deleted_at is null limit 1", [team]
    ).fetchone()
    if not row:
        raise GovernanceError(f"there is no team with the slug {team}")
    return row[0]


def _providers(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select distinct provider from core.model_prices where superseded_at is null order by 1"
    ).fetchall()
    return [provider for (provider,) in rows]


def _found(connection: Connection) -> list[AppliedPrice]:
    units: dict[UUID, list[UnitPrice]] = defaultdict(list)
    for price_id, *unit in connection.execute(
        """
        select
            r.price_id, d.unit, d.list_unit_price, d.unit_price, p.unit, p.model, p.price_list, p.service_tier,
            p.region, nullif(p.valid_from, '-infinity'), p.valid_to, p.date_basis, p.origin
        from (select distinct on (price_id) price_id, detail from pg_temp.price_rates) as r
        cross join lateral jsonb_to_recordset(r.detail)
            as d (unit text, list_unit_price numeric, unit_price numeric, model_price_id uuid)
        inner join core.model_prices as p on p.id = d.model_price_id
        """
    ).fetchall():
        units[price_id].append(UnitPrice(*unit))
    rates = connection.execute(
        """
        select
            r.price_id, k.provider, k.model, r.service_tier, r.context_above, r.currency, r.is_estimate,
            a.name, a.origin, r.discount_percent
        from pg_temp.price_rates as r
        inner join pg_temp.price_keys as k on k.key_id = r.key_id
        left join core.price_agreements as a on a.id = r.agreement_id
        order by k.provider, r.context_above
        """
    ).fetchall()
    return [
        AppliedPrice(provider, model, tier, above, currency, is_estimate, name, origin, percent, units[price_id])
        for price_id, provider, model, tier, above, currency, is_estimate, name, origin, percent in rates
    ]


def _why_not(connection: Connection, question: Question) -> str:
    rows = connection.execute(
        "select provider, model, min(nullif(valid_from, '-infinity')) from core.model_prices"
        " where superseded_at is null and price_list = 'list' group by 1, 2"
    ).fetchall()
    what = f"{question.provider}/{question.model}" if question.provider else question.model
    for provider, model, first in rows:
        if model == question.model and question.provider in (None, provider):
            return (
                f"{what} has no price at {question.at:%Y-%m-%d %H:%M %Z}: its first one holds from {first:%Y-%m-%d} on"
            )
    of_provider = [row for row in rows if question.provider in (None, row[0])]
    if not of_provider:
        known = ", ".join(sorted({provider for provider, _, _ in rows})) or "none"
        return f"{what} has no price: prices know the providers {known}"
    near = difflib.get_close_matches(question.model, sorted({model for _, model, _ in of_provider}), n=3)
    hint = f"the nearest names are {', '.join(near)}" if near else "`governance prices list` shows what has one"
    return f"{what} has no price: {hint}"


@dataclass(frozen=True)
class ListedPrice:
    """The standard prices of a model at a time, by unit."""

    price_list: str
    provider: str
    model: str
    service_tier: str
    context_above: int
    currency: str
    starts: datetime | None
    date_basis: str
    amounts: dict[str, Decimal]


def listed_prices(url: str, provider: str | None, model: str | None, at: datetime) -> list[ListedPrice]:
    """What all price lists say at a time; provider and model may have * for any characters."""
    with explained(), connect(url) as connection:
        rows = connection.execute(
            """
            select
                price_list, provider, model, service_tier, context_above, currency,
                max(nullif(valid_from, '-infinity')), min(date_basis), jsonb_object_agg(unit, unit_price::text)
            from core.model_prices
            where superseded_at is null and valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s)
                and (%(provider)s::text is null or provider like %(provider)s::text)
                and (%(model)s::text is null or model ilike %(model)s::text)
            group by price_list, provider, model, service_tier, context_above, currency, region
            order by price_list <> 'list', provider, model, service_tier <> 'standard', service_tier, context_above
            """,
            {"provider": provider and _pattern(provider.lower()), "model": model and _pattern(model), "at": at},
        ).fetchall()
    return [
        ListedPrice(
            *(price_list, name, named, tier, above, currency, since, basis),
            amounts={unit: Decimal(amount) for unit, amount in amounts.items()},
        )
        for price_list, name, named, tier, above, currency, since, basis, amounts in rows
    ]


def _pattern(text: str) -> str:
    """What LIKE takes for a text in which * stands for any characters."""
    return re.sub(r"[\\%_]", r"\\\g<0>", text).replace("*", "%")
