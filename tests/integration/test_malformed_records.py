"""Malformed records of every source: none stops a load, none is lost, and why one is refused is said.

`make malformed RECORDS=10000` tries so many; without it a few of each kind are tried.
"""

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from malformed import BROKEN, LAYOUTS, PLAIN, as_csv, as_json, is_csv, laid_out, records
from usage_loads import query

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import IngestError, ingest_files
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.sources.catalogue import REPORTS, SOURCES

pytestmark = [pytest.mark.usefixtures("emptied", "kept_for_long"), pytest.mark.engines("postgres")]

KINDS = ("csv", "jsonl", "parquet", *SOURCES, *REPORTS)
# of a file
RECORDS = 60
FILES = max(1, int(os.environ.get("GOVERNANCE_MALFORMED_RECORDS") or 0) // (RECORDS * len(KINDS)) + 1)
EVERYTHING = (
    "select (select count(*) from core.llm_metrics), (select count(*) from core.provider_usage),"
    " (select count(*) from internal.quarantine)"
)
SOUND = (
    "select count(*) from core.llm_metrics where least(input_tokens, cache_read_tokens, cache_write_tokens,"
    " output_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, latency_ms) < 0 or cost_amount < 0"
    " or cost_amount in ('NaN', 'Infinity') or provider = '' or model = '' or request_id = ''"
)


def check_sentence(said: str) -> None:
    assert re.search("[A-Za-z]{2} [a-z]{2} ?", said), said


def check(report: IngestReport) -> None:
    # of an invoice that a file before it had with other lines, nothing
    assert report.read == report.loaded + report.duplicate + report.changed + report.quarantined
    assert sum(report.reasons.values()) >= report.quarantined
    for reason in (*report.reasons, *report.notes):
        check_sentence(reason)


def load(database: str, path: Path, kind: str) -> IngestReport | None:
    """What became of a file, None where it isn't begun."""
    source = kind if kind in SOURCES or kind in REPORTS else None
    try:
        report = ingest_files(database, [str(path)], source=source)
    except IngestError as error:
        report = error.report
        check_sentence(str(error))
    except GovernanceError as error:
        check_sentence(str(error))
        return None
    check(report)
    return report


def write(path: Path, found: list[Any], data: st.DataObject, kind: str, layout: str) -> Path:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        # of a column's type, or as texts
        texts = [[None if row.get(name) is None else _text(row[name]) for row in found] for name in PLAIN]
        pq.write_table(pa.table(dict(zip(PLAIN, texts, strict=True))), path / "u.parquet", row_group_size=17)
        return path / "u.parquet"
    if is_csv(kind):
        names = list(dict.fromkeys(name for row in found for name in row if name.isprintable()))
        lines = as_csv(found, [*PLAIN] if kind == "csv" else names)
        ending = "csv"
    else:
        lines = [as_json(record, not data.draw(st.integers(0, 19))) for record in found]
        ending = "jsonl"
    content, packed = laid_out(data.draw, lines, layout)
    file = path / f"u.{ending}{packed}"
    file.write_bytes(content)
    return file


def _text(value: Any) -> bytes:
    text = value if isinstance(value, str) else as_json(value, False)
    return text.encode(errors="surrogatepass")


@pytest.mark.parametrize("kind", KINDS)
@settings(
    deadline=None,
    max_examples=FILES,
    suppress_health_check=list(HealthCheck),
    # what is found is as good as what is smallest, and costs a load each
    phases=[Phase.explicit, Phase.generate],
)
@given(data=st.data())
def test_nothing_stops_a_load_and_nothing_is_lost(
    database: str, tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    found = data.draw(records(kind, RECORDS))
    layout = data.draw(st.sampled_from((*LAYOUTS, *LAYOUTS, *BROKEN)))
    path = write(tmp_path, found, data, kind, layout)
    before = query(database, EVERYTHING)[0]
    report = load(database, path, kind)
    after = query(database, EVERYTHING)[0]
    assert query(database, SOUND) == [(0,)]
    if report is None:
        assert after == before
        return
    if kind not in REPORTS:
        assert after[0] - before[0] == report.loaded
    if kind in ("csv", "jsonl", "parquet") and layout in LAYOUTS:
        assert report.read == RECORDS
    # again, in another order: nothing new, nothing counted twice
    again = load(database, path, kind)
    assert again is not None
    assert (again.loaded, again.duplicate, again.changed, again.quarantined) == (
        0,
        report.loaded + report.duplicate,
        report.changed,
        report.quarantined,
    )
    if kind in ("csv", "jsonl") and layout in LAYOUTS:
        random.Random(len(found)).shuffle(found)
        shuffled = load(database, write(tmp_path, found, data, kind, "plain"), kind)
        assert shuffled is None or (shuffled.loaded, shuffled.quarantined) == (0, report.quarantined)
