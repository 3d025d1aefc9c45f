"""Compares what requests cost with what providers report and invoice, as reporting.provider_reconciliation has it."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from orchestration.lib.compliance import period as periods
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError, explained

_COMPARED = """
    select
        provider, account, source, day, end_day, zone, currency, requests, unpriced_requests, our_cost, their_cost,
        their_adjustment, difference, difference_share, rounding, coalesce(%(tolerance)s, tolerance) as tolerance,
        case
            when difference <> 0 and status in ('matched', 'differs') then
                case when abs(difference) <= greatest(coalesce(%(tolerance)s, tolerance) * abs(their_cost), rounding)
                    then 'matched' else 'differs' end
            else status
        end as status,
        explained_by, converted_from, converted_cost, exchange_rate, exchange_rate_day, exchange_rate_origin
    from reporting.provider_reconciliation
    where day < %(after)s and end_day > %(first)s and (%(provider)s::text is null or provider = lower(%(provider)s))
    order by provider, source, day, end_day, currency
"""
# spend that no report reaches: of providers with a report of the period (is_reported), and of those without any
_UNREACHED = """
    select
        usage.provider, usage.currency, sum(usage.cost), min(usage.day), max(usage.day), reported.provider is not null
    from reporting.spend_by_model_view as usage
    left join (
        select provider, min(day) as first_day, max(end_day) as end_day
        from reporting.provider_reconciliation
        where day < %(after)s and end_day > %(first)s
        group by provider
    ) as reported on reported.provider = usage.provider
    where usage.day >= %(first)s and usage.day < %(after)s and usage.day < %(today)s
        and (reported.provider is null or usage.day < reported.first_day or usage.day >= reported.end_day)
        and (%(provider)s::text is null or usage.provider = lower(%(provider)s))
    group by usage.provider, usage.currency, reported.provider
    having sum(usage.cost) > 0
    order by usage.provider, usage.currency
"""


@dataclass(frozen=True)
class Compared:
    """A row of reporting.provider_reconciliation by the tolerance asked for; `difference` is ours less theirs."""

    provider: str
    account: str | None
    source: str
    day: date
    end_day: date
    zone: str
    currency: str
    requests: int | None
    unpriced_requests: int | None
    our_cost: Decimal | None
    their_cost: Decimal | None
    their_adjustment: Decimal | None
    difference: Decimal
    difference_share: Decimal | None
    rounding: Decimal | None
    tolerance: Decimal
    status: str
    explained_by: str | None
    converted_from: str | None
    converted_cost: Decimal | None
    exchange_rate: Decimal | None
    exchange_rate_day: date | None
    exchange_rate_origin: str | None


@dataclass(frozen=True)
class Unreached:
    """Spend from `first` to `last`, both days of the period, of which no report says anything."""

    provider: str
    currency: str
    cost: Decimal
    first: date
    last: date
    is_reported: bool


@dataclass(frozen=True)
class ProviderReconciliation:
    """What was compared of a period, `first` up to before `after`, and the spend of it that no report reaches."""

    period: str
    first: date
    after: date
    rows: list[Compared]
    unreached: list[Unreached]
    unknown_rates: list[str] = field(default_factory=list)

    @property
    def is_matched(self) -> bool:
        """Whether nothing differs, and of the providers that report no day is left out."""
        return all(row.status == "matched" for row in self.rows) and not any(e.is_reported for e in self.unreached)


def reconcile_provider(
    url: str, said: str, *, provider: str | None = None, tolerance: Decimal | None = None
) -> ProviderReconciliation:
    """Compares a period such as 2026-10, of one provider or of all; without `tolerance` by the var's.

    Days are those of each report's zone. The database is only read. Raises GovernanceError, also where no report or
    invoice says anything about the period.
    """
    with explained(), connect(url, autocommit=False) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        _, zone, today = periods.now(connection)
        period = periods.parsed(said, zone, today)
        if period.first > today:
            raise GovernanceError(f"{period.name} has not begun, so nothing can be compared: give a period up to today")
        values = {
            "first": period.first,
            "after": period.after,
            "provider": provider,
            "tolerance": tolerance,
            "today": today,
        }
        rows = [Compared(*found) for found in connection.execute(_COMPARED.encode(), values)]
        unreached = [Unreached(*found) for found in connection.execute(_UNREACHED.encode(), values)]
    if not rows:
        of = f" of {provider}" if provider else ""
        raise GovernanceError(
            f"nothing can be compared: no cost report and no invoice{of} about {period.name} is loaded; "
            "`governance ingest --source openai-costs FILE`, or `--source invoice`, does (docs/reconciliation.md)"
        )
    unknown = sorted(
        {
            f"{row.provider} bills {row.currency} where requests have another currency, and no rate to {row.currency} "
            f"of before {row.end_day} is known: enter it in core.exchange_rates, with its day and origin"
            for row in rows
            if row.status == "missing here" and "currency" in (row.explained_by or "") and row.exchange_rate is None
        }
    )
    return ProviderReconciliation(period.name, period.first, period.after, rows, unreached, unknown)
