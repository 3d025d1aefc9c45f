"""Words of sentences for people."""

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches


def counted(number: int, one: str, many: str | None = None) -> str:
    """1 row, 2 rows: the number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def did_you_mean(said: str, known: Iterable[str]) -> str:
    """A question with the known name that is most like what was said, to stand before a sentence; empty without one."""
    return "".join(f"did you mean {each}? " for each in get_close_matches(said, list(known), n=1))


def span(length: timedelta | None) -> str:
    """A span of time in its two largest units, minutes at least."""
    if length is None:
        return "-"
    minutes = round(length.total_seconds() / 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{counted(days, 'day')} {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
