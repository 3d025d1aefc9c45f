"""What dbt says is put into words only where somebody listens: a tenth of a build's work, which tests run quietly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dbt.events import logging
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager


@contextmanager
def not_worded() -> Iterator[None]:
    """While in it, an event without a listener ends where it is fired; what dbt makes an error of goes on."""
    fire = EventManager.fire_event

    def fire_if_heard(manager: Any, event: Any, level: Any = None, *args: Any, **options: Any) -> None:
        is_heard = manager.loggers or manager.callbacks != [logging.track_behavior_change_warn]  # type: ignore[attr-defined]
        if is_heard or args or options.get("force_warn_or_error_handling") or may_be_error(manager, event, level):
            fire(manager, event, level, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventManager, "fire_event", fire_if_heard)
        yield


def may_be_error(manager: Any, event: Any, level: Any) -> bool:
    return bool(manager.require_warn_or_error_handling and (level or event.level_tag()) == EventLevel.WARN)
