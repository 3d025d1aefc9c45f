"""The launcher against everything that went wrong with it before. Servers here are durable, as users get them."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from embedded_homes import answer, data_folder, kill, new_home, running

from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded import server as embedded
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError

# how it is reached


def test_a_password_is_demanded(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(url, password="")
    assert (home / "password").stat().st_mode & 0o777 == 0o600
    assert data_folder(server).stat().st_mode & 0o777 == 0o700
    with connect(url) as connection:
        methods = connection.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
    assert methods == [("scram-sha-256",)]


def test_it_listens_on_this_machine_only_and_has_no_socket(server: EmbeddedServer) -> None:
    url = running(server)
    assert answer(url, "show listen_addresses") == "127.0.0.1"
    assert answer(url, "show unix_socket_directories") == ""


def test_the_database_has_its_settings_and_the_server_is_durable(server: EmbeddedServer) -> None:
    with connect(running(server)) as connection:
        settings = {
            name: connection.execute("select current_setting(%s)", [name]).fetchone()
            for name in ("search_path", "jit", "timezone", "server_encoding", "fsync", "synchronous_commit")
        }
    assert settings == {
        "search_path": ("core, rollups, reporting, public",),
        "jit": ("off",),
        "timezone": ("UTC",),
        "server_encoding": ("UTF8",),
        "fsync": ("on",),
        "synchronous_commit": ("on",),
    }


def test_letters_beyond_ascii_are_letters(server: EmbeddedServer) -> None:
    assert answer(running(server), "select lower('MÜLLER ŻÓŁĆ')") == "müller żółć"
    with connect(running(server), autocommit=False) as connection:
        connection.execute("create extension pg_trgm")
        assert connection.execute("select show_trgm('ü') <> '{}'").fetchone() == (True,)
        connection.rollback()


def test_up_again_changes_nothing(server: EmbeddedServer) -> None:
    before = server.status()
    assert start(server) == server.url()
    assert server.status() == before


def test_data_and_url_survive_a_restart(server: EmbeddedServer) -> None:
    url = start(server)
    with connect(url) as connection:
        connection.execute("create table public.kept as select 42 as answer")
    assert server.down()
    assert not server.down()
    assert server.url() is None
    assert not server.status().running
    assert start(server) == url
    assert answer(url, "select answer from public.kept") == 42


# after a crash


def test_no_acknowledged_row_is_lost_when_the_server_is_killed(server: EmbeddedServer) -> None:
    acknowledged: list[int] = []
    with connect(running(server)) as connection:
        connection.execute("drop table if exists public.written")
        connection.execute("create table public.written (id integer primary key)")

    def write() -> None:
        with contextlib.suppress(psycopg.OperationalError), connect(running(server)) as connection:
            for number in range(1_000_000):
                connection.execute("insert into public.written values (%s)", [number])
                acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 100:
        time.sleep(0.005)
    kill(server)
    start(server)
    writer.join(timeout=20)
    assert not writer.is_alive()
    with connect(running(server)) as connection:
        found = [row[0] for row in connection.execute("select id from public.written order by id")]
    # the last one may have been written without its acknowledgement reaching us
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1


def test_children_that_outlive_the_server_are_ended(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_ORPHAN_SECONDS", 1)

    def compute() -> None:
        with contextlib.suppress(psycopg.OperationalError), connect(running(server)) as connection:
            connection.execute("set application_name = 'orphan'")
            connection.execute("select count(*) from generate_series(1, 1000000000000) as n where n < 0")

    thread = threading.Thread(target=compute)
    thread.start()
    query = "select max(pid) from pg_stat_activity where application_name = 'orphan' and state = 'active'"
    while not isinstance(orphan := answer(running(server), query), int):
        time.sleep(0.01)
    # a stopped process doesn't notice that its parent is gone, and no polite signal reaches it
    stopped = answer(running(server), "select pid from pg_stat_activity where backend_type = 'checkpointer'")
    assert isinstance(stopped, int)
    os.kill(stopped, signal.SIGSTOP)
    kill(server)
    assert Path("/proc", str(orphan)).exists()
    start(server)
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert answer(running(server), "select 1") == 1
    for pid in (orphan, stopped):
        assert pid not in server._living(data_folder(server))


@pytest.mark.parametrize(
    ("name", "in_data_folder", "seconds"),
    [("sleep", True, 60), ("postgres", False, 60), ("postgres", True, 0)],
    ids=["recycled", "recycled by another postgres", "zombie"],
)
def test_a_pid_file_alone_proves_nothing(
    server: EmbeddedServer, home: Path, name: str, in_data_folder: bool, seconds: int
) -> None:
    url, data = start(server), data_folder(server)
    pid_file = (data / "postmaster.pid").read_text()
    server.down()
    program = home.parent / name
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen(
        [program, str(seconds)], cwd=data if in_data_folder else "/", **server._folder.identity()
    )
    try:
        while seconds == 0 and " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            time.sleep(0.01)
        (data / "postmaster.pid").write_text(pid_file.replace(pid_file.split()[0], str(process.pid), 1))
        assert not server.status().running
        assert server.url() is None
        assert start(server) == url
        assert answer(url, "select 1") == 1
        assert seconds == 0 or process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_an_interrupted_first_start_leaves_nothing_behind() -> None:
    with new_home() as home:
        starter = multiprocessing.get_context("fork").Process(target=EmbeddedServer(home, durable=False).up)
        starter.start()
        while not list(home.glob(".new-*/postgres/base")):
            assert starter.is_alive()
            time.sleep(0.001)
        os.kill(starter.pid or 0, signal.SIGKILL)
        starter.join()
        assert not (home / "postgres").exists()
        server = EmbeddedServer(home, durable=False)
        assert answer(start(server), "select 1") == 1
        # initdb itself outlives the launcher for a moment; what it leaves goes at the next start
        for _ in range(50):
            server.down()
            start(server)
            if not list(home.glob(".new-*")):
                break
            time.sleep(0.1)
        assert not list(home.glob(".new-*"))


# ports


@contextlib.contextmanager
def occupied(port: int = 0) -> Iterator[int]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other.getsockname()[1]


def test_a_requested_port_in_use_is_refused(server: EmbeddedServer) -> None:
    with occupied() as port:
        with pytest.raises(GovernanceError, match=f"already runs on port {server.status().port}"):
            server.up(port)
        server.down()
        with pytest.raises(GovernanceError, match=f"port {port} is in use by another program"):
            server.up(port)


def test_a_requested_port_is_taken_and_remembered(server: EmbeddedServer) -> None:
    with occupied() as port:
        pass
    server.down()
    url = server.up(port)
    assert f"@127.0.0.1:{port}/" in url
    server.down()
    assert start(server) == url


@pytest.mark.parametrize("raced", [False, True])
def test_a_remembered_port_in_use_is_replaced(
    server: EmbeddedServer, home: Path, monkeypatch: pytest.MonkeyPatch, raced: bool
) -> None:
    port = server.status().port
    assert port is not None
    server.down()
    said: list[str] = []
    with occupied(port):
        if raced:
            # free when we looked, taken when the server came
            monkeypatch.setattr(embedded, "_is_free", lambda candidate: True)
        url = start(EmbeddedServer(home, notify=said.append))
    assert f":{port}/" not in url
    assert said == [f"port {port} is taken by another program: the server is on port {server.status().port} now"]
    server.down()
    assert start(server) == url
