"""What the role of a connection may do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError


def may(connection: Connection, privileges: Mapping[str, Sequence[str]]) -> bool:
    """Whether the role has these privileges on tables (`{"core.users": ["select"]}`), and may write at all.

    False where a table isn't there, on a standby, and in a read-only session.
    """
    row = connection.execute(
        """
        select current_setting('transaction_read_only') = 'off' and coalesce(bool_and(
            has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, wanted.privilege)
        ), false) and count(c.oid) = count(*)
        from unnest(%s::text[], %s::text[]) as wanted (name, privilege)
        left join pg_namespace as n on n.nspname = split_part(wanted.name, '.', 1)
        left join pg_class as c on c.relnamespace = n.oid and c.relname = split_part(wanted.name, '.', 2)
        """,
        [
            [table for table, names in privileges.items() for _ in names],
            [name for names in privileges.values() for name in names],
        ],
    ).fetchone()
    return row == (True,)


@contextmanager
def needs_role(what: str, role: str) -> Iterator[None]:
    """Turns the database's refusal into a sentence that says whose rights this takes; `what` begins it."""
    import psycopg

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise GovernanceError(
            f"{what} needs the rights of {role} ({error.diag.message_primary}): connect as a role that is a member of "
            "it, or as the owner of the warehouse"
        ) from error


def assert_may_create_database(connection: Connection, which: str) -> None:
    """Raises GovernanceError where the role may create none; `which` says what it is for, and it is dropped again."""
    row = connection.execute(
        "select rolsuper or rolcreatedb, quote_ident(current_user) from pg_roles where rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        role = row[1] if row else "…"
        raise GovernanceError(
            f"{connection.info.user} may not create the database {which} and drops again; let an administrator run "
            f"`alter role {role} createdb`"
        )
