"""One build at a time on a database, and nothing left of one that was killed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.errors import GovernanceError

# the name of dbt's sessions in a build that holds the lock, and in none else
APPLICATION = "governance dbt build"

_PATIENCE = 3.0  # seconds; the server may take a moment to see that a killed process is gone
_HOLDER = """
    select a.pid, a.usename, a.application_name || case
            -- of another role's session neither is shown
            when a.backend_start is null then ''
            else ' from ' || coalesce(host(a.client_addr), 'this machine')
        end, coalesce(', since ' || date_trunc('second', a.backend_start)::text, '')
    from pg_locks as l
    inner join pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and (l.classid, l.objid, l.objsubid) = (0, %s, 1)
        and l.database = (select oid from pg_database where datname = current_database())
"""
# who holds the lock starts dbt after this, so whoever bears the name is left of a build that lost the lock; of those
# who can build only, for anybody can take the name
_ORPHANS = (
    "from pg_stat_activity where datname = current_database() and application_name = %s"
    " and (has_database_privilege(usesysid, datid, 'create') or exists (select from pg_namespace"
    " where nspname in ('core', 'rollups') and has_schema_privilege(usesysid, oid, 'create')))"
)


@contextmanager
def build_lock(url: str, holder: str = "governance build") -> Iterator[None]:
    """Keeps other builds off the database at `url`, and first ends the queries that a killed one left running.

    `holder` is how the others see it. A plain `dbt build` neither takes the lock nor is ended. Raises GovernanceError
    within 5 seconds if another build holds it, and at the end if it was lost meanwhile.
    """
    with connect(url, application=holder) as connection:
        if has_one_backend(connection, url):
            yield  # there is no second build to keep off, and a lock would keep off dbt
            return
        connection.execute("set idle_session_timeout = 0")
        _take(connection)
        _end_orphans(connection)
        yield
        _assert_kept(connection)


def has_one_backend(connection: Connection, url: str) -> bool:
    """Whether all connections share one backend, as those to PostgreSQL in WebAssembly do."""
    query = "select pg_backend_pid()"
    with connect(url) as other:
        return connection.execute(query).fetchone() == other.execute(query).fetchone()


def _take(connection: Connection) -> None:
    deadline = time.monotonic() + _PATIENCE
    while connection.execute("select pg_try_advisory_lock(%s)", [Lock.BUILD]).fetchone() != (True,):
        if time.monotonic() > deadline:
            found = connection.execute(_HOLDER, [Lock.BUILD]).fetchone()
            if found is None:
                continue  # gone since
            pid, role, holder, since = found
            raise GovernanceError(
                f"another build is at work on this database: {holder}, pid {pid}{since}, as {role}; wait for it, or "
                f"end it with `select pg_terminate_backend({pid})`"
            )
        time.sleep(0.2)


def _end_orphans(connection: Connection) -> None:
    try:
        connection.execute(f"select pg_terminate_backend(pid, 5000) {_ORPHANS}".encode(), [APPLICATION])
    except psycopg.errors.InsufficientPrivilege as error:
        raise GovernanceError(
            f"a killed build left queries running, which this role may not end ({error.diag.message_primary}); "
            f"let a superuser run: select pg_terminate_backend(pid) {_ORPHANS.replace('%s', repr(APPLICATION))}"
        ) from error
    left = [pid for (pid,) in connection.execute(f"select pid {_ORPHANS}".encode(), [APPLICATION])]
    if left:
        raise GovernanceError(f"queries of a killed build don't end within 5 seconds: pid {left}; try again later")


def _assert_kept(connection: Connection) -> None:
    try:
        connection.execute("select 1")
    except psycopg.OperationalError as error:
        raise GovernanceError(
            "the connection that kept other builds off was lost while this one ran; build again, for another build may "
            f"have been at work at the same time ({str(error).strip()})"
        ) from error
