"""Nodes of a run of dbt share its sessions, and none finds anything of another in its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

import psycopg2  # type: ignore[import-untyped]
import pytest
from psycopg.conninfo import conninfo_to_dict

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.dbt.sessions import sessions
from orchestration.lib.embedded.processes import wait_until

pytestmark = pytest.mark.not_on_pglite("it has one session, and no statistics of them")
Ask = Callable[[str], tuple[int, Any]]


def opened(url: str) -> int:
    with connect(url) as session:
        session.execute("select pg_stat_force_next_flush()")
        query = "select sessions from pg_stat_database where datname = current_database()"
        [(count,)] = session.execute(query)
    return int(count)


def has_ended(url: str, condition: LiteralString, value: object) -> bool:
    with connect(url) as session:
        query = f"select from pg_stat_activity where {condition}"
        return wait_until(lambda: not session.execute(query, [value]).fetchall(), 10)


def test_a_run_opens_few_sessions_and_ends_them(database: str) -> None:
    before = opened(database)
    run_dbt(["run", "--select", "core", "--threads", "2"], database, quiet=True)
    # of thirty nodes two, the others of lists of relations, of hooks and of ours
    assert opened(database) - before < 15
    assert has_ended(database, "application_name = %s", "governance dbt")


def ask(url: str, query: str) -> tuple[int, Any]:
    """Of a session of its own, which dbt would close: its process, and the answer."""
    session = psycopg2.connect(**conninfo_to_dict(url))
    cursor = session.cursor()
    cursor.execute(query)
    pid, rows = session.info.backend_pid, cursor.fetchall()
    session.close()
    return pid, rows


@pytest.fixture
def in_node(database: str) -> Iterator[Ask]:
    """Asks in a thread of dbt's nodes."""
    with sessions(), ThreadPoolExecutor(1) as thread:
        yield lambda query: thread.submit(ask, database, query).result()


def test_a_session_is_as_new_when_it_is_taken_again(database: str, in_node: Ask) -> None:
    left_over = (
        "select current_setting('application_name'), to_regclass('pg_temp.left_over'),"
        " (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())"
    )
    pid, new = in_node(left_over)
    changed = "set application_name = 'changed'; create temp table left_over (); select pg_advisory_lock(1)"
    assert in_node(changed)[0] == pid
    assert in_node(left_over) == (pid, new)


def test_a_session_that_the_server_has_ended_is_not_taken_again(database: str, in_node: Ask) -> None:
    pid, _ = in_node("select 1")
    with connect(database) as other:
        assert other.execute("select pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
    again, answer = in_node("select 1")
    assert answer == [(1,)]
    assert again != pid


def test_what_a_hook_changes_for_new_sessions_holds_for_all_nodes(database: str, in_node: Ask) -> None:
    """The session of a hook isn't kept, nor are those before it."""
    [name] = in_node("select quote_ident(current_database())")[1][0]
    jit = f"alter database {name} set jit = {{}}; commit; select 1"
    pid, _ = in_node("select 1")
    hook, _ = ask(database, jit.format("on"))
    try:
        later, found = in_node("show jit")
        assert found == [("on",)]
        assert len({pid, hook, later}) == 3
        assert has_ended(database, "pid = %s", pid)
        assert has_ended(database, "pid = %s", hook)
    finally:
        ask(database, jit.format("off"))
