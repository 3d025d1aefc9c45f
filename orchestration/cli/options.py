"""What options of several commands take."""

from datetime import UTC, date, datetime

import click


def moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: a time with its zone; None where it isn't given."""
    from orchestration.lib.organisation.cells import CellError, time

    if value is None:
        return None
    try:
        return time(value)
    except CellError as error:
        raise click.BadParameter(str(error), ctx, parameter) from error


def day(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    """Callback of an option: a day; None where it isn't given."""
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no day: write it as 2026-10-31", ctx, parameter) from error


def day_or_time(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: a day or a time, of UTC where it names no zone; None where it isn't given."""
    if value is None:
        return None
    try:
        said = datetime.fromisoformat(value)
    except ValueError as error:
        wrong = f"{value!r} is no day or time: write it as 2026-10-31 or 2026-10-31T14:00:00"
        raise click.BadParameter(wrong, ctx, parameter) from error
    return said if said.tzinfo else said.replace(tzinfo=UTC)
