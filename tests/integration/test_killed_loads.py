"""A load that is killed at any moment and run again loses nothing and doubles nothing, whatever it loads."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killed_loads import KINDS, Loader, empty, fill_litellm, forking, moments, outcome, write_file
from usage_loads import query

from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.usage.sources.catalogue import REPORTS

pytestmark = [
    pytest.mark.usefixtures("kept_for_long"),
    pytest.mark.not_on_pglite("it has one session at a time"),
]
# read here, for no test sees the variables of the shell
ROUNDS = int(os.environ.get("GOVERNANCE_KILL_ROUNDS") or 1)


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    with forking() as process:
        yield process


@pytest.fixture
def litellm(server_url: str, tmp_path: Path) -> Iterator[str]:
    ensure_database(server_url, "litellm_killed")
    url = with_database(server_url, "litellm_killed")
    fill_litellm(url, tmp_path)
    yield url
    with connect(server_url) as connection:
        connection.execute("drop database litellm_killed with (force)")


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_run_again(
    database: str, process: "subprocess.Popen[str]", tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    file: str | Path
    source: str | None
    if kind == "litellm database":
        file, source = request.getfixturevalue("litellm"), "litellm"
    else:
        file, source = write_file(kind, tmp_path)
    loader = Loader(
        process,
        url=database,
        file=str(file),
        source=source,
        on_conflict="replace" if kind == "corrections" else "keep",
    )
    empty(database)
    begin = time.monotonic()
    assert loader.load() == 0
    seconds = time.monotonic() - begin
    truth = outcome(database)
    assert query(database, "select count(*) > 500 from core.llm_metrics") == [(kind not in REPORTS,)]
    assert (truth[2][0][0] > 0) == (kind in REPORTS)
    for first, *others in moments(kind, ROUNDS, seconds):
        empty(database)
        while loader.load(first) != -9:
            # it had ended before its moment
            empty(database)
            first /= 2
        for after in others:
            loader.load(after)
        assert loader.load() == 0
        assert outcome(database) == truth
    empty(database)
