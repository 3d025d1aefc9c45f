"""Roles of people: grant and revoke, everywhere or on a team and those below it."""

from datetime import UTC, datetime
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.acting import (
    ADMINISTRATOR,
    SYSTEM,
    Actor,
    acting,
    find_active,
    find_leaving,
    find_team,
    may,
    refuse_on_superior,
    require,
)

# what a role has, also by the roles above it
_PERMISSIONS = """
    with recursive ancestors as (
        select id, parent_role_id, permissions, 0 as depth from core.roles where id = %s
        union all
        select roles.id, roles.parent_role_id, roles.permissions, ancestors.depth + 1
        from core.roles
        inner join ancestors on roles.id = ancestors.parent_role_id
        where ancestors.depth < 9
    )
    select distinct resources.resource, actions.action
    from ancestors
    cross join jsonb_each(ancestors.permissions) as resources (resource, actions)
    cross join jsonb_array_elements_text(resources.actions) as actions (action)
    order by 1, 2
"""
_GRANT = """
    select id, coalesce(expires_at <= now(), false)
    from core.user_roles
    where user_id = %s and role_id = %s and team_id is not distinct from %s and revoked_at is null
    order by granted_at desc
    limit 1
    for update
"""


def grant_role(
    connection: Connection,
    who: UUID | str,
    role: str,
    *,
    team: str | None = None,
    expires_at: datetime | None = None,
    allows_self: bool = False,
    actor: Actor = SYSTEM,
) -> UUID:
    """Give somebody a role (by slug), everywhere or on a team (by slug); returns the id of the grant.

    Raises GovernanceError for an end that is past, an unknown role or team, who has no live account or has the role
    already, a grant to oneself unless `allows_self`, and a role that can more than the actor.
    """
    if expires_at is not None and expires_at.astimezone(UTC) <= datetime.now(UTC):
        raise GovernanceError("the role would have expired already: name an end that is to come")
    with acting(connection, actor):
        person = find_active(connection, who, "role")
        team_id = find_team(connection, team) if team is not None else None
        role_id = _role(connection, role)
        require(connection, actor, "roles", "grant", team_id)
        if actor.id == person.id and not allows_self:
            raise GovernanceError("nobody grants roles to themselves: ask another one who may, or allow it expressly")
        _refuse_more_than_own(connection, actor, role, role_id, team_id)
        known = connection.execute(_GRANT, [person.id, role_id, team_id]).fetchone()
        if known is not None and not known[1]:
            raise GovernanceError(f"{person.email} has the role {role} there already")
        [(grant,)] = connection.execute(
            "insert into core.user_roles (user_id, role_id, team_id, granted_by, granted_at, expires_at)"
            " values (%(user)s, %(role)s, %(team)s, %(by)s, greatest(now(), ("
            " select max(least(expires_at, revoked_at)) from core.user_roles"
            " where user_id = %(user)s and role_id = %(role)s and team_id is not distinct from %(team)s"
            ")), %(end)s) returning id",
            {"user": person.id, "role": role_id, "team": team_id, "by": actor.id, "end": expires_at},
        )
    return UUID(str(grant))


def revoke_role(
    connection: Connection, who: UUID | str, role: str, *, team: str | None = None, actor: Actor = SYSTEM
) -> UUID:
    """Take a role away that somebody has everywhere or, with `team`, on that team; returns the id of the grant.

    Raises GovernanceError where they don't have it there or it has expired, for the last administrator, or where the
    actor may not.
    """
    with acting(connection, actor):
        team_id = find_team(connection, team) if team is not None else None
        role_id = _role(connection, role)
        counts = role == ADMINISTRATOR and team is None
        person = find_leaving(connection, who, "stripped of the role", counts=counts)
        require(connection, actor, "roles", "revoke", team_id)
        refuse_on_superior(connection, actor, person)
        known = connection.execute(_GRANT, [person.id, role_id, team_id]).fetchone()
        where = f"on {team}" if team else "everywhere"
        if known is None:
            raise GovernanceError(f"{person.email} doesn't have the role {role} {where}")
        if known[1]:
            raise GovernanceError(f"the role {role} of {person.email} has expired already")
        connection.execute(
            "update core.user_roles set revoked_at = greatest(granted_at, now()) where id = %s", [known[0]]
        )
    return UUID(str(known[0]))


def _role(connection: Connection, slug: str) -> UUID:
    row = connection.execute("select id from core.roles where slug = %s for key share", [slug]).fetchone()
    if row is None:
        [(slugs,)] = connection.execute("select string_agg(slug, ', ' order by slug) from core.roles")
        raise GovernanceError(f"there is no role {slug}; the roles are {slugs or 'none'}")
    return UUID(str(row[0]))


def _refuse_more_than_own(connection: Connection, actor: Actor, role: str, role_id: UUID, team: UUID | None) -> None:
    for resource, action in connection.execute(_PERMISSIONS, [role_id]).fetchall():
        if not may(connection, actor, resource, action, team):
            raise GovernanceError(
                f"the role {role} can more than {actor.email or actor.id}, who has no {resource}:{action} there: "
                "only who has all of a role may grant it"
            )
