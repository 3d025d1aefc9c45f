"""Which reports a tick asks for: each period that is over and has none, once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from orchestration.defs.compliance import periods
from orchestration.defs.compliance.periods import KINDS, due, missing_periods, period_of

DAY, WEEK, MONTH, QUARTER = KINDS
NOW = datetime(2026, 11, 28, 6, 30, tzinfo=UTC)


def names(kind: periods.Kind, now: datetime, reported: set[str]) -> list[str]:
    return [period.name for period in missing_periods(kind, now, reported)]


@pytest.mark.parametrize(
    ("kind", "expected"), [(DAY, "2026-11-27"), (WEEK, "2026-W47"), (MONTH, "2026-10"), (QUARTER, "2026-Q3")]
)
def test_the_first_time_it_is_the_last_period_that_is_over(kind: periods.Kind, expected: str) -> None:
    assert names(kind, NOW, set()) == [expected]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"2026-11-27"}, []),
        # three days without Dagster
        ({"2026-11-24"}, ["2026-11-25", "2026-11-26", "2026-11-27"]),
        # one of them failed
        ({"2026-11-24", "2026-11-26"}, ["2026-11-25", "2026-11-27"]),
        # a backfill of what was before is no promise
        ({"2026-11-27", "2026-11-20"}, [f"2026-11-{day}" for day in range(21, 27)]),
    ],
)
def test_what_was_missed_is_caught_up_the_oldest_first(reported: set[str], expected: list[str]) -> None:
    assert names(DAY, NOW, reported) == expected


def test_it_looks_back_so_far_and_no_further() -> None:
    found = names(DAY, NOW, {"2025-01-01"})
    assert (len(found), found[-1]) == (DAY.looked_back, "2026-11-27")


def test_a_period_is_over_by_the_clock_of_the_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_SCHEDULE_TIMEZONE", "Europe/Berlin")
    assert names(DAY, datetime(2026, 11, 27, 22, 59, tzinfo=UTC), set()) == ["2026-11-26"]
    assert names(DAY, datetime(2026, 11, 27, 23, 0, tzinfo=UTC), set()) == ["2026-11-27"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.period)
def test_every_partition_is_the_period_that_begins_with_it(kind: periods.Kind) -> None:
    partitions = kind.partitions()
    for key in partitions.get_partition_keys(NOW)[-8:]:
        window = partitions.time_window_for_partition_key(key)
        period = period_of(kind, key)
        assert (period.start, period.end) == (window.start, window.end)


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(periods, "waits_for_build", lambda: False)
    with dg.instance_for_test() as instance:
        yield instance


def asked(instance: dg.DagsterInstance, now: datetime) -> list[str | None]:
    answers = due(DAY)(dg.build_schedule_context(instance, scheduled_execution_time=now))
    return [each.partition_key for each in answers if isinstance(each, dg.RunRequest)]


def test_ticks_after_three_days_ask_for_each_day_once(instance: dg.DagsterInstance) -> None:
    def report(day: date) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(DAY.key, partition=f"{day}"))

    first = datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert asked(instance, first) == ["2026-11-23"]
    report(date(2026, 11, 23))
    # no tick on the 25th, 26th and 27th
    late = first + timedelta(days=4)
    missed = ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]
    assert asked(instance, late) == missed
    # one of these runs is under way when the next tick comes, the others are done
    for day in missed[1:]:
        report(date.fromisoformat(day))
    instance.add_run(
        dg.DagsterRun(job_name=DAY.job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "2026-11-24"})
    )
    assert asked(instance, late) == []
    assert asked(instance, late + timedelta(days=1)) == ["2026-11-28"]
