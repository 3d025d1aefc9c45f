"""What nobody hears or reads of dbt isn't put into words or files: a fifth of a build, which tests run quietly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dbt.contracts.graph.nodes import ParsedNode
from dbt.events import logging
from dbt.flags import get_flags
from dbt.plugins.manager import PluginManager
from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager import EventManager


@contextmanager
def not_worded() -> Iterator[None]:
    """While in it, an event without a listener ends where it is fired; what dbt makes an error of goes on.

    Nor is the SQL of each node written into the target folder, unless the manifest is, or a plugin looked for twice.
    """
    fire, write, modules = EventManager.fire_event, ParsedNode.write_node, PluginManager.get_prefixed_modules

    def fire_if_heard(manager: Any, event: Any, level: Any = None, *args: Any, **options: Any) -> None:
        is_heard = manager.loggers or manager.callbacks != [logging.track_behavior_change_warn]  # type: ignore[attr-defined]
        if is_heard or args or options.get("force_warn_or_error_handling") or may_be_error(manager, event, level):
            fire(manager, event, level, *args, **options)

    def write_if_read(node: Any, *args: Any, **options: Any) -> None:
        if get_flags().WRITE_JSON:  # type: ignore[no-untyped-call]
            write(node, *args, **options)

    found = modules()  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventManager, "fire_event", fire_if_heard)
        patch.setattr(BaseEvent, "__init__", keep)
        patch.setattr(BaseEvent, "__getattr__", asked)
        patch.setattr(BaseEvent, "__setattr__", changed)
        patch.setattr(ParsedNode, "write_node", write_if_read)
        patch.setattr(PluginManager, "get_prefixed_modules", lambda: found)
        yield


def may_be_error(manager: Any, event: Any, level: Any) -> bool:
    return bool(manager.require_warn_or_error_handling and (level or event.level_tag()) == EventLevel.WARN)


_make = BaseEvent.__init__


def keep(event: Any, *args: Any, **given: Any) -> None:
    """An event becomes a message when somebody asks for it."""
    event.__dict__["_given"] = args, given


def message(event: Any) -> Any:
    if "pb_msg" not in event.__dict__:
        args, given = event.__dict__["_given"]
        _make(event, *args, **given)
    return event.__dict__["pb_msg"]


def asked(event: Any, name: str) -> Any:
    return message(event) if name == "pb_msg" else getattr(message(event), name)


def changed(event: Any, name: str, value: Any) -> None:
    if name == "pb_msg":
        event.__dict__[name] = value
    else:
        setattr(message(event), name, value)
