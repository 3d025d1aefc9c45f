"""Loads are listed, and taken back wholly or not at all."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import shared_fixtures
from click.testing import CliRunner
from loads_run import HEADER, Run, T, everything, numbered, query

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.ledger import Ledger, loads, undo
from orchestration.lib.usage.load import ingest_files

pytestmark = pytest.mark.usefixtures("emptied_and_refreshed")

run, write = shared_fixtures.run_ingest, shared_fixtures.write_usage


# taking back


def test_a_load_is_taken_back_wholly(run: Run, write: Callable[..., str], database: str) -> None:
    other = write(*numbered(3, "other"), name="other.csv")
    run(other)
    run(write(HEADER, "bad,x,p,m,1", name="also.csv"))
    before = everything(database)
    path = write(*numbered(5), "yesterday,x,p,m,1", f"{T},other1,p,m,1", name="wrong.csv")
    assert run(path).stdout.startswith("read 7 = loaded 5 + duplicate 1 + changed 0 + quarantined 1")
    # a load of which everything was there already isn't in question
    run(path)
    assert query(database, "select count(*) from internal.quarantine") == [(2,)]
    result = run("--undo", path)
    assert result.exit_code == 0, result.output
    assert "5 rows, and 1 from quarantine" in result.stdout
    assert everything(database) == before
    refused = run("--undo", path)
    assert (refused.exit_code, "was taken back at" in refused.stderr or "loaded nothing" in refused.stderr) == (1, True)
    # and it can be loaded again, and taken back again
    assert run(path).stdout.startswith("read 7 = loaded 5")
    assert run("--undo", "wrong.csv").exit_code == 0
    assert everything(database) == before


def test_loads_are_listed(run: Run, write: Callable[..., str], database: str) -> None:
    assert run("--loads").stderr == "nothing was loaded so far\n"
    path = write(*numbered(5), "yesterday,x,p,m,1")
    run(path)
    run(path)
    run("--undo", path)
    lines = [line.split() for line in run("--loads").stdout.splitlines()]
    assert [(row[3:7], row[7]) for row in lines[1:]] == [(["0", "5", "0", "1"], path), (["5", "0", "0", "1"], path)]
    assert "taken back" in " ".join(lines[2])
    load = loads(database, limit=1)[0]
    assert load.ended_at is not None
    assert query(database, "select mapping ->> 'time', constants from internal.loads limit 1") == [("time", {})]


def test_loads_of_the_same_name_are_taken_back_by_number(run: Run, write: Callable[..., str], database: str) -> None:
    for prefix in ("a", "b"):
        run(write(*numbered(2, prefix), f"bad,{prefix},p,m,1"))
    refused = run("--undo", write(*numbered(1)))
    numbers = [load.number for load in loads(database, limit=2)]
    assert refused.exit_code == 1
    assert f"({numbers[1]} of " in refused.stderr
    assert run("--undo", str(numbers[1])).exit_code == 0
    assert query(database, "select request_id from core.llm_metrics order by 1") == [("b0",), ("b1",)]
    assert query(database, "select row_data ->> 'request_id' from internal.quarantine") == [("b",)]


@pytest.mark.parametrize("which", ["nope.csv", "999999"])
def test_a_load_that_nobody_knows(run: Run, which: str) -> None:
    result = run("--undo", which)
    assert (result.exit_code, "`governance ingest --loads` lists them" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("delete from core.llm_metrics where request_id = 'r1'", "of the 5 rows that it loaded 4 are there"),
        ("update core.llm_metrics set cost_amount = 9 where request_id = 'r1'", "cost 13 instead of 5"),
        ("update core.llm_metrics set input_tokens = 9 where request_id = 'r1'", "9 tokens instead of 0"),
        (
            "insert into core.llm_metrics (time, request_id, provider, model, ingested_at)"
            " select time, 'foreign', 'p', 'm', ingested_at from core.llm_metrics where request_id = 'r1'",
            "of the 5 rows that it loaded 6 are there",
        ),
    ],
)
def test_rows_that_are_no_longer_as_they_were_loaded(
    run: Run, write: Callable[..., str], database: str, change: str, sentence: str
) -> None:
    path = write(*numbered(5), "yesterday,x,p,m,1")
    run(path)
    with connect(database) as connection:
        connection.execute(change)
    before = everything(database)
    result = run("--undo", path)
    assert (result.exit_code, sentence in result.stderr) == (1, True), result.output
    assert everything(database) == before
    assert [load.undone_at for load in loads(database, limit=5)] == [None]


def test_rows_past_the_raw_retention_stay_counted(run: Run, write: Callable[..., str], database: str) -> None:
    path = write(*numbered(2))
    run(path)
    with connect(database) as connection:
        connection.execute("update internal.load_batches set oldest = '2001-01-01'")
    result = run("--undo", path)
    assert (result.exit_code, "past the raw retention, which only the rollups count" in result.stderr) == (1, True)


@pytest.mark.not_on_pglite("it has one session at a time")
def test_a_load_that_still_runs_is_not_taken_back(run: Run, write: Callable[..., str], database: str) -> None:
    path = write(*numbered(2))
    with connect(database) as connection:
        ledger = Ledger({}, {})
        ledger.begin(connection, path)
        run(path)
        number = loads(database, limit=2)[1].number
        connection.execute("update internal.load_batches set load_id = %s", [number])
        with pytest.raises(GovernanceError, match="is still running"):
            undo(database, str(number))
        ledger.close()
    assert undo(database, str(number)).rows == 2


def test_batches_that_begin_in_one_instant_are_told_apart(database: str, write: Callable[..., str]) -> None:
    paths = [write(*numbered(40, prefix), name=f"{prefix}.csv") for prefix in "abcd"]
    with ThreadPoolExecutor(4) as executor:
        reports = list(executor.map(lambda path: ingest_files(database, [path], batch_rows=2), paths))
    assert [report.loaded for report in reports] == [40] * 4
    for path in paths[1:]:
        assert undo(database, path).rows == 40
    assert query(database, "select distinct left(request_id, 1), count(*) over () from core.llm_metrics") == [("a", 40)]


def test_an_instant_that_is_taken_is_tried_again(database: str, write: Callable[..., str]) -> None:
    """Two transactions that begin in one microsecond can't be had on purpose: a trigger stands in for the first."""
    with connect(database) as connection:
        connection.execute(
            """
            create sequence internal.attempts;
            create function internal.take_the_instant() returns trigger language plpgsql as $$
            begin
                if new.load_id > 0 and nextval('internal.attempts') = 1 then return null; end if;
                return new;
            end $$;
            create trigger take_the_instant before insert on internal.load_batches
            for each row execute function internal.take_the_instant();
            """
        )
        try:
            report = ingest_files(database, [write(*numbered(3))])
        finally:
            connection.execute(
                "drop trigger take_the_instant on internal.load_batches; drop function internal.take_the_instant();"
                "drop sequence internal.attempts"
            )
    assert (report.read, report.loaded) == (3, 3)
    assert query(database, "select count(*), sum(loaded) from internal.load_batches") == [(1, 3)]


@pytest.mark.engines("timescaledb")
def test_a_load_into_compressed_chunks_is_taken_back(run: Run, write: Callable[..., str], database: str) -> None:
    run(write(*numbered(20, "stays"), name="stays.csv"))
    path = write(*numbered(30))
    run(path)
    before = query(database, "select count(*) from core.llm_metrics where request_id like 'stays%'")
    with connect(database) as connection:
        connection.execute("select public.compress_chunk(c, true) from public.show_chunks('core.llm_metrics') as c")
    assert run("--undo", path).exit_code == 0
    assert query(database, "select count(*) from core.llm_metrics") == before == [(20,)]


@pytest.mark.parametrize("arguments", [["--loads"], ["--undo", "usage.csv"]])
def test_a_database_that_is_not_built_has_no_loads(server_url: str, run: Run, arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["ingest", *arguments], env={"GOVERNANCE_DATABASE_URL": server_url})
    assert (result.exit_code, "run `governance build` first" in result.stderr) == (1, True), result.output


def test_what_to_do_is_one_thing(run: Run, write: Callable[..., str]) -> None:
    for arguments in ([], ["--loads", "--undo", "x"], [write(*numbered(1)), "--loads"]):
        assert run(*arguments).exit_code == 2
