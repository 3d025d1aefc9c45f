"""What options of several commands take."""

from datetime import UTC, date, datetime

import click


class Day(click.ParamType[date]):
    """A day such as 2026-10-31, as a date."""

    name = "day"

    def convert(self, value: str | date, parameter: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day, or a usage error that says how one is written."""
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            self.fail(f"{value!r} is no day: write it as 2026-10-31", parameter, ctx)


class DayOrTime(click.ParamType[datetime]):
    """A day or a time, as a moment; of UTC where it names no zone."""

    name = "time"

    def convert(self, value: str | datetime, parameter: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, or a usage error that says how one is written."""
        if isinstance(value, datetime):
            return value
        try:
            said = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day or time: write it as 2026-10-31 or 2026-10-31T14:00:00", parameter, ctx)
        return said if said.tzinfo else said.replace(tzinfo=UTC)


def moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Callback of an option: a time with its zone; None where it isn't given."""
    from orchestration.lib.organisation.cells import CellError, time

    if value is None:
        return None
    try:
        return time(value)
    except CellError as error:
        raise click.BadParameter(str(error), ctx, parameter) from error
