"""Where the benchmarks run: in a database of their own, on an embedded server or on one that is named."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from psycopg import sql

from orchestration.lib.database.connection import Connection, connect, ensure_database, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.refresh import refresh


def build_options(requests_a_day: float) -> list[str]:
    """Options of dbt for this much usage, as docs/operations.md says."""
    return ["--vars", "{partition_width: 1 day}"] if requests_a_day >= 150_000 else []


@contextmanager
def empty_server() -> Iterator[str]:
    """URL of an embedded server with its usual, crash-safe settings, removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="governance-benchmark-"))
    home.chmod(0o711)
    server = EmbeddedServer(home, notify=progress)
    try:
        server.up()
        url = server.url("postgres")
        assert url is not None
        yield url
    finally:
        server.destroy()
        shutil.rmtree(home)


@contextmanager
def own_database(server_url: str | None, name: str, *, keep: bool = False) -> Iterator[str]:
    """URL of a database bench_<name>, empty at the beginning and dropped at the end, unless it is to `keep`.

    Without a server's URL it is on an embedded one of its own, which keeps nothing.
    """
    if server_url is None:
        with empty_server() as embedded, own_database(embedded, name) as url:
            yield url
        return
    database = f"bench_{name}"
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database))
    with connect(server_url) as admin:
        if not keep:
            admin.execute(drop)
        ensure_database(server_url, database)
        try:
            yield with_database(server_url, database)
        finally:
            if not keep:
                admin.execute(drop)


@contextmanager
def built_warehouse(server_url: str | None, name: str, options: list[str], *, keep: bool = False) -> Iterator[str]:
    """The same with a warehouse built in it, with options of dbt.

    The jobs of TimescaleDB's policies wait a day, so that nothing works beside what is measured.
    """
    with own_database(server_url, name, keep=keep) as url:
        build_warehouse(["--resource-type", "model", "seed", *options], url, quiet=True)
        if is_timescaledb(url):
            with connect(url) as connection:
                connection.execute(
                    "select public.alter_job(job_id, next_start => now() + interval '1 day')"
                    " from timescaledb_information.jobs"
                )
        yield url


def settle(connection: Connection, url: str, options: list[str]) -> None:
    """What a night does, and a week: rollups refreshed and built, old parts in the columnstore where there is one.

    A view of a rollup knows how far it was stored when it was built last, so that the planner leaves out older parts.
    """
    refresh(url)
    if is_timescaledb(url):
        jobs = "select job_id from timescaledb_information.jobs where proc_name = 'policy_compression'"
        for (job,) in connection.execute(jobs).fetchall():
            connection.execute("call public.run_job(%s)", [job])
    run_dbt(["run", "--select", "path:models/rollups", *options], url, quiet=True)
    connection.execute("vacuum analyze")


def is_timescaledb(url: str) -> bool:
    with connect(url) as connection:
        return connection.execute("select from pg_extension where extname = 'timescaledb'").fetchone() is not None


def progress(message: str) -> None:
    """A line on stderr."""
    click.echo(message, err=True)
