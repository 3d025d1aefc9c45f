"""Which backups are kept, against a count by hand and by a slow oracle."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.backup.backup import MANIFEST, NAME
from orchestration.lib.backup.keep import Keep, delete_superseded, superseded
from orchestration.lib.errors import GovernanceError


def test_daily_weekly_and_monthly_by_hand() -> None:
    """A backup each noon from 1 January 2026, a Thursday, to 15 February, a Sunday."""
    noons = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(46)]
    kept = set(noons) - superseded(noons, Keep(daily=3, weekly=3, monthly=2))
    # the last three days; Sundays end weeks; January's last
    assert sorted(f"{noon:%m-%d}" for noon in kept) == ["01-31", "02-01", "02-08", "02-13", "02-14", "02-15"]


# what it means to be of one day, week or month
PERIODS: tuple[Callable[[datetime], tuple[int, ...]], ...] = (
    lambda moment: (moment.year, moment.month, moment.day),
    lambda moment: moment.isocalendar()[:2],
    lambda moment: (moment.year, moment.month),
)


@given(
    st.lists(
        st.datetimes(datetime(2025, 12, 20), datetime(2026, 3, 5), timezones=st.just(UTC)),  # noqa: DTZ001
        unique=True,
        max_size=40,
    ),
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
)
def test_the_last_of_each_period_is_kept(moments: list[datetime], numbers: tuple[int, int, int]) -> None:
    gone = superseded(moments, Keep(*numbers))
    for moment in moments:
        is_wanted = moment == max(moments)
        for wanted, period in zip(numbers, PERIODS, strict=True):
            later = {period(each) for each in moments if each > moment}
            # a later one of its own period has its place, or so many newer periods have one
            is_wanted |= period(moment) not in later and len(later) < wanted
        assert (moment in gone) is not is_wanted


def make(output: Path, name: str, database: str = "llm_governance") -> Path:
    folder = output / name
    folder.mkdir(parents=True)
    (folder / "warehouse.dump").write_bytes(b"")
    said = {
        "format": 1, "made_at": "", "database": database, "server": 17, "timescaledb": None, "epoch": 1, "seals": 0,
        "seal_hash": None, "schema_changes": [], "tables": {}, "files": {"warehouse.dump": ""},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(said))
    return folder


def test_only_backups_of_the_database_are_deleted(tmp_path: Path) -> None:
    days = [make(tmp_path, f"{datetime(2026, 11, day, 2, tzinfo=UTC):{NAME}}") for day in (1, 2, 3)]
    others = [make(tmp_path, "2026-11-01T030000Z", "another"), make(tmp_path, "mine"), tmp_path / "notes"]
    others[-1].mkdir()
    incomplete = make(tmp_path, "2026-11-04T020000Z")
    (incomplete / "warehouse.dump").unlink()
    assert delete_superseded(tmp_path, Keep(2, 0, 0), "llm_governance") == days[:1]
    assert sorted(tmp_path.iterdir()) == sorted([*days[1:], *others, incomplete])


@pytest.mark.parametrize("said", ["", "7", "0,0,0", "7,4", "7,4,-1", "7 days", "1,2,3,4", "99999,1,1"])
def test_what_says_nothing_of_what_to_keep_is_refused(said: str) -> None:
    with pytest.raises(GovernanceError, match="doesn't say which backups to keep"):
        Keep.parse(said)
    assert Keep.parse("7, 4, 12") == Keep(7, 4, 12)
