"""Loads as a user meets them: what is told, tried, left aside and taken back."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.ledger import Ledger, loads, undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.warehouse.refresh import refresh

# the middle of an hour that is closed, so that neither now nor a bucket's edge matters
AT = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(days=3)
T = f"{AT:%Y-%m-%dT%H:%M:%SZ}"
HEADER = "time,request_id,provider,model,cost_amount"
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def emptied(database: str) -> Iterator[None]:
    yield
    with connect(database) as connection:
        for table in ("core.llm_metrics", "internal.quarantine", "internal.load_batches", "internal.loads"):
            connection.execute(f"delete from {table}")
    refresh(database)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str, name: str = "usage.csv") -> str:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


@pytest.fixture
def run(database: str) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["ingest", *arguments], env={"GOVERNANCE_DATABASE_URL": database})

    return run


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with connect(database) as connection:
        return connection.execute(text).fetchall()


def everything(database: str) -> list[Any]:
    """What a load can change, but for the ledger."""
    return [
        query(database, text)
        for text in (
            "select m::text from core.llm_metrics as m order by m::text",
            "select line, source, reasons from internal.quarantine order by 1, 2",
            "select sum(request_count), sum(cost_amount) from rollups.llm_metrics_daily",
        )
    ]


def numbered(count: int, prefix: str = "r", **more: str) -> list[str]:
    return [
        ",".join((HEADER, *more)),
        *(",".join((T, f"{prefix}{n}", "p", "m", "1", *more.values())) for n in range(count)),
    ]


# columns and values


def test_a_column_is_left_aside_also_a_target_of_its_own_name(
    run: Run, write: Callable[..., str], database: str
) -> None:
    path = write(f"{HEADER},user_id,latency_ms,note", f"{T},r,p,m,1,alice,7,x")
    result = run(path, "--ignore", "user_id", "--ignore", "note", "--no-refresh")
    assert result.exit_code == 0, result.output
    assert "not loaded" not in result.stderr
    assert query(database, "select user_id, metadata, latency_ms from core.llm_metrics") == [(None, None, 7)]


def test_a_key_is_left_aside(run: Run, write: Callable[..., str], database: str) -> None:
    path = write(f'{{"time": "{T}", "provider": "p", "model": "m", "application": "a", "spend": 2}}', name="u.jsonl")
    result = run(path, "--ignore", "application", "--ignore", "spend")
    assert (result.exit_code, result.stderr) == (0, "")
    assert query(database, "select application, cost_amount from core.llm_metrics") == [(None, None)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ignore", "nope"], "has no column nope"),
        (["--ignore", "provider"], "is known to be the provider"),
        (["--ignore", "kind", "--map", "model=kind"], "kind is mapped and ignored"),
        (["--map-value", "stats:a=b"], "there is no target stats: did you mean status?"),
        (["--map-value", "status:degraded=dance"], "--map-value status:degraded=dance can't be used"),
    ],
)
def test_what_can_not_be_left_aside_or_mapped(
    run: Run, write: Callable[..., str], options: list[str], sentence: str
) -> None:
    result = run(write("time,provider,model,kind,status", f"{T},p,m,k,degraded"), *options)
    assert (result.exit_code, sentence in result.stderr) == (1, True), result.output


def test_values_are_mapped(run: Run, write: Callable[..., str], database: str) -> None:
    path = write(f"{HEADER},status", f"{T},1,p,m,1,degraded", f"{T},2,p,m,1,a=b", f"{T},3,p,m,1,")
    result = run(
        path, "--map-value", "status:degraded=error", "--map-value", "status:a=b=blocked", "--map-value", "provider:p=q"
    )
    assert result.exit_code == 0, result.output
    assert query(database, "select request_id, provider, status from core.llm_metrics order by 1") == [
        ("1", "q", "error"),
        ("2", "q", "blocked"),
        ("3", "q", "success"),
    ]


@pytest.mark.parametrize("value", ["status", "status:error", ":a=b", "status=error"])
def test_a_value_that_maps_nothing_is_a_usage_error(run: Run, write: Callable[..., str], value: str) -> None:
    result = run(write(*numbered(1)), "--map-value", value)
    assert (result.exit_code, "is not TARGET:FROM=TO" in result.stderr) == (2, True)


# what looks wrong


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ("spend", "cost_amount"),
        ("total_cost", "cost_amount"),
        ("responseCost", "cost_amount"),
        ("Prompt Tokens", "input_tokens"),
        ("completion_tokens", "output_tokens"),
        ("user", "user_id"),
        ("input_uncached_tokens", "input_tokens"),
        ("input_cached_tokens", "cache_read_tokens"),
        # whoever maps it would store keys
        ("api_key", None),
        ("custom_llm_provider", None),
        ("startTime", None),
        ("spender", None),
    ],
)
def test_a_column_that_fills_nothing_but_looks_like_a_target(
    run: Run, write: Callable[..., str], column: str, target: str | None
) -> None:
    told = run(write(f"time,provider,model,{column}", f"{T},p,m,1")).stderr
    assert (f"--map {target}={column}" in told) is (target is not None)
    assert ("looks like it" in told) is (target is not None)
    assert ("if input_tokens leaves these tokens out" in told) is (target == "cache_read_tokens")
    if target:
        filled = run(write(f"time,provider,model,{column}", f"{T},p,m,"), "--map", f"{target}={column}").stderr
        assert "looks like it" not in filled


def test_a_path_that_fills_nothing_but_looks_like_a_target(run: Run, write: Callable[..., str]) -> None:
    usage = '"usage": {"prompt_tokens": 3, "cost": 1}, "input_tokens": 3'
    record = f'{{"time": "{T}", "provider": "p", "model": "m", {usage}}}'
    told = run(write(record, name="usage.jsonl")).stderr
    assert "--map cost_amount=usage.cost" in told
    assert "prompt_tokens" not in told


def test_the_likely_column_is_in_the_refusal(run: Run, write: Callable[..., str]) -> None:
    assert "--map time=startTime or" in run(write("provider,model,startTime", f"p,m,{T}")).stderr
    record = f'{{"provider": "p", "model": "m", "meta": {{"created": "{T}"}}}}'
    refused = run(write(record, name="u.jsonl")).stderr
    assert "say so with --map time=" in refused


@pytest.mark.parametrize("target", ["latency_ms", "time_to_first_token_ms"])
@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["1.234", "0.5", "12.75", ""], True),
        (["1.234", "0.5", "900", "1200", "1300.5"], False),
        (["1.234", "0.5"], False),
        (["12", "7", "3", "4"], False),
    ],
)
def test_durations_that_look_like_seconds(
    run: Run, write: Callable[..., str], target: str, values: Sequence[str], told: bool
) -> None:
    rows = [f"{T},{n},p,m,1,{value}" for n, value in enumerate(values)]
    assert (f"{target} looks like seconds" in run(write(f"{HEADER},{target}", *rows)).stderr) is told


def test_text_of_a_file_can_not_command_a_terminal(run: Run, write: Callable[..., str]) -> None:
    path = write("time,provider,model,\x1b[2Jspend,cost_amount", f"{T},p,m,1,\x1b[31mred")
    for options in ([], ["--dry-run"]):
        result = run(path, *options)
        assert "\x1b" not in result.output
        assert "\\x1b[2Jspend" in result.stderr


# duplicates


def test_duplicates_that_say_something_else_are_told(run: Run, write: Callable[..., str], database: str) -> None:
    header = "time,request_id,provider,model,application,output_tokens,cost_amount"
    first = run(write(header, f"{T},1,openai,gpt,app1,1,1.5", f"{T},2,openai,gpt,app1,1,"))
    assert "say something else" not in first.stderr
    second = run(write(header, f"{T},1,anthropic,claude,app2,1,7", f"{T},2,openai,gpt,,1,0.9", f"{T},2,openai,gpt,,1,"))
    assert second.stdout.startswith("read 3 = loaded 0 + duplicate 3 + quarantined 0")
    assert "2 duplicates say something else than what is stored" in second.stderr
    assert (
        "line 2, request 1: provider is anthropic, stored is openai; model is claude, stored is gpt; "
        "application is app2, stored is app1; cost_amount is 7, stored is 1.5\n"
    ) in second.stderr
    assert "line 3, request 2: cost_amount is 0.9, stored is nothing\n" in second.stderr
    assert query(database, "select sum(cost_amount) from core.llm_metrics")[0][0] * 10 == 15


def test_duplicates_within_a_file_that_say_something_else_are_told(run: Run, write: Callable[..., str]) -> None:
    rows = [f"{T},d,p,m,{cost}" for cost in ("1", "1.0", "3", "3")] + [f"{T},,p,m,1"] * 3
    for options in (["--dry-run"], [], []):
        result = run(write(HEADER, *rows), *options)
        assert "2 duplicates say something else" in result.stderr
        assert "line 4, request d: cost_amount is 3, stored is 1\n" in result.stderr
        assert "line 3," not in result.stderr


def test_the_first_few_are_shown_and_all_are_counted(run: Run, write: Callable[..., str], database: str) -> None:
    run(write(*numbered(12)))
    report = ingest_files(database, [write(*(line.replace(",1", ",2") for line in numbered(12)))], batch_rows=3)
    assert (report.duplicate, report.differing, len(report.differences)) == (12, 12, 5)


def test_what_was_noted_of_rows_that_loaded_is_told(run: Run, write: Callable[..., str]) -> None:
    for options in (["--dry-run"], []):
        result = run(write(f"{HEADER},user_id", f"{T},r,p,m,1,alice", f"{T},s,p,m,1,bob"), *options)
        assert "noted\n  user_id is not a uuid: kept in metadata.source_values (2 rows)\n" in result.stderr


def test_the_help_lists_every_target() -> None:
    words = CliRunner().invoke(main, ["ingest", "--help"]).stdout.replace(",", " ").replace(";", " ").replace(":", " ")
    assert set(TARGETS) <= set(words.split())


# trying


def test_a_dry_run_shows_everything_and_writes_nothing(run: Run, write: Callable[..., str], database: str) -> None:
    run(write(f"{HEADER}", f"{T},there,p,m,1"))
    before = everything(database), query(database, "select * from internal.loads")
    path = write(
        "timestamp,request_id,provider,model,cost_amount,user",
        f"{T},there,p,m,1,u",
        f"{T},new,p,m,0.25,u",
        f"{T},new,p,m,0.25,u",
        "yesterday,bad,p,m,1,u",
        f"{T},,p,m,0.5,u",
        name="try.csv",
    )
    result = run(path, "--map", "time=timestamp", "--set", "environment=test", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "time <- timestamp\n" in result.stdout
    assert "environment <- 'test' in every row\n" in result.stdout
    assert "status <- 'success' where nothing is said\n" in result.stdout
    assert "request_id new" in result.stdout
    assert "request_id there" not in result.stdout
    assert "line 5 would be refused\n  time is neither" in result.stdout
    assert "would be: read 5 = loaded 2 + duplicate 2 + quarantined 1\n" in result.stdout
    assert "--map user_id=user" in result.stderr
    assert (everything(database), query(database, "select * from internal.loads")) == before
    # the load does what was said
    assert run(path, "--map", "time=timestamp", "--set", "environment=test").stdout.startswith(
        "read 5 = loaded 2 + duplicate 2 + quarantined 1"
    )


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_a_dry_run_counts_like_the_load(database: str, write: Callable[..., str], batch_rows: int) -> None:
    rows = [f"{T},{n % 4 or ''},p,m,{n % 3}" for n in range(20)] + ["bad,x,p,m,1", f"{T},y,p,m,-7"]
    path = write(HEADER, *rows)
    tried = ingest_files(database, [path], batch_rows=batch_rows, trials=[])
    loaded = ingest_files(database, [path], batch_rows=batch_rows)
    again = ingest_files(database, [path], batch_rows=batch_rows, trials=[])
    assert tried == loaded
    assert (again.loaded, again.duplicate) == (0, loaded.loaded + loaded.duplicate)


# how it ends


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_file_of_which_nothing_loads(run: Run, write: Callable[..., str], options: list[str]) -> None:
    good, bad = write(*numbered(1), name="good.csv"), write(HEADER, "yesterday,r,p,m,1", name="bad.csv")
    result = run(bad, *options)
    assert result.exit_code == 3
    assert "read 1 = loaded 0 + duplicate 0 + quarantined 1" in result.stdout
    assert f"nothing of {bad} " in result.stderr
    assert run(good, bad, *options).exit_code == 3
    assert run(write(HEADER, name="empty.csv"), *options).exit_code == 0
    assert run(write(HEADER, "yesterday,r,p,m,1", f"{T},r,p,m,1"), *options).exit_code == 0


def test_what_is_loaded_is_in_the_reports(run: Run, write: Callable[..., str], database: str) -> None:
    spend = "select coalesce(sum(cost), 0) from reporting.cost_summary_view"
    refresh(database)
    assert "governance refresh" in run(write(*numbered(1)), "--no-refresh").stderr
    assert query(database, spend) == [(0,)]
    assert run(write(*numbered(3))).exit_code == 0
    assert query(database, spend) == [(3,)]


def test_a_refresh_that_fails_does_not_fail_the_load(
    run: Run, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise GovernanceError("permission denied for procedure refresh_rollup")

    monkeypatch.setattr("orchestration.cli.loading.refresh", refuse)
    result = run(write(*numbered(1)))
    assert result.exit_code == 0
    assert "the rollups are not up to date (permission denied for procedure refresh_rollup)" in result.stderr


# taking back


def test_a_load_is_taken_back_wholly(run: Run, write: Callable[..., str], database: str) -> None:
    other = write(*numbered(3, "other"), name="other.csv")
    run(other)
    run(write(HEADER, "bad,x,p,m,1", name="also.csv"))
    before = everything(database)
    path = write(*numbered(5), "yesterday,x,p,m,1", f"{T},other1,p,m,1", name="wrong.csv")
    assert run(path).stdout.startswith("read 7 = loaded 5 + duplicate 1 + quarantined 1")
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
    assert [(row[3:6], row[6]) for row in lines[1:]] == [(["0", "5", "1"], path), (["5", "0", "1"], path)]
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
