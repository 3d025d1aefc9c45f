"""Runs dbt in this process, against the database in use."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from orchestration.lib.database import database_url, dbt_environment
from orchestration.lib.errors import GovernanceError
from orchestration.lib.results import record_results

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg


def run_dbt(
    args: list[str], url: str | None = None, *, quiet: bool = False, application: str = "governance dbt"
) -> None:
    """Run `dbt <args>` on the database at `url` (default: the one in use), as `application`.

    What it did is recorded there, for Dagster. Raises GovernanceError with the first failing nodes and their messages;
    with `quiet` dbt itself prints errors only.
    """
    from dbt.cli.main import dbtRunner

    url = url or database_url()
    with _environment(dbt_environment(url, application)):
        result = dbtRunner().invoke([*(["--quiet"] if quiet else []), *args])
    results = getattr(result.result, "results", [])
    if result.success:
        record_results(url, results)
        return
    # where the server is gone, dbt's own error says more
    with suppress(GovernanceError):
        record_results(url, results)
    if result.exception is not None:
        raise GovernanceError(f"dbt {args[0]} could not run: {_sentence(str(result.exception))}")
    failures = [
        f"{node.node.name}: {(node.message or node.status).strip()}"
        for node in results
        if node.status in ("error", "fail", "runtime error")
    ]
    raise GovernanceError(f"dbt {args[0]} failed in {len(failures)} nodes:\n  " + "\n  ".join(failures[:10]))


def run_operation(
    macro: str,
    arguments: Mapping[str, object] | None = None,
    url: str | None = None,
    *,
    options: Sequence[str] = (),
    application: str = "governance dbt",
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Call a macro of macros/operations on the database at `url`, with options of dbt, as `application`.

    `tell` gets what it prints. Raises GovernanceError with the sentence it fails with.
    """
    import json

    from dbt.cli.main import dbtRunner

    errors: list[str] = []

    def hear(event: "EventMsg") -> None:
        if event.info.name == "PrintEvent":
            tell(event.data.msg)
        elif event.info.name.startswith("RunningOperation"):
            errors.append(event.data.exc)

    with _environment(dbt_environment(url or database_url(), application)):
        # what dbt would print of it is heard here
        result = dbtRunner(callbacks=[hear]).invoke(
            ["--log-level", "none", "run-operation", macro, "--args", json.dumps(dict(arguments or {})), *options]
        )
    if not result.success:
        raise GovernanceError(_sentence(errors[0] if errors else str(result.exception)))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for as long as dbt runs: others in this process read some of them too."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _sentence(error: str) -> str:
    """What one of dbt's errors says, without where in the project it was raised."""
    # interrupted, dbt has nothing to say
    lines = [line.strip() for line in error.strip().splitlines()] or ["it was interrupted"]
    said = list(takewhile(lambda line: line and not line.startswith(("> ", "CONTEXT:", "compiled code")), lines[1:]))
    return "\n  ".join(said) if said else lines[0]
