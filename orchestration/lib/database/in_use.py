"""Which database is used: the one of $GOVERNANCE_DATABASE_URL, else the embedded server's. Asked at the edge only."""

import time
from collections.abc import Callable

from orchestration.lib.database.connection import as_url, connect, ensure_database
from orchestration.lib.embedded.server import DATABASE, EmbeddedServer
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import governance_home, settings

_MOMENT = 0.2
_SESSIONS = """
    select coalesce(nullif(application_name, ''), 'a program without a name'), datname, count(*)
    from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
    group by 1, 2
    order by 1, 2
"""


def configured_url() -> str | None:
    """URL that $GOVERNANCE_DATABASE_URL gives, None where it is left to the embedded server."""
    configured = settings().database_url
    return as_url(configured) if configured else None


def database_url() -> str:
    """URL of the database in use, with its password: $GOVERNANCE_DATABASE_URL, else the running embedded server's.

    Raises GovernanceError if neither is there.
    """
    url = configured_url() or embedded_server().url()
    if url is None:
        raise GovernanceError(
            "no database: start the embedded one with `governance up`, or set GOVERNANCE_DATABASE_URL to the URL of one"
        )
    return url


def embedded_server(notify: Callable[[str], None] | None = None) -> EmbeddedServer:
    """The embedded server of the home in use, running or not; `notify` gets progress sentences."""
    return EmbeddedServer(governance_home(), notify=notify)


def start(server: EmbeddedServer, port: int | None = None) -> str:
    """Starts the server unless it runs, and sees to its database, whose URL it returns."""
    return server.up(port, prepare=lambda url: ensure_database(url, DATABASE))


def users_of(server: EmbeddedServer) -> list[str]:
    """Who would notice if the server stopped: `governance ui`, and sessions of others by program and database."""
    users = ["`governance ui`"] if server.has_ui() else []
    url = server.url("postgres")
    if url is None:
        return users
    with connect(url) as connection:
        sessions = connection.execute(_SESSIONS).fetchall()
        if sessions:
            # that of a program which has just ended takes a moment to go
            time.sleep(_MOMENT)
            sessions = connection.execute(_SESSIONS).fetchall()
    return users + [
        f"{program} on database {database}" + (f" ({number} sessions)" if number > 1 else "")
        for program, database, number in sessions
    ]
