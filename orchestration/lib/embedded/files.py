"""Files and locks of the embedded server, with sentences instead of the operating system's errors."""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestration.lib.errors import GovernanceError


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns an error of the operating system into a sentence for the user."""
    try:
        yield
    except PermissionError as error:
        raise GovernanceError(
            f"{what}: permission denied; run as the user it belongs to, or set GOVERNANCE_HOME to a folder of your own"
        ) from error
    except OSError as error:
        raise GovernanceError(f"{what}: {error.strerror}") from error


def read(path: Path) -> str | None:
    """Text of a file, None if there's no such file."""
    with explained(f"cannot read {path}"), contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return None


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, made where it's missing."""
    with explained(f"cannot open {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        give_to_folder_owner(descriptor, path.parent)
    return descriptor


def lock(descriptor: int) -> bool:
    """Takes the lock of an open file for this process alone; False if another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def give_to_folder_owner(descriptor: int, folder: Path) -> None:
    """What root makes in the home of another user shall be that user's."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def make_readable(folder: Path) -> None:
    """Lets every user read the folder, whatever the umask was under which its files were installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)


def remove_leftovers(store: Path) -> None:
    """Removes what an interrupted start left, as far as nothing still writes to it."""
    for path in store.glob(".new-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Has the names in the folder written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def tail(text: str, lines: int = 15) -> str:
    """The last lines, indented."""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def user_name(uid: int) -> str:
    """The name of a user for a message."""
    try:
        return f"user `{pwd.getpwuid(uid).pw_name}`"
    except KeyError:
        return f"user {uid}"
