"""Periods of reports: half-open, of the calendar of a zone, one after the other without gap or overlap."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.compliance.charts import bars, columns
from orchestration.lib.compliance.period import of_day, parsed, parsed_month
from orchestration.lib.compliance.render import as_csv
from orchestration.lib.errors import GovernanceError

KINDS = ["day", "week", "month", "quarter", "year"]
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia"]
FIRST = date(2026, 11, 1)


@given(st.sampled_from(KINDS), st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.sampled_from(ZONES))
def test_periods_follow_each_other_and_are_written_as_they_are_read(kind: str, day: date, zone: str) -> None:
    period = of_day(kind, day, zone)
    assert period.first <= day < period.after
    assert period.previous().after == period.first
    assert period.previous().end == period.start < period.end
    assert parsed(period.name, zone, FIRST) == period
    # midnight there, or where a clock change skips it the first instant after it
    assert period.start.astimezone(ZoneInfo(zone)).date() == period.first


@pytest.mark.parametrize(
    ("said", "today", "first", "after"),
    [
        # on the first day the last month is the whole month before
        ("last-month", FIRST, date(2026, 10, 1), FIRST),
        ("last-month", date(2026, 1, 31), date(2025, 12, 1), date(2026, 1, 1)),
        ("last-quarter", FIRST, date(2026, 7, 1), date(2026, 10, 1)),
        ("last-week", date(2026, 11, 2), date(2026, 10, 26), date(2026, 11, 2)),
        ("last-day", FIRST, date(2026, 10, 31), FIRST),
        ("2026-Q4", FIRST, date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-W53", FIRST, date(2026, 12, 28), date(2027, 1, 4)),
        ("2024-02", FIRST, date(2024, 2, 1), date(2024, 3, 1)),
    ],
)
def test_what_a_user_writes(said: str, today: date, first: date, after: date) -> None:
    period = parsed(said, "UTC", today)
    assert (period.first, period.after, period.last) == (first, after, after - timedelta(days=1))


def test_a_day_of_a_clock_change_has_23_or_25_hours() -> None:
    for said, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        period = parsed(said, "Europe/Berlin", FIRST)
        assert period.end - period.start == timedelta(hours=hours)
    assert parsed("2026-10", "Europe/Berlin", FIRST).start == datetime(2026, 9, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "said", ["", "october", "2026-13", "2026-02-30", "2026-W54", "2026-Q5", "last-fortnight", "0000"]
)
def test_what_is_no_period_is_told(said: str) -> None:
    with pytest.raises(GovernanceError, match="is no "):
        parsed(said, "UTC", FIRST)


def test_what_is_done_by_month_takes_a_month() -> None:
    for said in ("2026-10", "last-month"):
        assert parsed_month(said, "UTC", FIRST) == of_day("month", date(2026, 10, 1), "UTC")
    for said in ("", "october", "2026-10-01", "2026-Q3", "2026", "last-week"):
        with pytest.raises(GovernanceError, match="is not a month: write it as 2026-10, or last-month"):
            parsed_month(said, "UTC", FIRST)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30", "'+49 30"),
        ("-2.5", "-2.5"),
        (" =cmd", "' =cmd"),
        ("-x", "'-x"),
        ("plain", "plain"),
        (None, ""),
        ('say "a,b"', '"say ""a,b"""'),
    ],
)
def test_no_cell_is_a_formula(cell: str | None, written: str) -> None:
    assert as_csv(["a", "b"], [["x", cell]]) == f"a,b\r\nx,{written}\r\n"


def test_charts_of_nothing_are_none_and_small_ones_are_joined() -> None:
    from decimal import Decimal

    assert bars("t", [], "USD") is None
    assert columns("t", [("2026-01-01", Decimal(0))], "USD") is None
    chart = bars("t", [(f"team {number:02}", Decimal(number)) for number in range(1, 16)], "USD")
    assert chart is not None
    assert [mark.label for mark in chart.marks][-1] == "3 others"
    assert chart.marks[-1].value == "6.00 USD"
    assert chart.marks[0].width > chart.marks[1].width > 0
