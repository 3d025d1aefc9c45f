"""What the role of a connection may do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration.lib.errors import GovernanceError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow


def may(connection: "psycopg.Connection[TupleRow]", privileges: Mapping[str, Sequence[str]]) -> bool:
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
