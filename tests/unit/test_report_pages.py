"""What a report shows: charts that fit their numbers, cells that lose nothing, a control map that claims nothing."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.compliance import charts, render
from orchestration.lib.compliance.cells import cell, percent
from orchestration.lib.compliance.controls import controls

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=40))
def test_marks_stay_in_the_drawing_and_are_as_long_as_their_value(values: list[Decimal]) -> None:
    named = [(f"day {number}", value) for number, value in enumerate(values)]
    for chart in (charts.bars("Spend", named, "USD"), charts.columns("Spend", named, "USD")):
        if not any(values):
            assert chart is None
            continue
        assert chart is not None
        for mark in chart.marks:
            assert mark.x >= 0
            assert mark.x + mark.width <= charts.WIDTH
            assert mark.y >= 0
            assert mark.y + mark.height <= chart.height
        sizes = [mark.width if chart.kind == "bars" else mark.height for mark in chart.marks]
        room = max(sizes)
        most = max(Decimal(mark.value.split()[0].replace(",", "")) for mark in chart.marks)
        for mark, size in zip(chart.marks, sizes, strict=True):
            value = Decimal(mark.value.split()[0].replace(",", ""))
            assert most == 0 or abs(size / room - float(value / most)) < 0.05
        assert 2 <= len(chart.ticks) <= 6


def test_a_bar_beyond_its_limit_is_told_apart() -> None:
    chart = charts.bars(
        "Budget", [("a", Decimal(120)), ("b", Decimal(100))], "%", {"a": Decimal(100), "b": Decimal(100)}
    )
    assert chart is not None
    assert [mark.state for mark in chart.marks] == ["over", ""]
    assert "Beyond their limit: a with 120.00 %" in chart.text
    drawn = render.svg(chart)
    assert drawn.count('class="limit"') == 2
    assert drawn.count("120.00 % over") == 1


def test_a_name_cannot_leave_its_place_in_a_drawing() -> None:
    chart = charts.bars('"><script>', [("<b>&", Decimal(1))], "USD")
    assert chart is not None
    assert "<script" not in render.svg(chart)
    assert "<b>" not in render.svg(chart)


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [
        (None, "cost", "no data"),
        ("0", "cost", "0.00"),
        ("0.000000001", "cost", "0.000000001"),
        ("1234.565", "cost", "1,234.56"),
        ("-0.5", "adjustment", "-0.50"),
        ("0.1234", "used_share", "12.3%"),
        ("1234567", "requests", "1,234,567"),
        ("2.5", "hours_to_resolve", "2.5"),
        ("2026-10-01 12:34:56Z", "created_at", "2026-10-01 12:34Z"),
        ("", "roles", "none"),
        ("0012", "model", "0012"),
    ],
)
def test_no_data_zero_and_small_are_three_things(value: str | None, column: str, shown: str) -> None:
    assert cell(value, column) == shown


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "0.0%"), (0, 9, "0.0%"), (1, 19_379, "under 0.1%"), (19_378, 19_379, "over 99.9%"), (9, 9, "100.0%")],
)
def test_a_share_of_some_is_neither_none_nor_all(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said


def test_nothing_that_is_not_applicable_is_said_to_be_no_data() -> None:
    assert cell(None, "forecast", "not applicable: period is over") == "not applicable: period is over"


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", "\t=1", "\r=1", " =1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    header, row = render.as_csv([text], [[text]]).split("\r\n")[:2] if "\r" not in text else (f'"\'{text}"',) * 2
    assert "'" in header
    assert "'" in row


def test_numbers_of_a_file_stay_numbers() -> None:
    assert render.as_csv(["change"], [["-1.5"], ["-"], [None]]) == 'change\r\n-1.5\r\n\'-\r\n""\r\n'


def test_the_control_map_supports_and_claims_nothing() -> None:
    lines = list(controls())
    assert len({line.control for line in lines}) == len(lines) >= 25
    wanted = {"CC6", "CC7", "A.2", "A.9", "GOVERN", "MEASURE", "MANAGE", "Article 12", "Article 19", "Article 26"}
    for each in wanted:
        assert any(line.reference.startswith(each) for line in lines), each
    for line in lines:
        assert line.expected in ("none", "some"), line.control
        assert line.query.startswith("select "), line.control
        assert not {"complies", "compliant", "complied"} & set(" ".join(line).lower().split()), line.control
        assert int(line.version) >= 1
