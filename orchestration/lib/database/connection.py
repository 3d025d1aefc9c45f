"""Which database is used and how to reach it."""

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import dbt_target, governance_home, project_dir

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

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
_KEPT_IN = {
    "timescaledb": "hypertables, TimescaleDB's Community edition (timescaledb)",
    "timescaledb_apache": "hypertables, TimescaleDB's Apache edition (timescaledb_apache)",
    "postgres": "native partitions (postgres)",
}
# of a statement of dbt: one that hangs doesn't hold its locks for ever
STATEMENT_TIMEOUT = "1h"
_PLAIN_URL = re.compile(r"postgresql://([\w.-]+):([\w.-]+)@([\w.-]+):(\d+)/([\w.-]+)", re.ASCII)


def database_url() -> str:
    """URL of the database in use, with its password: $GOVERNANCE_DATABASE_URL, else the running embedded server's.

    Raises GovernanceError if neither is there.
    """
    configured = os.environ.get("GOVERNANCE_DATABASE_URL", "").strip()
    if configured:
        return _as_url(configured)
    url = EmbeddedServer(governance_home()).url()
    if url is None:
        raise GovernanceError(
            "no database: start the embedded one with `governance up`, or set GOVERNANCE_DATABASE_URL to the URL of one"
        )
    return url


def connect(
    url: str | None = None, *, autocommit: bool = True, application: str = "governance"
) -> "psycopg.Connection[TupleRow]":
    """A connection to the database in use, or to the one named; raises GovernanceError if there's none."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    url = url or database_url()
    given = _parameters(url)
    defaults = {"application_name": application, "connect_timeout": "10", "keepalives_idle": "60"}
    others = {name: value for name, value in defaults.items() if name not in given}
    options = _session_options(given.get("options") or os.environ.get("PGOPTIONS", ""))
    conninfo = make_conninfo(url, options=options, **others)
    try:
        return psycopg.connect(conninfo, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise GovernanceError(f"cannot connect to {without_password(url)}: {_reason(error)}") from error


def _reason(error: "psycopg.OperationalError") -> str:
    """Why there is no connection, and what to do where the server itself doesn't say it."""
    said = " ".join(str(error).removeprefix("connection failed: ").split())
    if "refused" in said or "No such file or directory" in said:
        return "no server listens there; start it, or correct GOVERNANCE_DATABASE_URL"
    return said


def dbt_environment(url: str, application: str = "governance dbt") -> dict[str, str]:
    """Environment with which dbt, started anywhere, uses this project on the database of the URL.

    `application` is the name of its sessions, whose statements may take STATEMENT_TIMEOUT unless PGOPTIONS or the URL's
    options say otherwise. Parameters of the URL that have no variable in profiles.yml, such as sslrootcert, go into
    libpq's own variables.
    """
    given = _with_defaults(_parameters(url))
    if not given.get("host") or "," in given["host"]:
        raise GovernanceError(
            f"dbt needs exactly one host, {without_password(url)} names {given.get('host') or 'none'}"
        )
    if problem := _problem_with(given["dbname"]):
        raise GovernanceError(
            f"dbt can't work in a database whose name holds {problem}: rename {given['dbname']!r} or take another one"
        )
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    values = {name: given.get(name, "") for name in names}
    environment = {f"GOVERNANCE_DB_{suffix}": values[name] for name, suffix in names.items()}
    environment["GOVERNANCE_DB_SSLMODE"] = given.get("sslmode") or os.environ.get("PGSSLMODE", "prefer")
    environment["GOVERNANCE_DB_APPLICATION_NAME"] = application
    environment["GOVERNANCE_TARGET"] = os.environ.get("GOVERNANCE_TARGET") or (
        "prod" if os.environ.get("GOVERNANCE_DATABASE_URL") else "embedded"
    )
    environment["DBT_PROFILES_DIR"] = environment["DBT_PROJECT_DIR"] = str(project_dir())
    target = dbt_target()
    if not target.is_relative_to(project_dir()):
        environment["DBT_TARGET_PATH"] = str(target)
        environment["DBT_LOG_PATH"] = os.environ.get("DBT_LOG_PATH") or str(target)
    others = given.keys() - names.keys() - {"sslmode"}
    if others:
        from psycopg.pq import Conninfo

        for option in Conninfo.get_defaults():
            if option.envvar and option.keyword.decode() in others:
                environment[option.envvar.decode()] = given[option.keyword.decode()]
    # they run nothing, and dbt 1.11 stumbles over them where a hook refuses to begin, instead of showing what it said
    environment["DBT_EXCLUDE_RESOURCE_TYPES"] = os.environ.get("DBT_EXCLUDE_RESOURCE_TYPES", "exposure")
    options = environment.get("PGOPTIONS") or os.environ.get("PGOPTIONS", "")
    if "statement_timeout" not in options:
        options = f"{options} -c statement_timeout={STATEMENT_TIMEOUT}".strip()
    environment["PGOPTIONS"] = _session_options(options)
    return environment


