"""A record that says something else than its request that is stored: kept, replaced or quarantined, and taken back."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import shared_fixtures
from engines import Engine
from loads_run import HEADER, Run, T, everything, query

from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.usefixtures("emptied")
Write = Callable[..., str]
FIRST = "time,request_id,provider,model,output_tokens,cost_amount"

run, write = shared_fixtures.run_ingest, shared_fixtures.write_usage


def four(report: IngestReport) -> tuple[int, int, int, int]:
    assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
    return report.loaded, report.duplicate, report.changed, report.quarantined


def notes(database: str) -> list[tuple[Any, ...]]:
    return query(
        database,
        "select decision, request_id, stored::text, said::text from internal.changed_requests order by id",
    )


# what is a change, and what isn't


def test_a_final_cost_is_counted_and_noted_and_changes_nothing(run: Run, write: Write, database: str) -> None:
    run(write(FIRST, f"{T},r_final,openai,gpt,0,"))
    path = write(FIRST, f"{T},r_final,openai,gpt,400,0.90", name="final.csv")
    for _ in range(2):
        result = run(path)
        assert result.stdout == "read 1 = loaded 0 + duplicate 0 + changed 1 + quarantined 0\n"
        assert "1 record says something else than what is stored, which stays as it is" in result.stderr
        assert "line 2, request r_final: output_tokens is 400, stored is 0; cost_amount is 0.90, stored is nothing" in (
            result.stderr
        )
    assert query(database, "select output_tokens, cost_amount, cost_source from core.llm_metrics") == [
        (0, None, "unpriced")
    ]
    # said twice, noted once
    assert notes(database) == [
        (
            "kept",
            "r_final",
            '{"cost_amount": null, "cost_source": "unpriced", "output_tokens": 0}',
            '{"cost_amount": 0.90, "cost_source": "provider", "output_tokens": 400}',
        )
    ]
    (listed,) = query(database, "select subject, message from verification.changed_requests")
    assert listed[0].startswith("request r_final of ")
    assert "cost_amount is 0.90, stored is nothing" in listed[1]


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    "again",
    [
        '2026,r,OpenAI,gpt,OK,usd,10.0,,1E-1,"{""b"":2.0,""a"":1}",provider,',
        "2026,r,openai,gpt,,,,,0.100,,,",
        # what a record doesn't say takes nothing away, nor does its not knowing a cost
        "2026,r,openai,gpt,,,,,,,,",
        "2026,r,openai,gpt,,,,,,,unpriced,",
        # who delivered it is not what it says
        "2026,r,openai,gpt,success,USD,10,0,0.1,,provider,gateway-2",
    ],
)
def test_the_same_in_another_spelling_is_a_duplicate(write: Write, database: str, again: str) -> None:
    header = (
        "time,request_id,provider,model,status,currency,input_tokens,output_tokens,cost_amount,tags,cost_source,source"
    )
    first = '2026,r,openai,gpt,success,USD,10,0,0.10,"{""a"": 1, ""b"": 2}",provider,gateway'
    ingest_files(database, [write(header, first.replace("2026", T))])
    for decision in ("keep", "replace", "quarantine"):
        path = write(header, again.replace("2026", T), name="again.csv")
        assert four(ingest_files(database, [path], on_conflict=decision)) == (0, 1, 0, 0)
    assert notes(database) == []


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    ("column", "before", "after"),
    [
        ("model", "gpt", "gpt-2"),
        ("status", "success", "error"),
        ("reasoning_tokens", "1", "2"),
        ("cost_amount", "0.1", "0.10000000000000000000001"),
        ("currency", "USD", "EUR"),
        ("latency_ms", "", "3"),
        ("application", "shop", "Shop"),
        ("tags", '"{""a"": 1}"', '"{""a"": 2}"'),
        ("metadata", '"{""a"": 1}"', '"{""a"": 1, ""b"": null}"'),
        ("user_id", "", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ],
)
def test_every_column_that_counts(write: Write, database: str, column: str, before: str, after: str) -> None:
    others = [name for name in ("cost_amount", "model") if name != column]
    header = ",".join(("time,request_id,provider", *others, column))
    start = ",".join((T, "r", "p", *({"cost_amount": "0.1", "model": "m"}[name] for name in others)))
    path = write(header, f"{start},{before}")
    assert four(ingest_files(database, [path])) == (1, 0, 0, 0)
    replaced = ingest_files(database, [write(header, f"{start},{after}", name="b.csv")], on_conflict="replace")
    assert four(replaced) == (0, 0, 1, 0)
    ((stored, said),) = query(database, "select stored ->> min(k), said ->> min(k) from internal.changed_requests,"
        f" jsonb_object_keys(said) as k where k = '{column}' group by stored, said")  # fmt: skip
    assert stored != said
    # now it is what is stored
    assert four(ingest_files(database, [write(header, f"{start},{after}", name="b.csv")])) == (0, 1, 0, 0)


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize(("decision", "total"), [("keep", 4), ("replace", 6), ("quarantine", 4)])
def test_records_of_one_request_in_a_file(
    write: Write, database: str, batch_rows: int, decision: str, total: int
) -> None:
    """1, 1 again and 3 for one request, and three without an id, which are three requests of 1."""
    rows = [f"{T},d1,p,m,{cost}" for cost in ("1", "1", "3")] + [f"{T},{name},p,m,1" for name in ("", "", "  ")]
    expected = (4, 1, 0, 1) if decision == "quarantine" else (4, 1, 1, 0)
    path = write(HEADER, *rows)
    report = ingest_files(database, [path], batch_rows=batch_rows, on_conflict=decision)  # type: ignore[arg-type]
    assert four(report) == expected
    assert query(database, "select sum(cost_amount) from core.llm_metrics") == [(total,)]


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_the_last_of_several_records_is_what_stays(write: Write, database: str, batch_rows: int) -> None:
    """A log of streams: 1, 50, 50, 20 tokens of one, of the other 7 and then without them; one line is read closely."""
    header = f"{HEADER},output_tokens"
    rows = [
        f"{T},a,p,m,1,1",
        f"{T},b,p,m,,7",
        f"{T},a,p,m,1,50",
        f"{T},a,p,m,1,50.0",
        f"{T},b,p,m,2,",
        f"{T},a,p,m,1,2e1",
    ]
    path = write(header, *rows)
    report = ingest_files(database, [path], batch_rows=batch_rows, on_conflict="replace")
    assert (four(report), report.replaced) == ((2, 1, 3, 0), 3)
    stored = query(database, "select request_id, output_tokens, cost_amount from core.llm_metrics order by 1")
    assert stored == [("a", 20, 1), ("b", 7, 2)]
    assert undo(database, path).rows == 2
    assert query(database, "select count(*) from internal.changed_requests") == [(0,)]


@pytest.mark.engines("postgres")
def test_a_line_read_closely_does_not_come_after_later_ones(write: Write, database: str) -> None:
    rows = [f"{T},a,p,m,1e0", f"{T},a,p,m,3"]
    assert four(ingest_files(database, [write(HEADER, *rows)])) == (1, 0, 1, 0)
    assert query(database, "select cost_amount from core.llm_metrics") == [(1,)]


# replaced


@pytest.fixture
def compressed(engine: Engine, database: str) -> Callable[[], None]:
    """Compresses every chunk, where there is compression."""

    def compress() -> None:
        if engine.name == "timescaledb":
            query(database, "select public.compress_chunk(c, true) from public.show_chunks('core.llm_metrics') as c")

    return compress


def differing_rollups(database: str) -> list[tuple[Any, ...]]:
    """Where the daily rollup and raw rows don't have the same sums."""
    refresh(database)
    sums = "sum(cost_amount) as cost, sum(output_tokens)::bigint as tokens"
    raw = f"select provider, model, team_id, count(*) as requests, {sums} from core.llm_metrics group by 1, 2, 3"
    daily = (
        "select provider, model, team_id, sum(request_count) as requests, "
        f"{sums} from rollups.llm_metrics_daily group by 1, 2, 3"
    )
    return query(database, f"({raw} except {daily}) union all ({daily} except {raw})")


