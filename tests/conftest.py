"""Fixtures for every test: one throw-away server per session, and an environment of the tests' own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from orchestration.lib.database import connect, ensure_database, with_database
from orchestration.lib.dbt import run_dbt
from orchestration.lib.embedded import EmbeddedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the committed snapshots anew")


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reaches a developer's own database by a variable of his shell or by the project's home."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GOVERNANCE_", "DBT_", "PG")) and name != "GOVERNANCE_TEST_DATABASE_URL":
                patch.delenv(name)
        patch.setenv("GOVERNANCE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """URL of a database from which others can be created: of $GOVERNANCE_TEST_DATABASE_URL, else of our own server."""
    configured = os.environ.get("GOVERNANCE_TEST_DATABASE_URL")
    if configured:
        yield configured
        return
    # not below pytest's folder, which only its owner may enter: as root the server is run by another user
    home = Path(tempfile.mkdtemp(prefix="governance-tests-"))
    home.chmod(0o711)
    server = EmbeddedServer(home, durable=False)
    try:
        server.up()
        url = server.url("postgres")
        assert url is not None
        yield url
    finally:
        server.destroy()
        shutil.rmtree(home)


TEMPLATE = "governance_template"


@pytest.fixture(scope="session")
def template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a database that holds a complete build without tests; nobody may connect to it."""
    os.environ["DBT_TARGET_PATH"] = str(tmp_path_factory.mktemp("dbt"))
    os.environ["DBT_LOG_PATH"] = os.environ["DBT_TARGET_PATH"]
    _recreate(server_url, TEMPLATE)
    run_dbt(["build", "--resource-type", "model", "seed"], with_database(server_url, TEMPLATE), quiet=True)
    return TEMPLATE


@pytest.fixture(scope="module")
def database(server_url: str, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database of this module's own, a copy of the template."""
    name = "test_" + request.module.__name__.rsplit(".", 1)[-1]
    _recreate(server_url, name, template)
    yield with_database(server_url, name)
    with connect(server_url) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection whose transaction is rolled back after the test."""
    with connect(database, autocommit=False) as connection:
        yield connection
        connection.rollback()


def _recreate(server_url: str, name: str, template: str | None = None) -> None:
    with connect(server_url) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        if template is not None:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template])
    ensure_database(server_url, name, template=template)
