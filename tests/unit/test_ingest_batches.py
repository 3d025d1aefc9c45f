"""Records become batches for COPY: each is in one, none is too large, and nothing in them ends a field or a record."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.usage.encoding import Record, _escaped, _joined, encode
from orchestration.lib.usage.load import _batches


def good(line: int, *values: str) -> Record:
    return (line, None, None, *values)


class TestBatches:
    @given(rows=st.integers(0, 40), batch_rows=st.integers(1, 15))
    def test_every_record_is_in_one_batch(self, rows: int, batch_rows: int) -> None:
        records = [good(number, str(number)) for number in range(rows)]
        batches = list(_batches(iter(records), batch_rows))
        assert b"".join(chunk for batch in batches for chunk in batch.chunks) == encode(records)
        sizes = [b"".join(batch.chunks).count(b"\r\n") for batch in batches]
        assert all(size == batch_rows for size in sizes[:-1])
        assert 0 not in sizes

    def test_large_records_make_small_batches(self) -> None:
        large = "x" * 1_000_000
        volume = 0

        def records() -> "list[Record]":
            return [good(number, large) for number in range(40)]

        def count() -> int:
            nonlocal volume
            volume += len(large)
            return volume

        sizes = [sum(map(len, batch.chunks)) for batch in _batches(iter(records()), 25_000, count)]
        assert sum(sizes) > 40_000_000
        assert max(sizes) < 12_000_000

    @given(st.lists(st.tuples(st.integers(1, 9), *[st.none() | st.text("ab\\\r\n\t\x1f", max_size=3)] * 3), max_size=5))
    def test_text_without_anything_to_escape_takes_a_shorter_way(self, records: list[Record]) -> None:
        joined = _joined(records)
        special = any(set("\\\r\n\x1f") & set(str(value)) for record in records for value in record if value)
        assert joined == (None if special else _escaped(records))

    def test_values_of_a_program_are_written_as_text(self) -> None:
        from datetime import UTC, datetime
        from decimal import Decimal

        record = good(1, datetime(2026, 1, 2, tzinfo=UTC), Decimal("0.10"), 5, None, "a\x1fb\\c\nd\re")  # type: ignore[arg-type]
        assert (
            encode([record])
            == b"1\x1f\x1f\x1f2026-01-02 00:00:00+00:00\x1f0.10\x1f5\x1f\x1fa\\\x1fb\\\\c\\\nd\\\re\r\n"
        )
