"""Parquet files: every type to the last digit, portions of bounded size, and a sentence for what can't be read."""

import json
import sys
import tracemalloc
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_report_files import FILES as REPORT_FILES
from test_report_files import rows as report_rows
from test_source_files import requests

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import encode
from orchestration.lib.usage.files import OpenUsageFile, UsageFile

BEGIN = datetime(2026, 11, 20, 7, 0, 0, 250000, tzinfo=UTC)
NEEDED: dict[str, Any] = {"time": pa.array([BEGIN]), "provider": ["openai"], "model": ["gpt-4o"]}


def write(path: Path, columns: Mapping[str, Any], **options: Any) -> str:
    pq.write_table(pa.table(dict(columns)), path, **options)
    return str(path)


def read(path: str, **mapping: str) -> list[dict[str, object]]:
    """The values that are said, by their targets."""
    with OpenUsageFile(UsageFile.named(path), mapping, {}) as file:
        return [
            {name: value for name, value in zip(file.read.targets, values, strict=True) if value is not None}
            for _line, wrong, _raw, *values in file.records()
            if not wrong
        ]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([Decimal("0.00000000000000001230")], pa.decimal128(38, 20)), "1.230E-17"),
        (pa.array([Decimal("12345678901234567890.5")], pa.decimal256(76, 4)), "12345678901234567890.5000"),
        (pa.array([1.2499999999999999e-05]), "0.000012499999999999999"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([7], pa.int8()), "7"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array(["0.5"], pa.large_string()), "0.5"),
        (pa.array(["0.5"]).dictionary_encode(), "0.5"),
        (pa.array([b"0.5"]), "0.5"),
        (pa.array([None], pa.null()), None),
        (pa.array([None], pa.float64()), None),
        (pa.array([True]), "true"),
    ],
)
def test_amounts_to_the_last_digit(tmp_path: Path, column: pa.Array, said: str | None) -> None:
    (row,) = read(write(tmp_path / "u.parquet", {**NEEDED, "cost_amount": column}))
    assert row.get("cost_amount") == said


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1795000000123456789], pa.timestamp("ns")), "2026-11-18 11:06:40.123456789Z"),
        (pa.array([1795000000123456], pa.timestamp("us", "UTC")), "2026-11-18 11:06:40.123456Z"),
        (pa.array([1795000000123], pa.timestamp("ms", "Europe/Berlin")), "2026-11-18 11:06:40.123Z"),
        # the hour that comes twice
        (pa.array([1792890000123], pa.timestamp("ms", "Europe/Berlin")), "2026-10-25 01:00:00.123Z"),
        (pa.array([1795000000], pa.int64()), "1795000000"),
        (pa.array(["2026-11-18T11:06:40+05:30"]), "2026-11-18T11:06:40+05:30"),
        (pa.array([date(2026, 11, 18)]), "2026-11-18"),
        (pa.array([time(11, 6, 40)]), "11:06:40.000000"),
    ],
)
def test_times_as_they_are(tmp_path: Path, column: pa.Array, said: str) -> None:
    (row,) = read(write(tmp_path / "u.parquet", {**NEEDED, "time": column}))
    assert row["time"] == said


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_duration_is_milliseconds_whatever_its_unit(tmp_path: Path, unit: str) -> None:
    column = pa.array([timedelta(seconds=2)], pa.duration(unit))
    (row,) = read(write(tmp_path / "u.parquet", {**NEEDED, "latency_ms": column}))
    assert row["latency_ms"] == "2000"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            pa.array(
                [{"team": "a", "nested": {"cost": Decimal("1.10"), "none": None}}],
                pa.struct(
                    {"team": pa.string(), "nested": pa.struct({"cost": pa.decimal128(9, 2), "none": pa.int32()})}
                ),
            ),
            {"team": "a", "nested": {"cost": 1.1}},
        ),
        (pa.array([[("team", "a"), ("none", None)]], pa.map_(pa.string(), pa.string())), {"team": "a", "none": None}),
        (pa.array([["prod", "blue"]]), ["prod", "blue"]),
        (pa.array([[["a"], [], None]]), [["a"], [], None]),
        (pa.array(['{"team": "a"}']), {"team": "a"}),
        (pa.array([[1, 2]], pa.list_(pa.int16(), 2)), [1, 2]),
        (pa.array([{"at": BEGIN}]), {"at": "2026-11-20 07:00:00.250000Z"}),
        (pa.array([[{"k": True}]]), [{"k": True}]),
    ],
)
def test_what_is_nested_is_json(tmp_path: Path, column: pa.Array, said: object) -> None:
    (row,) = read(write(tmp_path / "u.parquet", {**NEEDED, "tags": column}))
    assert json.loads(str(row["tags"])) == said


