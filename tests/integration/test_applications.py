"""What the role may do as which PgBouncer of docker-compose.yml connects applications."""

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from engines import Engine
from psycopg import sql

from orchestration.lib.database.connection import connect
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.drift.find import find_drift
from orchestration.lib.verification.role_probes import ROLES
from orchestration.lib.warehouse.roles import apply_roles

# a role is the server's own matter, and the file is psql's
pytestmark = pytest.mark.engines("postgres")

PASSWORD = 'it\'s a "secret"'
LOGIN = "postgresql://applications:it%27s%20a%20%22secret%22@"


@pytest.fixture(scope="module")
def application(database: str) -> Iterator[str]:
    """URL with which an application connects, after the file was run twice, as two builds do it."""
    apply_roles(database)
    psql = bundled_program("psql")
    assert psql is not None
    for _ in range(2):
        subprocess.run(
            [
                psql,
                "-d",
                database,
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                project_dir() / "docker/applications.sql",
            ],
            env=os.environ | {"GOVERNANCE_APPLICATIONS_PASSWORD": PASSWORD},
            check=True,
        )
    yield LOGIN + database.split("@")[1]
    with connect(database) as session:
        session.execute("drop owned by applications; drop role applications")
        ours = sql.SQL(", ").join(sql.Identifier(f"governance_{role}") for role in ROLES)
        session.execute(sql.SQL("reassign owned by {} to current_user; drop owned by {}").format(ours, ours))
        session.execute(sql.SQL("drop role {}").format(ours))


def test_an_application_does_its_work(application: str) -> None:
    with connect(application) as connection:
        connection.execute(
            "insert into core.users (email, display_name, password_hash) values ('a@b.example', 'A', null);"
            "update core.users set display_name = 'B' where email = 'a@b.example';"
            "insert into core.audit_logs (actor_type, actor_label, action, resource_type)"
            " values ('service', 'portal', 'page.view', 'page')"
        )
        for _ in range(2):
            connection.execute(
                "insert into core.llm_metrics (time, request_id, provider, model) values ('now', 'r', 'p', 'm')"
                " on conflict (request_id, time) do nothing"
            )
        connection.execute("insert into core.sessions (user_id) select id from core.users limit 0")
        assert connection.execute("select count(*) from reporting.cost_summary_view").fetchone() is not None


def test_its_rights_are_no_drift_but_one_more_is(engine: Engine, database: str, application: str) -> None:
    assert application
    with engine.database("applications_reference") as reference:
        assert [(v.subject, v.message) for v in find_drift(database, reference_url=reference).violations] == []
        with connect(database) as session:
            session.execute("grant update on core.audit_logs to applications")
            (violation,) = find_drift(database, reference_url=reference).violations
            session.execute("revoke update on core.audit_logs from applications")
    assert violation.subject == "grant core.audit_logs to applications"


@pytest.mark.parametrize(
    "statement",
    [
        "update core.llm_metrics set cost_amount = 0",
        "delete from core.llm_metrics",
        "delete from core.audit_logs",
        "update core.audit_logs set action = 'another'",
        "select * from internal.quarantine",
        "update internal.settings set value = 'EUR'",
        "create table core.mine ()",
        "alter table core.users disable trigger all",
        "create role another",
        "drop view reporting.cost_summary_view",
        "truncate core.users",
    ],
)
def test_an_application_may_no_more(application: str, statement: str) -> None:
    with connect(application) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
