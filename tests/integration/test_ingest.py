"""Loading of usage: what is accepted and refused, that nothing counts twice or is lost, and what a crash leaves."""

import hashlib
import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import shared_fixtures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from usage_loads import KINDS, MICROSECONDS, NOW, RECENT, UUID, Load, T, as_csv, counts, quarantined, query

from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.usefixtures("emptied")

load = shared_fixtures.load_csv


# once and no more


def test_a_request_is_known_by_its_id_and_its_time(database: str, load: Load) -> None:
    later = (RECENT + timedelta(seconds=1)).isoformat()
    header = "time,provider,model,request_id,input_tokens"
    first = load([header, f"{T},p,m,a,1", f"{T},p,m,a,2", f"{later},p,m,a,4", f"{T},p,m,a,1"])
    assert (counts(first), first.changed) == ((2, 1, 0), 1)
    other = load([header, f"{T},p,m,a,8", f"{T},p,m,b,16"], "other.csv")
    assert (counts(other), other.changed) == ((1, 0, 0), 1)
    assert query(database, "select sum(input_tokens) from core.llm_metrics") == [(21,)]


def digest(row: dict[str, object], ordinal: int) -> str:
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(hashlib.sha256(text.encode()).digest() + str(ordinal).encode()).hexdigest()


def test_the_id_of_a_row_without_one_follows_from_what_it_says(database: str, load: Load) -> None:
    """Golden: another hash in a later release would load every old file a second time."""
    lines = [
        "When,provider,model,user_id,cost_amount,tags,region",
        f'{T},azure,"gp""t-é",{UUID.upper()},0.50,"{{""b"":1,""a"":[2]}}",',
    ]
    load(lines, mapping={"time": "When"}, constants={"input_tokens": "7.0"})
    ((request_id,),) = query(database, "select request_id from core.llm_metrics")
    text = (
        f'{{"time":{MICROSECONDS},"user_id":"{UUID}","provider":"azure","model":"gp\\"t-é","input_tokens":7,'
        '"cost_amount":0.5,"tags":{"a": [2], "b": 1}}'
    )
    inner = hashlib.sha256(text.encode()).digest()
    assert request_id == hashlib.sha256(inner + b"1").hexdigest()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.integers(0, 3), max_size=25),
    batches=st.tuples(st.integers(1, 26), st.integers(1, 26)),
    cut=st.integers(0, 25),
)
def test_ids_do_not_depend_on_batches_or_on_where_a_load_broke_off(
    database: str, load: Load, kinds: list[int], batches: tuple[int, int], cut: int
) -> None:
    good = [kind for kind in kinds if kind != 3]
    expected = {digest(KINDS[kind], good[: place + 1].count(kind)) for place, kind in enumerate(good)}
    begun = load(as_csv(kinds[:cut]), "part.csv", batch_rows=batches[0])
    assert begun.duplicate == 0
    report = load(as_csv(kinds), batch_rows=batches[0])
    assert counts(report) == (len(good) - begun.loaded, begun.loaded, len(kinds) - len(good))
    again = load([json.dumps(KINDS[kind]) for kind in kinds], "again.jsonl", batch_rows=batches[1])
    assert counts(again) == (0, len(good), len(kinds) - len(good))
    with connect(database) as connection:
        found = connection.execute("delete from core.llm_metrics returning request_id").fetchall()
    assert {request_id for (request_id,) in found} == expected
    assert len(found) == len(good)


def test_files_of_one_command_that_overlap(load: Load, database: str, tmp_path: Path) -> None:
    """Identical rows are counted file by file: an overlap of two exports is the same requests."""
    paths = []
    for name, kinds in (("a.csv", [0, 0, 1]), ("b.csv", [0, 1, 2])):
        path = tmp_path / name
        path.write_text("\n".join(as_csv(kinds)))
        paths.append(str(path))
    assert counts(ingest_files(database, paths)) == (4, 2, 0)


