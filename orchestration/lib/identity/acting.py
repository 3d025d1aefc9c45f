"""The actor of a change of accounts: who it is, which permissions it has, and on whom it may act."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError

ADMINISTRATOR = "super-admin"

_USER = """
    select id, email, display_name, status, mfa_enabled, erased_at is not null
    from core.users
    where id = %(id)s or lower(email) = lower(normalize(%(email)s, nfkc))
"""
_LOCKS: dict[str, LiteralString] = {"": "", "acts": " for no key update", "erases": " for update"}
_ADMINISTRATORS = """
    from core.users
    inner join core.user_roles on user_roles.user_id = users.id
    inner join core.roles on roles.id = user_roles.role_id
    where roles.slug = 'super-admin' and user_roles.team_id is null and users.status = 'active'
        and user_roles.revoked_at is null
        and (user_roles.expires_at is null or user_roles.expires_at > now())
"""
# a permission on a team reaches those below it
_MAY = """
    with recursive above as (
        select id, parent_team_id from core.teams where id = %(team)s
        union
        select teams.id, teams.parent_team_id from core.teams inner join above on teams.id = above.parent_team_id
    )
    select exists (
        select from reporting.user_permissions_view as held
        where held.user_id = %(actor)s
            and (held.resource, held.action) in ((%(resource)s, %(action)s), (%(resource)s, '*'), ('*', '*'))
            and (held.team_id is null or held.team_id in (select id from above))
    )
"""


@dataclass(frozen=True)
class Actor:
    """Who acts: a user, by id, or nobody in particular, which the trail calls the database role.

    Address, program and request are what a backend knows of the request, for the audit trail.
    """

    id: UUID | None = None
    email: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


SYSTEM = Actor()
# constraints that a user may run into and that say nothing by themselves
_REFUSED = {
    "users_email_check": "that is no address; write one such as ann@example.com",
    "api_keys_expires_at_check": "a key ends after it begins; give it a time to come",
    "user_roles_expires_at_check": "a grant ends after it begins; give it a time to come",
}


@dataclass(frozen=True)
class Person:
    """A row of core.users."""

    id: UUID
    email: str
    display_name: str
    status: str
    mfa_enabled: bool
    is_erased: bool


def actor_called(connection: Connection, who: UUID | str) -> Actor:
    """The actor of an id or address. Raises GovernanceError for one who isn't there or isn't active."""
    person = find_user(connection, who)
    _refuse_inactive_actor(person)
    return Actor(person.id, person.email)


def find_user(connection: Connection, who: UUID | str, *, lock: str = "") -> Person:
    """The user of an id or address; with `lock` (acts, erases) nobody else acts on them until the transaction ends."""
    given = {"id": who if isinstance(who, UUID) else None, "email": None if isinstance(who, UUID) else who.strip()}
    row = connection.execute(_USER + _LOCKS[lock], given).fetchone()
    if row is None:
        raise GovernanceError(f"there is no user {who}; see core.users, or create one")
    return Person(*row)


def find_active(connection: Connection, who: UUID | str, what: str) -> Person:
    """As find_user, locked; raises GovernanceError for who has no live account, and so can't get `what`."""
    person = find_user(connection, who, lock="acts")
    if person.is_erased:
        raise GovernanceError(f"{person.email} was erased and gets no {what}; make another account")
    if person.status not in ("active", "invited"):
        raise GovernanceError(f"{person.email} is {person.status} and gets no {what}; activate the account first")
    return person


def find_team(connection: Connection, slug: str) -> UUID:
    """The id of a live team; raises GovernanceError where there is none."""
    row = connection.execute(
        "select id, deleted_at is not null from core.teams where slug = %s for key share", [slug]
    ).fetchone()
    if row is None:
        raise GovernanceError(f"there is no team {slug}; see the slugs in reporting.team_hierarchy_view")
    if row[1]:
        raise GovernanceError(f"the team {slug} is deactivated; name one that is live")
    return UUID(str(row[0]))


@contextmanager
def acting(connection: Connection, actor: Actor) -> Iterator[None]:
    """A transaction, or a part of the caller's, in which the audit trail knows who acts; all of it is done, or nothing.

    Raises GovernanceError where the actor is no active user any more, and for what the database itself refuses.
    """
    import psycopg

    said = {
        "actor_id": str(actor.id or ""),
        "actor_type": "user" if actor.id else "",
        "actor_label": actor.email or "",
        "ip_address": actor.ip_address or "",
        "user_agent": actor.user_agent or "",
        "request_id": actor.request_id or "",
    }
    names = [f"governance.{name}" for name in said]
    try:
        with connection.transaction():
            before = connection.execute(
                "select coalesce(current_setting(n, true), '') from unnest(%s::text[]) n", [names]
            )
            kept = [value for (value,) in before]
            if actor.id is not None:
                _refuse_inactive_actor(find_user(connection, actor.id))
                _set(connection, names, list(said.values()))
            yield
            _set(connection, names, kept)
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
        said_by_database = _REFUSED.get(
            error.diag.constraint_name or "", (error.diag.message_primary or str(error)).splitlines()[0]
        )
        raise GovernanceError(f"the database refused it, nothing was changed: {said_by_database}") from error


