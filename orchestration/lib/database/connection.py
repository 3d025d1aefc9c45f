"""How a database is reached: its URL, and what each session of ours relies on."""

import os
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlencode

from orchestration.lib.errors import GovernanceError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

# as signatures name it, without the import of psycopg, which `governance --help` does without
Connection: TypeAlias = "psycopg.Connection[TupleRow]"

# settings of the database itself, so that they hold for every program that connects
DATABASE_SETTINGS = {"search_path": "core, rollups, reporting, public", "jit": "off", "timezone": "UTC"}
# what our own sessions rely on, Python's and dbt's, whatever the database, the role or the environment say
SESSION_SETTINGS = {
    "search_path": DATABASE_SETTINGS["search_path"],
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "client_encoding": "UTF8",
}
_PINNED = " ".join("-c {}={}".format(name, value.replace(" ", "\\ ")) for name, value in SESSION_SETTINGS.items())
_PLAIN_URL = re.compile(r"postgresql://([\w.-]+):([\w.-]+)@([\w.-]+):(\d+)/([\w.-]+)", re.ASCII)


def connect(url: str, *, autocommit: bool = True, application: str = "governance") -> Connection:
    """A connection to the database at `url`, its sessions named `application`; raises GovernanceError without one."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    given = parameters(url)
    defaults = {"application_name": application, "connect_timeout": "10", "keepalives_idle": "60"}
    others = {name: value for name, value in defaults.items() if name not in given}
    options = session_options(given.get("options") or os.environ.get("PGOPTIONS", ""))
    conninfo = make_conninfo(url, options=options, **others)
    try:
        return psycopg.connect(conninfo, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise GovernanceError(f"cannot connect to {without_password(url)}: {_reason(error)}") from error


def has_relation(connection: Connection, name: str) -> bool:
    """Whether the database has a table or view of this name, such as core.users."""
    [(is_there,)] = connection.execute("select to_regclass(%s) is not null", [name])
    return bool(is_there)


def _reason(error: "psycopg.OperationalError") -> str:
    """Why there is no connection, and what to do where the server itself doesn't say it."""
    said = " ".join(str(error).removeprefix("connection failed: ").split())
    if "refused" in said or "No such file or directory" in said:
        return "no server listens there; start it, or correct the URL"
    return said


def with_database(url: str, name: str) -> str:
    """The same server, user and options, another database."""
    return _build_url(parameters(url) | {"dbname": name})


def without_password(url: str) -> str:
    """The URL as it may be shown, without what `connect` adds to one."""
    added = {"options", "application_name", "connect_timeout", "keepalives_idle"}
    shown = {name: value for name, value in parameters(url).items() if "password" not in name and name not in added}
    return _build_url(shown)


def password_of(url: str) -> str | None:
    """The password that the URL names, if it does."""
    return parameters(url).get("password")


def program_environment(url: str) -> dict[str, str]:
    """The environment of a program of PostgreSQL: with the password, which other users could read in a command line."""
    password = password_of(url)
    return {**os.environ, **({"PGPASSWORD": password} if password is not None else {})}


def ensure_database(server_url: str, name: str, *, template: str | None = None) -> None:
    """Creates the database unless it's there and gives it its settings where they differ.

    `server_url` names any database of the server, `template` one without connections. A template's settings aren't
    copied by PostgreSQL, so they're set here too.
    """
    from psycopg import sql

    with connect(server_url) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
            statement = sql.SQL("create database {}").format(sql.Identifier(name))
            if template is not None:
                statement += sql.SQL(" template {}").format(sql.Identifier(template))
                # of a small template; page by page it would go through the log, at three times the cost
                if connection.info.server_version >= 150000:
                    statement += sql.SQL(" strategy file_copy")
            connection.execute(statement)
        row = connection.execute(
            "select s.setconfig from pg_db_role_setting as s join pg_database as d on d.oid = s.setdatabase"
            " where d.datname = %s and s.setrole = 0",
            [name],
        ).fetchone()
        current = dict(entry.lower().split("=", 1) for entry in row[0]) if row else {}
        for setting, value in DATABASE_SETTINGS.items():
            if current.get(setting) != value.lower():
                parts = sql.SQL(", ").join(sql.Literal(part) for part in value.split(", "))
                connection.execute(
                    sql.SQL("alter database {} set {} = {}").format(
                        sql.Identifier(name), sql.Identifier(setting), parts
                    )
                )


def session_options(given: str) -> str:
    """libpq's options: the given ones, then SESSION_SETTINGS, which win; jit is off unless the given ones name it."""
    if given.endswith(_PINNED):
        # of `governance env`
        return given
    return " ".join(filter(None, ["" if "jit" in given else "-c jit=off", given.strip(), _PINNED]))


def as_url(text: str) -> str:
    """A URL stays as it is, `host=… dbname=…` becomes one."""
    given = parameters(text)
    return text if text.startswith(("postgresql://", "postgres://")) else _build_url(given)


def parameters(url: str) -> dict[str, str]:
    """libpq's parameters as far as the URL names them."""
    if plain := _PLAIN_URL.fullmatch(url):
        # what we build ourselves; importing psycopg takes longer than all else `governance env` does
        return dict(zip(("user", "password", "host", "port", "dbname"), plain.groups(), strict=True))
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        # libpq's message may quote a part of the password
        raise GovernanceError(
            "the database URL isn't valid: write postgresql://user:password@host:port/database with the special "
            "characters of the password percent-encoded, or host=… port=… dbname=… user=… password=…"
        ) from None


def with_defaults(given: dict[str, str]) -> dict[str, str]:
    """The parameters that dbt must be told, filled in as libpq does: from PGHOST and so on, else port 5432 …"""
    needed = {"host", "port", "user", "password", "dbname", "sslmode"}
    if needed <= given.keys() | {"sslmode"}:
        return given
    from psycopg.pq import Conninfo

    defaults = {option.keyword.decode(): (option.val or b"").decode() for option in Conninfo.get_defaults()}
    filled = {name: defaults[name] for name in needed} | given
    filled["dbname"] = filled["dbname"] or filled["user"]
    return filled


def _build_url(parameters: dict[str, str]) -> str:
    rest = dict(parameters)

    def take(name: str) -> str:
        return quote(rest.pop(name, ""), safe="")

    user, password, database = take("user"), take("password"), take("dbname")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    host = rest.get("host", "")
    authority = ""
    # a socket's folder or several hosts are named in the query
    if host and not host.startswith(("/", "@")) and "," not in host:
        authority = f"[{rest.pop('host')}]" if ":" in host else take("host")
        authority += f":{take('port')}" if "port" in rest else ""
    query = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"postgresql://{login}{authority}/{database}{query}"
