"""Entries of the audit trail as a test writes and reads them."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from orchestration.lib.database.connection import Connection


def stored(connection: Connection, entry: UUID) -> dict[str, Any]:
    """An entry as its columns, JSON numbers exact, its address as text."""
    row = connection.execute(
        "select *, before::text as before, after::text as after, metadata::text as metadata, host(ip_address) as"
        " ip_address, xid::text as xid from core.audit_logs where id = %s",
        [entry],
    )
    assert row.description is not None
    values = dict(zip((column.name for column in row.description), row.fetchone() or (), strict=True))
    for name in ("before", "after", "metadata"):
        values[name] = None if values[name] is None else json.loads(values[name], parse_float=Decimal)
    return values
