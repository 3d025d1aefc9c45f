"""Loads as a user meets them: what is told, tried, left aside and taken back."""

import shlex
from collections.abc import Callable, Sequence

import pytest
import shared_fixtures
from click.testing import CliRunner
from loads_run import HEADER, Run, T, everything, numbered, query

from orchestration.cli.main import main
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.usefixtures("emptied_and_refreshed")

run, write = shared_fixtures.run_ingest, shared_fixtures.write_usage


# columns and values


def test_a_column_is_left_aside_also_a_target_of_its_own_name(
    run: Run, write: Callable[..., str], database: str
) -> None:
    path = write(f"{HEADER},user_id,latency_ms,note", f"{T},r,p,m,1,alice,7,x")
    result = run(path, "--ignore", "user_id", "--ignore", "note", "--no-refresh")
    assert result.exit_code == 0, result.output
    assert "not loaded" not in result.stderr
    assert query(database, "select user_id, metadata, latency_ms from core.llm_metrics") == [(None, None, 7)]


def test_of_very_many_columns_some_are_named(run: Run, write: Callable[..., str]) -> None:
    names = [f"column{number}" for number in range(40)]
    told = run(write(f"{HEADER},,{','.join(names)}", f"{T},r,p,m,1,,{','.join('x' * 40)}"), "--dry-run").stderr
    assert f"not loaded are the columns {', '.join(names[:30])} and 10 more\n" in told


def test_a_name_that_is_set_for_all_rows_is_looked_up_as_one_of_the_file(
    run: Run, write: Callable[..., str], database: str
) -> None:
    path = write(HEADER, f"{T},r,p,m,1")
    result = run(path, "--set", "team_id=organization", "--set", "user_id=nobody@example.com", "--no-refresh")
    assert result.exit_code == 0, result.output
    assert "1 request lacks an owner whom the source names" in result.stderr
    unresolved = "metadata -> 'unresolved_owner'"
    owners = f"select slug, user_id, {unresolved} from core.llm_metrics inner join core.teams t on t.id = team_id"
    assert query(database, owners) == [("organization", None, {"user": ["nobody@example.com", "unknown"]})]


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
    assert (f"--map {target}={shlex.quote(column)}" in told) is (target is not None)
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


def test_records_that_say_something_else_are_told(run: Run, write: Callable[..., str], database: str) -> None:
    header = "time,request_id,provider,model,application,output_tokens,cost_amount"
    first = run(write(header, f"{T},1,openai,gpt,app1,1,1.5", f"{T},2,openai,gpt,app1,1,"))
    assert "say something else" not in first.stderr
    second = run(write(header, f"{T},1,anthropic,claude,app2,1,7", f"{T},2,openai,gpt,,1,0.9", f"{T},2,openai,gpt,,1,"))
    assert second.stdout.startswith("read 3 = loaded 0 + duplicate 1 + changed 2 + quarantined 0")
    assert "2 records say something else than what is stored, which stays as it is" in second.stderr
    assert (
        "line 2, request 1: provider is anthropic, stored is openai; model is claude, stored is gpt; "
        "application is app2, stored is app1; cost_amount is 7, stored is 1.5\n"
    ) in second.stderr
    assert "line 3, request 2: cost_amount is 0.9, stored is nothing\n" in second.stderr
    assert query(database, "select sum(cost_amount) from core.llm_metrics")[0][0] * 10 == 15


def test_records_within_a_file_that_say_something_else_are_told(run: Run, write: Callable[..., str]) -> None:
    rows = [f"{T},d,p,m,{cost}" for cost in ("1", "1.0", "3", "3")] + [f"{T},,p,m,1"] * 3
    for options in (["--dry-run"], [], []):
        result = run(write(HEADER, *rows), *options)
        assert "2 records say something else" in result.stderr
        assert "line 4, request d: cost_amount is 3, stored is 1\n" in result.stderr
        assert "line 3," not in result.stderr


