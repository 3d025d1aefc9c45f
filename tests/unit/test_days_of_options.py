"""Days and times that options take: what is read, and the sentence where it can't be."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import click
import pytest

from orchestration.cli.options import day, day_or_time

OPTION = click.Option(["--at"])
NOTHING = click.Context(click.Command("show"))


def test_days_and_times_are_read() -> None:
    assert day(NOTHING, OPTION, "2026-10-31") == date(2026, 10, 31)
    assert day_or_time(NOTHING, OPTION, "2026-10-31") == datetime(2026, 10, 31, tzinfo=UTC)
    assert day_or_time(NOTHING, OPTION, "2026-10-31T14:00:00") == datetime(2026, 10, 31, 14, tzinfo=UTC)
    local = datetime(2026, 10, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert day_or_time(NOTHING, OPTION, "2026-10-31T14:00:00+02:00") == local
    assert day(NOTHING, OPTION, None) is day_or_time(NOTHING, OPTION, None) is None


@pytest.mark.parametrize("read", [day, day_or_time])
@pytest.mark.parametrize("said", ["yesterday", "31.10.2026", "2026-02-30", ""])
def test_what_is_none_is_told_with_how_to_write_it(read: Callable[..., object], said: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as 2026-10-31"):
        read(NOTHING, OPTION, said)
