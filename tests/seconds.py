"""What each file of tests takes of a worker, where the whole suite runs."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

BUDGET = 60  # seconds of one worker that a file may take
_SHOWN = 10


def show(terminal: Any, reports: Iterable[object]) -> None:
    """The files that take longest, and which of them more than they should: a busy machine is no failure of theirs."""
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid.partition("::")[0]] += report.duration
    terminal.section(f"seconds of the {_SHOWN} longest files, of which each may take {BUDGET}")
    for file, taken in sorted(seconds.items(), key=lambda each: -each[1])[:_SHOWN]:
        terminal.write_line(f"{taken:6.1f} {file}{' is over its budget' if taken > BUDGET else ''}")
