"""Sessions of people who have signed in: issue, find, revoke. A token is shown once; the database has its hash."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.acting import (
    Actor,
    acting,
    end_sessions,
    find_active,
    find_user,
    refuse_on_superior,
    require,
)
from orchestration.lib.identity.sign_in import SignedIn

LASTS = timedelta(hours=12)
LONGEST = timedelta(days=30)
_BYTES = 32


@dataclass(frozen=True)
class NewSession:
    """A session that began just now: its token is known to nobody who doesn't keep it."""

    id: UUID
    expires_at: datetime
    token: str = field(repr=False)


@dataclass(frozen=True)
class Session:
    """A live session, and whose it is."""

    id: UUID
    user_id: UUID
    email: str
    mfa_verified: bool
    expires_at: datetime


def issue_session(
    connection: Connection,
    signed_in: SignedIn,
    *,
    lasts: timedelta = LASTS,
    ip_address: str | None = None,
    user_agent: str | None = None,
) -> NewSession:
    """Begin a session for who has signed in (`authenticate`).

    Raises GovernanceError where the account was ended since, or its second factor was not given.
    """
    if not timedelta(0) < lasts <= LONGEST:
        raise GovernanceError(f"a session lasts between a moment and {LONGEST.days} days")
    with acting(connection, Actor(signed_in.user_id, signed_in.email, ip_address, user_agent)):
        person = find_active(connection, signed_in.user_id, "session")
        if person.mfa_enabled and not signed_in.mfa_verified:
            raise GovernanceError(f"{person.email} has a second factor, which was not given: sign in with it")
        token = secrets.token_urlsafe(_BYTES)
        [(made, expires_at)] = connection.execute(
            "insert into core.sessions (user_id, token_hash, ip_address, user_agent, mfa_verified, expires_at)"
            " values (%s, %s, %s, %s, %s, now() + %s) returning id, expires_at",
            [person.id, _hash(token), ip_address, user_agent, signed_in.mfa_verified, lasts],
        )
    return NewSession(made, expires_at, token)


def find_session(connection: Connection, token: str) -> Session | None:
    """The live session of a token of an active user, None without; notes that it was seen."""
    row = connection.execute(
        """
        update core.sessions set last_seen_at = greatest(last_seen_at, now())
        from core.users
        where sessions.token_hash = %s and users.id = sessions.user_id and users.status = 'active'
            and sessions.revoked_at is null and sessions.expires_at > now()
        returning sessions.id, users.id, users.email, sessions.mfa_verified, sessions.expires_at
        """,
        [_hash(token)],
    ).fetchone()
    return Session(*row) if row else None


def revoke_session(connection: Connection, session: UUID, *, actor: Actor, reason: str) -> None:
    """End a session. Everybody ends their own. Raises GovernanceError where it is over, or the actor may not."""
    with acting(connection, actor):
        row = connection.execute(
            "select user_id, revoked_at is not null or expires_at <= now() from core.sessions where id = %s for update",
            [session],
        ).fetchone()
        if row is None:
            raise GovernanceError(f"there is no session {session}; see reporting.active_sessions_view")
        _require(connection, actor, row[0])
        if row[1]:
            raise GovernanceError(f"the session {session} has ended already")
        connection.execute(
            "update core.sessions set revoked_at = greatest(created_at, now()), revoked_reason = %s where id = %s",
            [reason.strip(), session],
        )


def revoke_sessions(connection: Connection, who: UUID | str, *, actor: Actor, reason: str) -> int:
    """End all sessions of somebody; returns how many. Raises GovernanceError where the actor may not."""
    with acting(connection, actor):
        person = find_user(connection, who, lock="acts")
        _require(connection, actor, person.id)
        return end_sessions(connection, person.id, reason)


def _require(connection: Connection, actor: Actor, user: UUID) -> None:
    if actor.id != user:
        require(connection, actor, "sessions", "revoke")
        refuse_on_superior(connection, actor, find_user(connection, user))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
