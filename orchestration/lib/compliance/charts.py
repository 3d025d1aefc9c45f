"""Where the marks of a chart stand. What it shows stands in a table beside it too."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH = 720
_LABEL = 150
_ROW = 30
_BARS = 12
_COLUMNS_HIGH = 140


@dataclass(frozen=True)
class Mark:
    """A bar or column: its place and size, what it is of, and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: str


@dataclass(frozen=True)
class Chart:
    """Marks, and the size of the drawing. `text` says in a sentence what is to be seen."""

    title: str
    text: str
    width: float
    height: float
    marks: list[Mark]


def bars(title: str, values: Sequence[tuple[str, Decimal]], unit: str) -> Chart | None:
    """A bar for each value, the largest first; those beyond the twelfth together. None without a value above 0."""
    ordered = sorted(values, key=lambda each: (-each[1], each[0]))
    shown, rest = ordered[:_BARS], ordered[_BARS:]
    if rest:
        shown = [*shown, (f"{len(rest)} others", sum((value for _, value in rest), Decimal(0)))]
    most = max((value for _, value in shown), default=Decimal(0))
    if most <= 0:
        return None
    room = WIDTH - _LABEL - 130
    marks = [
        Mark(_LABEL, 6 + number * _ROW, round(float(value / most) * room, 1), _ROW - 10, label, f"{value:,.2f} {unit}")
        for number, (label, value) in enumerate(shown)
    ]
    text = f"{title}: {marks[0].label} has the most, {marks[0].value}, of {len(values)}."
    return Chart(title, text, WIDTH, len(marks) * _ROW + 6, marks)


def columns(title: str, values: Sequence[tuple[str, Decimal]], unit: str) -> Chart | None:
    """A column for each value, in the order given. None without a value above 0."""
    most = max((value for _, value in values), default=Decimal(0))
    if most <= 0:
        return None
    step = WIDTH / len(values)
    marks = []
    for number, (label, value) in enumerate(values):
        height = round(float(value / most) * _COLUMNS_HIGH, 1)
        marks.append(
            Mark(
                round(number * step + step * 0.1, 1),
                round(_COLUMNS_HIGH - height + 4, 1),
                round(step * 0.8, 1),
                height,
                label,
                f"{value:,.2f} {unit}",
            )
        )
    highest = max(marks, key=lambda mark: mark.height)
    text = f"{title}: the highest is {highest.label} with {highest.value}."
    return Chart(title, text, WIDTH, _COLUMNS_HIGH + 28, marks)
