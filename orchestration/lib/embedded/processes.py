"""Which processes of a server live, judged by /proc: a pid in a file proves nothing after a crash."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from orchestration.lib.errors import GovernanceError


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return _state_and_name(pid)[0] not in "ZXx"
    except (FileNotFoundError, ProcessLookupError):
        return False


def lived_at(pid: int, moment: float) -> bool:
    """Whether the process that had this pid at the moment, in seconds since 1970, lives: no later one that has it now.

    Where there is no /proc, whether any process has the pid.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        fields = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    # what is written down of a moment, and how clocks count, may differ by some
    return fields[0] not in "ZXx" and time.time() - age <= moment + 2


def all_pids() -> list[int]:
    """Pids of all processes we can see."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def living_in(folder: Path, name: str, pids: list[int], ask: Callable[[list[str]], str]) -> list[int]:
    """Those of the pids that live, are called `name`, belong to the folder's owner and have it as working directory.

    `ask` runs a command as the folder's owner and returns its output: where root lacks the right to look (a container
    without SYS_PTRACE), the processes' own user has it.
    """
    stat = folder.stat()
    found, hidden = [], []
    for pid in pids:
        process = Path("/proc", str(pid))
        try:
            state, command = _state_and_name(pid)
            if command != name or state in "ZXx" or process.stat().st_uid != stat.st_uid:
                continue
            if os.path.samestat(stat, (process / "cwd").stat()):
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            hidden.append(str(pid))
    if hidden and os.geteuid() == 0:
        script = 'folder=$1; shift; for pid do [ "/proc/$pid/cwd" -ef "$folder" ] && echo "$pid"; done; :'
        found += map(int, ask(["/bin/sh", "-c", script, "sh", str(folder), *hidden]).split())
    return found


def send(number: signal.Signals, pid: int) -> None:
    """Sends a signal; a process that is gone already is fine."""
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    except PermissionError as error:
        raise GovernanceError(f"process {pid} belongs to another user: run as that user or as root") from error


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits for the condition; False if it still doesn't hold after the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _state_and_name(pid: int) -> tuple[str, str]:
    name, _, rest = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")
    return rest.split()[0], name.partition("(")[2]
