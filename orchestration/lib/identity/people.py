"""Accounts of people: create, deactivate, set a password."""

import json
from collections.abc import Mapping
from typing import LiteralString
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import DEFAULT_ADMIN_PASSWORD, hash_password
from orchestration.lib.identity.acting import (
    SYSTEM,
    Actor,
    Person,
    acting,
    end_sessions,
    find_active,
    find_leaving,
    refuse_on_superior,
    require,
    require_over,
)
from orchestration.lib.identity.passwords import COMMON

# what a person who leaves leaves behind, each with when it ended
_LEAVE: Mapping[str, LiteralString] = {
    "roles": "update core.user_roles set revoked_at = greatest(granted_at, now())"
    " where user_id = %s and revoked_at is null and (expires_at is null or expires_at > now())",
    "memberships": "update core.team_members set left_at = greatest(joined_at, now())"
    " where user_id = %s and left_at is null",
    "keys": "update core.api_keys set revoked_at = greatest(created_at, now())"
    " where user_id = %s and revoked_at is null",
}


def create_user(
    connection: Connection,
    email: str,
    display_name: str,
    *,
    password: str | None = None,
    metadata: Mapping[str, object] | None = None,
    actor: Actor = SYSTEM,
) -> UUID:
    """Make an account; returns its id.

    With a password it is active, and the password must be changed at the first sign-in; without one it is invited.
    Raises GovernanceError where the address is taken or no address, the password is refused, or the actor may not.
    """
    email = email.strip()
    hashed = None if password is None else _hashed(password, email)
    with acting(connection, actor):
        require(connection, actor, "users", "create")
        row = connection.execute(
            "insert into core.users (email, display_name, password_hash, status, must_change_password,"
            " password_changed_at, metadata)"
            " values (normalize(%(email)s, nfkc), %(name)s, %(hash)s, %(status)s, %(given)s,"
            " case when %(given)s then now() end, %(metadata)s)"
            " on conflict (lower(email)) do nothing returning id",
            {
                "email": email,
                "name": display_name.strip(),
                "hash": hashed,
                "status": "active" if hashed else "invited",
                "given": hashed is not None,
                "metadata": json.dumps(dict(metadata or {})),
            },
        ).fetchone()
        if row is None:
            raise GovernanceError(f"there is an account {email} already; choose another address")
    return UUID(str(row[0]))


def deactivate_user(connection: Connection, who: UUID | str, *, actor: Actor = SYSTEM) -> dict[str, int]:
    """End an account with its roles, memberships, keys and sessions; returns how many of each.

    Spend stays theirs. Raises GovernanceError for the last administrator, for who is deactivated already, or where
    the actor may not.
    """
    with acting(connection, actor):
        require(connection, actor, "users", "deactivate")
        person = find_leaving(connection, who, "deactivated")
        refuse_on_superior(connection, actor, person)
        if person.status == "deactivated":
            raise GovernanceError(f"{person.email} is deactivated already")
        return leave(connection, person)


def leave(connection: Connection, person: Person) -> dict[str, int]:
    """Ends what a person has, in the caller's transaction."""
    connection.execute("update core.users set status = 'deactivated', deleted_at = now() where id = %s", [person.id])
    ended = {name: connection.execute(statement, [person.id]).rowcount for name, statement in _LEAVE.items()}
    return {**ended, "sessions": end_sessions(connection, person.id, "account deactivated")}


def set_password(connection: Connection, who: UUID | str, password: str, *, actor: Actor = SYSTEM) -> None:
    """Set a password, unlock the account, and end its sessions.

    Who sets the password of somebody else knows it, so it must be changed at the next sign-in. Raises GovernanceError
    for a password that is too short, too long or well known, for who has no live account, or where the actor may not.
    """
    with acting(connection, actor):
        person = find_active(connection, who, "password")
        require_over(connection, actor, person)
        connection.execute(
            "update core.users set password_hash = %s, password_changed_at = now(), must_change_password = %s,"
            " failed_login_count = 0, locked_until = null, status = 'active' where id = %s",
            [_hashed(password, person.email), actor.id != person.id, person.id],
        )
        end_sessions(connection, person.id, "password changed")


def _hashed(password: str, email: str) -> str:
    well_known = {DEFAULT_ADMIN_PASSWORD, *COMMON, email, email.split("@")[0]}
    if password.lower() in {each.lower() for each in well_known}:
        raise GovernanceError("the password is one that everybody tries first; choose another one")
    return hash_password(password)
