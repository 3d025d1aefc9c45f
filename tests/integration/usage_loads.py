"""What tests of loading usage share."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.lib.database.connection import connect
from orchestration.lib.usage.merge import IngestReport

NOW = datetime.now(UTC).replace(microsecond=0)


RECENT = NOW - timedelta(days=3)


T = RECENT.isoformat()


Load = Callable[..., IngestReport]


def counts(report: IngestReport) -> tuple[int, int, int]:
    return report.loaded, report.duplicate, report.quarantined


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with connect(database) as connection:
        return connection.execute(text).fetchall()


def quarantined(database: str) -> list[tuple[Any, ...]]:
    return query(database, "select line, reasons, row_data from internal.quarantine order by source, line, id")


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


MICROSECONDS = int(RECENT.timestamp()) * 1_000_000


NO_COUNT = "input_tokens is not a whole number of 0 or more below 10^12"


# the number of a row's kind: two good ones that differ in their time, one that differs otherwise, one that is refused
KINDS: list[dict[str, object]] = [
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": 1},
    {"time": MICROSECONDS + 1_000_000, "provider": "p", "model": "m", "input_tokens": 1},
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": 2},
    {"time": MICROSECONDS, "provider": "p", "model": "m", "input_tokens": -1},
]


def as_csv(kinds: Sequence[int]) -> list[str]:
    return ["time,provider,model,input_tokens", *(",".join(str(value) for value in KINDS[k].values()) for k in kinds)]


# several at once, and crashes


def numbered(count: int) -> list[str]:
    lines = [f"{(RECENT + timedelta(seconds=number)).isoformat()},p,m,r{number},{number}" for number in range(count)]
    return ["time,provider,model,request_id,input_tokens", *lines]


# a record with what it needs
FINE = {"time": T, "provider": "p", "model": "m", "cost_amount": "0.25"}