@pytest.mark.usefixtures("emptied_and_refreshed")
@pytest.mark.parametrize("rows", [40, 700])
def test_what_is_replaced_is_in_the_rollups_and_can_be_taken_back(
    run: Run, write: Write, database: str, compressed: Callable[[], None], rows: int
) -> None:
    """Few rows of a chunk are written one by one, many after it was decompressed."""
    header = f"{FIRST},team_id"
    team = "0f8fad5b-d9cb-469f-a165-70867728950e"

    def lines(tokens: int, cost: str, model: str, changed: range) -> list[str]:
        return [header] + [
            f"{T},r{n},p,{model if n % 2 else 'm'},{tokens},{cost},{team if n % 3 else ''}" for n in changed
        ]

    run(write(*lines(1, "", "m", range(rows)), name="first.csv"))
    compressed()
    before = everything(database)
    path = write(
        *lines(400, "0.25", "n", range(0, rows, 2)), *lines(1, "", "n", range(1, rows, 2))[1:], name="later.csv"
    )
    result = run(path, "--on-conflict", "replace")
    assert result.stdout == f"read {rows} = loaded 0 + duplicate 0 + changed {rows} + quarantined 0\n"
    assert f"{rows} records say something else than what is stored, which is replaced by it" in result.stderr
    half = rows // 2
    stored = query(
        database,
        "select model, count(*), sum(output_tokens), sum(cost_amount) from core.llm_metrics group by 1 order by 1",
    )
    assert stored == [("m", half, 400 * half, Decimal("0.25") * half), ("n", half, half, None)]
    # the command has refreshed them
    reported = query(database, "select sum(cost) from reporting.cost_summary_view")
    assert reported == [(Decimal("0.25") * half,)]
    assert differing_rollups(database) == []
    compressed()
    refused = run("--undo", "first.csv")
    assert refused.exit_code == 1
    assert "replaced some of its figures since; take that one back first" in refused.stderr
    result = run("--undo", "later.csv")
    assert f"{rows} requests that it had replaced, as before it again" in result.stderr
    assert everything(database) == before
    assert differing_rollups(database) == []
    assert run("--undo", "first.csv").exit_code == 0
    assert query(database, "select count(*) from internal.changed_requests") == [(0,)]


