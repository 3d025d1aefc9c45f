"""Which periods are due for a report: those that are over and have none, also where Dagster was down meanwhile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration.defs.scheduled import NOT_BUILT, waits_for_build, zone
from orchestration.lib.compliance.period import Period, of_day

# reports before it are asked for by hand
_FIRST = "2025-01-01"
_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


@dataclass(frozen=True)
class Kind:
    """Reports of a kind of period. At most `looked_back` of them are caught up."""

    period: str
    asset: str
    job: str
    what: str
    looked_back: int
    # a period, its catching up, and some patience
    fresh_within: timedelta
    partitions: Callable[[], dg.TimeWindowPartitionsDefinition]

    @property
    def key(self) -> dg.AssetKey:
        """Of the asset."""
        return dg.AssetKey(["compliance", self.asset])


KINDS = (
    Kind(
        "day",
        "daily_report",
        "daily_report_job",
        "Whether the records of a day can be relied on: audit trail, findings, sources, spend.",
        31,
        timedelta(days=2),
        lambda: dg.DailyPartitionsDefinition(start_date=_FIRST, timezone=zone()),
    ),
    Kind(
        "week",
        "weekly_report",
        "weekly_report_job",
        "What a week cost, against its budgets and the week before.",
        8,
        timedelta(days=9),
        # from Monday on
        lambda: dg.WeeklyPartitionsDefinition(start_date=_FIRST, day_offset=1, timezone=zone()),
    ),
    Kind(
        "month",
        "monthly_report",
        "report_job",
        "The compliance report of a month.",
        12,
        timedelta(days=33),
        lambda: dg.MonthlyPartitionsDefinition(start_date=_FIRST, timezone=zone()),
    ),
    Kind(
        "quarter",
        "quarterly_report",
        "quarterly_report_job",
        "The access review of a quarter, within its compliance report.",
        4,
        timedelta(days=95),
        lambda: dg.TimeWindowPartitionsDefinition(
            cron_schedule="0 0 1 1,4,7,10 *", start=_FIRST, fmt="%Y-%m-%d", timezone=zone()
        ),
    ),
)


def period_of(kind: Kind, partition: str) -> Period:
    """The period that begins with the partition's day."""
    return of_day(kind.period, date.fromisoformat(partition), zone())


def due(kind: Kind) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    """What a tick asks for: a run for each period that is over and has no report, the oldest first.

    The first time that is the last period alone; later ones that were missed, or whose report failed, are caught up.
    """

    def runs(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if waits_for_build():
            yield dg.SkipReason(NOT_BUILT)
            return
        reported = context.instance.get_materialized_partitions(kind.key)
        under_way = {
            run.tags.get("dagster/partition")
            for run in context.instance.get_runs(dg.RunsFilter(job_name=kind.job, statuses=list(_UNDER_WAY)))
        }
        missing = missing_periods(kind, context.scheduled_execution_time, reported)
        keys = [key for key in (f"{period.first}" for period in missing) if key not in under_way]
        if not keys:
            yield dg.SkipReason("every period that is over has its report")
        for key in keys:
            yield dg.RunRequest(run_key=key, partition_key=key)

    return runs


def missing_periods(kind: Kind, now: datetime, reported: set[str]) -> list[Period]:
    """Periods over by now that have no report, from the first one that has one on; `reported` are their first days."""
    last = of_day(kind.period, now.astimezone(ZoneInfo(zone())).date(), zone()).previous()
    earliest = min(reported, default=f"{last.first}")

    def back(period: Period) -> Iterator[Period]:
        while f"{period.first}" >= earliest:
            yield period
            period = period.previous()

    over = list(islice(back(last), kind.looked_back))
    return [period for period in reversed(over) if f"{period.first}" not in reported]
