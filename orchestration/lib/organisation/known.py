"""What the database knows of an organisation, in the words of the files: addresses and slugs instead of ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import LiteralString
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import NotBuiltError

ROOT_TEAM = "organization"
ADMINISTRATORS = "super-admin"

# of each: its key, its id, since when it is there, when it was revoked, metadata, its fields by the names of the files
_PEOPLE = """
    select lower(email), id, created_at, null::timestamptz, metadata, email, display_name, status
    from core.users order by lower(email)
"""
_TEAMS = """
    select
        teams.slug, teams.id, teams.created_at, null::timestamptz, '{}'::jsonb,
        teams.slug, teams.name, teams.description, parents.slug as parent, lower(owners.email) as owner,
        teams.budget_amount, teams.budget_period, teams.currency, teams.cost_center,
        case when teams.deleted_at is null then 'active' else 'deactivated' end as status
    from core.teams as teams
    left join core.teams as parents on parents.id = teams.parent_team_id
    left join core.users as owners on owners.id = teams.owner_id
    order by teams.slug
"""
_KEYS = """
    select
        encode(keys.key_hash, 'hex'), keys.id, keys.created_at, keys.revoked_at, '{}'::jsonb,
        encode(keys.key_hash, 'hex') as key_hash, keys.key_prefix, keys.name, lower(users.email) as user,
        teams.slug as team, keys.expires_at
    from core.api_keys as keys
    left join core.users as users on users.id = keys.user_id
    left join core.teams as teams on teams.id = keys.team_id
    order by keys.key_prefix, keys.id
"""
# also those that begin later: a second one beside them would overlap
_MEMBERSHIPS = """
    select lower(users.email), teams.slug, members.id, members.member_role
    from core.team_members as members
    join core.users as users on users.id = members.user_id
    join core.teams as teams on teams.id = members.team_id
    where members.left_at is null or members.left_at > %(now)s
    order by lower(users.email), teams.slug, members.joined_at desc
"""
_GRANTS = """
    select lower(users.email), roles.slug, teams.slug, grants.id
    from core.user_roles as grants
    join core.users as users on users.id = grants.user_id
    join core.roles as roles on roles.id = grants.role_id
    left join core.teams as teams on teams.id = grants.team_id
    where coalesce(least(grants.expires_at, grants.revoked_at), 'infinity') > %(now)s
    order by lower(users.email), roles.slug, teams.slug nulls first, grants.granted_at desc
"""


@dataclass(frozen=True)
class Row:
    """A row: its id, since when it is there, when it was revoked, and its fields as files say them."""

    id: UUID
    created_at: datetime
    revoked_at: datetime | None
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Known:
    """People by address in lower case, teams by slug, keys by hash; memberships and grants that have not ended.

    `now` is the moment of which it is said, `currency` that of teams that name none, `root` the slug of the team above
    all others, if it is there.
    """

    now: datetime
    currency: str
    root: str | None = None
    people: Mapping[str, Row] = field(default_factory=dict)
    teams: Mapping[str, Row] = field(default_factory=dict)
    keys: Mapping[str, Row] = field(default_factory=dict)
    memberships: Mapping[tuple[str, str], tuple[UUID, str]] = field(default_factory=dict)
    grants: Mapping[tuple[str, str, str | None], UUID] = field(default_factory=dict)
    roles: Mapping[str, UUID] = field(default_factory=dict)

    @cached_property
    def directory_ids(self) -> dict[str, str]:
        """People by the ids that a directory gave them at earlier imports."""
        ids = {email: row.fields.get("metadata.scim_id") for email, row in self.people.items()}
        return {str(identity): email for email, identity in ids.items() if identity}


def read_known(connection: Connection) -> Known:
    """What is known at this moment."""
    moment = "select clock_timestamp(), value from internal.settings where name = 'default_currency'"
    (now, currency) = connection.execute(moment).fetchone() or (None, None)
    if not isinstance(now, datetime):
        raise NotBuiltError("the warehouse isn't built in the database yet: run `governance build` first")
    teams = _rows(connection, _TEAMS)
    memberships = connection.execute(_MEMBERSHIPS, {"now": now}).fetchall()
    grants = connection.execute(_GRANTS, {"now": now}).fetchall()
    return Known(
        now=now,
        currency=currency,
        root=ROOT_TEAM if ROOT_TEAM in teams else None,
        people=_rows(connection, _PEOPLE),
        teams=teams,
        keys=_rows(connection, _KEYS),
        memberships={(person, team): (row, role) for person, team, row, role in memberships},
        grants={(person, role, team): row for person, role, team, row in grants},
        roles=dict(connection.execute("select slug, id from core.roles order by slug").fetchall()),
    )


def _rows(connection: Connection, query: LiteralString) -> dict[str, Row]:
    cursor = connection.execute(query)
    names = [column.name for column in cursor.description or ()][5:]
    return {
        key: Row(
            row,
            created_at,
            revoked_at,
            # metadata as the columns that files have for it
            dict(zip(names, fields, strict=True)) | {f"metadata.{name}": value for name, value in metadata.items()},
        )
        for key, row, created_at, revoked_at, metadata, *fields in cursor
    }
