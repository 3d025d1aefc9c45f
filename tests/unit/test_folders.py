"""Folders that are whole or not there."""

import errno
from pathlib import Path

import pytest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import whole_folder


def test_of_two_that_write_a_folder_the_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    said = "was written by another process just now: that one stays"
    with pytest.raises(GovernanceError, match=said), whole_folder(folder), whole_folder(folder) as first:
        (first / "by").write_text("first")
    assert (folder / "by").read_text() == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_one_that_takes_the_place_of_another_bears_that_it_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    with whole_folder(folder, over=True) as written:
        (written / "index.html").write_text("new")
        folder.rmdir()
    assert [path.name for path in folder.iterdir()] == ["index.html"]


def test_nothing_is_left_where_the_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk") as failure, whole_folder(tmp_path / "report"):
        raise OSError(errno.ENOSPC, "no room on the disk")
    assert failure.value.filename == str(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []
