"""Fixtures that several files share: loads of usage, and an embedded server of a file's own."""

import json
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import cheap_passwords
import pytest
from click.testing import CliRunner, Result
from embedded_homes import new_home
from engines import Engine, is_pglite

from orchestration.cli.main import main
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse import build_lock
from orchestration.lib.warehouse.refresh import refresh


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests with a database hash passwords cheaply, those of unit/ as users do."""
    with cheap_passwords.hashed() if request.path.parent.name == "integration" else nullcontext():
        yield


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that finds another one at work says so almost at once."""
    monkeypatch.setattr(build_lock, "_PATIENCE", 0.1)


@pytest.fixture(scope="module")
def idle(database: str) -> Iterator[list[Connection]]:
    """The connection that the last test of the module gave back."""
    kept: list[Connection] = []
    yield kept
    for connection in kept:
        connection.close()


@pytest.fixture
def connection(engine: Engine, database: str, idle: list[Connection]) -> Iterator[Connection]:
    """A connection whose transaction is rolled back after the test; the next one has it as new, functions compiled."""
    # a server says nothing to an idle one but that it ends
    connection = idle.pop() if idle and not select.select(idle, [], [], 0)[0] else connect(database, autocommit=False)
    yield connection
    connection.rollback()
    if is_pglite(engine.name):
        connection.close()
        return
    connection.autocommit = True
    connection.execute("discard all")
    connection.autocommit = False
    idle.append(connection)


@pytest.fixture
def emptied(database: str) -> Iterator[None]:
    """Nothing that a load leaves behind is there for the next test."""
    yield
    with connect(database) as connection:
        for table in (
            "core.llm_metrics",
            "internal.quarantine",
            "internal.changed_requests",
            "internal.load_batches",
            "internal.loads",
        ):
            connection.execute(f"delete from {table}")


@pytest.fixture
def emptied_and_refreshed(database: str, emptied: None) -> Iterator[None]:
    """Nor in the rollups."""
    yield
    with connect(database) as connection:
        connection.execute("delete from core.llm_metrics")
    refresh(database)


@pytest.fixture
def kept_for_long(database: str) -> Iterator[None]:
    """Files with fixed times can be loaded, whenever the tests run."""
    with connect(database) as connection:
        [row] = connection.execute("select value from internal.settings where name = 'llm_metrics_retention'")
        connection.execute("update internal.settings set value = '100 years' where name = 'llm_metrics_retention'")
        yield
        connection.execute("update internal.settings set value = %s where name = 'llm_metrics_retention'", row)


@pytest.fixture
def open_connection(database: str) -> Iterator[Connection]:
    """A connection in autocommit mode: what is done on it stays."""
    with connect(database) as connection:
        yield connection


@pytest.fixture
def load_csv(database: str, tmp_path: Path) -> Callable[..., IngestReport]:
    """Loads lines as a file of the given name."""

    def load(lines: Sequence[str], name: str = "usage.csv", **options: Any) -> IngestReport:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", newline="")
        report = ingest_files(database, [str(path)], **options)
        assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
        return report

    return load


@pytest.fixture
def load_json(database: str, tmp_path: Path) -> Callable[..., IngestReport]:
    """Loads rows as a JSON Lines file, lines as a file of the given name."""

    def load(lines: Sequence[str | dict[str, object]], name: str = "usage.jsonl", **options: Any) -> IngestReport:
        path = tmp_path / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return ingest_files(database, [str(path)], **options)

    return load


@pytest.fixture
def write_usage(tmp_path: Path) -> Callable[..., str]:
    """Writes lines as a file of the given name; returns its path."""

    def write(*lines: str, name: str = "usage.csv") -> str:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


@pytest.fixture
def write_tables(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes CSV files given by name, .csv left out, as lines; returns their paths."""

    def write(**files: list[str]) -> list[str]:
        for name, lines in files.items():
            (tmp_path / f"{name}.csv").write_text("\n".join([*lines, ""]))
        return [str(tmp_path / f"{name}.csv") for name in files]

    return write


@pytest.fixture
def run_governance(database: str) -> Callable[..., Result]:
    """Runs `governance`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"GOVERNANCE_DATABASE_URL": database})

    return run


@pytest.fixture
def run_ingest(run_governance: Callable[..., Result]) -> Callable[..., Result]:
    """Runs `governance ingest`."""
    return partial(run_governance, "ingest")


@pytest.fixture(scope="module", name="home")
def embedded_home() -> Iterator[Path]:
    """Home of a server of this file's own."""
    with new_home() as home:
        yield home


@pytest.fixture(name="server")
def embedded_server(home: Path) -> EmbeddedServer:
    """That server, running; durable, as users get it."""
    server = EmbeddedServer(home)
    start(server)
    return server


@pytest.fixture(scope="module")
def people(database: str) -> dict[str, UUID]:
    """Ann is in the team chat, Bob in no team, and there is a team sales."""
    with connect(database) as connection:
        [row] = connection.execute(
            """
            with ann as (insert into core.users (email, display_name) values ('ann@example.com', 'Ann') returning id),
            bob as (insert into core.users (email, display_name) values ('bob@example.com', 'Bob') returning id),
            chat as (insert into core.teams (slug, name) values ('chat', 'Chat') returning id),
            sales as (insert into core.teams (slug, name) values ('sales', 'Sales') returning id),
            membership as (
                insert into core.team_members (user_id, team_id, joined_at)
                select ann.id, chat.id, now() - interval '90 days' from ann, chat
            )
            select ann.id, bob.id, chat.id, sales.id from ann, bob, chat, sales
            """
        )
        return dict(zip(("ann", "bob", "chat", "sales"), row, strict=True))


@pytest.fixture
def undecided(database: str, people: dict[str, UUID], emptied: None) -> Iterator[None]:
    """Nor what was decided about names; there are people to decide for."""
    yield
    with connect(database) as connection:
        connection.execute("delete from core.source_identities")


@pytest.fixture
def run_identities(database: str) -> Callable[..., Result]:
    """Runs `governance identities`, given what is typed when it asks."""

    def run(*arguments: str, answer: str | None = None) -> Result:
        environment = {"GOVERNANCE_DATABASE_URL": database}
        return CliRunner().invoke(main, ["identities", *arguments], input=answer, env=environment)

    return run