def test_every_header_is_looked_at_before_the_first_file_is_loaded(database: str, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("\n".join(as_csv([0])))
    (tmp_path / "bad.csv").write_text("time,model\n")
    with pytest.raises(GovernanceError, match=r"nothing in .*bad\.csv is known to be the provider"):
        ingest_files(database, [str(tmp_path / "good.csv"), str(tmp_path / "bad.csv")])
    assert query(database, "select count(*) from core.llm_metrics") == [(0,)]


# quarantine


def test_quarantine_holds_a_refused_row_once(database: str, load: Load) -> None:
    lines = as_csv([0, 3, 3])
    for expected in ((1, 0, 2), (0, 1, 2)):
        assert counts(load(lines)) == expected
    first = query(database, "select id, line, quarantined_at from internal.quarantine order by line")
    assert [line for _, line, _ in first] == [3, 4]
    # another file of that name: line 3 is bad in another way, line 4 is good
    load(["time,provider,model,input_tokens", f"{T},p,m,7", f"{T},p,m,x", f"{T},p,m,8"])
    assert query(database, "select line, row_data ->> 'input_tokens' from internal.quarantine order by line, id") == [
        (3, "-1"),
        (3, "x"),
        (4, "-1"),
    ]


def test_a_row_that_loads_after_all_leaves_quarantine(database: str, load: Load) -> None:
    """It was refused by a rule of the operator's own, which holds a row back but not its batch."""
    lines = ["time,provider,model,input_tokens"]
    lines += [f"{T},p,{'forbidden' if number in (0, 7, 49) else 'm'},{number}" for number in range(50)]
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics add constraint allowed check (model <> 'forbidden') not valid")
        try:
            report = load(lines, batch_rows=20)
        finally:
            connection.execute("alter table core.llm_metrics drop constraint allowed")
    assert counts(report) == (47, 0, 3)
    found = quarantined(database)
    assert [line for line, _, _ in found] == [2, 9, 51]
    assert all("the database refuses it" in reasons[0] and '"allowed"' in reasons[0] for _, reasons, _ in found)
    assert counts(load(lines)) == (3, 47, 0)
    assert quarantined(database) == []


def test_a_new_reason_replaces_the_old_one(database: str, load: Load) -> None:
    lines = ["time,provider,model", f"{NOW - timedelta(days=9)},p,m"]
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics add constraint never check (model <> 'm') not valid")
        try:
            load(lines)
            before = quarantined(database)
        finally:
            connection.execute("alter table core.llm_metrics drop constraint never")
        connection.execute("update internal.time_series set dropped_before = now() where name = 'llm_metrics'")
        try:
            load(lines)
        finally:
            connection.execute("update internal.time_series set dropped_before = '-infinity'")
    assert "never" in before[0][1][0]
    assert [reasons for _, reasons, _ in quarantined(database)] == [["time is older than the raw retention"]]


# the real trace


TRACE = Path(
    os.environ.get("GOVERNANCE_TRACE_CSV")
    or project_dir().parent / "shared" / "data" / "azure-llm-inference-2023" / "conv.csv"
)


needs_trace = pytest.mark.skipif(
    not TRACE.exists(), reason="the Azure LLM inference trace 2023 isn't there: GOVERNANCE_TRACE_CSV names conv.csv"
)


TRACE_OPTIONS: dict[str, Any] = {
    "mapping": {"time": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
    "constants": {"provider": "azure", "model": "conversation"},
}


@pytest.mark.not_on_pglite("it is too slow for bulk")
@needs_trace
def test_the_real_trace_is_too_old_as_it_stands(database: str) -> None:
    report = ingest_files(database, [str(TRACE)], **TRACE_OPTIONS)
    assert counts(report) == (0, 0, 19_366)
    assert report.reasons == {"time is older than the raw retention": 19_366}
    assert query(database, "select min(line), max(line), count(*) from internal.quarantine") == [(2, 19_367, 19_366)]


@pytest.mark.not_on_pglite("it is too slow for bulk")
@needs_trace
def test_the_real_trace_comes_out_of_the_cost_summary_exactly(database: str, load: Load) -> None:
    header, *lines = TRACE.read_text().splitlines()
    days = (NOW.date() - timedelta(days=30)) - date.fromisoformat(lines[0][:10])
    moved = [header, *(f"{date.fromisoformat(line[:10]) + days}{line[10:]}" for line in lines)]
    assert counts(load(moved, batch_rows=5_000, **TRACE_OPTIONS)) == (19_366, 0, 0)
    refresh(database)
    expected = [(19_366, 22_361_870, 4_088_665, None, 19_366)]
    summary = (
        "select sum(requests), sum(input_tokens), sum(output_tokens), sum(cost), sum(unpriced_requests)"
        " from reporting.cost_summary_view"
    )
    assert query(database, summary) == expected
    assert counts(load(moved, "again.csv", **TRACE_OPTIONS)) == (0, 19_366, 0)
    refresh(database)
    assert query(database, summary) == expected
