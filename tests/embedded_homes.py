"""An embedded server of a test's own, and what one may ask it."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from orchestration.lib.database.connection import connect
from orchestration.lib.embedded import server as embedded
from orchestration.lib.embedded.server import EmbeddedServer

IS_ROOT = os.geteuid() == 0


needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root has to hand the server to another user")


# a database is a thousand files, and for each new file ext4 looks through those that were deleted just before, which
# was a fifth of the suite; some containers have little of this memory, or run no program in it
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30


def new_folder() -> Path:
    """A folder that every user may enter: as root the server is run by another one. In memory, where it has room."""
    is_fit = (
        os.access(_MEMORY, os.W_OK)
        and shutil.disk_usage(_MEMORY).free >= _ROOM
        and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    )
    folder = Path(tempfile.mkdtemp(prefix="gov-", dir=_MEMORY if is_fit else None))
    folder.chmod(0o711)
    return folder


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A home in a folder of its own, and no server in it at the end."""
    folder = new_folder()
    home = folder / "home"
    try:
        yield home
    finally:
        EmbeddedServer(home).destroy()
        shutil.rmtree(folder)


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
        [(value,)] = connection.execute(query)
    return value


def kill(server: EmbeddedServer) -> None:
    """kill -9 of the postmaster alone: its children are on their own."""
    pid = postmaster(server)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.status().running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
