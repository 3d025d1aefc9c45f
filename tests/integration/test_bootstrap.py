"""What bootstrap makes is discovered, and each object is sent where its own text changed and nowhere else."""

import re

import shared_fixtures

from orchestration.lib.database.connection import Connection
from orchestration.lib.dbt.runner import run_dbt

APPLIED = (
    "select name, checksum, applied_at from internal.schema_objects where name ~ '^(table|function|procedure|trigger) '"
)
ROWS_OF_CATALOG = """
    select 'function ' || oid::regprocedure::text, xmin::text from pg_proc
    where pronamespace::regnamespace::text in ('core', 'internal')
    union all
    select 'trigger ' || tgname || ' on ' || tgrelid::regclass::text, xmin::text from pg_trigger where not tgisinternal
    union all
    select 'relation ' || oid::regclass::text, xmin::text from pg_class
    where relnamespace::regnamespace::text = 'internal'
"""


session = shared_fixtures.open_connection


def build(database: str) -> None:
    run_dbt(["run", "--select", "teams"], database, quiet=True)


def test_every_function_of_bootstrap_has_a_checksum_of_its_own(session: Connection) -> None:
    objects = {name for name, *_ in session.execute(APPLIED).fetchall()}
    functions = session.execute(
        "select case prokind when 'p' then 'procedure ' else 'function ' end"
        " || pronamespace::regnamespace || '.' || proname from pg_proc"
        " where pronamespace::regnamespace::text in ('core', 'internal')"
    ).fetchall()
    # those of one rollup and of one time series come with its table
    made = {name for (name,) in functions if not re.match("function internal.(refresh_|log_.*_invalidation)", name)}
    assert made - objects == set()
    assert {"table internal.loads", "procedure internal.refresh_rollup", "trigger verification_runs_kept"} <= objects


def test_a_build_that_finds_nothing_changed_sends_nothing(session: Connection, database: str) -> None:
    before = session.execute(ROWS_OF_CATALOG).fetchall(), session.execute(APPLIED).fetchall()
    build(database)
    assert (session.execute(ROWS_OF_CATALOG).fetchall(), session.execute(APPLIED).fetchall()) == before


def test_only_what_changed_is_sent(session: Connection, database: str) -> None:
    changed = "function internal.text_fault"
    session.execute("update internal.schema_objects set checksum = 'another' where name = %s", [changed])
    before = dict[str, str](session.execute(ROWS_OF_CATALOG).fetchall())
    applied = {name: rest for name, *rest in session.execute(APPLIED).fetchall()}
    build(database)
    after = dict[str, str](session.execute(ROWS_OF_CATALOG).fetchall())
    written = {name for name, row in after.items() if before[name] != row}
    assert written == {"function internal.text_fault(text,text,integer,boolean)"}
    renewed = {name for name, *rest in session.execute(APPLIED).fetchall() if applied[name] != rest}
    assert renewed == {changed}


def test_what_is_missing_is_made_anew(session: Connection, database: str) -> None:
    session.execute("drop function internal.drop_old_evidence(); drop table internal.dbt_results")
    session.execute("drop trigger verification_runs_kept on internal.verification_runs")
    build(database)
    names = "to_regproc('internal.drop_old_evidence'), to_regclass('internal.dbt_results')"
    assert None not in session.execute(f"select {names}".encode()).fetchall()[0]
    trigger = "select tgenabled::text from pg_trigger where tgname = 'verification_runs_kept'"
    assert session.execute(trigger.encode()).fetchall() == [("A",)]


def test_every_body_compiles(connection: Connection) -> None:
    """Bootstrap sends functions unchecked, for they call each other."""
    connection.execute("set local check_function_bodies = on")
    definitions = connection.execute(
        "select pg_get_functiondef(oid) from pg_proc where pronamespace::regnamespace::text in ('core', 'internal')"
        " and prolang in (select oid from pg_language where lanname in ('sql', 'plpgsql'))"
    ).fetchall()
    for (definition,) in definitions:
        # what a load keeps in a temporary table is there only while it loads
        if "pg_temp." not in definition:
            connection.execute(definition.encode())
    assert len(definitions) > 60
