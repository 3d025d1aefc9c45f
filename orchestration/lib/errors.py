"""The errors a user is meant to read, and the one place where the database's own become such."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_AGAIN = "run the same command again"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_RIGHTS = (errno.EACCES, errno.EPERM)
_NAMES = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


class GovernanceError(Exception):
    """One clear sentence that says what is wrong and what to do about it; never a traceback for the user."""


class NotBuiltError(GovernanceError):
    """The database holds no warehouse yet, only a part of it, or that of an older release: `governance build` helps."""


class UnreachableError(GovernanceError):
    """A server of somebody else's doesn't answer, or not as it should; it may in a while."""


def reason(error: Exception) -> str:
    """What an error says, of the operating system's without its number and the name of the file."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def explained(again: str = _AGAIN) -> Iterator[None]:
    """Turns what the database or the file system says into a GovernanceError, where a user can do something about it.

    `again` is what to do once a passing obstacle is gone. What only a fault of ours can cause stays as it is.
    """
    try:
        yield
    except OSError as error:
        if (said := _of_files(error, again)) is None:
            raise
        raise said from error
    except Exception as error:
        # who never talked to a database hasn't loaded it
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error) or (sentence := _sentence(error, again)) is None:
            raise
        raise sentence from error


def _of_files(error: OSError, again: str) -> GovernanceError | None:
    what = error.filename or "a file, or the output"
    if error.errno in _DISK:
        return GovernanceError(f"cannot write {what}: {error.strerror}; see to that, then {again}")
    if error.errno in _RIGHTS:
        return GovernanceError(
            f"{what} can't be used: {error.strerror}; see to its rights, or name a place of your own"
        )
    if error.errno in _NAMES:
        return GovernanceError(f"{what} can't be used: {error.strerror}; name another file or folder")
    return None


def _sentence(error: "psycopg.Error", again: str) -> GovernanceError | None:
    import psycopg

    state = error.sqlstate or ""
    said = (error.diag.message_primary or str(error).strip() or type(error).__name__).splitlines()[0]
    match state[:2], state:
        # no schema, table, column or function of that name
        case ("3F", _) | (_, "42P01" | "42703" | "42883"):
            return NotBuiltError(
                f"this release of the warehouse isn't built in the database ({said}): run `governance build` first"
            )
        case _, "42501":
            return GovernanceError(
                f"the database user may not do that ({said}): connect as the owner of the schemas, or let the owner "
                "grant it"
            )
        case _, "25006":
            return GovernanceError(f"the database can't be written to ({said}): connect to the primary server")
        # the role's or the database's own statement_timeout, or somebody's pg_cancel_backend
        case _, "57014":
            return GovernanceError(
                f"the database broke off a statement ({said}): {again}, with a longer statement_timeout if that was it"
            )
        case ("40", _) | (_, "55P03"):
            return GovernanceError(f"other sessions were in the way ({said}): {again} when they have ended")
        case "53", _:
            return GovernanceError(f"the database server is at a limit ({said}): see to that, then {again}")
        # raised by the warehouse itself, or something the server isn't set up for: it says it best itself
        case _, "P0001" | "0A000" | "55000":
            return GovernanceError(said)
    # shut down, crashed, or gone without a word
    if state[:2] in ("08", "57") or (not state and isinstance(error, psycopg.OperationalError)):
        return GovernanceError(f"the database went away ({said}): see that it runs, then {again}")
    return None
