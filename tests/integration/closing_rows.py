"""Months, and a warehouse without usage, that tests of closing share."""

from datetime import UTC, date, datetime, timedelta

from orchestration.lib.database.connection import Connection

TABLES = (
    "llm_metrics", "shared_costs", "cost_adjustments", "closed_totals", "closed_periods", "price_revision_rows",
    "price_revisions", "applied_unit_prices", "applied_prices", "price_agreements",
)  # fmt: skip
THIS_MONTH = datetime.now(UTC).date().replace(day=1)


def back(months: int) -> date:
    """The first day of the month so many months ago."""
    day = THIS_MONTH
    for _ in range(months):
        day = (day - timedelta(days=1)).replace(day=1)
    return day


FIRST, SECOND = back(2), back(1)


def at(month: date, day: int = 10) -> datetime:
    return datetime(month.year, month.month, day, 12, tzinfo=UTC)


def named(month: date) -> str:
    return f"{month:%Y-%m}"


def empty(connection: Connection) -> None:
    connection.execute("set governance.managing_rows = 'on'")
    for table in TABLES:
        connection.execute(f"delete from core.{table}".encode())
    connection.execute("delete from core.model_prices where origin = 'test'")
    for table in ("changed_requests", "load_batches", "loads"):
        connection.execute(f"delete from internal.{table}".encode())
    connection.execute("set governance.managing_rows = ''")