def test_rows_of_nested_values_stay_apart(tmp_path: Path) -> None:
    """Also where some say nothing, over portions that begin in the middle."""
    tags = [None, {"a": [1]}, {"a": None}, {"a": [2, 3]}] * 700
    maps = [[("k", str(n))] if n % 3 else None for n in range(2800)]
    columns = {
        "time": [BEGIN] * 2800,
        "provider": ["p"] * 2800,
        "model": ["m"] * 2800,
        "tags": pa.array(tags, pa.struct({"a": pa.list_(pa.int64())})),
        "metadata": pa.array(maps, pa.map_(pa.string(), pa.string())),
    }
    found = read(write(tmp_path / "u.parquet", columns, row_group_size=1000))
    assert [json.loads(str(row.get("tags", "null"))) for row in found] == [None, {"a": [1]}, {}, {"a": [2, 3]}] * 700
    assert [row.get("metadata") for row in found] == [f'{{"k": "{n}"}}' if n % 3 else None for n in range(2800)]


def test_members_of_structs_and_names_with_dots(tmp_path: Path) -> None:
    usage = pa.array([{"input": 5, "details": {"cached": 3}}, None])
    columns = {
        **{name: [value[0].as_py() if name == "time" else value[0]] * 2 for name, value in NEEDED.items()},
        "usage": usage,
        "a.b": [1, 2],
    }
    path = write(tmp_path / "u.parquet", columns)
    mapping = {"input_tokens": "usage.input", "cache_read_tokens": "usage.details.cached", "output_tokens": "a.b"}
    found = read(path, **mapping)
    names = ("input_tokens", "cache_read_tokens", "output_tokens")
    assert [tuple(row.get(name) for name in names) for row in found] == [("5", "3", "1"), (None, None, "2")]
    with pytest.raises(GovernanceError, match=r"has no column usage\.output"):
        read(path, input_tokens="usage.output")


def test_uuids(tmp_path: Path) -> None:
    number = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([number.bytes], pa.binary(16)))
    (row,) = read(write(tmp_path / "u.parquet", {**NEEDED, "user_id": column}))
    assert row["user_id"] == str(number)


def test_bytes_that_are_no_text_are_marked(tmp_path: Path) -> None:
    path = write(tmp_path / "u.parquet", {**NEEDED, "application": pa.array([b"caf\xe9\x00"])})
    with OpenUsageFile(UsageFile.named(path), {}, {}) as file:
        encoded = encode(list(file.records())).decode()
    assert "bytes that are not UTF-8 text, or a NUL character" in encoded
    assert "caf\\\\xe9\\\\x00" in encoded


