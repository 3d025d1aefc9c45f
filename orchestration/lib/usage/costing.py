"""What the rows of a batch cost by our prices, beside what their source says, and which of both counts."""
# ruff: noqa: S608 - statements are built of this module's own words and quoted values

from collections.abc import Collection, Mapping

from psycopg import sql

from orchestration.lib.database.connection import Connection
from orchestration.lib.usage.record import TOKEN_CLASSES

# what our prices make of a request, beside the columns that a source can fill
COMPUTED = ("list_cost_amount", "computed_cost_amount", "source_cost_amount")
# what the source said of a stored request `m`; `said_price` is the price that a row of the source names itself
STORED_COST = (
    "case when m.price_id is null or m.computed_cost_amount is not null or {said_price} is not null then m.cost_amount"
    " else m.source_cost_amount end"
)


class StagedCosts:
    """Fills ingest_costs: what the rows of ingest_rows cost by our prices, a row for each that has a price.

    `targets` are the columns of ingest_rows, `currency` is that of rows that name none. With `keeps_prices` the prices
    that were applied are kept for who asks later.
    """

    def __init__(self, connection: Connection, targets: Collection[str], currency: str, *, keeps_prices: bool) -> None:
        self._connection, self._targets, self._currency, self._keeps = connection, targets, currency, keeps_prices
        connection.execute("drop table if exists pg_temp.ingest_costs")
        connection.execute(
            "create temporary table ingest_costs (line bigint, price_id uuid, list_cost numeric,"
            " computed_cost numeric, currency text, is_estimate boolean)"
        )

    def compute(self, lines: str, *, has_owners: bool) -> None:
        """Costs the rows that `lines` selects, in a transaction that is open; with owners, those in ingest_owners."""
        self._connection.execute("truncate ingest_costs")
        self._connection.execute(
            "insert into ingest_costs select line, price_id, list_cost, computed_cost, currency, is_estimate"
            f" from internal.cost_requests({_quoted(self._requests(lines, has_owners))}, {_quoted(self._keeps)})"
        )

    def _requests(self, lines: str, has_owners: bool) -> str:
        currency = f"coalesce({self._given('currency', 'text')}, {_quoted(self._currency)})"
        team = self._given("team_id", "uuid")
        columns = {
            "line": "r.line",
            "time": "r.time",
            "provider": "r.provider",
            "model": "r.model",
            "service_tier": self._given("service_tier", "text"),
            "region": self._given("region", "text"),
            "team_id": f"coalesce({team}, o.team_id)" if has_owners else team,
            # a price can stand beside the cost of the source only in its currency
            "currency": f"case when {self._given('cost_amount', 'numeric')} is not null then {currency} end",
            "status": f"coalesce({self._given('status', 'text')}, 'success')",
            "units": f"{self._given('metadata', 'jsonb')} -> 'units'",
            **{name: f"coalesce({self._given(name, 'bigint')}, 0)" for name in TOKEN_CLASSES},
        }
        listed = ", ".join(f"{value} as {name}" for name, value in columns.items())
        owners = "left join pg_temp.ingest_owners as o using (line)" if has_owners else ""
        # who names a price of their own has priced the request already
        own = f"{self._given('price_id', 'uuid')} is null"
        return f"select {listed} from pg_temp.ingest_rows as r {owners} where r.reasons is null and {own} and r.{lines}"

    def _given(self, name: str, type_name: str) -> str:
        return f"r.{name}" if name in self._targets else f"null::{type_name}"


def costed(values: Mapping[str, str], *, prefers_prices: bool) -> dict[str, str]:
    """The columns of cost, from what the source says (`values`) and the row `cost` of ingest_costs."""
    said = values.get("cost_amount", "null::numeric")
    ours = f"(cost.line is not null{'' if prefers_prices else f' and {said} is null'})"
    return {
        "cost_amount": f"case when {ours} then cost.computed_cost else {said} end",
        "currency": f"case when {ours} then cost.currency else {values['currency']} end",
        "cost_source": f"case when {ours} then case when cost.is_estimate then 'estimated' else 'computed' end"
        f" else {values['cost_source']} end",
        "price_id": f"coalesce({values.get('price_id', 'null::uuid')}, cost.price_id)",
        "list_cost_amount": "cost.list_cost",
        "computed_cost_amount": f"case when not {ours} then cost.computed_cost end",
        "source_cost_amount": f"case when {ours} then {said} end",
    }


def _quoted(value: object) -> str:
    return sql.Literal(value).as_string()
