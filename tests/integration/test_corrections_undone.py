"""What a load replaced or only said is taken back with it; what it would replace can be tried."""

from collections.abc import Callable
from typing import Any

import pytest
import shared_fixtures
from loads_run import AT, HEADER, Run, T, everything, query

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files

pytestmark = [pytest.mark.usefixtures("emptied"), pytest.mark.engines("postgres")]
Write = Callable[..., str]
NOTES = "select decision, request_id, stored::text, said::text from internal.changed_requests order by id"

run, write = shared_fixtures.run_ingest, shared_fixtures.write_usage


# taken back


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("delete from core.llm_metrics where request_id = 'a'", "of the 2 requests that it replaced 1 are gone"),
        ("update core.llm_metrics set cost_amount = 8 where request_id = 'a'", "1 are gone or were changed since"),
    ],
)
def test_requests_that_are_no_longer_as_they_were_replaced(
    run: Run, write: Write, database: str, change: str, sentence: str
) -> None:
    run(write(HEADER, *(f"{T},{name},p,m,1" for name in "abc")))
    run(write(HEADER, *(f"{T},{name},p,m,2" for name in "ab"), name="later.csv"), "--on-conflict", "replace")
    query(database, f"{change} returning 1")
    before = everything(database)
    result = run("--undo", "later.csv")
    assert (result.exit_code, sentence in result.stderr) == (1, True), result.output
    assert everything(database) == before


def test_replacements_are_taken_back_in_their_order(run: Run, write: Write, database: str) -> None:
    paths = [write(HEADER, f"{T},a,p,m,{n}", f"{T},n{n},p,m,1", name=f"{n}.csv") for n in range(3)]
    for path in paths:
        run(path, "--on-conflict", "replace")
    with pytest.raises(GovernanceError, match="replaced some of its figures since"):
        undo(database, paths[1])
    for place in (2, 1, 0):
        total = query(database, "select cost_amount from core.llm_metrics where request_id = 'a'")
        assert total == [(place,)]
        undone = undo(database, paths[place])
        assert (undone.restored, undone.rows) == ((1, 1) if place else (0, 2))
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


def test_what_a_load_only_said_is_forgotten_with_it(run: Run, write: Write, database: str) -> None:
    run(write(HEADER, f"{T},a,p,m,1"))
    run(write(HEADER, f"{T},a,p,m,2", name="later.csv"))
    rows = [line.split() for line in run("--loads").stdout.splitlines()]
    assert rows[0] == ["load", "started", "loaded", "duplicate", "changed", "quarantined", "source"]
    assert [row[3:7] for row in rows[1:]] == [["0", "0", "1", "0"], ["1", "0", "0", "0"]]
    assert run("--undo", "later.csv").exit_code == 0
    assert query(database, "select count(*) from internal.changed_requests") == [(0,)]


# tried


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
@pytest.mark.parametrize("decision", ["keep", "replace", "quarantine"])
def test_a_trial_counts_like_the_load(write: Write, database: str, batch_rows: int, decision: Any) -> None:
    ingest_files(database, [write(HEADER, *(f"{T},{n},p,m,{n}" for n in range(4)))])
    rows = [f"{T},{n % 7 or ''},p,m,{n % 3}" for n in range(30)] + ["bad,x,p,m,1", f"{T},y,p,m,-7"]
    path = write(HEADER, *rows, name="later.csv")
    before = everything(database), query(database, NOTES)
    tried = ingest_files(database, [path], batch_rows=batch_rows, on_conflict=decision, trials=[])
    assert (everything(database), query(database, NOTES)) == before
    loaded = ingest_files(database, [path], batch_rows=batch_rows, on_conflict=decision)
    assert tried == loaded
    assert tried.changed or tried.reasons


def test_a_report_of_a_provider_has_its_own_rule(run: Run, write: Write) -> None:
    result = run("--source", "openai-costs", "--on-conflict", "replace", write("{}", name="costs.json"))
    assert (result.exit_code, "always takes the place of what it said before" in result.stderr) == (1, True)


def test_a_replacement_that_the_database_refuses(run: Run, write: Write, database: str) -> None:
    run(write(HEADER, *(f"{T},{name},p,m,1" for name in "abc")))
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics add constraint small check (cost_amount < 5)")
        try:
            path = write(
                HEADER, *(f"{T},{name},p,m,{cost}" for name, cost in zip("abc", (2, 9, 3), strict=True)), name="b.csv"
            )
            result = run(path, "--on-conflict", "replace")
        finally:
            connection.execute("alter table core.llm_metrics drop constraint small")
    assert result.stdout == "read 3 = loaded 0 + duplicate 0 + changed 2 + quarantined 1\n"
    assert query(database, "select sum(cost_amount) from core.llm_metrics where time = '" + AT.isoformat() + "'") == [
        (6,)
    ]
