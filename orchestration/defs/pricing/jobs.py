"""Takes price lists over: files as they land in a folder, and one that is pulled by the clock."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.ingestion.landing import run_key
from orchestration.defs.scheduled import limits, scheduled
from orchestration.lib.addresses import shown
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.landed import refusal, waiting
from orchestration.lib.pricing.landing import collect, look, place
from orchestration.lib.pricing.observed import TakenOver, take_over
from orchestration.lib.pricing.price_file import Price
from orchestration.lib.settings import settings

PRICES = dg.AssetKey(["core", "model_prices"])
_SECONDS = 30
_SHOWN = 20


def _materialization(place: str, taken: TakenOver) -> dg.AssetMaterialization:
    changes, read = taken.changes, taken.read
    metadata: dict[str, Any] = {
        "taken over from": shown(place),
        "prices read": len(read.prices) + len(read.left),
        "new": len(changes.add),
        "ended": len(changes.end),
        "superseded": len(changes.supersede),
        "unchanged": changes.unchanged,
        "left alone": len(read.left),
    }
    if changes.add:
        metadata["new prices"] = _table(changes.add)
    if read.left:
        metadata["prices left alone"] = _table(read.left)
    return dg.AssetMaterialization(PRICES, description="A price list was taken over.", metadata=metadata)


def _table(prices: Sequence[Price]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "price": str(price.key),
                    "per million": f"{price.amount.normalize():f} {price.key.currency}",
                    "from": f"{price.starts:%Y-%m-%d}" if price.starts else "its first day",
                }
            )
            for price in prices[:_SHOWN]
        ]
    )


def _tell(context: dg.OpExecutionContext, place: str, taken: TakenOver) -> Iterator[dg.AssetMaterialization]:
    for note in taken.read.notes:
        context.log.info("%s", note)
    if taken.changes:
        yield _materialization(place, taken)
    else:
        context.log.info("%s: all %s prices are there already", shown(place), taken.changes.unchanged)


@dg.op(pool="prices")
def pull_price_list(context: dg.OpExecutionContext) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
    """Take over the list that GOVERNANCE_PRICES_FROM names; what it changes holds since today."""
    with explained():
        place = settings().prices_from
        if place is None:
            raise GovernanceError(
                "GOVERNANCE_PRICES_FROM isn't set: give it the path or address of LiteLLM's price map, or of a price "
                "list of yours, and start Dagster again"
            )
        taken = take_over(database_url(), place, datetime.now(UTC).date())
    yield from _tell(context, place, taken)
    yield dg.Output(None)


@dg.job(tags=limits(30, severity="medium"))
def prices_job() -> None:
    """Pulls the price list that GOVERNANCE_PRICES_FROM names, and takes over what is new."""
    pull_price_list()


@dg.op(pool="prices")
def load_price_files(context: dg.OpExecutionContext) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
    """Take over the price lists that landed, each once and as a whole or not at all."""
    with explained():
        collected = collect(database_url(), datetime.now(UTC).date(), notify=context.log.info)
    for path, taken in collected.taken.items():
        # of a step that fails, what it yields is kept, and what it logs is not
        yield from _tell(context, path, taken)
    if collected.refused:
        again = "It isn't tried again before the file is written anew"
        # what is wrong with a file doesn't pass
        raise dg.Failure(refusal(collected.refused, again), allow_retries=False)
    yield dg.Output(None)


@dg.job(tags=limits(30, severity="medium"))
def price_files_job() -> None:
    """Takes over the price lists that landed in the folder of prices."""
    load_price_files()


@dg.sensor(
    job=price_files_job,
    minimum_interval_seconds=_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes over what lands in the folder of prices (`prices` in the home folder), once it is complete.",
)
def price_files_sensor() -> dg.RunRequest | dg.SkipReason:
    """Asks for a run when a complete file has landed that wasn't taken yet."""
    try:
        landing = look(database_url())
    except GovernanceError as error:
        return dg.SkipReason(str(error))
    if not landing.pending:
        return dg.SkipReason(waiting(place(), landing))
    return dg.RunRequest(run_key=run_key(landing))


@dg.definitions
def defs() -> dg.Definitions:
    """Jobs of price lists; the schedule is off until a variable gives its time."""
    return dg.Definitions(
        jobs=[prices_job, price_files_job],
        schedules=[scheduled("prices", "20 2 * * *", "Takes over what is new in a price list.", is_on=False)],
        sensors=[price_files_sensor],
    )
