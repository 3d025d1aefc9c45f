"""Words of sentences for people."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """1 row, 2 rows: the number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
