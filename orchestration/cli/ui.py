"""The command that opens Dagster in the browser, on the database in use."""

import hashlib
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from orchestration.cli.terminal import tell
from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import configured_url, embedded_server, start
from orchestration.lib.dbt.manifest import ensure_manifest
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import ADMIN_EMAIL, invented_password
from orchestration.lib.settings import governance_home, project_dir, settings
from orchestration.lib.usage.configured import configured_sources

HOST = "127.0.0.1"
# Dagster's instance for one user on one machine: its runs and events lie beside this file
INSTANCE = """\
# Written by `governance ui`.
telemetry:
  enabled: false

# no form for a newsletter
nux:
  enabled: false

# one dbt at a time
concurrency:
  pools:
    default_limit: 1
"""
# the file as earlier releases wrote it: nobody changed it, so it becomes today's
_EARLIER = (INSTANCE,)
# A run that doesn't start, doesn't end when it is told to, or takes too long fails.
INSTANCE += """
run_monitoring:
  enabled: true
  start_timeout_seconds: 120
  cancel_timeout_seconds: 120
  poll_interval_seconds: 60
  # where dagster/max_runtime of its job says nothing
  max_runtime_seconds: 21600
  free_slots_after_run_end_seconds: 60

freshness:
  enabled: true
"""


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the web page.")
def ui(port: int) -> None:
    """Open Dagster in the browser: every seed, table, rollup and view as an asset, every data test as a check.

    Starts the embedded database unless GOVERNANCE_DATABASE_URL names another. Listens on 127.0.0.1 only.
    """
    open_ui(port, tell)


def open_ui(port: int, notify: Callable[[str], None]) -> NoReturn:
    """Turn this process into Dagster on http://127.0.0.1:<port>, on $GOVERNANCE_DATABASE_URL or the embedded database.

    `notify` gets sentences for the user. Raises GovernanceError if the port is taken or the database not available.
    """
    _assert_free(port)
    configured_sources()
    if settings().schedules or settings().schedule_timezone:
        from orchestration.defs.scheduled import check_settings

        check_settings()
    url = configured_url()
    if url is None:
        server = embedded_server(notify)
        url = start(server)
        server.keep_for_ui()
    with connect(url) as connection:
        password = invented_password(connection)
        info = connection.info
        home = prepare_instance(instance_home(info.host, info.port, info.dbname))
    environment = dagster_environment(home, password)
    notify("Reading the dbt project ...")
    ensure_manifest()
    if password:
        notify(f"First password of {ADMIN_EMAIL} once Dagster has made it, shown only now: {password}")
    notify(where_pages_are())
    notify(
        f"Dagster opens on http://{HOST}:{port} within half a minute, ctrl-c ends it. "
        "Below is what runs say, and what goes wrong."
    )
    # the warning asks for `dg dev`, which is of another package
    dagster = [sys.executable, "-W", "ignore:Function `dev_command` is superseded", "-m", "dagster"]
    # every ten seconds its sensors say that nothing happened
    options = f"--host {HOST} --port {port} --log-level warning --module-name orchestration.definitions".split()
    os.chdir(project_dir())
    # a script's `&` has it ignored, and Dagster then ignores SIGTERM too: nothing but kill -9 would end it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, [*dagster, "dev", *options], environment)  # noqa: S606


def where_pages_are() -> str:
    """A sentence with the link to the newest pages of `governance site`, or how to make them."""
    places = [governance_home() / "site" / "index.html", governance_home() / "demo" / "site" / "index.html"]
    written = [path for path in places if path.is_file()]
    if not written:
        return "`governance site` writes pages about spend, budgets, access and findings, to look at each day."
    newest = max(written, key=lambda path: path.stat().st_mtime)
    return f"Spend, budgets, access and findings: {newest.as_uri()} (`governance site` writes them anew)."


def instance_home(host: str, port: int, database: str) -> Path:
    """Folder of Dagster's state for a database: each has a history of its own. The embedded one may change its port."""
    if settings().database_url is None:
        return governance_home() / "dagster"
    readable = re.sub(r"[^\w-]", "_", database, flags=re.ASCII)
    place = hashlib.sha256(f"{host}:{port}/{database}".encode()).hexdigest()[:8]
    return governance_home() / f"dagster-{readable}-{place}"


def prepare_instance(home: Path) -> Path:
    """Folder of Dagster's own state with its settings; settings that are there stay."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        configuration = home / "dagster.yaml"
        if not configuration.exists() or configuration.read_text() in _EARLIER:
            configuration.write_text(INSTANCE)
    except OSError as error:
        raise GovernanceError(
            f"cannot write to {home}: {error.strerror}; set GOVERNANCE_HOME to a folder of yours"
        ) from error
    return home


def dagster_environment(home: Path, password: str | None) -> dict[str, str]:
    """This process's environment with Dagster's home, dbt on the PATH, and the first password where one was made."""
    environment = dict(os.environ) | {
        "DAGSTER_HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    if password:
        environment["GOVERNANCE_ADMIN_PASSWORD"] = password
    return environment


def _assert_free(port: int) -> None:
    with socket.socket() as probe:
        # a port whose last connections are still being closed is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise GovernanceError(
                f"cannot listen on port {port}: {error.strerror}; choose another one with `governance ui --port`"
            ) from error
