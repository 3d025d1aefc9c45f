"""Probes find nothing in a sound database, leave no trace in it, and each finds its guard broken."""

import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from core_rows import transaction
from engines import Engine
from psycopg import sql
from tenacity import stop_after_attempt

from orchestration.cli.main import main
from orchestration.lib.database import retry
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.drift.catalog import compare_catalogs, read_catalog
from orchestration.lib.verification.probes import PROBES, probe_database, run_probes
from orchestration.lib.verification.probing import Probe

# of the probes of what must happen: what keeps it from happening
SWALLOW = """
    create function public.swallow() returns trigger language plpgsql as 'begin return null; end';
    create trigger swallow before insert on core.llm_metrics for each row execute function public.swallow();
"""
BROKEN = {
    "updated_at": "alter table core.users disable trigger users_updated_at",
    "audit_row": "alter table core.teams disable trigger teams_audit",
    "audit_secrets": "do $$ begin execute replace("
    "pg_get_functiondef('internal.audit_row_change()'::regprocedure), '''token_hash''', '''no_secret'''); end $$",
    "audit_server_side": "alter table core.audit_logs disable trigger audit_logs_checksum",
    "audit_checksum": "do $$ begin execute replace("
    "pg_get_functiondef('core.audit_log_trigger()'::regprocedure), 'new.user_agent', 'null'); end $$",
    "policy_handover": "alter table core.policies disable trigger policies_publish_assignments",
    "live_rollup": SWALLOW,
    "late_row_logged": "drop trigger llm_metrics_log_insert on core.llm_metrics",
    "late_row_rolled_up": "drop trigger llm_metrics_log_insert on core.llm_metrics",
    # an ALWAYS trigger is what it takes, any other one refuses the ordinary update too
    "audit_update_as_replica": "alter table core.audit_logs enable trigger audit_logs_append_only",
}
# probes of what only rollups without continuous aggregates have
OF_INCREMENTAL_ROLLUPS = {"late_row_logged", "late_row_rolled_up"}


@pytest.fixture(scope="module")
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("probes") as url:
        yield url


def rows_of_everything(connection: Connection) -> dict[str, tuple[int, str]]:
    """Number and newest version of the rows of each of our tables."""
    tables = connection.execute(
        "select format('%I.%I', n.nspname, c.relname)"
        " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname in ('core', 'internal', 'rollups', 'seeds') and c.relkind in ('r', 'p')"
    ).fetchall()
    found = {}
    for (table,) in tables:
        query = f"select count(*), coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {table} as t"
        found[table] = connection.execute(query.encode()).fetchall()[0]
    return found


def test_a_sound_database_passes_and_keeps_no_trace(warehouse: str) -> None:
    with connect(warehouse) as connection:
        before, catalog = rows_of_everything(connection), read_catalog(connection)
    verification = probe_database(warehouse)
    assert verification.violations == []
    assert verification.not_run == {}
    with connect(warehouse) as connection:
        assert rows_of_everything(connection) == before
        assert compare_catalogs(catalog, read_catalog(connection)) == []
    assert len(before) > 20


def break_guard(connection: Connection, probe: Probe) -> None:
    """Removes the constraint, or makes the function agree to everything."""
    if probe.name in BROKEN:
        connection.execute(BROKEN[probe.name].encode())
        return
    if "." in probe.guard:
        schema, _, name = probe.guard.partition(".")
        definition, is_trigger = connection.execute(
            "select pg_get_functiondef(p.oid), p.prorettype = 'trigger'::regtype from pg_proc as p"
            " where p.pronamespace = %s::regnamespace and p.proname = %s",
            [schema, name],
        ).fetchall()[0]
        body = "begin return coalesce(new, old); end" if is_trigger else "begin return true; end"
        head = re.split(r"\bAS \$", definition, maxsplit=1)[0]
        connection.execute(f"{head} as $broken$ {body} $broken$".encode())
        return
    for relation, name in connection.execute(
        "select conrelid::regclass::text, conname from pg_constraint where conname like '%%' || %s"
        " and conparentid = 0 and conislocal and connamespace = 'core'::regnamespace",
        [probe.guard],
    ).fetchall():
        connection.execute(sql.SQL("alter table {} drop constraint {}").format(sql.SQL(relation), sql.Identifier(name)))
        return
    connection.execute(sql.SQL("drop index core.{}").format(sql.Identifier(probe.guard)))


