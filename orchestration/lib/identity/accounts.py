"""Passwords, and the account a new warehouse starts with."""

import secrets

from orchestration.lib.database.connection import Connection, has_relation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import settings

ADMIN_EMAIL = "admin@llmgovernance.local"
# the documented password of the first account; good for a demo, refused elsewhere
DEFAULT_ADMIN_PASSWORD = "Admin123!"  # noqa: S105
BCRYPT_COST = 12
MIN_CHARACTERS = 12
MIN_DIFFERENT_CHARACTERS = 5
# bcrypt reads no further: two longer passwords could open the same account
MAX_BYTES = 72


def hash_password(password: str, *, allow_weak: bool = False) -> str:
    """The bcrypt hash (60 characters, cost 12) of a password of at most 72 bytes in UTF-8.

    Raises GovernanceError for a longer one, and unless `allow_weak` for one that's too easy to guess.
    """
    import bcrypt

    try:
        encoded = password.encode()
    except UnicodeEncodeError as error:
        raise GovernanceError("the password is not valid UTF-8; choose another one") from error
    if len(encoded) > MAX_BYTES:
        raise GovernanceError(f"the password has {len(encoded)} bytes; choose one of at most {MAX_BYTES}")
    if not allow_weak:
        if len(password) < MIN_CHARACTERS:
            raise GovernanceError(
                f"the password has {len(password)} characters; choose one of at least {MIN_CHARACTERS}"
            )
        if len(set(password)) < MIN_DIFFERENT_CHARACTERS:
            raise GovernanceError(
                f"the password repeats {len(set(password))} characters; "
                f"choose one of at least {MIN_DIFFERENT_CHARACTERS} different ones"
            )
    return bcrypt.hashpw(encoded, bcrypt.gensalt(BCRYPT_COST)).decode()


def verify_password(password: str, password_hash: str) -> bool:
    """Whether the password is the one of the bcrypt hash; raises GovernanceError if that is no bcrypt hash."""
    import bcrypt

    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        return False
    try:
        return len(encoded) <= MAX_BYTES and bcrypt.checkpw(encoded, password_hash.encode())
    except ValueError as error:
        raise GovernanceError("the stored password hash is no bcrypt hash; set a new password") from error


def ensure_admin(connection: Connection, *, password: str | None = None, allow_default: bool = False) -> str | None:
    """Make admin@llmgovernance.local, Super Admin everywhere, if it isn't there; an existing account stays as it is.

    The password is the one given, else $GOVERNANCE_ADMIN_PASSWORD, else a random one, which is returned so that the
    caller can show it this once. It must be changed at the first login. None where there is nothing to show. Runs in
    the caller's transaction, or in one of its own. Raises GovernanceError if the password is refused (`Admin123!` is,
    unless `allow_default`) or the tables or system roles aren't there yet.
    """
    if not has_relation(connection, "core.users"):
        raise GovernanceError("there is no table core.users yet; run `governance build` first")
    if _has_admin(connection):
        return None
    given = password or settings().admin_password
    is_default = given == DEFAULT_ADMIN_PASSWORD
    if is_default and not allow_default:
        raise GovernanceError(
            f"the admin password {DEFAULT_ADMIN_PASSWORD} is known to everybody and accepted for the demo only; "
            "set GOVERNANCE_ADMIN_PASSWORD to another one, or unset it to be given a random one"
        )
    chosen = given or _random_password()
    password_hash = hash_password(chosen, allow_weak=is_default)
    with connection.transaction():
        made = connection.execute(
            """
            insert into core.users (
                email, display_name, password_hash, status, must_change_password, password_changed_at
            )
            values (%s, 'Administrator', %s, 'active', true, now())
            on conflict (lower(email)) do nothing
            returning id
            """,
            [ADMIN_EMAIL, password_hash],
        ).fetchone()
        if made is None:
            return None
        granted = connection.execute(
            "insert into core.user_roles (user_id, role_id) select %s, id from core.roles where slug = 'super-admin'",
            [made[0]],
        )
        if granted.rowcount != 1:
            raise GovernanceError("there is no role super-admin yet; run `governance build` first")
    return None if given else chosen


def invented_password(connection: Connection) -> str | None:
    """A random first password for an account that others will make, None where it's there or its password is given.

    Whoever makes the account finds it in $GOVERNANCE_ADMIN_PASSWORD; the caller puts it there and shows it once.
    """
    if settings().admin_password:
        return None
    return None if has_relation(connection, "core.users") and _has_admin(connection) else _random_password()


def _has_admin(connection: Connection) -> bool:
    query = "select from core.users where lower(email) = lower(%s)"
    return connection.execute(query, [ADMIN_EMAIL]).fetchone() is not None


def _random_password() -> str:
    return secrets.token_urlsafe(18)
