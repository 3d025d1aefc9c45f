"""Reading of usage files: whatever is wrong with a line, the other lines are read, and nothing is lost or changed."""

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record, encode
from orchestration.lib.usage.files import OpenUsageFile, UsageFile
from orchestration.lib.usage.record import TARGETS
from orchestration.lib.usage.sources import text

CSV = "time,provider,model,input_tokens"
SET = {"provider": "p", "model": "m"}
Reader = Callable[..., list[Record]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., UsageFile]:
    def write(content: str | bytes, name: str = "usage.csv") -> UsageFile:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return UsageFile.named(str(path))

    return write


@pytest.fixture
def read(write: Callable[..., UsageFile]) -> Reader:
    def read(content: str | bytes, name: str = "usage.csv", **options: dict[str, str]) -> list[Record]:
        with OpenUsageFile(write(content, name), options.get("mapping", {}), options.get("constants", {})) as file:
            return list(file.records())

    return read


def good(line: int, *values: str) -> Record:
    return (line, None, None, *values)


class TestCsv:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_line_ends_and_byte_order_mark(self, read: Reader, end: str, mark: str) -> None:
        records = read(mark + end.join([CSV, "t,p,m,1", "u,p,m,2"]))
        assert records == [good(2, "t", "p", "m", "1"), good(3, "u", "p", "m", "2")]

    def test_blank_lines_are_no_records_but_count_as_lines(self, read: Reader) -> None:
        assert read(f"\n{CSV}\n\nt,p,m,1\n  \n\nu,p,m,2\n\n") == [
            good(4, "t", "p", "m", "1"),
            good(7, "u", "p", "m", "2"),
        ]

    def test_names_and_fields_may_follow_a_space(self, read: Reader) -> None:
        records = read('time, provider , "model", input_tokens\nt, p, "m, n", 1\n')
        assert records == [good(2, "t", "p", "m, n", "1")]

    def test_a_record_over_several_lines_is_known_by_its_first(self, read: Reader) -> None:
        records = read(f'{CSV}\nt,p,"a\nb\n\nc",1\nu,p,m,2\n')
        assert records == [good(2, "t", "p", "a\nb\n\nc", "1"), good(6, "u", "p", "m", "2")]

    def test_columns_in_any_order_and_unused_ones(self, write: Callable[..., UsageFile]) -> None:
        with OpenUsageFile(write("x,model,When,total_tokens,provider\n1,m,t,9,p\n"), {"time": "When"}, {}) as file:
            assert file.read.targets == ["time", "provider", "model"]
            assert file.read.unused == ["x", "total_tokens"]
            assert list(file.records()) == [good(2, "t", "p", "m")]

    def test_a_constant_stands_in_for_a_column_of_that_name(self, write: Callable[..., UsageFile]) -> None:
        with OpenUsageFile(write("time,provider,model\nt,p,m\n"), {}, {"provider": "q"}) as file:
            assert file.read.targets == ["time", "model"]
            assert list(file.records()) == [good(2, "t", "m")]

    def test_one_column_may_fill_two_targets(self, read: Reader) -> None:
        records = read("time,provider,model\nt,p,m\n", mapping={"requested_model": "model"})
        assert records == [good(2, "t", "p", "m", "m")]

    def test_one_column_alone(self, read: Reader) -> None:
        assert read("time\nt\n\nu\n", constants=SET) == [good(2, "t"), good(4, "u")]

    def test_wrong_number_of_fields(self, read: Reader) -> None:
        records = read(f"{CSV}\nt,p,m\nt,p,m,1,2\nt,p,m,3\n")
        assert records == [
            (2, "the record has 3 fields, the header has 4", "t,p,m", None, None, None, None),
            (3, "the record has 5 fields, the header has 4", "t,p,m,1,2", None, None, None, None),
            good(4, "t", "p", "m", "3"),
        ]

    @pytest.mark.parametrize("bad", ['t,p,"m,1', 't,p,"m" x,1', 't,p,"m""'])
    @pytest.mark.parametrize("after", [1, 3000])
    def test_a_stray_quote_takes_its_own_line_only(self, read: Reader, bad: str, after: int) -> None:
        rest = [f"t,p,m,{number}" for number in range(after)]
        records = read("\n".join([CSV, "t,p,m,first", bad, *rest]) + "\n")
        assert records[0] == good(2, "t", "p", "m", "first")
        line, wrong, raw, *values = records[1]
        assert (line, raw, values) == (3, bad, [None] * 4)
        assert str(wrong).startswith("the line can't be read as CSV: ")
        assert records[2:] == [good(4 + number, "t", "p", "m", str(number)) for number in range(after)]

    def test_stray_quotes_that_pair_up_across_lines(self, read: Reader) -> None:
        lines = ['t,p,"m,1', "t,p,m,2", 't,p,"m,3', "t,p,m,4"]
        records = read("\n".join([CSV, *lines]))
        assert [record[0] for record in records if record[1] is None] == [3, 5]
        assert [record[0] for record in records if record[1] is not None] == [2, 4]

    @pytest.mark.parametrize("size", [200_000, 20_000_000])
    @pytest.mark.parametrize("breaks", [False, True])
    def test_a_long_column_that_is_not_loaded(self, read: Reader, size: int, breaks: bool) -> None:
        """Nor does it matter whether its text goes over lines."""
        text = '"' + ("x" * 99 + ("\n" if breaks else " ")) * (size // 100) + '"'
        records = read(f"{CSV},messages\nt,p,m,1,{text}\nt,p,m,2,\n")
        assert records == [good(2, "t", "p", "m", "1"), good(records[1][0], "t", "p", "m", "2")]  # type: ignore[arg-type]

    @pytest.mark.parametrize("before", ["", 't,p,"m,0\n'])
    @pytest.mark.parametrize("line", ["t,p," + "x" * 300_000 + ",1", 't,p,"' + ("x" * 99 + "\n") * 3_000 + '",1'])
    def test_a_record_without_end(self, read: Reader, monkeypatch: pytest.MonkeyPatch, before: str, line: str) -> None:
        monkeypatch.setattr(text, "RECORD_LIMIT", 200_000)
        records = read(f"{CSV}\n{before}{line}\nt,p,m,2\n")
        refused = [record for record in records if record[1]]
        assert "the line can't be read as CSV: it is longer than 200000 characters" in [r[1] for r in refused]
        assert all(len(str(record[2])) <= 10_000 for record in refused)
        assert records[-1][3:] == ("t", "p", "m", "2")

    def test_bytes_that_are_not_text(self, read: Reader) -> None:
        """Only where they are used: an unused column may hold anything."""
        records = read(b"time,provider,model,note\nt,p,m\xff\x00,x\nt,p,m,\xfe\x00\n")
        lines = encode(records).decode().split("\r\n")
        assert lines[0].split("\x1f")[:3] == ["2", "~2 has bytes that are not UTF-8 text, or a NUL character", ""]
        assert lines[0].split("\x1f")[3:] == ["t", "p", r"m\\xff\\x00"]
        assert lines[1] == "3\x1f\x1f\x1ft\x1fp\x1fm"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "is empty: a CSV file begins with a line of column names"),
            ("\n\n", "is empty"),
            (f"{CSV},model\n", "names model more than once: rename one of them"),
            ("Time,Vendor,Model\n", "with --map time=Time --map provider=Vendor --map model=Model or --set time="),
            ("model,provider,Time (UTC)\n", "say so with --map time=COLUMN or"),
            ("model,provider,Time Stamp\n", "say so with --map time='Time Stamp' or"),
            ("time,model\n", "nothing in .* is known to be the provider: say so with --map provider=COLUMN or --set"),
            ("time;provider;model;cost_amount\n", "is separated by semicolons, .* add --decimal , if its numbers are"),
            ('time,"provider\n', "the header of .* can't be read"),
            (CSV.encode("utf-16"), "isn't UTF-8 text: save the file as CSV in UTF-8"),
        ],
    )
    def test_headers_that_can_not_be_loaded(self, read: Reader, content: str, message: str) -> None:
        with pytest.raises(GovernanceError, match=message):
            read(content)

    def test_a_mapped_column_that_is_not_there(self, read: Reader) -> None:
        with pytest.raises(
            GovernanceError, match=r"has no column Model: .* has the columns time, provider, model, input"
        ):
            read(CSV, mapping={"model": "Model"})

    def test_a_doubled_name_that_is_not_used_does_no_harm(self, read: Reader) -> None:
        assert read("time,provider,model,x,x\nt,p,m,1,2\n") == [good(2, "t", "p", "m")]

    @given(
        rows=st.lists(
            st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=8)] * 4).filter(
                lambda row: any(row) and not row[0].startswith(" ")
            ),
            max_size=20,
        ),
        end=st.sampled_from(["\n", "\r\n"]),
    )
    def test_what_a_csv_writer_writes_is_read(self, rows: list[tuple[str, ...]], end: str) -> None:
        import csv
        import tempfile

        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL)
            writer.writerow(CSV.split(","))
            writer.writerows(rows)
            file.flush()
            with OpenUsageFile(UsageFile.named(file.name), {}, {}) as usage:
                assert [record[1:] for record in usage.records()] == [(None, None, *row) for row in rows]


