"""How far a run of dbt is, told from dbt's own events: what fails there would fail the node."""

from typing import Any

import pytest
from dbt.events import types
from dbt_common.events.base_types import BaseEvent, msg_from_base_event

from orchestration.lib.dbt import runner


@pytest.mark.parametrize(
    "event",
    [
        types.LogModelResult(description="", status="success", index=3, total=9, execution_time=1.0),
        types.LogNodeResult(description="", status="success", index=3, total=9, execution_time=1.0, msg=""),
        types.LogSeedResult(status="success", index=3, total=9, execution_time=1.0),
        types.LogTestResult(name="", status="pass", index=3, num_models=9, execution_time=1.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_each_end_of_a_node_says_how_far_it_is(event: BaseEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_SECONDS", 0)
    said: list[str] = []
    hear: Any = runner._progress(said.append)
    hear(msg_from_base_event(event))
    assert said == ["3 of 9"]


def test_other_events_and_those_right_after_say_nothing() -> None:
    said: list[str] = []
    hear: Any = runner._progress(said.append)
    hear(msg_from_base_event(types.LogTestResult(name="", status="pass", index=3, num_models=9, execution_time=1.0)))
    hear(msg_from_base_event(types.LogStartLine(description="", index=1, total=9)))
    assert said == []
