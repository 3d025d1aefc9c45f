"""How many rows each table has, and a number that depends on each of them and on nothing else."""

from dataclasses import dataclass

from psycopg import sql

from orchestration.lib.database.connection import Connection

# of our schemas; rows of a partition or chunk are those of its table, what a continuous aggregate stores is a view
_TABLES = """
select n.nspname, c.relname
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('core', 'rollups', 'seeds', 'internal')
    and (c.relkind in ('r', 'p') or c.relkind = 'v' and c.relname ~ '_stored(_[0-9]+)?$')
    and not c.relispartition
order by 1, 2
"""
# columns by name, for a restored table may have them in another order than an upgraded one
_COLUMNS = """
select attname from pg_attribute
where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass
    and attnum > 0 and not attisdropped and attgenerated = ''
order by attname
"""


@dataclass(frozen=True)
class Fingerprint:
    """Rows of a table, and the sum of their hashes as text."""

    rows: int
    hash: str


def fingerprints(connection: Connection) -> dict[str, Fingerprint]:
    """Of every table of the warehouse, in the transaction of the connection; times and numbers as text in one form."""
    connection.execute("set local timezone = 'UTC'")
    connection.execute("set local datestyle = 'ISO, YMD'")
    connection.execute("set local intervalstyle = 'iso_8601'")
    connection.execute("set local bytea_output = 'hex'")
    connection.execute("set local extra_float_digits = 1")
    found = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        columns = [name for (name,) in connection.execute(_COLUMNS, [schema, table]).fetchall()]
        [counted] = connection.execute(
            sql.SQL(
                "select count(*), coalesce(sum(hashtextextended(row({})::text, 0)::numeric), 0)::text from {}"
            ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table))
        )
        found[f"{schema}.{table}"] = Fingerprint(*counted)
    return found