class TestJsonLines:
    def values(self, record: Record, file: OpenUsageFile) -> dict[str, object]:
        return {name: value for name, value in zip(file.read.targets, record[3:], strict=True) if value is not None}

    def read_one(
        self, write: Callable[..., UsageFile], record: object, **mapping: str
    ) -> tuple[object, dict[str, object]]:
        text = record if isinstance(record, str) else json.dumps(record)
        with OpenUsageFile(write(text, "usage.jsonl"), mapping, {}) as file:
            (only,) = file.records()
            return only[1], self.values(only, file)

    def test_keys_paths_and_keys_with_dots(self, write: Callable[..., UsageFile]) -> None:
        record = {
            "time": "t",
            "provider": "p",
            "request": {"model": "m"},
            "gen_ai.usage.input_tokens": 5,
            "usage": {"output": {"tokens": "7"}},
            "latency_ms": None,
        }
        wrong, values = self.read_one(
            write,
            record,
            model="request.model",
            input_tokens="gen_ai.usage.input_tokens",
            output_tokens="usage.output.tokens",
            region="usage.output.tokens.deeper",
        )
        assert wrong is None
        assert values == {"time": "t", "provider": "p", "model": "m", "input_tokens": "5", "output_tokens": "7"}

    @pytest.mark.parametrize(
        "number",
        ["0.1", "0.10000000000000000000000001", "1e-7", "12345678901234567890123", "-1", "-0.0", "1E400", "100.00"],
    )
    def test_numbers_stay_as_they_are_written(self, write: Callable[..., UsageFile], number: str) -> None:
        tags = f'{{"a": [{number}, true, null, "é"]}}'
        record = f'{{"time": 1700000000, "provider": "p", "model": "m", "cost_amount": {number}, "tags": {tags}}}'
        _, values = self.read_one(write, record)
        assert values["cost_amount"] == number
        assert values["tags"] == tags
        assert values["time"] == "1700000000"

    def test_values_of_a_wrong_type(self, write: Callable[..., UsageFile]) -> None:
        wrong, values = self.read_one(
            write,
            {"time": "t", "provider": True, "model": ["m"], "region": {"a": 1}, "input_tokens": True, "tags": ["x"]},
        )
        names = list(TARGETS)
        assert wrong == "\n".join(
            f"~{names.index(name)} is {kind}"
            for name, kind in (("provider", "true or false"), ("model", "a list"), ("region", "an object"))
        )
        assert values["input_tokens"] == "true"
        assert values["tags"] == '["x"]'

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("nonsense", "the line is not a JSON object: Expecting value"),
            ('{"time": "t"', "the line is not a JSON object: Expecting ',' delimiter"),
            ("5", "the line is not a JSON object: it is a number"),
            ("1" * 5000, "the line is not a JSON object: Exceeds the limit"),
            ("null", "the line is not a JSON object: it is null"),
            ('"text"', "the line is not a JSON object: it is a text"),
            ("true", "the line is not a JSON object: it is true or false"),
            (
                '{"tags": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
                "the line is not a JSON object: it is nested too deeply",
            ),
            ('{"tags": "' + "x" * 5_000_000 + '"}', "the line can't be read: it is longer than 4000000 characters"),
        ],
    )
    def test_lines_that_are_no_records(
        self, read: Reader, monkeypatch: pytest.MonkeyPatch, line: str, message: str
    ) -> None:
        monkeypatch.setattr(text, "RECORD_LIMIT", 4_000_000)
        fine = '{"time": "t", "provider": "p", "model": "m"}'
        before, bad, after = read(f"{fine}\n{line}\n\n{fine}\n", "usage.jsonl")
        assert (before[0], bad[0], after[0]) == (1, 2, 4)
        assert str(bad[1]).startswith(message)
        assert str(bad[2]) == line[:10_000]
        assert before[1:] == after[1:]

    def test_half_a_surrogate_pair_and_nul(self, read: Reader) -> None:
        records = read('{"time": "t", "provider": "\\ud800", "model": "a\\u0000b"}\n', "usage.jsonl")
        fields = encode(records).decode().split("\x1f")
        assert fields[1].replace("\\\n", "\n") == (
            "~7 has bytes that are not UTF-8 text, or a NUL character\n"
            "~8 has bytes that are not UTF-8 text, or a NUL character"
        )
        assert r"\\ud800" in fields
        assert r"a\\x00b" in fields

    def test_what_json_has_no_word_for_is_said_of_its_value_only(self, write: Callable[..., UsageFile]) -> None:
        content = (
            '{"time": "t", "provider": "p", "model": NaN, "cost_amount": NaN, '
            '"metadata": {"p": -Infinity, "q": "\\ud800"}}\n'
        )
        with OpenUsageFile(write(content, "usage.jsonl"), {}, {}) as file:
            ((_, wrong, _, *values),) = file.records()
        said = dict(zip(file.read.targets, values, strict=True))
        assert wrong == f"~{file.read.targets.index('model')} is NaN"
        assert (said["cost_amount"], said["metadata"]) == ("NaN", '{"p": -Infinity, "q": "\\ud800"}')

    @pytest.mark.parametrize("size", [200_000, 20_000_000])
    def test_a_long_key_that_is_not_loaded(self, read: Reader, size: int) -> None:
        fine = '{"time": "t", "provider": "p", "model": "m"'
        records = read(f'{fine}, "messages": "{"x" * size}"}}\n{fine}}}\n', "usage.jsonl")
        assert [record[:3] for record in records] == [(1, None, None), (2, None, None)]

    def test_mapped_keys_that_no_record_has(self, write: Callable[..., UsageFile]) -> None:
        content = '{"time": "t", "provider": "p", "model": "m"}\n{"time": "t", "usage": {"in": 0}}\n'
        mapping = {"input_tokens": "usage.in", "output_tokens": "usage.out"}
        with OpenUsageFile(write(content, "usage.jsonl"), mapping, {}) as file:
            assert len(list(file.records())) == 2
            assert file.read.never_found == ["output_tokens"]

    @pytest.mark.parametrize(
        ("content", "mapping", "message"),
        [
            ('[{"time": "t"}]', {}, "is a JSON array, not JSON Lines"),
            ('\n [\n{"time": "t"}]', {}, "is a JSON array, not JSON Lines"),
            ('{"timestamp": "t", "model": "m"}', {}, "known to be the time: say so with .* the keys timestamp, model"),
            (
                '{"time": "t", "provider": "p", "model": "m"}',
                {"model": "a.b"},
                "has no a.b: .* keys time, provider, model",
            ),
            (json.dumps({"time": "t"}).encode("utf-16"), {}, "isn't UTF-8 text"),
        ],
    )
    def test_files_that_can_not_be_loaded(
        self, read: Reader, content: str, mapping: dict[str, str], message: str
    ) -> None:
        with pytest.raises(GovernanceError, match=message):
            read(content, "usage.jsonl", mapping=mapping)

    def test_an_empty_file_has_no_records(self, read: Reader) -> None:
        assert read("", "usage.ndjson") == []

    def test_one_bad_record_at_the_top_does_not_stop_a_file(self, read: Reader) -> None:
        records = read('{"time": "t"}\n{"time": "t", "provider": "p", "model": "m"}\n', "usage.jsonl")
        assert [record[0] for record in records] == [1, 2]


