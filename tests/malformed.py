"""Files of records with something wrong in them, of every kind that a source's files have."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from orchestration.lib.usage.sources.catalogue import REPORTS, SOURCES

FIXTURES = Path(__file__).parent / "fixtures"
NEEDED = {"time": "2026-11-20T10:00:00Z", "provider": "openai", "model": "gpt-4o"}
PLAIN = {
    **NEEDED,
    "request_id": "r-1",
    "trace_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "input_tokens": 12,
    "cost_amount": "0.25",
    "currency": "USD",
    "status": "success",
    "latency_ms": 900,
    "tags": {"team": "a"},
    "metadata": {"a": [1]},
}
# stands for JSON that no library nests
_DEEP = "nested as deep as can be"
_LONG = "a megabyte"
WRONG: Sequence[Any] = (
    None,
    "",
    " ",
    "\t\n",
    "\u200b",
    "\ufeff\u2060",
    "a\0b",
    "\ud800",
    "x\udfff",
    "\udc80",
    True,
    [],
    {},
    [[None]],
    {"": ""},
    {"\u200b": {"a\0": "\ud800"}},
    {"a": 1.5, "b": [1, "x"]},
    ["prod", 1, None],
    -1,
    -0.25,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    1.5,
    1e-300,
    float("nan"),
    float("inf"),
    float("-inf"),
    "NaN",
    "-Infinity",
    "1e400",
    "1e-400",
    "-0.5",
    "9" * 40,
    "\u0660.\u0665",
    "²",
    "1_000",
    "0x10",
    "1,5",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    # in Berlin this minute didn't exist, and the other came twice
    "2026-03-29T02:30:00+01:00",
    "2026-10-25T02:30:00",
    "2026-03-29 02:30:00 Europe/Berlin",
    "2016-12-31T23:59:60Z",
    "2026-11-20T24:00:00Z",
    "2026-11-20",
    "-1",
    -62135596800,
    253402300799,
    1795000000.5,
    "{",
    '{"a": NaN}',
    "[]]",
    "'; drop table core.llm_metrics; --",
    "\x1f",
    "\\N",
    '"',
    'a""b',
    "x" * 300,
)


def samples(kind: str) -> list[dict[str, Any]]:
    """Good records of a kind: a source, a report, or `csv`, `jsonl`, `parquet`."""
    if kind in ("csv", "jsonl", "parquet"):
        return [PLAIN]
    folder = FIXTURES / ("reports" if kind in REPORTS else "sources")
    if (path := folder / f"{kind}.csv").exists():
        with path.open() as file:
            return [dict(row) for row in csv.DictReader(file)]
    if (path := folder / f"{kind}.jsonl").exists():
        return [json.loads(line) for line in path.read_text().splitlines()]
    return [json.loads((folder / f"{kind}.json").read_text())]


def is_csv(kind: str) -> bool:
    """Whether its files have columns."""
    return kind == "csv" or (
        kind not in ("jsonl", "parquet") and (SOURCES.get(kind) or REPORTS[kind]).formats[0] == "csv"
    )


def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """The value with something wrong in it, somewhere."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 19)):
            case 0:
                return {other: item for other, item in value.items() if other != name}
            case 1:
                return {**value, draw(st.sampled_from(["", "\u200b", "a\0", "\ud800", "x" * 300])): "x"}
        return {**value, name: spoilt(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], spoilt(draw, value[place]), *value[place + 1 :]]
    rare = draw(st.integers(0, 199))
    return {0: _DEEP, 1: _LONG}[rare] if rare < 2 else draw(st.sampled_from(WRONG))


@st.composite
def records(draw: st.DrawFn, kind: str, count: int) -> list[Any]:
    """So many records, most of them with something wrong, some twice."""
    good = samples(kind)
    found: list[Any] = []
    for number in range(count):
        record: Any = {**draw(st.sampled_from(good)), **({"request_id": f"r-{number}"} if good == [PLAIN] else {})}
        if found and not draw(st.integers(0, 9)):
            record = draw(st.sampled_from(found))
        for _ in range(draw(st.integers(0, 3))):
            record = spoilt(draw, record)
        has_columns = is_csv(kind) or kind == "parquet"
        found.append({} if has_columns and not isinstance(record, dict) else record)
    return found


def as_json(record: Any, repeats_a_key: bool) -> str:
    """A line, in which a key may come twice."""
    line = json.dumps(record)
    if repeats_a_key and line.startswith("{") and record:
        line = json.dumps({next(iter(record)): 7})[:-1] + ", " + line[1:]
    return line.replace(f'"{_DEEP}"', "[" * 50_000 + "]" * 50_000).replace(f'"{_LONG}"', f'"{"m" * 2**20}"')


def as_csv(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """A header and a line for each row; what is no text as JSON."""
    lines = []
    for row in ({name: name for name in names}, *rows):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\r\n").writerow([_as_text(row.get(name)) for name in names])
        lines.append(buffer.getvalue().removesuffix("\r\n"))
    return lines


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return {_DEEP: "[" * 5_000, _LONG: "m" * 2**20}.get(value or "", value or "")
    return json.dumps(value)


def as_bytes(text: str) -> bytes:
    """UTF-8, of half surrogate pairs the bytes that no UTF-8 has."""
    return text.encode(errors="surrogatepass")


# what can be wrong with a file as a whole, of which the lines are read all the same
LAYOUTS = ("plain", "crlf", "mixed", "bom", "blank", "no-end", "gzip", "members")
# and where they aren't, or not to the end
BROKEN = ("half-line", "cut-gzip", "utf-16", "bytes")


def laid_out(draw: Callable[[st.SearchStrategy[Any]], Any], lines: Sequence[str], layout: str) -> tuple[bytes, str]:
    """The bytes of a file, and what its name ends with."""
    ends = {"crlf": ["\r\n"], "mixed": ["\n", "\r\n", "\r\n\n"], "blank": ["\n\n", "\n \n"]}.get(layout, ["\n"])
    parts = [as_bytes(line) + draw(st.sampled_from(ends)).encode() for line in lines]
    content = b"".join(parts)
    match layout:
        case "bom":
            return b"\xef\xbb\xbf" + content, ""
        case "no-end":
            return content.rstrip(b"\r\n"), ""
        case "half-line":
            return content[: len(content) - draw(st.integers(1, max(1, len(parts[-1]) - 1)))], ""
        case "gzip":
            return gzip.compress(content, 1), ".gz"
        case "members":
            middle = draw(st.integers(0, len(content)))
            return gzip.compress(content[:middle], 1) + gzip.compress(content[middle:], 1), ".gz"
        case "cut-gzip":
            packed = gzip.compress(content, 1)
            return packed[: len(packed) - draw(st.integers(1, len(packed) // 2))], ".gz"
        case "utf-16":
            return content.decode(errors="replace").encode("utf-16"), ""
        case "bytes":
            place = draw(st.integers(0, len(content)))
            return content[:place] + draw(st.sampled_from([b"\xff\xfe", b"\0", b"\xc3", b"\xed\xa0\x80"])) + content[
                place:
            ], ""
    return content, ""
