"""The data folder: made by initdb, looked at before a start, its lost password replaced."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from orchestration.lib.embedded.binaries import wheel
from orchestration.lib.embedded.files import explained, sync_folder, tail, user_name
from orchestration.lib.embedded.folder import ServerFolder
from orchestration.lib.errors import GovernanceError

USER = "postgres"
_NEEDED_BYTES = 200 * 1024**2
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
# of a throw-away server: a client's share of each login is a few milliseconds otherwise
_FORGETFUL_SETTINGS = {"scram_iterations": "1"}


def initialize(
    folder: ServerFolder, binaries: Path, store: Path, notify: Callable[[str], None], *, durable: bool
) -> None:
    """Makes the data folder under another name and renames it when it's complete."""
    if shutil.disk_usage(store).free < _NEEDED_BYTES:
        raise GovernanceError(f"less than {_NEEDED_BYTES // 1024**2} MB are free in {store}: make room")
    notify(f"making a new database in {store / 'postgres'}")
    if not folder.password_file.exists():
        folder.write(folder.password_file, secrets.token_urlsafe(24) + "\n")
    with explained(f"cannot make the data folder in {store}"):
        staging = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
        password_file = staging / "password"
        password_file.touch(0o600)
        password_file.write_text(folder.password_file.read_text())
        identity = folder.identity()
        if identity:
            for path in (password_file, staging):
                os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
    try:
        settings = _INITIAL_SETTINGS | ({} if durable else _FORGETFUL_SETTINGS)
        options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        result = folder.run(
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
                "--sync-method=syncfs" if durable else "--no-sync",
                *options,
            ]
        )
        if result.returncode != 0:
            raise GovernanceError(f"initdb failed to make the database in {store}:\n{tail(result.stdout)}")
        with explained(f"cannot make the data folder in {store}"):
            (staging / "postgres").rename(store / "postgres")
            sync_folder(store)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_data(data: Path) -> None:
    """Raises GovernanceError where the folder is somebody else's, none of PostgreSQL's, or of another major version."""
    owner = data.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise GovernanceError(
            f"the data folder {data} belongs to {user_name(owner)}: run as the user who made it "
            "(root, if that was `nobody`), or set GOVERNANCE_HOME to another folder"
        )
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise GovernanceError(f"{data} is no PostgreSQL data folder (no PG_VERSION): move it away") from error
    ours = wheel().POSTGRES_VERSION.partition(".")[0]
    if version != ours:
        raise GovernanceError(
            f"the data folder {data} was made by PostgreSQL {version}, this release brings {ours}: "
            "use the release that made it, or set GOVERNANCE_HOME to a new folder and load a dump there"
        )


def set_new_password(folder: ServerFolder, binaries: Path, data: Path, notify: Callable[[str], None]) -> None:
    """For a stopped server whose password file is lost: who owns the data folder owns the server."""
    password = secrets.token_urlsafe(24)
    notify(f"{folder.password_file} was missing: setting a new password")
    result = folder.run(
        [binaries / "postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres"],
        text=f"alter role {USER} password '{password}'\n",
    )
    if result.returncode != 0:
        raise GovernanceError(f"setting a new password failed:\n{tail(result.stdout)}")
    folder.write(folder.password_file, password + "\n")
