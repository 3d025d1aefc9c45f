"""What there is to know about the database in use."""

import contextlib
import os
from pathlib import Path

from orchestration.lib.database.connection import Connection, connect, has_relation, without_password
from orchestration.lib.database.in_use import configured_url, embedded_server
from orchestration.lib.errors import GovernanceError

_KEPT_IN = {
    "timescaledb": "hypertables, TimescaleDB's Community edition (timescaledb)",
    "timescaledb_apache": "hypertables, TimescaleDB's Apache edition (timescaledb_apache)",
    "postgres": "native partitions (postgres)",
}


def describe() -> tuple[bool, dict[str, str]]:
    """Whether the database in use answers, and what there is to know about it, passwords left out."""
    configured, server = configured_url(), embedded_server()
    url = configured or server.url()
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


def _settings(connection: Connection) -> dict[str, str]:
    if not has_relation(connection, "internal.settings"):
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
