"""Runs whose process was killed before it could report that, as by a restart of the machine."""

import time
from collections.abc import Iterator

import dagster as dg

from orchestration.lib.embedded.processes import lived_at

# a run that starts logs something at least so often, and Dagster reports a process that it kills within a second
_SILENT_SECONDS = 30
# also STARTING: a process has logged its pid while it still reads the definitions, which takes seconds
_LAUNCHED = frozenset({dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING})


def fail_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs that are under way by what is recorded, and whose process doesn't live; returns their ids.

    Only runs that Dagster's daemon starts on its own machine, where this is asked; other launchers say it themselves.
    """
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return []
    lost = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(_LAUNCHED))):
        run = record.dagster_run
        processes = list(processes_of(instance, run.run_id))
        if not processes or time.time() - max(started for _, started in processes) < _SILENT_SECONDS:
            continue
        if any(lived_at(pid, started) for pid, started in processes):
            continue
        # it may have ended while its processes were looked for
        now = instance.get_run_by_id(run.run_id)
        if now is None or now.is_finished:
            continue
        instance.report_run_failed(
            run, "The process of the run is gone: it was killed, or the machine or its container was restarted."
        )
        lost.append(run.run_id)
    return lost


def processes_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[int, float]]:
    """Pid of each process that works on the run, and when it said so."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event is not None else None
        if pid is not None and str(pid.value).isdigit():
            yield int(str(pid.value)), entry.timestamp
