"""Loads beside others, loads that are killed, and what the command says."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import shared_fixtures
from click.testing import CliRunner, Result
from conftest import TEMPLATE
from usage_loads import (
    KINDS,
    NO_COUNT,
    RECENT,
    as_csv,
    counts,
    numbered,
    query,
)

from orchestration.cli.main import main
from orchestration.lib.database.connection import Connection, connect, ensure_database, with_database
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded.processes import wait_until
from orchestration.lib.embedded.server import DATABASE, EmbeddedServer
from orchestration.lib.usage.load import IngestError, Progress, ingest_files

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_csv


@pytest.mark.not_on_pglite("it has one session at a time")
def test_two_processes_that_load_the_same_file(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([*numbered(30_000), "now,p,m,bad,1"]))
    command = [sys.executable, "-c", "from orchestration.cli.main import main; main()", "ingest", str(path)]
    environment = os.environ | {"GOVERNANCE_DATABASE_URL": database}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    figures = [[int(word.replace(",", "")) for word in out.split() if word[0].isdigit()] for out, _ in outputs]
    assert all(read == loaded + duplicate + bad == 30_001 and not changed
               for read, loaded, duplicate, changed, bad in figures)  # fmt: skip
    assert sum(loaded for _, loaded, *_ in figures) == 30_000
    assert query(database, "select count(*), sum(input_tokens) from core.llm_metrics") == [(30_000, sum(range(30_000)))]
    assert query(database, "select count(*) from internal.quarantine") == [(1,)]


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_batch_that_loses_a_deadlock_is_merged_again(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([*numbered(100), "now,p,m,bad,1"]))

    def insert(writer: Connection, number: int) -> None:
        at = RECENT + timedelta(seconds=number)
        writer.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, input_tokens)"
            " values (%s, %s, 'p', 'm', %s)",
            [at, f"r{number}", number],
        )

    with connect(database) as watcher, connect(database, autocommit=False) as writer, ThreadPoolExecutor(1) as executor:
        # the loser is who looks first, and that is done once, this long after the wait began
        writer.execute("set deadlock_timeout = '60s'")
        insert(writer, 99)
        loading = executor.submit(ingest_files, f"{database}?options=-c%20deadlock_timeout%3D1500ms", [str(path)])
        waiting = "select count(*) from pg_locks where not granted"
        while watcher.execute(waiting).fetchone() == (0,):
            assert not loading.done()
            time.sleep(0.01)
        insert(writer, 0)
        writer.commit()
        report = loading.result()
    assert counts(report) == (98, 2, 1)
    assert query(database, "select count(*) from internal.quarantine") == [(1,)]


@pytest.fixture(scope="module")
def fragile(durable_server: EmbeddedServer) -> EmbeddedServer:
    """A server of this module's own, to be killed, with the warehouse built."""
    url = durable_server.url("postgres")
    assert url is not None
    ensure_database(url, DATABASE, template=TEMPLATE)
    return durable_server


@pytest.mark.not_on_pglite("the server that is killed is the embedded one")
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_a_load_during_which_the_server_is_killed(fragile: EmbeddedServer, tmp_path: Path, delay: float) -> None:
    url = fragile.url()
    assert url is not None
    with connect(url) as connection:
        connection.execute("delete from core.llm_metrics")
    # half the rows have no id of their own
    header, *lines = numbered(12_000)
    kinds = [line if number % 2 else line.replace(f",r{number},", ",,") for number, line in enumerate(lines)]
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([header, *(line for line in kinds for _ in range(2))]))
    killers: list[threading.Thread] = []

    def kill(pids: list[int]) -> None:
        time.sleep(delay)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def progress(state: Progress) -> None:
        if state.report.read >= 6_000 and not killers:
            postmaster = fragile.status().pid
            assert postmaster is not None
            children = [pid for (pid,) in query(url, "select pid from pg_stat_activity")]
            killers.append(threading.Thread(target=kill, args=([postmaster, *children],)))
            killers[0].start()

    with pytest.raises(
        IngestError, match="run the same command again, what is loaded already counts as dupl"
    ) as broken:
        ingest_files(url, [str(path)], batch_rows=2_000, progress=progress)
    killers[0].join()
    assert wait_until(lambda: not fragile.status().running, 10)
    assert 6_000 <= broken.value.report.read < 24_000
    assert start(fragile) == url
    report = ingest_files(url, [str(path)], batch_rows=3_000)
    assert report.read == 24_000
    assert report.duplicate >= broken.value.report.loaded + 6_000
    assert report.loaded == 18_000 - (report.duplicate - 6_000)
    # a request with an id counts once, one without as often as the file has it
    assert query(url, "select count(*), sum(input_tokens) from core.llm_metrics") == [
        (18_000, sum(number * (1 if number % 2 else 2) for number in range(12_000)))
    ]


