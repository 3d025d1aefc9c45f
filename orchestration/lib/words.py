"""Words of sentences for people."""

from datetime import timedelta


def counted(number: int, one: str, many: str | None = None) -> str:
    """1 row, 2 rows: the number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(length: timedelta | None) -> str:
    """A span of time in its two largest units, minutes at least."""
    if length is None:
        return "-"
    minutes = round(length.total_seconds() / 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{counted(days, 'day')} {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