@pytest.mark.engines("postgres")
def test_what_is_replaced_is_kept(write: Write, database: str) -> None:
    header = f"{HEADER},tags,metadata,user_id"
    mark = {"unresolved_owner": {"user": ["bob", "unknown"]}}
    ingest_files(database, [write(header, f'{T},r,p,m,1.50,"{{""a"": 1}}","{{""x"": ""y""}}",bob')])
    path = write(header, f'{T},r,p,n,2,"{{""b"": true}}","{{""x"": ""z""}}",alice', name="later.csv")
    ingest_files(database, [path], on_conflict="replace")
    assert query(database, "select model, cost_amount, tags, metadata, ingested_at < now() from core.llm_metrics") == [
        ("n", 2, {"b": True}, {"x": "z", "source_values": {"user_id": "alice"}, **mark}, True)
    ]
    assert query(database, "select stored::text from internal.changed_requests") == [
        (
            '{"tags": {"a": 1}, "model": "m", "metadata": {"x": "y", "source_values": {"user_id": "bob"},'
            ' "unresolved_owner": {"user": ["bob", "unknown"]}}, "cost_amount": 1.50}',
        )
    ]
    undo(database, path)
    assert query(database, "select model, cost_amount::text, tags, metadata from core.llm_metrics") == [
        ("m", "1.50", {"a": 1}, {"x": "y", "source_values": {"user_id": "bob"}, **mark})
    ]


@pytest.mark.engines("postgres")
def test_a_cost_that_was_computed_from_other_figures_is_none(write: Write, database: str) -> None:
    header = "time,request_id,provider,model,output_tokens,cost_amount,cost_source,price_id"
    price = "0f8fad5b-d9cb-469f-a165-70867728950e"
    ingest_files(database, [write(header, *(f"{T},{n},p,m,10,0.5,computed,{price}" for n in "abc"))])
    later = [f"{T},a,p,m,20,,,", f"{T},b,p,m,20,0.7,provider,", f"{T},c,p,m,10,,,"]
    report = ingest_files(database, [write(header, *later, name="later.csv")], on_conflict="replace")
    assert four(report) == (0, 1, 2, 0)
    assert query(
        database,
        "select request_id, output_tokens, cost_amount, cost_source, price_id::text from core.llm_metrics order by 1",
    ) == [
        ("a", 20, None, "unpriced", None),
        ("b", 20, Decimal("0.7"), "provider", None),
        ("c", 10, Decimal("0.5"), "computed", price),
    ]


# quarantined


@pytest.mark.engines("postgres")
def test_a_later_record_is_put_aside(run: Run, write: Write, database: str) -> None:
    run(write(FIRST, f"{T},a,p,m,1,1", f"{T},b,p,m,1,1"))
    path = write(FIRST, f"{T},a,p,m,2,9", f"{T},b,p,m,1,1.0", f"{T},c,p,m,1,1", "yesterday,d,p,m,1,1", name="later.csv")
    for _ in range(2):
        result = run(path, "--on-conflict", "quarantine")
        assert (
            "it says something else than the request that is stored: output_tokens, cost_amount (1 row)"
            in result.stderr
        )
    assert result.stdout == "read 4 = loaded 0 + duplicate 2 + changed 0 + quarantined 2\n"
    kept = query(
        database, "select line, row_data ->> 'cost_amount', quarantined_at from internal.quarantine order by 1"
    )
    assert [row[:2] for row in kept] == [(2, "9"), (5, "1")]
    assert kept[0][2] == kept[1][2], "put there by the first load, and still there"
    assert query(database, "select sum(cost_amount) from core.llm_metrics") == [(3,)]
    # replaced after all, it leaves quarantine
    assert run(path, "--on-conflict", "replace").stdout.startswith("read 4 = loaded 0 + duplicate 2 + changed 1")
    assert query(database, "select row_data ->> 'request_id' from internal.quarantine") == [("d",)]