# the command


def run(database: str, *arguments: str, stdin: str = "") -> "Result":
    return CliRunner().invoke(
        main, ["ingest", *arguments], input=stdin, env={"GOVERNANCE_DATABASE_URL": database}, catch_exceptions=False
    )


def test_the_command_says_what_became_of_each_row(database: str, tmp_path: Path) -> None:
    path = tmp_path / "it's usage.csv"
    # a row without any value is none
    path.write_text("\n".join([*as_csv([0, 1, 3]), ",,m,", "x", ",,,"]))
    first = run(database, str(path))
    assert (first.exit_code, first.stdout) == (0, "read 5 = loaded 2 + duplicate 0 + changed 0 + quarantined 3\n")
    assert "governance refresh" not in first.stderr
    assert f"{NO_COUNT} (1 row)" in first.stderr
    statement = first.stderr.split("to look at them: ")[1].splitlines()[0]
    assert [row[1] for row in query(database, statement)] == [4, 5, 6]
    again = run(database, str(path))
    assert again.stdout == "read 5 = loaded 0 + duplicate 2 + changed 0 + quarantined 3\n"
    assert "governance refresh" not in again.stderr


def test_the_command_reads_standard_input(database: str) -> None:
    lines = "\n".join(json.dumps(kind) for kind in (KINDS[0], KINDS[3]))
    result = run(database, "-", "--format", "jsonl", "--set", "application=a=b", stdin=lines)
    assert result.stdout == "read 2 = loaded 1 + duplicate 0 + changed 0 + quarantined 1\n"
    assert query(database, "select application from core.llm_metrics") == [("a=b",)]
    assert query(database, "select source, line from internal.quarantine") == [("standard input", 2)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.csv"], 1, "error: there is no file absent.csv"),
        (["f.csv", "--map", "tim=x"], 1, "error: there is no target tim: did you mean time? the targets are time, "),
        (["f.csv", "--map", "total_tokens=x"], 1, "error: total_tokens is the sum of the token classes"),
        (["f.csv", "--set", "ingested_at=x"], 1, "error: ingested_at is the time of the load and can't be given"),
        (["f.csv", "--map", "model=x", "--set", "model=y"], 1, "error: model is given twice, by --map and by --set"),
        (["f.csv", "--set", "model= "], 1, "error: --set model= has no value: leave it out, or give it one"),
        (["f.csv", "--set", "trace_id=x"], 1, "error: --set trace_id=x can't be used: trace_id is not a uuid"),
        (["f.csv", "--set", "cost_amount=-1"], 1, "error: --set cost_amount=-1 can't be used: cost_amount is negative"),
        (["f.csv", "--map", "model"], 2, "'model' is not TARGET=SOURCE"),
        (["f.csv", "--set", "=x"], 2, "'=x' is not TARGET=VALUE"),
        (["f.csv", "--set", "model=x", "--set", "model=y"], 2, "model is given twice"),
        ([], 2, "give files to load, or --loads, or --undo SOURCE"),
    ],
)
def test_the_command_refuses(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.csv").write_text("\n".join(as_csv([0])))
    result = run(database, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


@pytest.mark.not_on_pglite("it holds one database")
def test_a_database_that_is_not_built(server_url: str, database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(as_csv([0])))
    ensure_database(server_url, "test_ingest_not_built")
    result = run(with_database(server_url, "test_ingest_not_built"), str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "isn't built in the database" in result.stderr
    assert "run `governance build` first" in result.stderr


def test_progress_follows_each_batch(database: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(numbered(250)))
    seen: list[tuple[int, bool]] = []
    ingest_files(
        database,
        [str(path)],
        batch_rows=100,
        progress=lambda state: seen.append((state.report.read, state.position.done == state.position.total)),
    )
    assert [read for read, _ in seen] == [100, 200, 250]
    assert seen[-1][1]


def test_input_is_valid_agrees_with_the_cast(connection: Connection) -> None:
    rows = connection.execute(
        """
        select internal.input_is_valid(input, type_name)
        from (values
            (1, 'now', 'timestamptz'), (2, '2026-02-30 10:00', 'timestamptz'),
            (3, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'uuid'), (4, 'a0eebc99', 'uuid'),
            (5, '{"a": 1e400}', 'jsonb'), (6, '{', 'jsonb'), (7, null, 'uuid')
        ) as given (number, input, type_name)
        order by number
        """
    ).fetchall()
    assert [row[0] for row in rows] == [True, False, True, False, True, False, None]
    with pytest.raises(
        psycopg.errors.RaiseException, match="input_is_valid knows uuid, jsonb and timestamptz, not int"
    ):
        connection.execute("select internal.input_is_valid('1', 'int')")