@pytest.mark.parametrize("row_group_size", [2_000, 40_000])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, row_group_size: int) -> None:
    """Large values, in row groups of any size."""

    def peak(rows: int) -> int:
        columns = {
            "time": pa.array([BEGIN + timedelta(seconds=n) for n in range(rows)]),
            "provider": ["openai"] * rows,
            "model": ["gpt-4o"] * rows,
            "metadata": [json.dumps({"n": n, "text": f"{n:x}" * 200}) for n in range(rows)],
        }
        path = write(tmp_path / "u.parquet", columns, row_group_size=row_group_size)
        before = pa.total_allocated_bytes()
        most = 0
        tracemalloc.start()
        with OpenUsageFile(UsageFile.named(path), {}, {}) as file:
            for number, _ in enumerate(file.records()):
                if number % 500 == 0:
                    most = max(most, pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        return most

    assert peak(40_000) < 1.5 * peak(8_000) + (1 << 20)


def test_a_report_in_parquet_says_the_same(tmp_path: Path) -> None:
    """Clouds export FOCUS as Parquet: decimals, times and tags as types."""
    import csv

    with REPORT_FILES["focus"].open() as file:
        lines = [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
    columns: dict[str, Any] = {name: [line[name] for line in lines] for name in lines[0]}
    expected = report_rows("focus")
    for name in ("BilledCost", "EffectiveCost", "ListCost"):
        if name in columns and all(_is_number(value) for value in columns[name]):
            columns[name] = pa.array([Decimal(v) if v else None for v in columns[name]], pa.decimal128(38, 18))
    columns["Tags"] = pa.array(
        [list(json.loads(tags).items()) if tags else None for tags in columns["Tags"]],
        pa.map_(pa.string(), pa.string()),
    )
    path = tmp_path / "focus.parquet"
    write(path, columns)
    assert report_rows("focus", path) == expected


def _is_number(value: str | None) -> bool:
    return not value or value.replace(".", "").replace("-", "").isdigit()


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "u.parquet", NEEDED)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(GovernanceError, match="reading Parquet needs pyarrow, which isn't installed: .*make parquet"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"time,provider\n" * 50])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "u.parquet"
    path.write_bytes(content)
    with pytest.raises(GovernanceError, match=r"u\.parquet can't be read as Parquet \(.*\): export it again"):
        read(str(path))


def test_a_damaged_page_is_told_and_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "u.parquet"
    columns = {"time": [BEGIN] * 9000, "provider": ["p"] * 9000, "model": [f"m{n}" for n in range(9000)]}
    write(path, columns, row_group_size=3000, compression="zstd")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(content))
    with pytest.raises(GovernanceError, match="can't be read as Parquet"):
        read(str(path))


@pytest.mark.parametrize(
    ("path", "file_format", "message"),
    [
        ("-", "parquet", "Parquet can't be read from standard input: give the file itself"),
        ("u.parquet.gz", None, "can't be loaded as it is: unpack it"),
    ],
)
def test_parquet_must_be_a_file(tmp_path: Path, path: str, file_format: str | None, message: str) -> None:
    place = tmp_path / path
    place.touch()
    with pytest.raises(GovernanceError, match=message):
        UsageFile.named(path if path == "-" else str(place), file_format)


def test_a_source_in_parquet_says_the_same(tmp_path: Path) -> None:
    """LiteLLM's table with its types, as a data lake keeps it."""
    golden = Path(__file__).parents[1] / "fixtures" / "sources"
    rows = json.loads((golden / "litellm.dump.json").read_text(), parse_float=Decimal)
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if any(isinstance(value, dict | list) for value in values):
            values = [json.dumps(value, default=float) if isinstance(value, dict | list) else value for value in values]
        columns[name] = [float(value) if isinstance(value, Decimal) else value for value in values]
    path = tmp_path / "spend.parquet"
    write(path, columns)

    def comparable(found: list[dict[str, object]]) -> list[dict[str, object]]:
        numbered = [
            {**row, "cost_amount": Decimal(str(row["cost_amount"])) if "cost_amount" in row else None} for row in found
        ]
        return [{name: value for name, value in row.items() if name != "line"} for row in numbered]

    assert comparable(requests(path)) == comparable(requests(golden / "litellm.dump.json"))