def with_database(url: str, name: str) -> str:
    """The same server, user and options, another database."""
    return _build_url(_parameters(url) | {"dbname": name})


def without_password(url: str) -> str:
    """The URL as it may be shown, without what `connect` adds to one."""
    added = {"options", "application_name", "connect_timeout", "keepalives_idle"}
    shown = {name: value for name, value in _parameters(url).items() if "password" not in name and name not in added}
    return _build_url(shown)


def password_of(url: str) -> str | None:
    """The password that the URL names, if it does."""
    return _parameters(url).get("password")


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


def describe() -> tuple[bool, dict[str, str]]:
    """Whether the database in use answers, and what there is to know about it, passwords left out."""
    configured = os.environ.get("GOVERNANCE_DATABASE_URL", "").strip()
    server = EmbeddedServer(governance_home())
    url = _as_url(configured) if configured else server.url()
    facts = {"state": "stopped, `governance up` starts it"}
    if url is not None:
        try:
            facts = {"state": "running", "engine": _engine(url), **_time_series(url)}
        except GovernanceError as error:
            facts = {"state": "not available", "problem": str(error)}
        facts["url"] = without_password(url)
    if not configured:
        data = server.status().data
        facts["engine"] = f"{facts.get('engine', 'PostgreSQL')} (embedded)"
        facts["data folder"] = str(data) if data else "none yet, `governance up` makes it"
        if data:
            facts["size on disk"] = f"{_bytes_below(data) / 1e6:,.0f} MB"
    return facts["state"] == "running", facts


def _engine(url: str) -> str:
    with connect(url) as connection:
        rows = connection.execute(
            "select 'PostgreSQL ' || current_setting('server_version') union all"
            " select 'TimescaleDB ' || extversion from pg_extension where extname = 'timescaledb'"
        ).fetchall()
    return ", ".join(row[0] for row in rows)


def _time_series(url: str) -> dict[str, str]:
    """How the warehouse keeps its time series; empty before the first build, and for who may not see it."""
    import psycopg

    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connect(url) as connection:
        return _settings(connection)
    return {"time series": "not to be seen by this role"}


def _settings(connection: "psycopg.Connection[TupleRow]") -> dict[str, str]:
    (is_built,) = connection.execute("select to_regclass('internal.settings') is not null").fetchone() or (False,)
    if not is_built:
        return {}
    rows = connection.execute(
        "select name, value from internal.settings where name in ('time_series_engine', 'not_supported')"
    ).fetchall()
    found: dict[str, str] = dict(rows)
    engine = found.get("time_series_engine", "")
    return {"time series": _KEPT_IN.get(engine, engine), "not supported": found.get("not_supported") or "nothing"}


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # a running server removes files while we look
            with contextlib.suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_size
    return total


def _problem_with(name: str) -> str | None:
    """What dbt, which writes the database's name into its SQL as it is, can't bear in it."""
    for character, called in {'"': "a double quote", "'": "a quote"}.items():
        if character in name:
            return called
    return None if name == name.strip() and name.isprintable() else "space at its ends or an unprintable character"


def _session_options(given: str) -> str:
    """libpq's options: the given ones, and SESSION_SETTINGS, which win. Without a word of it jit is off."""
    if given.endswith(_PINNED):
        # of `governance env`
        return given
    return " ".join(filter(None, ["" if "jit" in given else "-c jit=off", given.strip(), _PINNED]))


def _as_url(text: str) -> str:
    """A URL stays as it is, `host=… dbname=…` becomes one."""
    parameters = _parameters(text)
    return text if text.startswith(("postgresql://", "postgres://")) else _build_url(parameters)


def _parameters(url: str) -> dict[str, str]:
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


def _with_defaults(given: dict[str, str]) -> dict[str, str]:
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
