"""Price lists that land in a folder, each taken over once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from orchestration.lib import errors, landed
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.observed import TakenOver, take_over
from orchestration.lib.settings import prices_folder

# no source of usage can have that name
_NAME = "prices/files"
SETTLE = timedelta(minutes=1)


@dataclass
class Collected:
    """What each list changed, and why others were refused; by path."""

    taken: dict[str, TakenOver] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def place() -> landed.Place:
    """Where price lists land: all files of the folder, for one that is overlooked would be lost."""
    return landed.Place(_NAME, str(prices_folder() / "*"), SETTLE, reading="")


def look(url: str) -> landed.Landing:
    """Which files are to be taken over. Raises GovernanceError."""
    where = place()
    if next(landed.files(where), None) is None:
        return landed.Landing()
    with errors.explained(), connect(url) as connection:
        return landed.look(connection, where)


def collect(url: str, seen: date, *, notify: Callable[[str], None] = lambda message: None) -> Collected:
    """Takes over the lists that landed, in the order in which they were written, each as a whole or not at all.

    One that is refused holds up no other, and isn't tried again before it is written anew. Raises GovernanceError where
    the database isn't available.
    """
    collected, where = Collected(), place()
    with errors.explained(), connect(url) as connection:
        for file in landed.look(connection, where).pending:
            why = None
            try:
                collected.taken[file.path] = take_over(url, file.path, seen)
            except GovernanceError as error:
                if landed.is_of_database(error):
                    raise
                collected.refused[file.path] = why = str(error)
            notify(f"{file.path}: {'taken over' if why is None else why}")
            landed.remember(connection, where, file, why)
        landed.forget(connection, where)
    return collected