class TestFiles:
    def test_gzip(self, read: Reader) -> None:
        assert read(gzip.compress(f"{CSV}\nt,p,m,1\n".encode()), "usage.csv.gz") == [good(2, "t", "p", "m", "1")]

    @pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"x" * 40 + data[70:]])
    def test_damaged_gzip(self, read: Reader, damage: Callable[[bytes], bytes]) -> None:
        data = gzip.compress((CSV + "\nt,p,m,1" * 50).encode() + bytes(range(256)) * 50)
        with pytest.raises(GovernanceError, match=r"usage\.csv\.gz (is damaged|can't be read)"):
            read(damage(data), "usage.csv.gz")

    @pytest.mark.parametrize("name", ["usage.csv", "usage.csv.gz"])
    def test_gzip_is_known_by_its_content(self, read: Reader, name: str) -> None:
        text = f"{CSV}\nt,p,m,1\n"
        assert read(gzip.compress(text.encode()), name) == read(text, name) == [good(2, "t", "p", "m", "1")]

    def test_what_is_neither_gzip_nor_text(self, read: Reader) -> None:
        with pytest.raises(GovernanceError, match="isn't UTF-8 text"):
            read(b"\xff\xfe\x00", "usage.csv.gz")

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = io.BytesIO(f"{CSV}\nt,p,m,1\n".encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
        with OpenUsageFile(UsageFile.named("-", "csv"), {}, {}) as file:
            assert list(file.records()) == [good(2, "t", "p", "m", "1")]
        assert not data.closed

    @pytest.mark.parametrize(
        ("path", "file_format", "message"),
        [
            ("usage.data", None, "doesn't tell its format: add --format csv or --format jsonl"),
            ("usage.XLSX", None, "can't be loaded as it is: save the sheet as CSV in UTF-8, and load that"),
            ("usage.avro", None, "can't be loaded as it is: export it as Parquet, CSV or JSON Lines"),
            ("usage.zip", None, "can't be loaded as it is: unpack it"),
            ("-", None, "doesn't tell its format"),
            ("absent.csv", None, "there is no file absent.csv"),
        ],
    )
    def test_names_that_do_not_do(self, path: str, file_format: str | None, message: str) -> None:
        with pytest.raises(GovernanceError, match=message):
            UsageFile.named(path, file_format)

    def test_json_of_no_known_source(self, read: Reader) -> None:
        for content in ('[{"a": 1}]', '{"time": "t", "provider": "p", "model": "m"}', "[", ""):
            with pytest.raises(GovernanceError, match=r"usage.json can't be loaded as it is: write each record on a"):
                read(content, "usage.json")

    def test_a_folder(self, tmp_path: Path) -> None:
        for file_format in (None, "csv"):
            with pytest.raises(GovernanceError, match=r"is a folder: name the files in it, as .*/\*\.csv"):
                UsageFile.named(str(tmp_path), file_format)

    def test_position(self, write: Callable[..., UsageFile]) -> None:
        file = write(f"{CSV}\n" + "t,p,m,1\n" * 10_000)
        with OpenUsageFile(file, {}, {}) as usage:
            total = Path(file.path).stat().st_size
            assert usage.position().total == total
            assert usage.position().done < total
            assert sum(1 for _ in usage.records()) == 10_000
            assert usage.position().done == total
