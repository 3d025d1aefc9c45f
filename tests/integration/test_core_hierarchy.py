"""Roles and teams are trees of at most 10 levels, whoever writes, however many at once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from core_rows import add_role, add_team, delete, refused, value
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import IsolationLevel, sql
from psycopg.errors import CheckViolation, ForeignKeyViolation, SerializationFailure

from orchestration.lib.database.connection import Connection, connect

TREES: dict[str, tuple[str, Callable[..., UUID]]] = {
    "roles": ("parent_role_id", add_role),
    "teams": ("parent_team_id", add_team),
}
trees = pytest.mark.parametrize("table", list(TREES))


def add_below(connection: Connection, table: str, parent: UUID | None, **values: str) -> UUID:
    column, add = TREES[table]
    return add(connection, **{column: parent} | values)


def add_chain(connection: Connection, table: str, length: int, parent: UUID | None = None) -> list[UUID]:
    """Rows each below the one before, the first below `parent`."""
    chain: list[UUID] = []
    for _ in range(length):
        parent = add_below(connection, table, parent)
        chain.append(parent)
    return chain


def move(connection: Connection, table: str, row: UUID, parent: UUID | None) -> None:
    connection.execute(
        sql.SQL("update core.{} set {} = %s where id = %s").format(
            sql.Identifier(table), sql.Identifier(TREES[table][0])
        ),
        [parent, row],
    )


@trees
def test_nothing_is_above_or_below_itself(connection: Connection, table: str) -> None:
    top, middle, bottom = add_chain(connection, table, 3)
    for parent in (top, middle, bottom):
        with refused(connection, CheckViolation, "would be a cycle"):
            move(connection, table, top, parent)
    move(connection, table, bottom, top)
    move(connection, table, bottom, None)


@trees
def test_a_message_names_both_rows(connection: Connection, table: str) -> None:
    top = add_below(connection, table, None, slug="the-top")
    bottom = add_below(connection, table, top, slug="the-bottom")
    with refused(connection, CheckViolation, f'{table}: "the-top" cannot be put below "the-bottom"'):
        move(connection, table, top, bottom)


@trees
def test_level_10_is_the_last(connection: Connection, table: str) -> None:
    chain = add_chain(connection, table, 10)
    with refused(connection, CheckViolation, "on level 10; at most 10 levels"):
        add_below(connection, table, chain[-1])
    add_below(connection, table, chain[-2])


@trees
def test_what_is_moved_counts_with_all_that_is_below_it(connection: Connection, table: str) -> None:
    chain = add_chain(connection, table, 6)
    subtree = add_chain(connection, table, 5)
    with refused(connection, CheckViolation, r"\(5 levels\) cannot be put below .* on level 6"):
        move(connection, table, subtree[0], chain[5])
    move(connection, table, subtree[0], chain[4])


@trees
def test_one_statement_is_judged_by_the_tree_it_leaves(connection: Connection, table: str) -> None:
    column = sql.Identifier(TREES[table][0])
    top, bottom = add_chain(connection, table, 2)
    exchange = sql.SQL("update core.{} set {} = case id when %s then %s::uuid end where id in (%s, %s)").format(
        sql.Identifier(table), column
    )
    connection.execute(exchange, [top, bottom, top, bottom])
    assert value(connection, f"select {TREES[table][0]} from core.{table} where id = %s", top) == bottom

    other = add_below(connection, table, None)
    with refused(connection, CheckViolation, "would be a cycle"):
        connection.execute(
            sql.SQL("update core.{} set {} = case id when %s then %s::uuid else %s end where id in (%s, %s)").format(
                sql.Identifier(table), column
            ),
            [bottom, other, bottom, bottom, other],
        )


@trees
def test_a_row_with_others_below_it_stays(connection: Connection, table: str) -> None:
    top, bottom = add_chain(connection, table, 2)
    with refused(connection, ForeignKeyViolation, table):
        delete(connection, table, top)
    delete(connection, table, bottom)


def wait_until_blocked(database: str, pid: int) -> None:
    with connect(database) as observer:
        for _ in range(500):
            if value(observer, "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s", pid):
                return
            time.sleep(0.01)
    pytest.fail("the second writer never had to wait for the first")


@pytest.mark.not_on_pglite("it has one session at a time")
@pytest.mark.parametrize("isolation", [level for level in IsolationLevel if level > IsolationLevel.READ_UNCOMMITTED])
@pytest.mark.parametrize("half", ["cycle", "depth"])
@trees
def test_two_writers_cannot_each_write_half_of_it(
    database: str, table: str, half: str, isolation: IsolationLevel
) -> None:
    with connect(database) as setup:
        left, right = add_chain(setup, table, 5), add_chain(setup, table, 5)
        leaf = add_below(setup, table, None)
    # either alone is fine: below each other's top; or a chain of ten, and an eleventh below its end
    moves = {
        "cycle": ((left[0], right[0]), (right[0], left[0])),
        "depth": ((left[0], right[4]), (leaf, left[4])),
    }[half]
    with (
        connect(database, autocommit=False) as first,
        connect(database, autocommit=False) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        first.isolation_level = second.isolation_level = isolation
        second.execute("select from core.users limit 1")  # its snapshot, where it keeps one, is from before
        move(first, table, *moves[0])
        pending = pool.submit(move, second, table, *moves[1])
        wait_until_blocked(database, second.info.backend_pid)
        first.commit()
        expected = CheckViolation if isolation == IsolationLevel.READ_COMMITTED else SerializationFailure
        with pytest.raises(expected):
            pending.result(timeout=20)
        second.rollback()
    # trying again, as one does after a serialization failure, meets the rule
    with connect(database) as after, pytest.raises(CheckViolation):
        move(after, table, *moves[1])


NODES = 16
Forest = dict[int, int | None]


def is_allowed(parents: Forest) -> bool:
    """Whether each node reaches a root within 10 levels."""
    for node in parents:
        level, above = 1, parents[node]
        while above is not None:
            level, above = level + 1, parents[above]
            if level > 10:
                return False
    return True


def moves_of(size: int) -> st.SearchStrategy[Forest]:
    node = st.integers(0, NODES - 1)
    return st.dictionaries(node, st.none() | node, min_size=1, max_size=size)


@given(st.lists(moves_of(3), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_moves_are_judged_as_a_plain_walk_up_the_tree_judges_them(database: str, statements: list[Forest]) -> None:
    with connect(database, autocommit=False) as connection:
        # two chains of eight, so that cycles and too many levels are near
        chains = add_chain(connection, "teams", 8) + add_chain(connection, "teams", 8)
        forest: Forest = {n: None if n % 8 == 0 else n - 1 for n in range(NODES)}
        for moves in statements:
            wanted = forest | moves
            try:
                with connection.transaction():
                    connection.execute(
                        "update core.teams as t set parent_team_id = m.parent"
                        " from unnest(%s::uuid[], %s::uuid[]) as m (id, parent) where t.id = m.id",
                        [
                            [chains[child] for child in moves],
                            [None if parent is None else chains[parent] for parent in moves.values()],
                        ],
                    )
                is_accepted = True
            except psycopg.errors.CheckViolation:
                is_accepted = False
            assert is_accepted == is_allowed(wanted), (forest, moves)
            if is_accepted:
                forest = wanted
        connection.rollback()
