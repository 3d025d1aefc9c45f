"""What finance does in the demo: months are closed, and a model whose price was unknown is priced afterwards.

So usage of a closed month costs something that wasn't charged, which is an adjustment of the open month.
"""

from datetime import UTC, datetime, time, timedelta

from orchestration.demo.facts import FINANCE, UNPRICED_MODEL
from orchestration.demo.state import DemoState
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.pricing.closing import close
from orchestration.lib.pricing.reprice import Scope, begin, proceed
from orchestration.lib.warehouse.refresh import refresh

_BY = "finance@northwind.example"


def settle_accounts(url: str, state: DemoState, through: datetime) -> int:
    """Closes the months of the demo that have ended, prices the model that had none; returns how many months.

    Once: with a month closed or without one that has ended nothing is done.
    """
    with connect(url) as connection:
        [(month,)] = connection.execute(
            """
            select to_char(max(month), 'YYYY-MM')
            from reporting.period_totals
            where month < date_trunc('month', %s::timestamp) and not exists (select from core.closed_periods)
            """,
            [through.astimezone(state.zone).replace(tzinfo=None)],
        )
        if month is None:
            return 0
    closed = close(url, month, _BY, through=True)
    with connect(url) as connection, connection.transaction():
        _agree(connection, datetime.combine(through.date(), time(), UTC))
    begin(url, Scope(state.since_start, through, model=UNPRICED_MODEL), FINANCE["reason"], _BY, into_closed=True)
    proceed(url)
    refresh(url)
    return len(closed)


def _agree(connection: Connection, today: datetime) -> None:
    """The prices of the model, which changed once, and a discount that was agreed on with its provider."""
    changed = today - timedelta(days=FINANCE["price_changed_days_ago"])
    for unit, before, after in FINANCE["prices"]:
        connection.execute(
            """
            insert into core.model_prices
                (provider, model, unit, currency, unit_price, valid_from, valid_to, date_basis, origin)
            values
                (%(provider)s, %(model)s, %(unit)s, 'USD', %(before)s, '-infinity', %(changed)s, 'known', %(origin)s),
                (%(provider)s, %(model)s, %(unit)s, 'USD', %(after)s, %(changed)s, null, 'known', %(origin)s)
            """,
            {
                "provider": FINANCE["provider"], "model": UNPRICED_MODEL, "unit": unit, "before": before,
                "after": after, "changed": changed, "origin": FINANCE["origin"],
            },
        )  # fmt: skip
    connection.execute(
        "insert into core.price_agreements (name, provider, model, discount_percent, valid_from, origin)"
        " values (%s, %s, %s, %s, %s, %s)",
        [
            FINANCE["agreement"], FINANCE["provider"], UNPRICED_MODEL, FINANCE["discount_percent"],
            today - timedelta(days=366), FINANCE["origin"],
        ],
    )  # fmt: skip