def test_the_first_few_are_shown_and_all_are_counted(run: Run, write: Callable[..., str], database: str) -> None:
    run(write(*numbered(12)))
    report = ingest_files(database, [write(*(line.replace(",1", ",2") for line in numbered(12)))], batch_rows=3)
    assert (report.duplicate, report.changed, len(report.differences)) == (0, 12, 5)


def test_what_was_noted_of_rows_that_loaded_is_told(run: Run, write: Callable[..., str]) -> None:
    for options in (["--dry-run"], []):
        result = run(write(f"{HEADER},user_id", f"{T},r,p,m,1,alice", f"{T},s,p,m,1,bob"), *options)
        assert (
            "noted\n  user_id is not a uuid, so it is looked up as a name: kept in metadata.source_values (2 rows)\n"
            in result.stderr
        )


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
    # of `there` it would say an environment, where none is stored
    result = run(path, "--map", "time=timestamp", "--set", "environment=test", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "time <- timestamp\n" in result.stdout
    assert "environment <- 'test' in every row\n" in result.stdout
    assert "status <- 'success' where nothing is said\n" in result.stdout
    assert "request_id new" in result.stdout
    assert "request_id there" not in result.stdout
    assert "line 5 would be refused\n  time is neither" in result.stdout
    assert "would be: read 5 = loaded 2 + duplicate 1 + changed 1 + quarantined 1\n" in result.stdout
    assert "--map user_id=user" in result.stderr
    assert (everything(database), query(database, "select * from internal.loads")) == before
    # the load does what was said
    assert run(path, "--map", "time=timestamp", "--set", "environment=test").stdout.startswith(
        "read 5 = loaded 2 + duplicate 1 + changed 1 + quarantined 1"
    )


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_a_dry_run_counts_like_the_load(database: str, write: Callable[..., str], batch_rows: int) -> None:
    rows = [f"{T},{n % 4 or ''},p,m,{n % 3}" for n in range(20)] + ["bad,x,p,m,1", f"{T},y,p,m,-7"]
    path = write(HEADER, *rows)
    tried = ingest_files(database, [path], batch_rows=batch_rows, trials=[])
    loaded = ingest_files(database, [path], batch_rows=batch_rows)
    again = ingest_files(database, [path], batch_rows=batch_rows, trials=[])
    assert tried == loaded
    assert (again.loaded, again.changed) == (0, loaded.changed)
    assert again.duplicate == loaded.loaded + loaded.duplicate


# how it ends


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_file_of_which_nothing_loads(run: Run, write: Callable[..., str], options: list[str]) -> None:
    good, bad = write(*numbered(1), name="good.csv"), write(HEADER, "yesterday,r,p,m,1", name="bad.csv")
    result = run(bad, *options)
    assert result.exit_code == 3
    assert "read 1 = loaded 0 + duplicate 0 + changed 0 + quarantined 1" in result.stdout
    refused, undo = f"nothing of {bad} is loaded: every record was refused", f"`governance ingest --undo {bad}`"
    said = f"{refused}; before another try {undo}" if not options else refused.replace(" is ", " would be ")
    assert said in result.stderr
    assert (undo in result.stderr) == (not options)
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


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("permission denied for refresh_rollup", "permission denied for refresh_rollup; run `governance refresh`"),
        (
            "the server ended: start it, then run `governance refresh`",
            "the server ended: start it, then run `governance refresh`",
        ),
    ],
)
def test_a_refresh_that_fails_does_not_fail_the_load(
    why: str, told: str, run: Run, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str) -> None:
        raise GovernanceError(why)

    monkeypatch.setattr("orchestration.cli.loading.refresh", refuse)
    result = run(write(*numbered(1)))
    assert result.exit_code == 0
    assert result.stderr.count("run `governance refresh`") == 1
    assert f"the rollups are not up to date: {told}\n" in result.stderr
