"""Runs dbt in this process, against the database in use."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any

from orchestration.lib.collecting import collecting_rarely
from orchestration.lib.dbt.environment import dbt_environment, environment
from orchestration.lib.dbt.results import record_results
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg

# of the nodes that failed
_SHOWN = 10
# between two lines that say how far it is
_SECONDS = 5
# the events that end a node, and which field of each says how many there are
_TOTALS = {
    "LogModelResult": "total",
    "LogNodeResult": "total",
    "LogSeedResult": "total",
    "LogTestResult": "num_models",
}


def run_dbt(
    args: list[str],
    url: str,
    *,
    quiet: bool = False,
    application: str = "governance dbt",
    notify: Callable[[str], None] | None = None,
) -> None:
    """Run `dbt <args>` on the database at `url`, as `application`, without unit tests.

    What it did is recorded there, for Dagster. Raises GovernanceError with the first failing nodes and their messages;
    with `quiet` dbt itself prints nothing, and `notify` hears every few seconds how far it is.
    """
    from dbt.cli.main import dbtRunner

    from orchestration.lib.dbt.sessions import sessions

    variables = dbt_environment(url, application, unit_tests=False)
    _assert_target(args, variables["GOVERNANCE_TARGET"])
    # most of what dbt makes lives to its end: looking for garbage in it as often as usual takes a fifth of a build
    with environment(variables), sessions(), collecting_rarely(), _quiet_interrupts():
        # with --quiet it would write each line and show none of them
        colours = [] if sys.stdout.isatty() else ["--no-use-colors"]
        callbacks = [_progress(notify)] if notify else []
        result = dbtRunner(callbacks=callbacks).invoke([*colours, *(["--log-level", "none"] if quiet else []), *args])
    results = getattr(result.result, "results", [])
    if result.success:
        record_results(url, results)
        return
    # where the server is gone, dbt's own error says more
    with suppress(GovernanceError):
        record_results(url, results)
    _raise_interrupt(result.exception)
    failed = [node for node in results if node.status in ("error", "fail", "runtime error")]
    for text in (str(result.exception), *(node.message or "" for node in failed)):
        if (said := refusal(text)) is not None:
            raise GovernanceError(said)
    if result.exception is not None:
        raise GovernanceError(_sentence(str(result.exception), f"dbt {args[0]} could not run: "))
    failures = [f"{node.node.name}: {(node.message or node.status).strip()}" for node in failed]
    more = [f"and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else []
    raise GovernanceError(
        f"dbt {args[0]} failed in {counted(len(failures), 'node')}:\n  " + "\n  ".join([*failures[:_SHOWN], *more])
    )


@contextmanager
def _quiet_interrupts() -> Iterator[None]:
    """A ctrl-c while dbt reads the project is told by who called, not by dbt with a traceback."""
    from dbt.cli import requires

    # a callback hears of an event when dbt has shown it, and what dbt shows events with is made anew by each call of it
    fire: Callable[..., None] = vars(requires)["fire_event"]

    def unless_interrupted(*event: Any, **options: Any) -> None:
        if not isinstance(sys.exception(), KeyboardInterrupt):
            fire(*event, **options)

    vars(requires)["fire_event"] = unless_interrupted
    try:
        yield
    finally:
        vars(requires)["fire_event"] = fire


def _progress(notify: Callable[[str], None]) -> Callable[["EventMsg"], None]:
    told = time.monotonic()

    def hear(event: "EventMsg") -> None:
        nonlocal told
        total = _TOTALS.get(event.info.name)
        if total and time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            notify(f"{event.data.index} of {getattr(event.data, total)}")

    return hear


def _assert_target(args: Sequence[str], target: str) -> None:
    """Raises GovernanceError where profiles.yml has no such target: dbt says it twice and in six lines."""
    import yaml

    if any(arg.startswith("--profile") for arg in args):
        return
    for option, value in pairwise([*args, ""]):
        if option in ("--target", "-t"):
            target = value
        elif option.startswith("--target="):
            target = option.partition("=")[2]
    profiles = yaml.safe_load((project_dir() / "profiles.yml").read_text())
    targets = profiles["governance"]["outputs"]
    if target not in targets:
        raise GovernanceError(f"profiles.yml has no target {target}; it has {', '.join(targets)}")


def run_operation(
    macro: str,
    url: str,
    arguments: Mapping[str, object] | None = None,
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

    from orchestration.lib.dbt.sessions import sessions

    errors: list[str] = []

    def hear(event: "EventMsg") -> None:
        if event.info.name == "PrintEvent":
            tell(event.data.msg)
        elif event.info.name.startswith("RunningOperation"):
            errors.append(event.data.exc)

    with environment(dbt_environment(url, application)), sessions(), collecting_rarely():
        # what dbt would print of it is heard here
        result = dbtRunner(callbacks=[hear]).invoke(
            ["--log-level", "none", "run-operation", macro, "--args", json.dumps(dict(arguments or {})), *options]
        )
    if not result.success:
        _raise_interrupt(result.exception)
        raise GovernanceError(_sentence(errors[0] if errors else str(result.exception)))


def _raise_interrupt(error: BaseException | None) -> None:
    """Raises the ctrl-c or exit that dbt has caught."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error


def refusal(output: str) -> str | None:
    """The sentence with which a hook of on-run-start refused to begin, in an error or the output of dbt; else None."""
    headlines = r"(?: in operation \S+-on-run-start-\d+ .*|\.on-run-start\.\d+ failed, error:) *\n"
    # one of the first kind may be followed by one of the second
    found = list(re.finditer(headlines, output))
    return _sentence(f"{found[-1][0].strip()}\n{output[found[-1].end() :].lstrip()}") if found else None


def _sentence(error: str, otherwise: str = "") -> str:
    """What one of dbt's errors says below its headline, without where in the project it was raised.

    Where there is no more than a headline it's that, after `otherwise`.
    """
    lines = [line.strip() for line in error.rstrip().splitlines()] or ["it says nothing"]
    ends = ("> ", "LINE ", "CONTEXT:", "compiled code", "This probably means the server")
    said = list(takewhile(lambda line: line and not line.startswith(ends), lines[1:]))
    return "\n  ".join(said) if said else otherwise + lines[0]
