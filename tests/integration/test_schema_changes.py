"""Schema changes: applied once, in order, all or nothing, beside applications and other builds."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from orchestration.lib.database import connect
from orchestration.lib.dbt import run_dbt, run_operation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir

Connection = psycopg.Connection[TupleRow]
LEDGER = "select id, name, kind, state from internal.schema_changes where id >= 9001 order by id"


class Release:
    """The project with changes of the test's own after its own ones, and one model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("macros", "models"):
            (folder / name).mkdir(parents=True)
        (folder / "models" / "probe.sql").write_text("select 1 as a")
        (folder / "dbt_project.yml").write_text(
            textwrap.dedent(
                f"""
                name: probe
                profile: governance
                macro-paths: ["{project_dir() / "macros"}", macros]
                on-run-start: ["{{{{ apply_schema_changes() }}}}"]
                vars: {{time_series_engine: null, schema_change_patience: 1 second}}
                models: {{probe: {{+materialized: ephemeral}}}}
                """
            )
        )

    @property
    def options(self) -> list[str]:
        return ["--project-dir", str(self.folder), "--target-path", str(self.folder / "target")]

    def change(self, name: str, text: str) -> None:
        (self.folder / "macros" / f"{name}.sql").write_text(f"{{% macro {name}() %}}\n{text}\n{{% endmacro %}}\n")

    def migrate(self, url: str, **arguments: Any) -> list[str]:
        """Lines that `governance migrate` would print."""
        lines: list[str] = []
        run_operation("migrate", arguments, url, options=self.options, tell=lines.append)
        return lines


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "release")


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    """A connection; what the test changed is taken back after it."""
    with connect(database) as connection:
        yield connection
        connection.execute("drop schema if exists probe cascade")
        connection.execute("delete from internal.schema_changes where id >= 9001")


def test_changes_are_applied_once_in_the_order_of_their_numbers(
    session: Connection, database: str, release: Release
) -> None:
    release.change("change_9002_second", "alter table probe.t add column b int; insert into probe.t values (1, 2)")
    release.change("change_9001_first", "create schema probe; create table probe.t (a int)")
    assert release.migrate(database, plan=True) == [
        "would run change_9001_first:\ncreate schema probe; create table probe.t (a int)\n",
        "would run change_9002_second:\nalter table probe.t add column b int; insert into probe.t values (1, 2)\n",
    ]
    assert session.execute(LEDGER).fetchall() == []
    assert release.migrate(database) == ["applied change_9001_first", "applied change_9002_second"]
    assert release.migrate(database) == ["nothing to change: the schema is that of this release"]
    assert session.execute(LEDGER).fetchall() == [
        (9001, "change_9001_first", "applied", "done"),
        (9002, "change_9002_second", "applied", "done"),
    ]
    assert session.execute("table probe.t").fetchall() == [(1, 2)]


def test_an_edited_change_is_refused_by_its_name(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create schema probe")
    release.migrate(database)
    release.change("change_9001_first", "create schema probe; create table probe.t (a int)")
    release.change("change_9002_second", "create table probe.u (a int)")
    with pytest.raises(GovernanceError, match="^change_9001_first is not what was applied to this database"):
        release.migrate(database)
    assert session.execute("select to_regclass('probe.u')").fetchall() == [(None,)]


def test_an_older_release_is_refused(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create schema probe")
    release.migrate(database)
    with pytest.raises(GovernanceError, match=r"by a newer release \(change_9001_first\)"):
        run_dbt(["run", "--select", "users"], database, quiet=True)
    run_dbt(["test", "--select", "users"], database, quiet=True)


def test_a_failing_change_names_itself_and_changes_nothing(
    session: Connection, database: str, release: Release
) -> None:
    release.change("change_9001_first", "create schema probe; create table probe.t (a nonsense)")
    with pytest.raises(GovernanceError, match='^change_9001_first failed and changed nothing: type "nonsense"'):
        release.migrate(database)
    assert session.execute("select to_regnamespace('probe')").fetchall() == [(None,)]
    assert session.execute(LEDGER).fetchall() == []


def test_a_build_applies_changes_first(session: Connection, database: str, release: Release) -> None:
    release.change("change_9001_first", "create table probe.t (a int)")
    model = "{{ config(materialized='view', schema='probe') }}select * from probe.t"
    (release.folder / "models" / "probe.sql").write_text(model)
    run_dbt(["compile", *release.options], database, quiet=True)
    assert session.execute(LEDGER).fetchall() == []
    run_dbt(["run", *release.options], database, quiet=True)
    assert session.execute(LEDGER).fetchall() == [(9001, "change_9001_first", "applied", "done")]
