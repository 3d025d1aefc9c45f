"""Days and times that options take: what is read, and the sentence where it can't be."""

from datetime import UTC, date, datetime, timedelta, timezone

import click
import pytest

from orchestration.cli.options import Day, DayOrTime


def test_days_and_times_are_read() -> None:
    assert Day().convert("2026-10-31", None, None) == date(2026, 10, 31)
    assert DayOrTime().convert("2026-10-31", None, None) == datetime(2026, 10, 31, tzinfo=UTC)
    assert DayOrTime().convert("2026-10-31T14:00:00", None, None) == datetime(2026, 10, 31, 14, tzinfo=UTC)
    local = datetime(2026, 10, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert DayOrTime().convert("2026-10-31T14:00:00+02:00", None, None) == local


@pytest.mark.parametrize("kind", [Day(), DayOrTime()])
@pytest.mark.parametrize("said", ["yesterday", "31.10.2026", "2026-02-30", ""])
def test_what_is_none_is_told_with_how_to_write_it(kind: Day | DayOrTime, said: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as 2026-10-31"):
        kind.convert(said, None, None)
