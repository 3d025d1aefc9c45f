"""Rows of what dbt has built, as metadata of its assets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.build_lock import has_one_backend
from orchestration.lib.warehouse.row_counts import count_rows

ROWS = "dagster/row_count"
# a rule's rows are counted by its check
_UNCOUNTED = ("verification",)


def row_count(connection: Connection, key: dg.AssetKey) -> dict[str, Any]:
    """Metadata with the rows of the relation that the key names; empty where they can't be told."""
    if len(key.path) != 2 or key.path[0] in _UNCOUNTED:
        return {}
    try:
        rows, counted = count_rows(connection, *key.path)
    except psycopg.Error:
        # dbt has said what is wrong with it
        return {}
    return {ROWS: rows} if counted else {ROWS: rows, "rows are": "estimated"}


@contextmanager
def row_counter(url: str, key_of: Callable[[str], dg.AssetKey]) -> Iterator[Callable[[Any], Any]]:
    """Adds the rows of its relation to the output of an asset, and leaves other events as they are.

    `key_of` is the asset of an output's name.
    """
    with connect(url) as connection:
        if has_one_backend(connection, url):
            # dbt has it
            yield lambda event: event
            return

        def counted(event: Any) -> Any:
            if not isinstance(event, dg.Output):
                return event
            return event.with_metadata({**event.metadata, **row_count(connection, key_of(event.output_name))})

        yield counted
