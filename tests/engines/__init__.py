"""What the project is tested on."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

ENGINES = ("postgres", "timescaledb", "timescaledb_apache")


@dataclass(frozen=True)
class Engine:
    """One of ENGINES. `with engine.database(name) as url:` is a database with a complete build of the project.

    `empty` gives one that holds nothing but what the engine needs.
    """

    name: str
    database: Callable[[str], AbstractContextManager[str]]
    empty: Callable[[str], AbstractContextManager[str]]


def is_pglite(engine: str) -> bool:
    """Whether an engine of this name is a process of WebAssembly here, and no server."""
    return engine != "postgres" and not os.environ.get("GOVERNANCE_TEST_DATABASE_URL")
