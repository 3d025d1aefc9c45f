"""Prices, requests and an oracle of a few lines that tests of costing share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from core_rows import add
from psycopg import sql
from psycopg.types.json import Jsonb

from orchestration.lib.database.connection import Connection

CLASSES = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def add_price(connection: Connection, unit: str, price: str | Decimal, **values: Any) -> UUID:
    """A list price of acme/rocket that always held, unless said otherwise."""
    defaults = {
        "provider": "acme",
        "model": "rocket",
        "currency": "USD",
        "valid_from": "-infinity",
        "date_basis": "known",
        "origin": "test",
    }
    return add(connection, "model_prices", **defaults | {"unit": unit, "unit_price": Decimal(price)} | values)


def add_agreement(connection: Connection, **values: Any) -> UUID:
    defaults = {"name": "Agreement", "valid_from": MAY - timedelta(days=300), "origin": "contract"}
    return add(connection, "price_agreements", **defaults | values)


def costs(connection: Connection, *requests: dict[str, Any]) -> list[dict[str, Any] | None]:
    """What requests to acme/rocket in May cost by our prices; None where they have no price."""
    defaults = {
        "time": MAY + timedelta(days=9),
        "provider": "acme",
        "model": "rocket",
        "service_tier": None,
        "region": None,
        "team_id": None,
        "currency": None,
        "status": "success",
        "units": None,
        **dict.fromkeys(CLASSES, 0),
    }
    types = {"time": "timestamptz", "team_id": "uuid", "units": "jsonb", **dict.fromkeys(CLASSES, "bigint")}
    rows = []
    for line, request in enumerate(requests):
        said = defaults | request
        values = [
            sql.SQL("{}::{} as {}").format(
                sql.Literal(Jsonb(each) if isinstance(each, dict) else each),
                sql.SQL(types.get(name, "text")),
                sql.Identifier(name),
            )
            for name, each in said.items()
        ]
        rows.append(sql.SQL("select {}::bigint as line, {}").format(sql.Literal(line), sql.SQL(", ").join(values)))
    cursor = connection.execute(
        "select * from internal.cost_requests(%s, true)", [sql.SQL(" union all ").join(rows).as_string()]
    )
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    found = {row[0]: dict(zip(names, row, strict=True)) for row in cursor}
    return [found.get(line) for line in range(len(requests))]


def cost(connection: Connection, **request: Any) -> dict[str, Any] | None:
    return costs(connection, request)[0]


def computed(connection: Connection, **request: Any) -> Decimal | None:
    found = cost(connection, **request)
    return found["computed_cost"] if found else None


@dataclass(frozen=True)
class OraclePrice:
    """A price of the oracle; `starts` and `ends` are days of May, None is open."""

    unit: str
    amount: Decimal
    tier: str
    above: int
    starts: int | None
    ends: int | None


def oracle(prices: list[OraclePrice], discount: Decimal, request: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    """List and own cost of a request, worked out as docs/prices.md says it, one price at a time."""
    day = (request["time"] - MAY) / timedelta(days=1)
    length = sum(
        request[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "audio_input_tokens")
    )
    held = [
        p
        for p in prices
        if p.tier in ("standard", request["service_tier"])
        and (p.starts is None or p.starts <= day)
        and (p.ends is None or day < p.ends)
        and (p.above == 0 or length > p.above)
    ]
    if not held or (not any(request[name] for name in CLASSES) and request["status"] == "success"):
        return None
    total = Decimal(0)
    for unit in CLASSES:
        base = (
            "output_tokens" if unit in ("output_tokens", "reasoning_tokens", "audio_output_tokens") else "input_tokens"
        )
        own = [p for p in held if p.unit == unit] or [p for p in held if p.unit == base]
        if request[unit] and not own:
            return None
        if request[unit]:
            total += request[unit] * max(own, key=lambda p: (p.tier != "standard", p.above)).amount / 1_000_000
    return total, total * (1 - discount / 100)
