"""API keys: create, rotate, revoke. A key is shown once; the database has its hash and its first characters."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.acting import SYSTEM, Actor, acting, find_active, find_team, find_user, may, require

_MARK = "gov_"
_PREFIX = 12
_BYTES = 32
_KEY = """
    select id, user_id, team_id, name, scopes::text, expires_at, revoked_at is not null,
        coalesce(expires_at <= now(), false)
    from core.api_keys
    where {} = %s
    for no key update
"""


@dataclass(frozen=True)
class NewKey:
    """A key that was made just now: `key` is known to nobody who doesn't keep it."""

    id: UUID
    prefix: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class _Known:
    id: UUID
    user_id: UUID | None
    team_id: UUID | None
    name: str
    scopes: str
    expires_at: datetime | None
    is_revoked: bool
    is_expired: bool


def create_key(
    connection: Connection,
    name: str,
    *,
    user: UUID | str | None = None,
    team: str | None = None,
    scopes: Mapping[str, Sequence[str]] | None = None,
    expires_at: datetime | None = None,
    actor: Actor = SYSTEM,
) -> NewKey:
    """Make a key of a user, a team (by slug) or both, of 256 random bits.

    Everybody with own_api_keys:create makes keys of their own. Raises GovernanceError for an unknown team, a user
    without a live account, a time that is past, or where the actor may not.
    """
    if user is None and team is None:
        raise GovernanceError("whose key is it? Name a user, a team or both")
    with acting(connection, actor):
        owner = find_active(connection, user, "key").id if user is not None else None
        team_id = find_team(connection, team) if team is not None else None
        _require(connection, actor, "create", owner, team_id)
        return _insert(connection, name.strip(), owner, team_id, json.dumps(dict(scopes or {})), expires_at, actor)


def rotate_key(
    connection: Connection, key: UUID | str, *, overlap: timedelta = timedelta(0), actor: Actor = SYSTEM
) -> NewKey:
    """Make a key that takes the place of one, named by id or prefix: same owner, name, scopes and end.

    The old one is revoked, or with `overlap` ends after it. Raises GovernanceError for a key that is over, or somebody
    else's without the permission.
    """
    with acting(connection, actor):
        known = _find(connection, key)
        owner = find_active(connection, known.user_id, "key").id if known.user_id else None
        _require(connection, actor, "create", owner, known.team_id)
        _require(connection, actor, "revoke", owner, known.team_id)
        _refuse_over(known, key)
        made = _insert(connection, known.name, owner, known.team_id, known.scopes, known.expires_at, actor)
        if overlap > timedelta(0):
            connection.execute(
                "update core.api_keys set expires_at = least(expires_at, now() + %s) where id = %s",
                [overlap, known.id],
            )
        else:
            _revoke(connection, known.id)
    return made


def revoke_key(connection: Connection, key: UUID | str, *, actor: Actor = SYSTEM) -> UUID:
    """End a key, named by id or prefix; returns its id. Raises GovernanceError as rotate_key."""
    with acting(connection, actor):
        known = _find(connection, key)
        _require(connection, actor, "revoke", known.user_id, known.team_id)
        _refuse_over(known, key)
        _revoke(connection, known.id)
    return known.id


def _require(connection: Connection, actor: Actor, action: str, owner: UUID | None, team: UUID | None) -> None:
    if owner is not None and team is None and actor.id == owner and may(connection, actor, "own_api_keys", action):
        return
    if actor.id is not None and not may(connection, actor, "api_keys", action, team):
        whose = find_user(connection, owner).email if owner else "a team"
        raise GovernanceError(
            f"the key is one of {whose}, and {actor.email or actor.id} may not {action} it: "
            f"it takes the permission api_keys:{action}"
        )
    require(connection, actor, "api_keys", action, team)


def _insert(
    connection: Connection,
    name: str,
    owner: UUID | None,
    team: UUID | None,
    scopes: str,
    expires_at: datetime | None,
    actor: Actor,
) -> NewKey:
    key = f"{_MARK}{secrets.token_hex(4)}_{secrets.token_urlsafe(_BYTES)}"
    [(made,)] = connection.execute(
        "insert into core.api_keys (user_id, team_id, name, key_prefix, key_hash, scopes, expires_at, created_by)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) returning id",
        [owner, team, name, key[:_PREFIX], hashlib.sha256(key.encode()).digest(), scopes, expires_at, actor.id],
    )
    return NewKey(UUID(str(made)), key[:_PREFIX], key)


def _find(connection: Connection, key: UUID | str) -> _Known:
    if isinstance(key, str) and len(key) > 16:
        try:
            key = UUID(key)
        except ValueError:
            # it may be the key itself, which no message repeats
            raise GovernanceError("name the key by its prefix or its id, never by the key itself") from None
    query = _KEY.format("id" if isinstance(key, UUID) else "key_prefix")
    rows = connection.execute(query.encode(), [key]).fetchall()
    if not rows:
        raise GovernanceError(f"there is no key {key}; see the prefixes in reporting.key_hygiene")
    live = [row for row in rows if not row[6] and not row[7]]
    if len(live) > 1:
        ids = ", ".join(str(row[0]) for row in live)
        raise GovernanceError(f"several keys begin with {key}; name one by its id: {ids}")
    return _Known(*(live or rows)[0])


def _refuse_over(known: _Known, key: UUID | str) -> None:
    if known.is_revoked or known.is_expired:
        raise GovernanceError(f"the key {key} {'is revoked' if known.is_revoked else 'has expired'} already")


def _revoke(connection: Connection, key: UUID) -> None:
    connection.execute("update core.api_keys set revoked_at = greatest(created_at, now()) where id = %s", [key])
