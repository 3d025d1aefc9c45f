"""Charts over days: what is drawn is as high as it is much, and what is said is what is drawn."""

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.compliance.site.plots import HEIGHT, SERIES, amount, burnt, largest, stacked
from orchestration.lib.settings import project_dir

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]


def test_parts_of_a_day_stand_on_each_other() -> None:
    plot = stacked(
        "Spend", DAYS, [("a", {DAYS[0]: Decimal(3)}), ("b", {DAYS[0]: Decimal(1), DAYS[2]: Decimal(2)})], "USD"
    )
    assert plot is not None
    first, second, third = plot.blocks
    assert (first.says, second.says, third.says) == (
        "2026-11-01, a: 3.00 USD",
        "2026-11-01, b: 1.00 USD",
        "2026-11-03, b: 2.00 USD",
    )
    assert first.x == second.x < third.x
    assert second.y + second.height == pytest.approx(first.y, abs=0.2)
    assert first.height == pytest.approx(3 * second.height, abs=0.4)
    assert third.height == pytest.approx(2 * second.height, abs=0.4)
    assert plot.text == "6.00 USD in 3 days; the most on 2026-11-01: 4.00 USD."
    assert plot.ticks[0][1] == "0"
    assert [label for _, label in plot.ticks] == ["0", "1", "2", "3", "4"]
    assert stacked("Spend", DAYS, [("a", {})], "USD") is None


@settings(max_examples=60, deadline=None)
@given(st.decimals(min_value=Decimal("1e-9"), max_value=Decimal("1e9"), places=9))
def test_an_axis_has_few_round_numbers_and_all_is_within_the_drawing(value: Decimal) -> None:
    plot = stacked("Spend", DAYS, [("a", {DAYS[0]: value, DAYS[1]: value / 3})], "USD")
    assert plot is not None
    assert 2 <= len(plot.ticks) <= 6
    assert len({label for _, label in plot.ticks}) == len(plot.ticks)
    assert all(block.y >= 0 and block.y + block.height <= HEIGHT for block in plot.blocks)
    assert all(0 <= y <= HEIGHT for y, _ in plot.ticks)


def test_what_has_no_colour_left_is_drawn_together() -> None:
    series = {f"team {number}": {DAYS[0]: Decimal(number)} for number in range(1, SERIES + 4)}
    shown = largest(series, "{} others")
    assert [name for name, _ in shown] == [*(f"team {number}" for number in range(9, 3, -1)), "3 others"]
    assert shown[-1][1] == {DAYS[0]: Decimal(6)}
    # one more is not "1 others"
    fewer = dict(list(series.items())[: SERIES + 1])
    assert len(largest(fewer, "{} others")) == SERIES + 1
    assert "1 others" not in dict(largest(fewer, "{} others"))


def test_a_budget_leads_where_it_is_expected() -> None:
    plot = burnt("Budget", DAYS, [Decimal(10), Decimal(20)], Decimal(40), Decimal(50), "EUR")
    assert plot is not None
    limit, spent, expected = plot.lines
    assert [kind.kind for kind in plot.lines] == ["limit", "spent", "expected"]
    assert spent.points[-1] == expected.points[0]
    assert expected.points[-1][0] == limit.points[-1][0] == 100
    # lower on the page is less
    assert expected.points[-1][1] < limit.points[0][1] < spent.points[-1][1] < spent.points[0][1]
    assert len(spent.segments) == 2
    assert plot.text == (
        "30.00 of 40.00 EUR (75%) were spent up to 2026-11-02; 50.00 EUR (125%) are expected by 2026-11-03."
    )
    # nothing is expected of a period that is over, or of no usage
    over = burnt("Budget", DAYS, [Decimal(1)] * 3, Decimal(4), Decimal(3), "EUR")
    assert over is not None
    assert [line.kind for line in over.lines] == ["limit", "spent"]
    assert burnt("Budget", DAYS, [], Decimal(4), None, "EUR") is None
    assert burnt("Budget", DAYS, [Decimal(1)], Decimal(0), None, "EUR") is None


@pytest.mark.parametrize(
    ("value", "said"),
    [("1234.5", "1,234.50"), ("0", "0.00"), ("0.000000001", "0.0000000010"), ("-0.001", "-0.0010"), ("0.01", "0.01")],
)
def test_little_is_not_nothing(value: str, said: str) -> None:
    assert amount(Decimal(value)) == said


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_can_be_told_from_what_it_stands_on(theme: str) -> None:
    """As WCAG 2.2 AA asks: 4.5 for text, 3 for what is drawn."""
    style = (project_dir() / "orchestration/lib/compliance/templates/site/style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[theme == "dark"]
    colours = {
        name: value if len(value) == 7 else f"#{''.join(each * 2 for each in value[1:])}"
        for name, value in re.findall(r"--([\w-]+): (#\w+)", block)
    }
    texts = [(text, ground) for text in ("ink", "soft", "link") for ground in ("page", "card")]
    states = ("ok", "attention", "problem", "info")
    texts += [(state, ground) for state in states for ground in ("card", f"{state}-soft")] + [("card", "link")]
    drawn = [(each, "card") for each in (*(f"s{number}" for number in range(SERIES + 1)), "problem")]
    found = {pair: contrast(*(colours[name] for name in pair)) for pair in (*texts, *drawn)}
    assert {pair: found[pair] for pair in texts if found[pair] < 4.5} == {}
    assert {pair: found[pair] for pair in drawn if found[pair] < 3} == {}
