"""Deep drift: each way a database may differ from what the project builds is named, and what is offered heals it.

tests/fixtures/drift/drifts.yml has the ways.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
import yaml
from engines import Engine

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.evidence.result import Violation
from orchestration.lib.evidence.store import collect
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.drift.catalog import Catalog, compare_catalogs, read_catalog
from orchestration.lib.verification.drift.find import as_violation, find_drift
from orchestration.lib.warehouse.build import build_warehouse

FIXTURES = project_dir() / "tests" / "fixtures" / "drift"
DRIFTS: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "drifts.yml").read_text())
BUILD_ARGS = ["--resource-type", "model", "seed", "--select"]
by_name = pytest.mark.parametrize(
    "drift",
    [
        pytest.param(
            drift,
            id=drift["name"].replace(" ", "_"),
            marks=[pytest.mark.engines(*drift["engines"])] if "engines" in drift else [],
        )
        for drift in DRIFTS
    ],
)


@pytest.fixture(scope="module")
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("drift") as url:
        yield url


@pytest.fixture(scope="module")
def reference(warehouse: str) -> Catalog:
    with connect(warehouse) as connection:
        return read_catalog(connection)


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """Rolled back at its end."""
    with connect(url, autocommit=False) as connection:
        yield connection
        connection.rollback()


def violations(connection: Connection, reference: Catalog) -> list[Violation]:
    found = read_catalog(connection)
    return [as_violation(difference, reference, found) for difference in compare_catalogs(reference, found)]


def statements(fix: str) -> list[str]:
    """The SQL that a fix names."""
    return [code for code in re.findall("`([^`]*)`", fix) if not code.startswith("governance")]


def is_possible(drift: dict[str, Any], engine: Engine) -> bool:
    return engine.name in drift.get("engines", [engine.name])


def subjects(drifts: list[dict[str, Any]]) -> list[str]:
    return [subject for drift in drifts for subject in drift["expect"]]


def views_of(drifts: list[dict[str, Any]]) -> list[str]:
    """The reports that the drifts are about."""
    return sorted({match[1] for subject in subjects(drifts) if (match := re.search(r"reporting\.(\w+)", subject))})


def matches(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


@by_name
def test_a_drift_is_named_and_its_fix_heals_it(warehouse: str, reference: Catalog, drift: dict[str, Any]) -> None:
    with transaction(warehouse) as connection:
        connection.execute(drift["break"].encode())
        found = violations(connection, reference)
        shown = [(each.subject, each.message) for each in found]
        assert len(shown) == len(drift["expect"]), shown
        for (subject, message), (expected, words) in zip(shown, drift["expect"].items(), strict=True):
            assert matches(subject, expected), shown
            assert matches(message, words), shown
        for each in found:
            assert ("--reapply" in each.fix) <= (drift["heal"] == "reapply"), each.fix
            assert (each.fix == "Run `governance build`.") <= (drift["heal"] in ("build", "reapply")), each.fix
            assert each.fix == drift.get("fix", each.fix)
        if drift["heal"] == "sql":
            for each in found:
                for statement in statements(each.fix):
                    connection.execute(statement.encode())
            assert violations(connection, reference) == []


def test_what_the_fixes_say_heals_all_drifts_at_once(engine: Engine, reference: Catalog) -> None:
    drifts = [drift for drift in DRIFTS if is_possible(drift, engine) and drift["heal"] in ("reapply", "build")]
    with engine.database("drift_healed") as url:
        with connect(url) as connection:
            for drift in drifts:
                connection.execute(drift["break"].encode())
            found = violations(connection, reference)
            assert len(found) >= len(drifts)
            for statement in [code for each in found for code in statements(each.fix)]:
                connection.execute(statement.encode())
        # the rule reads a column that was missing; any other report or rule is as it was, or is a violation
        nodes = ["core", "rollups", "rows_in_default_partition", *views_of(drifts)]
        build_warehouse([*BUILD_ARGS, *nodes], url, quiet=True, reapply=True)
        with connect(url) as connection:
            assert [(each.subject, each.message) for each in violations(connection, reference)] == []


def test_a_plain_build_heals_what_is_said_to_need_no_more(engine: Engine, reference: Catalog) -> None:
    drifts = [drift for drift in DRIFTS if drift["heal"] == "build"]
    with engine.database("drift_built") as url:
        with connect(url) as connection:
            for drift in drifts:
                connection.execute(drift["break"].encode())
            assert {each.fix for each in violations(connection, reference)} == {"Run `governance build`."}
        tables = {match[1] for subject in subjects(drifts) if (match := re.search(r"core\.(\w+)", subject))}
        build_warehouse([*BUILD_ARGS, *sorted(tables), *views_of(drifts)], url, quiet=True)
        with connect(url) as connection:
            assert violations(connection, reference) == []


def test_what_an_operator_may_add_is_no_drift_and_what_is_accepted_is_counted(engine: Engine, warehouse: str) -> None:
    additions = """
        create role drift_reader;
        grant usage on schema reporting to drift_reader;
        grant select on all tables in schema reporting to drift_reader;
        alter default privileges in schema reporting grant select on tables to drift_reader;
        create schema drift_own;
        create table drift_own.notes (id bigint);
        create table internal.llm_team_daily_until_20260101000000 (bucket timestamptz);
        -- as a second version of a rollup is stored
        create table rollups.llm_team_daily_history_1 as select * from rollups.llm_team_daily;
        do $$ begin execute format(
            'alter %s rollups.llm_team_daily_stored rename to llm_team_daily_stored_2',
            case (select relkind from pg_class where oid = 'rollups.llm_team_daily_stored'::regclass)
                when 'v' then 'materialized view' else 'table'
            end
        ); end $$;
        do $$ begin execute format(
            'create or replace view rollups.llm_team_daily as %s union all table rollups.llm_team_daily_history_1',
            rtrim(pg_get_viewdef('rollups.llm_team_daily'::regclass), ';')
        ); end $$;
        update internal.rollup_state set version = 2 where name = 'llm_team_daily';
        do $$ begin execute format('alter database %I set statement_timeout = 3600000', current_database()); end $$;
        create index of_mine on core.users (created_at);
        create table core.mine_too ();
        insert into seeds.verification_exceptions values
            ('deep_drift', 'index of_mine *', 'the portal asks so', current_date + 1),
            ('deep_drift', 'table core.mine_too', 'not any more', current_date - 2);
    """
    with engine.database("drift_added") as url:
        with connect(url) as connection:
            connection.execute(additions.encode())
        try:
            drift = collect(url, [partial(find_drift, reference_url=warehouse)], program=None)
        finally:
            with connect(url) as connection:
                connection.execute("drop owned by drift_reader; drop role drift_reader")
    assert [each.subject for each in drift.violations] == ["table core.mine_too"]
    assert len(drift.excused) == 1
    assert drift.exit_code == 1
