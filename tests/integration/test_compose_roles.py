"""Each command of docker-compose.yml as the role that it gives, on a server set up as its first services do."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from click.testing import CliRunner, Result
from core_rows import value
from database_roles import drop_roles
from engines import Engine

from orchestration.cli.main import main
from orchestration.lib.backup.backup import read_manifest
from orchestration.lib.database.connection import connect, parameters
from orchestration.lib.database.locks import Lock
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock

pytestmark = [pytest.mark.engines("postgres"), pytest.mark.not_on_pglite("roles that log in")]

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((project_dir() / "docker-compose.yml").read_text())["services"]
PASSWORDS = {f"GOVERNANCE_{role}_PASSWORD": f"of-{role}" for role in ("MIGRATOR", "DBT", "READER", "APPLICATIONS")}


def login(url: str, user: str) -> str:
    password = f"of-{user.removeprefix('governance_').upper()}"
    return f"postgresql://{user}:{password}@{url.rpartition('@')[2]}"


def run_psql(url: str, service: str) -> None:
    """What a service of psql does, as the superuser that its environment names."""
    said = SERVICES[service]
    assert said["environment"]["PGUSER"] == "postgres"
    given = parameters(url)
    environment = {"PGHOST": given["host"], "PGPORT": given["port"], "PGUSER": given["user"],
                   "PGPASSWORD": given["password"], "PGDATABASE": given["dbname"]}  # fmt: skip
    program, *arguments = said["entrypoint"]
    arguments = [each.replace("--file=/", f"--file={project_dir()}/docker/") for each in arguments]
    subprocess.run([str(bundled_program(program)), *arguments], env=os.environ | environment | PASSWORDS, check=True)


def run(url: str, home: Path, service: str, *command: str) -> Result:
    """The command of a service, or another one in its place, as its role; `url` is the superuser's."""
    said = SERVICES[service]
    user = str(urlsplit(said["environment"]["GOVERNANCE_DATABASE_URL"]).username)
    program, *arguments = command or said["command"]
    assert program == "governance"
    environment = {
        "GOVERNANCE_DATABASE_URL": url if user == "postgres" else login(url, user),
        "GOVERNANCE_HOME": str(home),
    }
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.fixture(scope="module")
def warehouse(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As the services that end leave it; the superuser's URL."""
    with engine.database("compose_roles") as url:
        try:
            done = run(url, tmp_path_factory.mktemp("home"), "roles")
            assert done.exit_code == 0, done.output
            run_psql(url, "logins")
            run_psql(url, "applications")
            yield url
        finally:
            with connect(url) as connection:
                connection.execute("drop owned by applications; drop role applications")
            drop_roles(url)


def test_the_build_gives_the_others_their_rights(warehouse: str, tmp_path: Path) -> None:
    """The roles were made while the database was empty: nothing in it says so, and nobody has any rights."""
    with connect(warehouse) as connection:
        connection.execute("delete from internal.settings where name = 'database_roles'")
        connection.execute("revoke all on schema internal, reporting from governance_dbt, governance_reader")
        connection.execute("revoke all on all tables in schema reporting from governance_reader")
    done = run(warehouse, tmp_path, "build", *SERVICES["build"]["command"], "--select", "roles")
    assert done.exit_code == 0, done.output
    done = run(warehouse, tmp_path, "otel-load", "governance", "refresh")
    assert done.exit_code == 0, done.output
    with connect(login(warehouse, "governance_reader")) as reader:
        reader.execute("select from reporting.cost_summary_view")
    assert run(warehouse, tmp_path, "roles").stdout.startswith("nothing to change")


def test_a_backup_holds_everything_whatever_others_made(warehouse: str, tmp_path: Path) -> None:
    """Anybody may make a large object, which pg_dump reads as anybody's; and a temporary table."""
    with connect(login(warehouse, "governance_reader")) as reader:
        reader.execute("select lo_create(0)")
        reader.execute("create temporary table kept as select 1 as one")
        done = run(warehouse, tmp_path, "backup")
    assert done.exit_code == 0, done.output
    manifest = read_manifest(Path(done.stdout.splitlines()[-1]))
    with connect(warehouse) as connection:
        assert manifest.tables["core.roles"].rows == value(connection, "select count(*) from core.roles")
        assert manifest.tables["core.mfa_secrets"].rows == 0


def test_a_drill_says_what_it_needs_before_it_begins(warehouse: str, tmp_path: Path) -> None:
    done = run(warehouse, tmp_path, "backup", "governance", "drill", "--output", str(tmp_path / "backups"))
    assert done.exit_code == 1
    assert "alter role governance_owner createdb" in done.stderr
    assert not (tmp_path / "backups").exists()


def test_traces_are_loaded_as_the_runtime(warehouse: str, tmp_path: Path) -> None:
    _, _, command = SERVICES["otel-load"]["command"]
    arguments = command.replace("/var/lib/otelcol/*.jsonl", "").split()
    files = sorted((project_dir() / "tests" / "fixtures" / "sources").glob("otlp*.jsonl"))
    done = run(warehouse, tmp_path, "otel-load", *arguments, *map(str, files))
    assert done.exit_code == 0, done.output


def test_applications_do_their_work_through_their_role(warehouse: str) -> None:
    user = SERVICES["pgbouncer"]["environment"]["DB_USER"]
    with connect(login(warehouse, user)) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model) values (now(), 'of-app', 'p', 'm')"
        )
        connection.execute(
            "insert into core.audit_logs (actor_type, action, resource_type) values ('service', 'a.b', 'c')"
        )
        assert connection.execute("select count(*) from reporting.cost_summary_view").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select cost_amount from core.llm_metrics")


@pytest.mark.usefixtures("short_patience")
def test_who_takes_the_name_of_a_killed_build_keeps_none_from_starting(warehouse: str) -> None:
    with connect(login(warehouse, "governance_reader"), application=APPLICATION) as reader:
        with build_lock(login(warehouse, "governance_migrator")):
            pass
        assert reader.execute("select 1").fetchone() == (1,)
        # and whose lock it is, is told
        reader.execute("select pg_advisory_lock(%s)", [Lock.BUILD])
        with (
            pytest.raises(GovernanceError, match=r"governance dbt build, pid \d+, as governance_reader; wait for it"),
            build_lock(login(warehouse, "governance_migrator")),
        ):
            pass
