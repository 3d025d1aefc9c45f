"""Where the marks of a chart stand. What it shows stands in a table beside it too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from orchestration.lib.money import total

WIDTH = 480
_LABEL = 122
_VALUE = 122
_ROW = 28
_BARS = 12
_COLUMNS_HIGH = 150
_AXIS = 46
_TOP = 8
_FOOT = 22
# steps of an axis, times a power of ten
_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
# so many dates fit below an axis
_DATES = 6


@dataclass(frozen=True)
class Mark:
    """A bar or column: its place and size, what it is of, and what it says.

    `state` is over beyond its limit, else empty; `limit` says where the limit is drawn.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    value: str
    state: str = ""
    limit: float | None = None


@dataclass(frozen=True)
class Tick:
    """A line of the grid: its distance from the left (of bars) or from the top (of columns), and its number."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Marks, and the size of the drawing. `text` says in a sentence what is to be seen; `kind` is bars or columns."""

    title: str
    text: str
    width: float
    height: float
    marks: list[Mark]
    kind: str = "bars"
    ticks: list[Tick] = field(default_factory=list)
    # numbers of the columns whose label is shown
    dated: frozenset[int] = frozenset()


def bars(
    title: str,
    values: Sequence[tuple[str, Decimal]],
    unit: str,
    limits: Mapping[str, Decimal] | None = None,
    *,
    digits: int = 2,
    adds_up: bool = True,
) -> Chart | None:
    """A bar for each value, the largest first; those beyond the twelfth together if they add up. None without any.

    A limit of a label is drawn across its bar, and a bar beyond its limit is told apart.
    """
    limits = limits or {}
    ordered = sorted(values, key=lambda each: (-each[1], each[0]))
    shown, rest = ordered[:_BARS], ordered[_BARS:]
    if rest and adds_up:
        shown = [*shown, (f"{len(rest)} others", total(value for _, value in rest))]
    highest = max((value for _, value in shown), default=Decimal(0))
    if highest <= 0:
        return None
    most = max([highest, *(limits[label] for label, _ in shown if label in limits)])
    room = WIDTH - _LABEL - _VALUE
    marks = []
    for number, (label, value) in enumerate(shown):
        limit = limits.get(label)
        is_over = limit is not None and value > limit
        marks.append(
            Mark(
                _LABEL,
                _TOP + number * _ROW,
                round(float(value / most) * room, 1),
                _ROW - 11,
                label,
                f"{_amount(value, digits)} {unit}",
                "over" if is_over else "",
                None if limit is None else round(_LABEL + float(limit / most) * room, 1),
            )
        )
    text = f"{title}: {marks[0].label} has the most, {marks[0].value}, of {len(values)}."
    if over := [mark for mark in marks if mark.state == "over"]:
        text += f" Beyond their limit: {', '.join(f'{mark.label} with {mark.value}' for mark in over)}."
    elif limits:
        text += " None is beyond its limit."
    ticks = [Tick(round(_LABEL + float(at / most) * room, 1), compact(at)) for at in _steps(most)]
    return Chart(title, text, WIDTH, len(marks) * _ROW + _TOP + _FOOT, marks, "bars", ticks)


def columns(title: str, values: Sequence[tuple[str, Decimal]], unit: str) -> Chart | None:
    """A column for each value, in the order given. None without a value above 0."""
    most = max((value for _, value in values), default=Decimal(0))
    if most <= 0:
        return None
    step = (WIDTH - _AXIS) / len(values)
    marks = []
    for number, (label, value) in enumerate(values):
        height = round(float(value / most) * _COLUMNS_HIGH, 1)
        marks.append(
            Mark(
                round(_AXIS + number * step + step * 0.12, 1),
                round(_COLUMNS_HIGH - height + _TOP, 1),
                round(step * 0.76, 1),
                height,
                label,
                f"{_amount(value, 2)} {unit}",
            )
        )
    highest = max(marks, key=lambda mark: mark.height)
    text = f"{title}: the highest is {highest.label} with {highest.value}."
    ticks = [
        Tick(round(_COLUMNS_HIGH - float(at / most) * _COLUMNS_HIGH + _TOP, 1), compact(at)) for at in _steps(most)
    ]
    height = _COLUMNS_HIGH + _TOP + _FOOT
    # the first has its label, and then so far apart that there is room
    dated = frozenset(range(0, len(marks), -(-len(marks) // _DATES)))
    return Chart(title, text, WIDTH, height, marks, "columns", ticks, dated)


def compact(value: Decimal) -> str:
    """A round number of an axis, as short as it is exact: 1,500 is 1.5k."""
    for size, letter in ((Decimal(10**9), "G"), (Decimal(10**6), "M"), (Decimal(10**3), "k")):
        if value >= size:
            return f"{(value / size).normalize():f}{letter}"
    return f"{value.normalize():f}" if value else "0"


def _amount(value: Decimal, digits: int) -> str:
    """With all of its digits where it would look like 0 and isn't."""
    rounded = round(value, digits)
    return f"{rounded:,.{digits}f}" if rounded or not value else f"{value:f}"


def _steps(most: Decimal) -> list[Decimal]:
    """Three to five round numbers from 0 on."""
    power = Decimal(10) ** (most.adjusted() - 1)
    step = next(power * size * times for times in (1, 10, 100) for size in _STEPS if power * size * times * 4 >= most)
    return [step * number for number in range(int(most / step) + 1)]
