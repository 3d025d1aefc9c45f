"""A run that says when it sleeps, in a process that test_dagster_alerts.py kills."""

import time

import dagster as dg


@dg.op
def sleep() -> None:
    """Longer than any test."""
    print("asleep", flush=True)
    time.sleep(600)


@dg.job
def sleeping_job() -> None:
    """Never ends by itself."""
    sleep()


if __name__ == "__main__":
    sleeping_job.execute_in_process(instance=dg.DagsterInstance.get())
