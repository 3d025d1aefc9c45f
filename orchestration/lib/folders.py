"""Files and folders that are whole, or not there, also where the machine stops."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestration.lib.errors import GovernanceError


@contextmanager
def whole_folder(folder: Path, *, mode: int = 0o755, over: bool = False) -> Iterator[Path]:
    """A folder to write into, which has the name of `folder` at the end; nothing is left where the writing fails.

    With `over` it takes the place of the one that is there, which stays as it was where the writing fails. Raises
    GovernanceError where another process made the folder meanwhile: that one stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        error.filename = str(folder.parent)
        raise
    try:
        yield written
        written.chmod(mode)
        if over:
            with suppress(FileNotFoundError):
                folder.rename(written.with_suffix(".before"))
        try:
            written.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise GovernanceError(f"{folder} was written by another process just now: that one stays") from error
    except OSError as error:
        # of a full disk it doesn't say which
        if error.errno and not error.filename:
            error.filename = str(folder)
        raise
    finally:
        shutil.rmtree(written, ignore_errors=True)
        shutil.rmtree(written.with_suffix(".before"), ignore_errors=True)


def put(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file, and wait until it is on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file in the place of one that may be there: who reads it finds the old or the new one."""
    new = path.with_name(f".{path.name}.new")
    put(new, content, mode=mode)
    new.replace(path)