def require(connection: Connection, actor: Actor, resource: str, action: str, team: UUID | None = None) -> None:
    """Raises GovernanceError unless the actor has the permission, as `may` says."""
    if not may(connection, actor, resource, action, team):
        raise GovernanceError(
            f"{actor.email or actor.id} may not do that: it takes the permission {resource}:{action}"
            + (" on that team" if team else "")
        )


def may(connection: Connection, actor: Actor, resource: str, action: str, team: UUID | None = None) -> bool:
    """Whether the actor has the permission, everywhere or on the team or one above it; SYSTEM may do everything."""
    if actor.id is None:
        return True
    given = {"actor": actor.id, "resource": resource, "action": action, "team": team}
    [(has_it,)] = connection.execute(_MAY, given)
    return bool(has_it)


def refuse_on_superior(connection: Connection, actor: Actor, person: Person) -> None:
    """Only an administrator acts on an administrator: else who may set passwords could take such an account over."""
    if actor.id is None or actor.id == person.id or not is_administrator(connection, person.id):
        return
    if not is_administrator(connection, actor.id):
        raise GovernanceError(f"{person.email} is an administrator: only an administrator may do that")


def require_over(connection: Connection, actor: Actor, person: Person) -> None:
    """Raises GovernanceError unless the actor is the person, or may change that account."""
    if actor.id != person.id:
        require(connection, actor, "users", "update")
        refuse_on_superior(connection, actor, person)


def is_administrator(connection: Connection, user: UUID) -> bool:
    """Whether the user is active and has the role super-admin everywhere."""
    [(is_one,)] = connection.execute(f"select exists (select {_ADMINISTRATORS} and users.id = %s)", [user])
    return bool(is_one)


def find_leaving(
    connection: Connection, who: UUID | str, what: str, *, lock: str = "acts", counts: bool = True
) -> Person:
    """A user who is about to lose an account or, where `counts`, the role of administrators; locked.

    All administrators are locked first, always in one order: of two who leave at once the second sees that the first
    has left. Raises GovernanceError for the last one.
    """
    person = find_user(connection, who)
    if not counts or not is_administrator(connection, person.id):
        person = find_user(connection, person.id, lock=lock)
        if counts and is_administrator(connection, person.id):
            raise GovernanceError(f"{person.email} was made an administrator a moment ago; run it again")
        return person
    connection.execute(f"select {_ADMINISTRATORS} order by users.id for no key update of users, user_roles")
    person = find_user(connection, person.id, lock=lock)
    [(has_others,)] = connection.execute(f"select exists (select {_ADMINISTRATORS} and users.id <> %s)", [person.id])
    if not has_others and is_administrator(connection, person.id):
        raise GovernanceError(
            f"{person.email} is the last active administrator and can't be {what}: make another one first"
        )
    return person


def end_sessions(connection: Connection, user: UUID, reason: str) -> int:
    """Ends all sessions of a user, in the caller's transaction; returns how many."""
    return connection.execute(
        "update core.sessions set revoked_at = greatest(created_at, now()), revoked_reason = %s"
        " where user_id = %s and revoked_at is null and expires_at > now()",
        [reason.strip(), user],
    ).rowcount


def note(
    connection: Connection,
    action: str,
    person: UUID | None,
    *,
    outcome: str = "success",
    metadata: dict[str, object] | None = None,
    actor: Actor = SYSTEM,
) -> None:
    """Writes an entry of its own to the audit trail, where no changed row says what was done."""
    connection.execute(
        "insert into core.audit_logs (actor_type, actor_id, actor_label, action, resource_type, resource_id, outcome,"
        " ip_address, user_agent, request_id, metadata) values (%s, %s, %s, %s, 'users', %s, %s, %s, %s, %s, %s)",
        [
            "user" if actor.id else "system",
            actor.id,
            actor.email,
            action,
            person,
            outcome,
            actor.ip_address,
            actor.user_agent,
            actor.request_id,
            json.dumps(metadata or {}),
        ],
    )


def _set(connection: Connection, names: list[str], values: list[str]) -> None:
    connection.execute(
        "select set_config(name, said, true) from unnest(%s::text[], %s::text[]) as each (name, said)", [names, values]
    )


def _refuse_inactive_actor(person: Person) -> None:
    if person.status != "active":
        raise GovernanceError(f"{person.email} is {person.status} and may do nothing: act as an active user")
