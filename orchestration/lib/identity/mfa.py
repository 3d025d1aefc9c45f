"""The second factor of an account: enrol, confirm, reset, and encrypt all secrets with a new key."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.acting import SYSTEM, Actor, acting, find_active, find_user, require, require_over
from orchestration.lib.identity.totp import (
    MfaKeys,
    backup_code_hash,
    base32,
    matching_step,
    new_backup_codes,
    new_secret,
    otpauth_url,
)

ISSUER = "LLM governance"


@dataclass(frozen=True)
class Enrolment:
    """What the person puts into an authenticator, as text or as a picture of the address; both are shown once."""

    secret: str = field(repr=False)
    url: str = field(repr=False)


def enrol_mfa(connection: Connection, who: UUID | str, keys: MfaKeys, *, actor: Actor = SYSTEM) -> Enrolment:
    """Begin a second factor: a new secret, which counts once `confirm_mfa` was given a code of it.

    Raises GovernanceError where there is a confirmed one (reset it first), or the actor may not.
    """
    with acting(connection, actor):
        person = find_active(connection, who, "second factor")
        require_over(connection, actor, person)
        secret = new_secret()
        made = connection.execute(
            "insert into core.mfa_secrets (user_id, secret_ciphertext, encryption_key_id) values (%s, %s, %s)"
            " on conflict (user_id, kind) do update set secret_ciphertext = excluded.secret_ciphertext,"
            " encryption_key_id = excluded.encryption_key_id, last_used_step = null"
            " where mfa_secrets.confirmed_at is null",
            [person.id, keys.seal(person.id, secret), keys.current],
        )
        if made.rowcount != 1:
            raise GovernanceError(f"{person.email} has a second factor already; reset it first")
    return Enrolment(base32(secret), otpauth_url(secret, person.email, ISSUER))


def confirm_mfa(
    connection: Connection, who: UUID | str, code: str, keys: MfaKeys, *, actor: Actor = SYSTEM
) -> list[str]:
    """Make the second factor count, once its owner has typed a code of it; returns the backup codes, shown this once.

    Raises GovernanceError for a wrong code, where none was begun or it is confirmed already, or the actor may not.
    """
    with acting(connection, actor):
        person = find_active(connection, who, "second factor")
        require_over(connection, actor, person)
        row = connection.execute(
            "select id, secret_ciphertext, encryption_key_id, confirmed_at from core.mfa_secrets where user_id = %s"
            " for update",
            [person.id],
        ).fetchone()
        if row is None or row[3] is not None:
            said = "none was begun" if row is None else "it is confirmed already"
            raise GovernanceError(f"there is no second factor of {person.email} to confirm: {said}")
        step = matching_step(keys.open(person.id, bytes(row[1]), row[2]), code.strip(), time.time())
        if step is None:
            raise GovernanceError("the code is not the one of now; see that the clocks are right and type the next one")
        codes = new_backup_codes()
        connection.execute(
            "update core.mfa_secrets set confirmed_at = now(), last_used_at = now(), last_used_step = %s,"
            " backup_code_hashes = %s where id = %s",
            [step, [backup_code_hash(each) for each in codes], row[0]],
        )
        connection.execute("update core.users set mfa_enabled = true where id = %s", [person.id])
    return codes


def reset_mfa(connection: Connection, who: UUID | str, *, actor: Actor = SYSTEM) -> bool:
    """Take the second factor and its backup codes away, for who lost them; returns whether there was one."""
    with acting(connection, actor):
        person = find_user(connection, who, lock="acts")
        require_over(connection, actor, person)
        gone = connection.execute("delete from core.mfa_secrets where user_id = %s", [person.id]).rowcount
        connection.execute("update core.users set mfa_enabled = false where id = %s and mfa_enabled", [person.id])
    return gone > 0


def rotate_mfa_keys(connection: Connection, keys: MfaKeys, *, actor: Actor = SYSTEM) -> int:
    """Encrypt every secret with the current key of the file; returns how many. Older keys are not needed after it."""
    with acting(connection, actor):
        require(connection, actor, "settings", "update")
        rows = connection.execute(
            "select id, user_id, secret_ciphertext, encryption_key_id from core.mfa_secrets"
            " where encryption_key_id <> %s order by id for update",
            [keys.current],
        ).fetchall()
        for row, user, sealed, identifier in rows:
            connection.execute(
                "update core.mfa_secrets set secret_ciphertext = %s, encryption_key_id = %s where id = %s",
                [keys.seal(user, keys.open(user, bytes(sealed), identifier)), keys.current, row],
            )
    return len(rows)
