"""What options of several commands take."""

from datetime import datetime

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
