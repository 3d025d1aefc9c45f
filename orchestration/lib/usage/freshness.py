"""How fresh and complete the usage of each source is, as reporting.usage_sources says."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from psycopg import sql
from psycopg.rows import class_row

from orchestration.lib import errors
from orchestration.lib.database.connection import connect


@dataclass(frozen=True)
class SourceUsage:
    """A row of reporting.usage_sources; None is what can't be said. Shares are parts of 1."""

    source: str
    last_request_at: datetime | None
    last_loaded_at: datetime | None
    requests_24h: int
    requests_7d: int
    requests_30d: int
    is_stale: bool | None
    gap_hours: int | None
    missing_requests: int | None
    last_gap_from: datetime | None
    last_gap_until: datetime | None
    late_share: Decimal | None
    unowned_share: Decimal | None
    unpriced_share: Decimal | None
    estimated_share: Decimal | None
    quarantined_share: Decimal | None


def usage_sources(url: str) -> list[SourceUsage]:
    """The sources by name. Raises GovernanceError."""
    columns = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields(SourceUsage))
    query = sql.SQL("select {} from reporting.usage_sources order by source").format(columns)
    with errors.explained(), connect(url) as connection:
        return connection.cursor(row_factory=class_row(SourceUsage)).execute(query).fetchall()
