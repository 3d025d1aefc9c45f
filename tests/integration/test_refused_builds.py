"""What stops a build before its first node is said in its own sentence; in Dagster too, says test_dagster.py."""

from collections.abc import Iterator

import pytest
from database_roles import as_user
from psycopg import sql

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.build import build_warehouse
from orchestration.lib.warehouse.build_lock import build_lock

# what dbt makes of a refusal is the same on each
pytestmark = pytest.mark.engines("postgres")

NEWER = "insert into internal.schema_changes values (9999, 'change_9999_later', '', 'applied', 'done', now())"
EDITED = "update internal.schema_changes set checksum = 'another' where id = 1"
# as if these had yet to be applied
PENDING = "delete from internal.schema_changes where id = 2"
NEWER_SAID = (
    "the database was changed by a newer release (change_9999_later), which this one does not know; use that release"
)


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    """A connection; the ledger is put back after the test."""
    with connect(database) as connection:
        connection.execute("create temporary table ledger as table internal.schema_changes")
        yield connection
        connection.execute("truncate internal.schema_changes; insert into internal.schema_changes table ledger")


def refusal(url: str, *arguments: str) -> str:
    with pytest.raises(GovernanceError) as caught:
        build_warehouse(list(arguments), url, quiet=True)
    return str(caught.value)


@pytest.mark.parametrize(
    ("statement", "arguments", "said"),
    [
        (
            "select 1",
            ["--vars", "{reporting_timezone: Europe/Berlin}"],
            "the rollups were built in time zone UTC, not Europe/Berlin; run `governance rebuild-rollups` to build "
            "them anew as far back as raw rows reach, or set reporting_timezone back",
        ),
        ("select 1", ["--vars", "{reporting_timezone: Europe/Berlim}"], 'time zone "Europe/Berlim" not recognized'),
        (
            "select 1",
            ["--vars", "{reporting_timezone: Australia/Lord_Howe}"],
            "reporting_timezone Australia/Lord_Howe shifts its clock by part of an hour, which hourly rollups cannot "
            "hold; choose another zone",
        ),
        (
            "select 1",
            ["--vars", "{reporting_timezone: Atlantic/Azores}"],
            "reporting_timezone Atlantic/Azores puts its clock back over midnight, so that a day has two, which daily "
            "rollups cannot hold; choose another zone",
        ),
        (
            "select 1",
            ["--vars", "{cost_precedence: both}"],
            "cost_precedence is both, which is neither source nor prices; set which cost counts where there are both",
        ),
        (NEWER, [], NEWER_SAID),
        (
            EDITED,
            [],
            "change_0001_exclusions_by_expression is not what was applied to this database as "
            "change_0001_exclusions_by_expression: a change that was applied is never edited; restore its text and "
            "put what is new into a change of the next number",
        ),
    ],
    ids=[
        *("another zone", "misspelt zone", "half an hour", "two midnights", "unknown precedence", "newer release"),
        "edited change",
    ],
)
def test_a_build_says_why_it_does_not_begin(
    session: Connection, database: str, statement: str, arguments: list[str], said: str
) -> None:
    session.execute(statement.encode())
    assert refusal(database, *arguments) == said


def test_a_build_says_whose_lock_it_waited_for(session: Connection, database: str) -> None:
    session.execute(PENDING)
    with connect(database, autocommit=False, application="accounting") as other:
        other.execute("lock table core.team_members")
        said = refusal(database, "--vars", "{schema_change_patience: 1 second}")
        pid = other.info.backend_pid
    assert said.startswith(
        "change_0002_memberships_from_index changed nothing, for it did not get its locks within 1 second: end the "
        f"open transactions, or wait for them, and build again. Open: pid {pid} (accounting) since "
    )


def test_a_build_says_why_a_change_failed(session: Connection, database: str) -> None:
    index = "core.team_members_user_id_idx"
    ((definition,),) = session.execute("select pg_get_indexdef(%s::regclass)", [index]).fetchall()
    session.execute(f"{PENDING}; drop index {index}; create view {index} as select 1 as a".encode())
    try:
        said = refusal(database)
    finally:
        session.execute(f"drop view {index}; {definition}".encode())
    assert said == (
        'change_0002_memberships_from_index failed and changed nothing: "team_members_user_id_idx" is not an index'
    )


def test_a_role_without_the_right_is_told_who_has_it(session: Connection, database: str) -> None:
    role = sql.Identifier("test_refused_builder")
    session.execute(sql.SQL("drop role if exists {0}; create role {0} login password 'test'").format(role))
    url = as_user(database, "test_refused_builder:test")
    try:
        assert refusal(url).startswith("role test_refused_builder may not read internal.schema_changes and so cannot")
        session.execute(
            sql.SQL(
                "grant usage on schema internal to {0}; grant select on internal.schema_changes to {0};"
                "grant create on database {1} to {0}"
            ).format(role, sql.Identifier(session.info.dbname))
        )
        session.execute(PENDING)
        assert refusal(url) == (
            "the schema is older than this release, and this role may not change it "
            "(change_0002_memberships_from_index): run `governance migrate` as postgres, then build again"
        )
    finally:
        session.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))


@pytest.mark.parametrize("arguments", [["--target", "elsewhere"], ["-t", "elsewhere"], ["--target=elsewhere"]])
def test_a_target_that_is_none_is_refused_once(
    database: str, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert refusal(database, *arguments) == "profiles.yml has no target elsewhere; it has embedded, compose, prod"
    assert "elsewhere" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("short_patience")
def test_a_build_names_the_one_that_is_at_work(database: str) -> None:
    with build_lock(database):
        assert refusal(database).startswith("another build is at work on this database: governance build from ")
