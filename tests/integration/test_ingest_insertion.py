"""How batches are inserted: plainly, and past duplicates only where a plain insertion met one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import shared_fixtures
from usage_loads import Load, counts, numbered, query

from orchestration.lib.database.connection import connect
from orchestration.lib.usage.corrections import Corrections
from orchestration.lib.usage.insertion import Insertion
from orchestration.lib.usage.ledger import Inserted

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_csv


@pytest.fixture
def insertions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried, a letter each: p for a plain insertion, s for one that skips duplicates."""
    tried: list[str] = []
    run = Insertion._run

    def watched(self: Insertion, lines: str, *, skips_duplicates: bool, named: bool) -> Inserted:
        tried.append("s" if skips_duplicates else "p")
        return run(self, lines, skips_duplicates=skips_duplicates, named=named)

    monkeypatch.setattr(Insertion, "_run", watched)
    return tried


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], "p p p p p p p p"),
        # a file loaded again fails at its first row and never again
        (range(8), "ps s s s s s s s"),
        # one that has grown since: plain again soon after what is known
        (range(3), "ps s s s s p p p"),
        # far apart: the pauses double
        ([0, 3], "ps s s ps s s s s"),
        ([7], "p p p p p p p ps"),
    ],
    ids=["new", "again", "grown", "apart", "last"],
)
def test_a_plain_insertion_comes_first_and_pauses_after_a_duplicate(
    database: str, load: Load, insertions: list[str], known: Sequence[int], expected: str
) -> None:
    header, *lines = numbered(80)
    # the last row of a batch, so that a plain insertion has written all others
    before = [lines[10 * batch + 9] for batch in known]
    if before:
        load([header, *before], "before.csv")
        insertions.clear()
    assert counts(load([header, *lines], batch_rows=10)) == (80 - len(before), len(before), 0)
    assert "".join(insertions) == expected.replace(" ", "")
    assert query(database, "select count(*), sum(input_tokens) from core.llm_metrics") == [(80, sum(range(80)))]
    ((loaded, duplicate),) = query(
        database,
        "select sum(b.loaded), sum(b.duplicate) from internal.load_batches as b join internal.loads as l"
        " on l.id = b.load_id where l.source like '%usage.csv'",
    )
    assert (loaded, duplicate) == (80 - len(before), len(before))


@pytest.mark.parametrize("batch_rows", [4, 7, 100])
def test_a_plain_insertion_that_failed_counted_nothing(database: str, load: Load, batch_rows: int) -> None:
    """Rows without a request_id are told apart by how often they came: not once more for each try."""
    header, *named = numbered(6)
    unnamed = [named[0].replace(",r0,", ",,")] * 5
    assert counts(load([header, named[5]], "before.csv")) == (1, 0, 0)
    lines = [header, *unnamed, "yesterday,p,m,bad,1", *named, *unnamed]
    assert counts(load(lines, batch_rows=batch_rows)) == (15, 1, 1)
    assert counts(load(lines, "again.csv", batch_rows=3)) == (0, 16, 1)
    assert query(database, "select count(*) from core.llm_metrics") == [(16,)]


def test_a_row_that_comes_twice_in_a_batch(load: Load, insertions: list[str]) -> None:
    header, *lines = numbered(10)
    assert counts(load([header, *lines, lines[3]])) == (10, 1, 0)
    assert insertions == ["p", "s"]


@pytest.mark.engines("timescaledb")
def test_duplicates_in_a_compressed_chunk(database: str, load: Load, insertions: list[str]) -> None:
    header, *lines = numbered(40)
    assert counts(load([header, *lines[::2]], "before.csv")) == (20, 0, 0)
    query(database, "select public.compress_chunk(c) from public.show_chunks('core.llm_metrics') as s (c)")
    insertions.clear()
    assert counts(load([header, *lines], batch_rows=20)) == (20, 20, 0)
    assert insertions == ["p", "s", "s"]
    assert query(database, "select count(*), count(distinct request_id) from core.llm_metrics") == [(40, 40)]


@pytest.mark.engines("postgres")
def test_duplicates_are_compared_row_by_row_whatever_the_statistics_say(
    database: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition analyzed while most of its rows weren't committed looks nearly empty for a while."""
    header, *lines = numbered(1_001)
    assert counts(load([header, *lines[:-1]])) == (1_000, 0, 0)
    with connect(database) as connection:
        connection.execute("analyze core.llm_metrics")
        connection.execute(
            "update pg_class set reltuples = 1, relpages = 1000 from pg_inherits"
            " where oid = inhrelid and inhparent = 'core.llm_metrics'::regclass"
        )
    removed: list[int] = []
    find = Corrections._find

    def watched(self: Corrections, rows: str, span: tuple[datetime, datetime]) -> int:
        # what the planner falls for when it takes the other side for empty
        self._execute("set local enable_nestloop = on")
        self._execute("set local enable_hashjoin = off")
        self._execute("set local enable_mergejoin = off")
        statement = self.finding(rows, span)
        ((plans,),) = self._connection.execute(f"explain (analyze, format json) {statement}").fetchall()
        removed.extend(rows_removed(plans[0]["Plan"]))
        return find(self, rows, span)

    monkeypatch.setattr(Corrections, "_find", watched)
    assert counts(load([header, *lines], "again.csv")) == (1, 1_000, 0)
    assert sum(removed) <= 3_000


def rows_removed(plan: dict[str, Any]) -> list[int]:
    """By filters, of all rounds, at each node of a plan."""
    own = sum(value for name, value in plan.items() if name.startswith("Rows Removed by ")) * plan["Actual Loops"]
    return [own, *(rows for child in plan.get("Plans", []) for rows in rows_removed(child))]
