"""Signing in: password and second factor, locked after failures, in one transaction a try."""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import hash_password, verify_password
from orchestration.lib.identity.acting import Actor, acting, note
from orchestration.lib.identity.totp import MfaKeys, backup_code_hash, matching_step

MOST_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
# so long a second try for one account waits for the first
_PATIENCE = "5s"
_REFUSED = "the address, the password or the code is wrong, or the account is locked or not active"
_ACCOUNT = """
    select id, email, password_hash, status, mfa_enabled, must_change_password,
        coalesce(locked_until > clock_timestamp(), false)
    from core.users
    where lower(email) = lower(normalize(%s, nfkc))
    for no key update
"""


class SignInRefusedError(GovernanceError):
    """Not signed in. The sentence tells a stranger nothing; `reason` is for logs.

    One of unknown, inactive, no_password, locked, password, code_needed, code, busy (others try the same account).
    """

    def __init__(self, reason: str) -> None:
        said = "a code of the second factor is needed" if reason == "code_needed" else _REFUSED
        super().__init__(said)
        self.reason = reason


@dataclass(frozen=True)
class SignedIn:
    """Who it is, whether a second factor was given, and whether the password must be changed before anything else."""

    user_id: UUID
    email: str
    mfa_verified: bool
    must_change_password: bool
    backup_codes_left: int | None = None


def authenticate(
    connection: Connection,
    email: str,
    password: str,
    *,
    code: str | None = None,
    keys: MfaKeys | None = None,
    ip_address: str | None = None,
    user_agent: str | None = None,
) -> SignedIn:
    """Whether these are the password and, where the account has a second factor, a code of it or a backup code.

    Needs a connection outside of a transaction, for a failure must be counted whatever the caller does next. Tries for
    one account run one after the other; the fifth failure locks it for fifteen minutes. Each try is in the audit trail.
    Raises SignInRefusedError, and GovernanceError where the keys of second factors are missing.
    """
    from psycopg.errors import LockNotAvailable
    from psycopg.pq import TransactionStatus

    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise GovernanceError("sign-in needs a connection outside of a transaction: a failure must stay counted")
    request = Actor(ip_address=ip_address, user_agent=user_agent)
    try:
        with acting(connection, request):
            connection.execute("select set_config('lock_timeout', %s, true)", [_PATIENCE])
            answer = _judged(connection, email.strip(), password, code, keys, request)
    except LockNotAvailable as error:
        raise SignInRefusedError("busy") from error
    if isinstance(answer, str):
        raise SignInRefusedError(answer)
    return answer


def _judged(
    connection: Connection, email: str, password: str, code: str | None, keys: MfaKeys | None, request: Actor
) -> SignedIn | str:
    row = connection.execute(_ACCOUNT, [email]).fetchone()
    if row is None:
        verify_password(password, _unknown_hash())
        # the address stays out: people type passwords there
        note(connection, "users.sign_in", None, outcome="failure", metadata={"reason": "unknown"}, actor=request)
        return "unknown"
    user, address, stored, status, has_mfa, must_change, is_locked = row
    actor = Actor(user, address, request.ip_address, request.user_agent)
    fits = verify_password(password, stored or _unknown_hash())
    if is_locked or status != "active" or stored is None:
        reason = "locked" if is_locked else "inactive" if status != "active" else "no_password"
        note(connection, "users.sign_in", user, outcome="denied", metadata={"reason": reason}, actor=actor)
        return reason
    left = None
    if not fits:
        return _failed(connection, actor, "password")
    if has_mfa:
        if not code:
            note(connection, "users.sign_in", user, outcome="denied", metadata={"reason": "code_needed"}, actor=actor)
            return "code_needed"
        left = _take_code(connection, user, code, keys)
        if left is None:
            return _failed(connection, actor, "code")
    connection.execute(
        "update core.users set failed_login_count = 0, locked_until = null, last_login_at = now() where id = %s", [user]
    )
    note(connection, "users.sign_in", user, metadata={"mfa": has_mfa}, actor=actor)
    return SignedIn(user, address, has_mfa, must_change, left)


def _failed(connection: Connection, actor: Actor, reason: str) -> str:
    # who is locked begins to count anew
    connection.execute(
        "update core.users set"
        " failed_login_count = case when failed_login_count + 1 >= %(most)s then 0 else failed_login_count + 1 end,"
        " locked_until = case when failed_login_count + 1 >= %(most)s then clock_timestamp() + %(span)s end"
        " where id = %(user)s",
        {"most": MOST_FAILURES, "span": LOCKED_FOR, "user": actor.id},
    )
    note(connection, "users.sign_in", actor.id, outcome="failure", metadata={"reason": reason}, actor=actor)
    return reason


def _take_code(connection: Connection, user: UUID, code: str, keys: MfaKeys | None) -> int | None:
    """How many backup codes are left where the code is right, and is used by now; None where it isn't."""
    row = connection.execute(
        "select id, secret_ciphertext, encryption_key_id, last_used_step, backup_code_hashes from core.mfa_secrets"
        " where user_id = %s and confirmed_at is not null for update",
        [user],
    ).fetchone()
    if row is None:
        return None
    secret, sealed, identifier, last, hashes = row
    typed = "".join(code.split())
    if typed.isascii() and typed.isdigit():
        if keys is None:
            raise GovernanceError("codes can't be checked without the keys of second factors: set GOVERNANCE_MFA_KEYS")
        step = matching_step(keys.open(user, bytes(sealed), identifier), typed, time.time(), last)
        if step is None:
            return None
        connection.execute(
            "update core.mfa_secrets set last_used_step = %s, last_used_at = now() where id = %s", [step, secret]
        )
        return len(hashes)
    hashed = backup_code_hash(code)
    if not any(secrets.compare_digest(hashed, bytes(each)) for each in hashes):
        return None
    connection.execute(
        "update core.mfa_secrets set backup_code_hashes = array_remove(backup_code_hashes, %s), last_used_at = now()"
        " where id = %s",
        [hashed, secret],
    )
    return len(hashes) - 1


@cache
def _unknown_hash() -> str:
    """A password nobody has: who asks for an unknown address waits as long as for a known one."""
    return hash_password(secrets.token_urlsafe(24))
