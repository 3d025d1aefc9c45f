"""How many rows a relation has: counted where that is quick, else estimated."""

import json
from contextlib import suppress

import psycopg
from psycopg import sql

from orchestration.lib.database.connection import Connection

# what takes longer is estimated
_MILLISECONDS = 500


def count_rows(connection: Connection, schema: str, name: str) -> tuple[int, bool]:
    """Rows of the relation, and whether they were counted; else they are what the planner thinks.

    Raises psycopg.Error where there is no such relation, or it can't be read.
    """
    relation = sql.Identifier(schema, name)
    with suppress(psycopg.errors.QueryCanceled), connection.transaction():
        connection.execute(sql.SQL("set local statement_timeout = {}").format(_MILLISECONDS))
        [(rows,)] = connection.execute(sql.SQL("select count(*) from {}").format(relation))
        return int(rows), True
    [(plan,)] = connection.execute(sql.SQL("explain (format json) select from {}").format(relation))
    [explained] = plan if isinstance(plan, list) else json.loads(plan)
    return int(explained["Plan"]["Plan Rows"]), False