def knows_no_engine(probe: Probe) -> bool:
    """Whether what guards it is of a table that is the same on each."""
    return "metrics" not in probe.sql + probe.prepare + probe.holds


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param(probe, id=probe.name, marks=[pytest.mark.knows_no_engine] if knows_no_engine(probe) else [])
        for probe in PROBES
    ],
)
def test_a_probe_finds_its_guard_broken(engine: Engine, warehouse: str, probe: Probe) -> None:
    if engine.name == "timescaledb" and probe.name in OF_INCREMENTAL_ROLLUPS:
        pytest.skip("continuous aggregates keep a log of their own")
    with transaction(warehouse) as connection:
        assert run_probes(connection, [probe]).violations == []
        break_guard(connection, probe)
        verification = run_probes(connection, [probe])
    assert verification.not_run == {}
    (violation,) = verification.violations
    assert violation.subject == probe.name
    assert violation.message.startswith(f"{probe.tries}: it ")
    assert verification.exit_code == 1


def test_a_refusal_by_something_else_is_no_pass(warehouse: str) -> None:
    with transaction(warehouse) as connection:
        connection.execute("alter table core.users add constraint another check (length(email) > 10)")
        connection.execute("alter table core.users drop constraint users_email_check")
        (probe,) = [each for each in PROBES if each.name == "email"]
        (violation,) = run_probes(connection, [probe]).violations
    assert "refused, but not by users_email_check: 23514" in violation.message


def test_a_probe_that_cannot_be_tried_is_told_and_ends_with_2(warehouse: str) -> None:
    with transaction(warehouse) as connection:
        connection.execute("drop function internal.audit_row_change() cascade; drop table core.sessions cascade")
        verification = run_probes(connection, [Probe("gone", "A session", "select 1", prepare="table core.sessions")])
    assert verification.not_run == {"gone": 'relation "core.sessions" does not exist'}
    assert verification.exit_code == 2


def test_every_probe_is_a_refusal_or_an_effect() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES) >= 30
    for probe in PROBES:
        assert bool(probe.sqlstate) == bool(probe.guard) == (not probe.holds), probe.name


@pytest.mark.not_on_pglite("two connections and a lock timeout")
def test_an_application_is_neither_waited_for_long_nor_kept_waiting(
    warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # each try waits as briefly, and between two of them nobody waits
    monkeypatch.setattr(retry, "stop_after_attempt", lambda tries: stop_after_attempt(min(tries, 2)))
    with connect(warehouse) as application, connect(warehouse) as other:
        application.autocommit = False
        application.execute(
            "insert into core.audit_logs (action, resource_type, actor_type) values ('a.b', 'c', 'system')"
        )
        other.execute("set statement_timeout = '5s'")
        (truncation,) = [each for each in PROBES if each.name == "audit_truncate"]
        with connect(warehouse) as owner:
            verification = run_probes(owner, [truncation])
        assert verification.not_run == {"audit_truncate": "canceling statement due to lock timeout"}
        other.execute("insert into core.audit_logs (action, resource_type, actor_type) values ('a.b', 'c', 'system')")
        application.rollback()


@pytest.mark.not_on_pglite("roles that log in")
def test_who_is_not_the_owner_is_told_so(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(warehouse) as connection:
        connection.execute(
            "create role probe_reader login password 'reader';"
            "grant usage on schema core, verification to probe_reader;"
            "grant select on all tables in schema verification to probe_reader"
        )
    rest = warehouse.rpartition("@")[2]
    try:
        with pytest.raises(GovernanceError, match="so they need the owner: connect as postgres, not as probe_reader"):
            probe_database(f"postgresql://probe_reader:reader@{rest}")
    finally:
        with connect(warehouse) as connection:
            connection.execute("drop owned by probe_reader; drop role probe_reader")


@pytest.mark.not_on_pglite("the command connects more than once")
def test_the_command_shows_what_is_not_refused(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", warehouse)
    assert CliRunner().invoke(main, ["verify", "--probe", "--select", "invalid_indexes"]).exit_code == 0
    with connect(warehouse) as connection:
        connection.execute("alter table core.users drop constraint users_email_check")
    broken = CliRunner().invoke(main, ["verify", "--probe", "--select", "invalid_indexes"])
    assert broken.exit_code == 1
    assert "An account without an address: it was not" in broken.output
