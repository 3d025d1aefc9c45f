"""Settings that a server's administrator may have given a database, none of them ours."""

import psycopg
from psycopg import sql

from orchestration.lib.database.connection import Connection

ODD_SETTINGS = {
    "timezone": "Australia/Lord_Howe",
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-5",
    "default_transaction_isolation": "serializable",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
}


def give_odd_settings(connection: Connection, database: str) -> None:
    for name, value in ODD_SETTINGS.items():
        connection.execute(
            sql.SQL("alter database {} set {} = {}").format(
                sql.Identifier(database), sql.Identifier(name), _literals(value)
            )
        )


def plain_session(url: str) -> Connection:
    """A session of another program: it has what the database gives it."""
    return psycopg.connect(url, autocommit=True)


def _literals(value: str) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
