"""The roles of the database as tests log in with them."""

import re

from psycopg import sql

from orchestration.lib.database.connection import connect
from orchestration.lib.verification.role_probes import ROLES

PASSWORD = "of-a-test"


def drop_roles(url: str) -> None:
    with connect(url) as connection:
        names = sql.SQL(", ").join(sql.Identifier(f"governance_{role}") for role in ROLES)
        connection.execute(sql.SQL("reassign owned by {} to current_user; drop owned by {}").format(names, names))
        connection.execute(sql.SQL("drop role {}").format(names))


def as_user(url: str, login: str) -> str:
    """The URL with another `name:password`."""
    return re.sub("//[^@]*@", f"//{login}@", url)


def log_in(url: str, role: str) -> str:
    """URL with which the role logs in."""
    name = f"governance_{role}"
    with connect(url) as connection:
        connection.execute(sql.SQL("alter role {} login password {}").format(sql.Identifier(name), PASSWORD))
    return as_user(url, f"{name}:{PASSWORD}")
