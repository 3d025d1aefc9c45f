"""What tests of the ledger of loads share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from click.testing import Result

from orchestration.lib.database.connection import connect

# the middle of an hour that is closed, so that neither now nor a bucket's edge matters
AT = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(days=3)


T = f"{AT:%Y-%m-%dT%H:%M:%SZ}"


HEADER = "time,request_id,provider,model,cost_amount"


Run = Callable[..., Result]


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with connect(database) as connection:
        return connection.execute(text).fetchall()


def everything(database: str) -> list[Any]:
    """What a load can change, but for the ledger."""
    return [
        query(database, text)
        for text in (
            "select m::text from core.llm_metrics as m order by m::text",
            "select line, source, reasons from internal.quarantine order by 1, 2",
            "select sum(request_count), sum(cost_amount) from rollups.llm_metrics_daily",
        )
    ]


def numbered(count: int, prefix: str = "r", **more: str) -> list[str]:
    return [
        ",".join((HEADER, *more)),
        *(",".join((T, f"{prefix}{n}", "p", "m", "1", *more.values())) for n in range(count)),
    ]
