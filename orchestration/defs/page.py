"""The page of the docs about what Dagster runs, made from its definitions."""

from calendar import day_name, month_name
from collections.abc import Iterator

import dagster as dg

from orchestration.defs.scheduled import SEVERITY, variable

_HEAD = """\
# What Dagster runs

Made from the definitions by `make generate`. Hours are those of `GOVERNANCE_SCHEDULE_TIMEZONE`, UTC unless it is set.
The variable of a schedule gives another time, as five fields of cron, or `off`; it is read when Dagster starts. A
schedule that somebody switched in Dagster's UI stays as it was switched there.

A job that runs longer than its limit is ended. Jobs of one pool run one after the other; those of `dbt` can't run
beside `governance build` either, for a lock in the database is held by one build at a time. A step that fails because
the database or a server of somebody else's is away, or because other sessions are in its way, is tried again five times
within three minutes; what fails for another reason is not. A job that failed, or whose process was killed, is an alert
of type `job_failed` in `core.alerts` within a minute, one for each cause; the next success of the job resolves it.

What was missed while Dagster was down: a report is written for each period that has none, every other job runs once.

## Jobs
"""


def jobs_page(definitions: dg.Definitions) -> str:
    """In Markdown: jobs with their times, limits and pools, and sensors."""
    repository = definitions.get_repository_def()
    jobs = sorted((job for job in repository.get_all_jobs() if not job.name.startswith("__")), key=lambda job: job.name)
    schedules = {each.job_name: each for each in repository.schedule_defs}
    lines = [_HEAD, *_table("job", "what it does", "when", "variable", "limit", "pool", "alert")]
    for job in jobs:
        schedule = schedules.get(job.name)
        lines.append(
            _row(
                f"`{job.name}`",
                job.description or "",
                "by hand" if schedule is None else _when(schedule),
                "" if schedule is None else f"`{variable(schedule.name.removesuffix('_schedule'))}`",
                f"{int(job.tags['dagster/max_runtime']) // 60} min" if "dagster/max_runtime" in job.tags else "6 h",
                ", ".join(sorted({f"`{pool}`" for pool in _pools(job)})),
                job.tags.get(SEVERITY, "medium"),
            )
        )
    lines += ["", "## Sensors", "", *_table("sensor", "what it does", "at most every")]
    for sensor in sorted(repository.sensor_defs, key=lambda each: each.name):
        lines.append(_row(f"`{sensor.name}`", sensor.description or "", f"{sensor.minimum_interval_seconds} s"))
    lines += [
        "",
        "Each source in `sources.yml` has an asset `usage/<name>` too, with a sensor where files land and a schedule",
        "where a database is asked ([sources](sources.md#loaded-by-itself)).",
    ]
    return "\n".join(lines) + "\n"


def _pools(job: dg.JobDefinition) -> Iterator[str]:
    for node in job.nodes:
        pool = getattr(node.definition, "pool", None)
        if pool:
            yield str(pool)


def _when(schedule: dg.ScheduleDefinition) -> str:
    cron = str(schedule.cron_schedule)
    is_on = schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    return f"{in_words(cron)} (`{cron}`)" if is_on else f"off; else {in_words(cron)} (`{cron}`)"


def in_words(cron: str) -> str:
    """A time that our own schedules have, as people say it."""
    minute, hour, day, month, weekday = cron.split()
    if hour == "*":
        return (
            f"every {minute.removeprefix('*/')} minutes" if minute.startswith("*/") else f"each hour at :{minute:0>2}"
        )
    clock = f"{hour}:{minute:0>2}"
    if weekday != "*":
        # cron begins with Sunday
        return f"each {day_name[(int(weekday) - 1) % 7]} at {clock}"
    if day == "*":
        return f"each day at {clock}"
    months = "of each month" if month == "*" else f"of {', '.join(month_name[int(each)] for each in month.split(','))}"
    return f"on day {day} {months} at {clock}"


def _table(*columns: str) -> list[str]:
    return [_row(*columns), f"|{'---|' * len(columns)}"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"
