"""People of the tests of accounts, and the keys of their second factors."""

import secrets
from uuid import UUID

from core_rows import add_user, value

from orchestration.lib.accounts import Actor, MfaKeys, grant_role
from orchestration.lib.database.connection import Connection
from orchestration.lib.identity.accounts import hash_password

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
KEYS = MfaKeys([b"k" * 32])


def person(connection: Connection, role: str | None = None, team: str | None = None, **values: object) -> UUID:
    """An active person with a password, and a role where one is named."""
    made = add_user(connection, **{"status": "active", "password_hash": HASH} | values)
    if role:
        grant_role(connection, made, role, team=team)
    return made


def acts(connection: Connection, role: str | None = None, team: str | None = None) -> Actor:
    """A person who acts."""
    made = person(connection, role, team)
    return Actor(made, value(connection, "select email from core.users where id = %s", made))


def unique(name: str) -> str:
    """A name that no other test has."""
    return f"{name}-{secrets.token_hex(4)}"
