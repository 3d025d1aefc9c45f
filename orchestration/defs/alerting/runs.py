"""Watches how runs end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg

from orchestration.defs.alerting.lost_runs import fail_lost_runs
from orchestration.defs.scheduled import NOT_BUILT, SEVERITY
from orchestration.lib.alerting.failed_jobs import FailedRun, raise_alert, resolve_alerts
from orchestration.lib.database.connection import connect, has_relation
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError, explained
from orchestration.lib.words import counted

SECONDS = 30
# of each kind and tick; what is left over waits for the next one
_AT_ONCE = 200
# who starts to watch looks back so far
_LOOKING_BACK = timedelta(days=1)
_FAILED: Literal[dg.DagsterEventType.RUN_FAILURE] = dg.DagsterEventType.RUN_FAILURE
_SUCCEEDED: Literal[dg.DagsterEventType.RUN_SUCCESS] = dg.DagsterEventType.RUN_SUCCESS


@dataclass(frozen=True)
class Ended:
    """A run that ended."""

    run: dg.DagsterRun
    kind: dg.DagsterEventType
    at: datetime
    message: str
    storage_id: int


@dg.sensor(
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose process is gone; opens an alert about a run that failed, and resolves it once its "
    "job succeeds.",
)
def runs_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
    """It does the work itself, for a run of its own could fail too."""
    lost = fail_lost_runs(context.instance)
    ended, cursor = _ended(context.instance, json.loads(context.cursor) if context.cursor else {})
    failed = resolved = 0
    try:
        with explained(), connect(database_url()) as connection:
            if not has_relation(connection, "core.alerts"):
                yield dg.SkipReason(NOT_BUILT)
                return
            for each in ended:
                with connection.transaction():
                    if each.kind == _FAILED:
                        raise_alert(connection, failure(context.instance, each))
                        failed += 1
                    else:
                        resolved += resolve_alerts(connection, subject(each.run), each.at)
    except GovernanceError as error:
        # the cursor stays, so they are told when the database is back
        yield dg.SkipReason(f"{counted(len(ended), 'run')} ended and can't be told: {error}")
        return
    context.update_cursor(json.dumps(cursor))
    yield dg.SkipReason(
        f"{counted(failed, 'run')} failed, {counted(len(lost), 'of them was', 'of them were')} lost; "
        f"{counted(resolved, 'alert')} resolved"
    )


def _ended(instance: dg.DagsterInstance, seen: dict[str, float]) -> tuple[list[Ended], dict[str, float]]:
    """Runs that ended since, in their order, and how far that is: since when, and the last of each kind."""
    found: list[Ended] = []
    since = seen.get("since", (datetime.now(UTC) - _LOOKING_BACK).timestamp())
    until = float("inf")
    for kind in (_FAILED, _SUCCEEDED):
        records = instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(
                kind,
                after_storage_id=int(seen[kind.value]) if kind.value in seen else None,
                after_timestamp=since,
            ),
            limit=_AT_ONCE,
            ascending=True,
        ).records
        if len(records) == _AT_ONCE:
            until = min(until, records[-1].timestamp)
        for record in records:
            run = instance.get_run_by_id(record.run_id)
            if run is not None:
                at = datetime.fromtimestamp(record.timestamp, UTC)
                found.append(Ended(run, kind, at, record.event_log_entry.message, record.storage_id))
    found = [each for each in found if each.at.timestamp() <= until]
    found.sort(key=lambda each: (each.at, each.storage_id))
    last = {each.kind.value: float(each.storage_id) for each in sorted(found, key=lambda each: each.storage_id)}
    return found, seen | last | {"since": since}


def subject(run: dg.DagsterRun) -> str:
    """What alerts call the job: its name, with the partition of one that has them; or what was materialized by hand."""
    name = run.job_name
    if name.startswith("__"):
        keys = sorted(key.to_user_string() for key in run.asset_selection or ())
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        name = f"materialization of {', '.join(keys[:3]) or 'all'}{more}"
    partition = run.tags.get("dagster/partition")
    return name if partition is None else f"{name} of {partition}"


def failure(instance: dg.DagsterInstance, ended: Ended) -> FailedRun:
    """What its failed step says, else what is said of the run."""
    step, message = next(_reasons(instance, ended.run.run_id), (None, ended.message))
    return FailedRun(
        run=ended.run.run_id,
        job=subject(ended.run),
        message=message.strip() or "it says nothing",
        severity=ended.run.tags.get(SEVERITY, "medium"),
        failed_at=ended.at,
        step=step,
    )


def _reasons(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[str | None, str]]:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            yield event.step_key, data.user_failure_data.description
        elif data.error is not None:
            cause = data.error
            while cause.cause is not None:
                cause = cause.cause
            yield event.step_key, cause.message


@dg.definitions
def defs() -> dg.Definitions:
    """The sensor, which is on by default."""
    return dg.Definitions(sensors=[runs_sensor])
