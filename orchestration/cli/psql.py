"""Opens psql on the database in use."""

import os
import shutil
from collections.abc import Sequence
from typing import NoReturn

from orchestration.lib.database.in_use import database_url
from orchestration.lib.database.connection import password_of, without_password
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.errors import GovernanceError


def open_psql(arguments: Sequence[str]) -> NoReturn:
    """Turn this process into psql with these arguments: the embedded server's own, else the one on the PATH."""
    url = database_url()
    program = bundled_program("psql") or shutil.which("psql")
    if program is None:
        raise GovernanceError(
            "there is no psql here: install PostgreSQL's client programs, or the embedded server, which brings one "
            "(`make embedded`)"
        )
    environment = dict(os.environ)
    # other users of the machine can read a command line
    if (password := password_of(url)) is not None:
        environment["PGPASSWORD"] = password
    os.execve(program, ["psql", "--dbname", without_password(url), *arguments], environment)  # noqa: S606
