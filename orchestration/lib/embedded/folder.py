"""The folders of an embedded server: the home with its state, and the store with the data, which may lie elsewhere."""

import contextlib
import json
import os
import pwd
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestration.lib.embedded.binaries import wheel
from orchestration.lib.embedded.files import explained, give_to_folder_owner, lock, open_lock, read
from orchestration.lib.embedded.processes import wait_until
from orchestration.lib.errors import GovernanceError

_LOCK_SECONDS = 120
# root's own folders first: folders for temporary files are swept of files nobody touched for a month
_STORES_FOR_ROOT = ("/var/lib", "/var/tmp")  # noqa: S108


class ServerFolder:
    """The home of a server with `password`, `server.json` and `lock`, and where its data lie.

    `notify` gets progress sentences. Every method raises GovernanceError with a sentence for the user.
    """

    def __init__(self, home: Path, notify: Callable[[str], None]) -> None:
        self.home = home.absolute()
        self.password_file = self.home / "password"
        self.state_file = self.home / "server.json"
        self.ui_lock = self.home / "ui.lock"
        self._notify = notify

    def state(self) -> dict[str, Any]:
        """What `server.json` says: port, and store where that isn't the home."""
        text = read(self.state_file)
        if text is None:
            return {}
        try:
            state = json.loads(text)
        except ValueError:
            state = None
        types = {"port": int, "store": str}
        if not isinstance(state, dict) or not all(isinstance(state.get(k, t()), t) for k, t in types.items()):
            raise GovernanceError(f'{self.state_file} is damaged: it should read {{"port": <number>}}')
        return state

    def remember(self, **values: object) -> None:
        """Adds to what `server.json` says."""
        self.write(self.state_file, json.dumps(self.state() | values) + "\n")

    def write(self, path: Path, text: str) -> None:
        """Replaces a file in the home at once, readable by the home's owner only."""
        with explained(f"cannot write {path}"):
            descriptor, temporary = tempfile.mkstemp(dir=self.home, prefix=".new-")
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
                give_to_folder_owner(descriptor, self.home)
            Path(temporary).replace(path)

    def store(self) -> Path:
        """Folder that holds the data: the home, unless `server.json` names another one."""
        return Path(self.state().get("store", self.home))

    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.store() / "postgres"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One launcher at a time per home."""
        with explained(f"cannot use {self.home} for the embedded database"):
            if not self.home.exists():
                # another launcher may make it at the same moment
                self.home.mkdir(parents=True, exist_ok=True)
                # traversable, so that the unprivileged user gets to its data below
                self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        descriptor = open_lock(self.home / "lock")
        try:
            if not lock(descriptor):
                self._notify(f"waiting for another launcher that is busy with {self.home}")
            if not wait_until(lambda: lock(descriptor), _LOCK_SECONDS):
                raise GovernanceError(
                    f"another `governance up` or `down` has been busy with {self.home} for {_LOCK_SECONDS} seconds: "
                    "wait for it or end it"
                )
            yield
        finally:
            os.close(descriptor)

    def identity(self) -> dict[str, Any]:
        """Arguments for subprocess: the user that runs the server, empty for the user we are."""
        if os.geteuid() != 0:
            return {}
        data = self.data()
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

    def run(
        self, command: Sequence[object], *, text: str = "", pass_fds: tuple[int, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command as the server's user, with stderr in stdout and none of our environment."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"}
        if (icu := wheel().icu_data_dir()) is not None:
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
                **self.identity(),
            )
        except OSError as error:
            if os.geteuid() != 0:
                raise
            raise GovernanceError(
                "PostgreSQL doesn't run as root, and this system doesn't let root change to another user "
                f"({error.strerror}): run as an ordinary user, or set GOVERNANCE_DATABASE_URL to the URL of a server"
            ) from error

    def _reachable(self, folder: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0

    def choose_store(self) -> Path:
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
