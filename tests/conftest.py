"""Fixtures for every test: throw-away engines for the session, and an environment of the tests' own."""

import fcntl
import gc
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import parsed
import pytest
import seconds
import unheard
from dbt_shortcuts import shortcuts
from embedded_homes import new_folder
from engines import ENGINES, Engine, is_pglite, pglite
from engines.choice import is_chosen
from psycopg import sql
from shared_fixtures import (  # noqa: F401 - fixtures of several files
    cheap_hashes,
    connection,
    embedded_home,
    embedded_server,
    emptied,
    emptied_and_refreshed,
    idle,
    kept_for_long,
    load_csv,
    load_json,
    people,
    run_governance,
    run_identities,
    run_ingest,
    short_patience,
    undecided,
    write_tables,
    write_usage,
)

from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer

# a folder of the whole run, also where workers share it out
SHARED = pytest.StashKey[Path]()
# files that take longest on an engine, some on one engine, so that no worker is left with one at the end
LONGEST = (
    "test_rollup_evolution",
    # on Community: while one worker makes the template of postgres the other makes that one
    "test_timescaledb_traps",
    "test_rollup_zones",
    "test_build",
    "test_dagster",
    "test_own_server",
    "test_rollup_equality",
    "test_drift_reference",
    "test_builds_side_by_side",
    "test_schema_changes",
    # the other edition starts with what this one makes
    "test_hypertables timescaledb",
    "test_drift_check",
    "test_refused_builds",
    "test_drift",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the committed snapshots anew")
    parser.addoption(
        "--engine",
        action="append",
        choices=ENGINES,
        help="only this one (may be repeated); says what $GOVERNANCE_TEST_DATABASE_URL is where that isn't clear",
    )
    parser.addoption(
        "--not-on-pglite", action="store_true", help="show which tests WebAssembly isn't up to, and why; run nothing"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): of the tests that use `engine`: only on these")
    config.addinivalue_line("markers", "not_on_pglite(reason): needs a server, WebAssembly won't do")
    config.addinivalue_line("markers", "knows_no_engine: is the same on each, so an ordinary run has it on postgres")
    if _is_worker(config):
        config.stash[SHARED] = Path(config.workerinput["shared"])  # type: ignore[attr-defined]
        return
    if getattr(config.option, "numprocesses", None) and os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        raise pytest.UsageError("on $GOVERNANCE_TEST_DATABASE_URL the tests need one process: leave -n away")
    config.stash[SHARED] = new_folder()
    config.add_cleanup(lambda: shutil.rmtree(config.stash[SHARED]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """What a worker is told, of pytest-xdist."""
    node.workerinput["shared"] = str(node.config.stash[SHARED])


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses `engine`, itself or through `database` or `connection`, runs once on each."""
    if "engine" in metafunc.fixturenames:
        names: list[str] = metafunc.config.getoption("--engine") or []
        if configured := os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
            names = names or [_kind(configured)]
        metafunc.parametrize("engine", names or ENGINES, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what isn't meant for an engine. An absent engine's tests stay: they say so, and fail on CI."""
    everything = bool(config.getoption("--engine") or os.environ.get("GOVERNANCE_TEST_DATABASE_URL"))
    left_out = [
        item
        for item in items
        if not (_is_meant_for_its_engine(item) and (everything or _is_chosen_for_its_engine(item)))
    ]
    unwanted = {id(item) for item in left_out}
    items[:] = [item for item in items if id(item) not in unwanted]
    config.hook.pytest_deselected(items=left_out)
    if config.getoption("--not-on-pglite"):
        items.clear()
        reasons: dict[str, set[str]] = defaultdict(set)
        for item in left_out:
            for marker in item.iter_markers("not_on_pglite"):
                reasons[marker.args[0]].add(item.nodeid.split("[")[0])
        for reason, tests in sorted(reasons.items()):
            print(reason, *sorted(tests), sep="\n  ")
    if _is_worker(config):
        # the sort keeps the order of a file's tests on an engine
        items.sort(key=_place)


def pytest_collection_finish() -> None:
    """What lives to the end is never looked through for garbage again: a tenth of what tests of loads take."""
    gc.freeze()


def _place(item: pytest.Item) -> int:
    """Of its file on its engine in LONGEST."""
    names = (item.path.stem, f"{item.path.stem} {_engine_of(item)}")
    return next((place for place, name in enumerate(LONGEST) if name in names), len(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests on one engine are one worker's, in their order, for they share a database."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByDatabase(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            parameters = test.partition("[")[2].rstrip("]").split("-")
            return f"{file} {' '.join(name for name in ENGINES if name in parameters)}"

    return ByDatabase(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests said in workers, which have no terminal, and what the files took."""
    found = [report for reports in terminalreporter.stats.values() for report in reports]
    if getattr(terminalreporter.config.option, "numprocesses", None):
        seconds.show(terminalreporter, found)
    for report in found:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for name, line in report.user_properties:
                if name == "said":
                    terminalreporter.write_line(str(line))


def _engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("engine") if callspec else None


def _is_meant_for_its_engine(item: pytest.Item) -> bool:
    engine = _engine_of(item)
    if engine is None:
        return True
    return all(engine in marker.args for marker in item.iter_markers("engines")) and not (
        is_pglite(engine) and item.get_closest_marker("not_on_pglite")
    )


def _is_chosen_for_its_engine(item: pytest.Item) -> bool:
    engine = _engine_of(item)
    named = [marker.args for marker in item.iter_markers("engines")]
    if engine is None or any("postgres" not in names for names in named):
        return True
    if item.get_closest_marker("knows_no_engine"):
        return engine == "postgres"
    return is_chosen(engine, item.path.stem, item.name.partition("[")[0])


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
def dbt_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """dbt writes into a folder of the session, and begins with what it has read before."""
    os.environ["DBT_TARGET_PATH"] = os.environ["DBT_LOG_PATH"] = str(tmp_path_factory.mktemp("dbt"))
    # half of what a small run takes, and no test reads them; Dagster's have the manifest written
    os.environ |= {"DBT_WRITE_JSON": "false", "DBT_LOG_LEVEL_FILE": "none"}
    with parsed.kept_in(pytestconfig.stash[SHARED] / "parsed"), unheard.not_worded(), shortcuts():
        yield


TEMPLATE = "governance_template"
# for the one backend of an engine in WebAssembly, which nodes of a build share; a busy machine is slow
PATIENCE = 30
BUILD = ["build", "--resource-type", "model", "seed"]


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config, dbt_folder: None) -> Iterator[str]:
    """URL of a database from which others can be created: of $GOVERNANCE_TEST_DATABASE_URL, else of our own server."""
    configured = os.environ.get("GOVERNANCE_TEST_DATABASE_URL")
    if configured:
        yield configured
        return
    with _copied_server(pytestconfig, durable=False) as server:
        url = server.url("postgres")
        assert url is not None
        yield url


@pytest.fixture(scope="module")
def durable_server(pytestconfig: pytest.Config, dbt_folder: None) -> Iterator[EmbeddedServer]:
    """A server of a file's own with TEMPLATE, which keeps what it acknowledges, as users get it."""
    with _copied_server(pytestconfig, durable=True) as server:
        yield server


@contextmanager
def _copied_server(pytestconfig: pytest.Config, *, durable: bool) -> Iterator[EmbeddedServer]:
    made = made_once(pytestconfig.stash[SHARED] / "postgres", _make_server_with_template)
    home = new_folder()
    subprocess.run(["cp", "-a", f"{made}/.", home], check=True)
    server = EmbeddedServer(home, durable=durable)
    try:
        server.up()
        yield server
    finally:
        server.destroy()
        shutil.rmtree(home)


def _make_server_with_template(home: Path) -> None:
    """A home whose server has the template; each worker gets a copy of it."""
    server = EmbeddedServer(home, durable=False)
    server.up()
    url = server.url("postgres")
    assert url is not None
    _make_template(url)
    server.down()


def _make_template(server_url: str) -> None:
    recreate(server_url, TEMPLATE)
    run_dbt(BUILD, with_database(server_url, TEMPLATE), quiet=True)
    with connect(server_url) as admin:
        # TimescaleDB's scheduler would come back to it, and what is in use can't be copied
        admin.execute(f"alter database {TEMPLATE} allow_connections false")


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """Name of a database that holds a complete build without tests; nobody may connect to it."""
    if os.environ.get("GOVERNANCE_TEST_DATABASE_URL"):
        _make_template(server_url)
    return TEMPLATE


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, dbt_folder: None) -> Iterator[Engine]:
    """Each engine in turn."""
    name: str = request.param
    if not is_pglite(name):
        server_url, template = request.getfixturevalue("server_url"), request.getfixturevalue("template")
        yield Engine(
            name,
            lambda database: _server_database(server_url, database, template),
            lambda database: _server_database(server_url, database, None),
        )
        return
    apache = name == "timescaledb_apache"
    empty: Path = request.getfixturevalue("pglite_empty")
    host: pglite.Host = request.getfixturevalue("pglite_host")

    def build(data: Path) -> None:
        with host.serving(empty, apache=apache, patience=PATIENCE, keep=data) as url:
            run_dbt(BUILD, url, quiet=True)

    built = made_once(request.config.stash[SHARED] / name, build)
    yield Engine(
        name,
        lambda _: host.serving(built, apache=apache, patience=PATIENCE),
        lambda _: host.serving(empty, apache=apache, patience=PATIENCE),
    )


@pytest.fixture(scope="session")
def pglite_host() -> Iterator[pglite.Host]:
    """What serves the databases of this process's tests."""
    pglite.require()
    with closing(pglite.Host()) as host:
        yield host


@pytest.fixture(scope="session")
def pglite_empty(pytestconfig: pytest.Config, pglite_host: pglite.Host) -> Path:
    """Data folder of an empty database with TimescaleDB."""
    return made_once(pytestconfig.stash[SHARED] / "pglite_empty", pglite_host.create)


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """What the first one to ask for it makes in the shared folder, while other workers wait."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                Path(folder).chmod(0o711)
                make(Path(folder, path.name))
                Path(folder, path.name).rename(path)
    return path


@pytest.fixture(scope="module")
def database(engine: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database of this module's own, on each engine in turn, with a complete build of the project."""
    with engine.database(request.module.__name__.rsplit(".", 1)[-1]) as url:
        yield url


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Shows a line of the test's own, also if it passes: at once, or from a worker at the end of the run."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        if terminal is None:
            request.node.user_properties.append(("said", line))
        else:
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                terminal.ensure_newline()
                terminal.write_line(line)

    return say


def _kind(server_url: str) -> str:
    with connect(server_url) as admin:
        [loaded] = admin.execute("select current_setting('shared_preload_libraries')").fetchone() or [""]
    return "timescaledb" if "timescaledb" in loaded else "postgres"


@contextmanager
def _server_database(server_url: str, name: str, template: str | None) -> Iterator[str]:
    name = f"test_{name}"
    recreate(server_url, name, template)
    try:
        yield with_database(server_url, name)
    finally:
        with connect(server_url) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def recreate(server_url: str, name: str, template: str | None = None) -> None:
    """Makes a database anew, empty or as a copy."""
    with connect(server_url) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        if template is not None:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template])
    ensure_database(server_url, name, template=template)
