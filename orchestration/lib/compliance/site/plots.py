"""Charts over days, drawn as wide as there is room: what lies across is in percent of the width, heights in pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate

from orchestration.lib.money import plus, total

HEIGHT = 220
_TOP = 18
_BOTTOM = 24
# as many colours as can be told apart; what is beyond them is drawn together
SERIES = 6
_LABELS = 7


@dataclass(frozen=True)
class Block:
    """A part of a column: its place, which series it belongs to, and what it says."""

    x: float
    y: float
    width: float
    height: float
    series: int
    says: str


@dataclass(frozen=True)
class Line:
    """A line through points; `kind` is spent, expected or limit."""

    kind: str
    points: list[tuple[float, float]]

    @property
    def segments(self) -> list[tuple[float, float, float, float]]:
        """From point to point."""
        return [(*one, *other) for one, other in zip(self.points, self.points[1:], strict=False)]


@dataclass(frozen=True)
class Plot:
    """What is drawn. `text` says in a sentence what is to be seen, `legend` names the series or lines by their look."""

    title: str
    text: str
    height: int
    ticks: list[tuple[float, str]]
    labels: list[tuple[float, str, str]]
    legend: list[tuple[str, str]]
    blocks: list[Block] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def largest(series: Mapping[str, Mapping[str, Decimal]], others: str) -> list[tuple[str, Mapping[str, Decimal]]]:
    """The series with most in all, as many as have colours; the rest together under the name `others`."""
    ordered = sorted(series.items(), key=lambda each: (-total(each[1].values()), each[0]))
    shown, rest = ordered[:SERIES], ordered[SERIES:]
    if len(rest) == 1:
        return ordered
    if rest:
        together: dict[str, Decimal] = {}
        for _, values in rest:
            for day, value in values.items():
                together[day] = plus(together.get(day, Decimal(0)), value)
        shown.append((others.format(len(rest)), together))
    return shown


def stacked(
    title: str,
    days: Sequence[str],
    series: Sequence[tuple[str, Mapping[str, Decimal]]],
    unit: str,
    *,
    whole: bool = False,
) -> Plot | None:
    """A column for each day with a part for each series, the first at the bottom. None without a value above 0.

    `whole` where values are counts.
    """
    said = "{:,.0f}".format if whole else amount
    totals = [total(values.get(day) for _, values in series) for day in days]
    most = max(totals, default=Decimal(0))
    if most <= 0:
        return None
    step = 100 / len(days)
    blocks = []
    for number, day in enumerate(days):
        below = Decimal(0)
        for place, (name, values) in enumerate(series):
            value = values.get(day, Decimal(0))
            if value > 0:
                top, bottom = _y(below + value, most), _y(below, most)
                says = f"{day}, {name}: {said(value)} {unit}"
                width = round(step * 0.8, 3)
                blocks.append(Block(round(step * (number + 0.1), 3), top, width, round(bottom - top, 1), place, says))
                below += value
    highest = totals.index(most)
    text = f"{said(total(totals))} {unit} in {len(days)} days; the most on {days[highest]}: {said(most)} {unit}."
    legend = [(f"s{place}", name) for place, (name, _) in enumerate(series)]
    return Plot(title, text, HEIGHT, _ticks(most), _labels(days), legend, blocks=blocks)


def burnt(
    title: str, days: Sequence[str], spent: Sequence[Decimal], limit: Decimal, expected: Decimal | None, unit: str
) -> Plot | None:
    """What was spent from the first day on, up to where it leads, against a limit. `spent` has the days so far."""
    if not spent or limit <= 0:
        return None
    sums = list(accumulate(spent, plus))
    most = max(sums[-1], limit, expected or Decimal(0))
    step = 100 / len(days)
    so_far = [(0.0, _y(Decimal(0), most))]
    so_far += [(round(step * (number + 1), 3), _y(value, most)) for number, value in enumerate(sums)]
    lines = [Line("limit", [(0.0, _y(limit, most)), (100.0, _y(limit, most))]), Line("spent", so_far)]
    text = (
        f"{amount(sums[-1])} of {amount(limit)} {unit} ({sums[-1] / limit:.0%}) were spent up to {days[len(sums) - 1]}"
    )
    legend = [("spent", "spent"), ("limit", "budget")]
    if expected is not None and len(sums) < len(days):
        lines.append(Line("expected", [so_far[-1], (100.0, _y(expected, most))]))
        legend.insert(1, ("expected", "expected"))
        text += f"; {amount(expected)} {unit} ({expected / limit:.0%}) are expected by {days[-1]}"
    return Plot(title, f"{text}.", HEIGHT, _ticks(most), _labels(days), legend, lines=lines)


def amount(value: Decimal) -> str:
    """For reading: to the cent, and to two digits where that would be nothing."""
    if value and abs(value) < Decimal("0.01"):
        return f"{Decimal(f'{value:.1e}'):f}"
    return f"{value:,.2f}"


def _y(value: Decimal, most: Decimal) -> float:
    room = HEIGHT - _TOP - _BOTTOM
    return round(_TOP + room * (1 - float(value / most)), 1)


def _ticks(most: Decimal) -> list[tuple[float, str]]:
    """Round numbers from 0 on, at most five."""
    power = Decimal(1).scaleb(most.adjusted())
    step = next(each for part in ("0.2", "0.5", "1", "2", "5") if most / (each := power * Decimal(part)) < 5)
    return [
        (_y(step * number, most), f"{step * number:,f}" if step % 1 else f"{step * number:,.0f}")
        for number in range(int(most / step) + 1)
    ]


def _labels(days: Sequence[str]) -> list[tuple[float, str, str]]:
    """The days written below: the first, the last and some between, with where each is and how it is aligned."""
    count = len(days)
    numbers = range(count) if count <= _LABELS else [round(n * (count - 1) / (_LABELS - 1)) for n in range(_LABELS)]
    anchors = {0: "start", count - 1: "end"} if count > 1 else {}
    return [(round(100 / count * (n + 0.5), 3), days[n], anchors.get(n, "middle")) for n in numbers]
