"""Fixtures for every test: throw-away engines for the session, and an environment of the tests' own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from engines import ENGINES, Engine, pglite
from psycopg import sql
from psycopg.rows import TupleRow

from orchestration.lib.database import connect, ensure_database, with_database
from orchestration.lib.dbt import run_dbt
from orchestration.lib.embedded import EmbeddedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the committed snapshots anew")
    parser.addoption(
        "--engine",
        action="append",
        choices=ENGINES,
        help="only this one (may be repeated); says what $GOVERNANCE_TEST_DATABASE_URL is where that isn't clear",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): of the tests that use `engine`: only on these")
    config.addinivalue_line("markers", "not_on_pglite(reason): needs a server, WebAssembly won't do")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses `engine`, itself or through another fixture, runs once on each."""
    if "engine" not in metafunc.fixturenames:
        return
    chosen: list[str] = metafunc.config.getoption("--engine") or []
    if configured := os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        names = chosen or [_kind(configured)]
    else:
        names = chosen or list(ENGINES)
        if metafunc.definition.get_closest_marker("not_on_pglite"):
            names = [name for name in names if name == "postgres"]
    for marker in metafunc.definition.iter_markers("engines"):
        names = [name for name in names if name in marker.args]
    metafunc.parametrize("engine", names, indirect=True, scope="session")


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


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """dbt writes into a folder of the session."""
    os.environ["DBT_TARGET_PATH"] = os.environ["DBT_LOG_PATH"] = str(tmp_path_factory.mktemp("dbt"))


TEMPLATE = "governance_template"
BUILD = ["build", "--resource-type", "model", "seed"]


@pytest.fixture(scope="session")
def template(server_url: str, dbt_folder: None) -> str:
    """Name of a database that holds a complete build without tests; nobody may connect to it."""
    _recreate(server_url, TEMPLATE)
    run_dbt(BUILD, with_database(server_url, TEMPLATE), quiet=True)
    return TEMPLATE


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, dbt_folder: None) -> Iterator[Engine]:
    """Each engine in turn."""
    name: str = request.param
    if name == "postgres" or os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        server_url, template = request.getfixturevalue("server_url"), request.getfixturevalue("template")
        yield Engine(name, lambda database: _server_database(server_url, database, template))
        return
    empty: Path = request.getfixturevalue("pglite_empty")
    apache = name == "timescaledb_apache"
    with tempfile.TemporaryDirectory(prefix="governance-tests-") as folder:
        built = Path(folder, "built")
        pglite.copy(empty, built)
        with pglite.serving(built, apache=apache) as url:
            run_dbt(BUILD, url, quiet=True)
        yield Engine(name, lambda database: _pglite_database(built, Path(folder, database), apache))


@pytest.fixture(scope="session")
def pglite_empty() -> Iterator[Path]:
    """Data folder of an empty database with TimescaleDB."""
    pglite.require()
    with tempfile.TemporaryDirectory(prefix="governance-tests-") as folder:
        pglite.create(Path(folder, "empty"))
        yield Path(folder, "empty")


@pytest.fixture(scope="module")
def database(server_url: str, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database of this module's own, a copy of the template."""
    with _server_database(server_url, request.module.__name__.rsplit(".", 1)[-1], template) as url:
        yield url


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection whose transaction is rolled back after the test."""
    with connect(database, autocommit=False) as connection:
        yield connection
        connection.rollback()


def _kind(server_url: str) -> str:
    with connect(server_url) as connection:
        [loaded] = connection.execute("select current_setting('shared_preload_libraries')").fetchone() or [""]
    return "timescaledb" if "timescaledb" in loaded else "postgres"


@contextmanager
def _server_database(server_url: str, name: str, template: str) -> Iterator[str]:
    name = f"test_{name}"
    _recreate(server_url, name, template)
    try:
        yield with_database(server_url, name)
    finally:
        with connect(server_url) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def _pglite_database(template: Path, data: Path, apache: bool) -> Iterator[str]:
    pglite.copy(template, data)
    with pglite.serving(data, apache=apache) as url:
        yield url
    shutil.rmtree(data)


def _recreate(server_url: str, name: str, template: str | None = None) -> None:
    with connect(server_url) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        if template is not None:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template])
    ensure_database(server_url, name, template=template)
