"""Accounts for a backend: people, second factors, API keys, roles and sessions, each act audited with who did it.

Every function takes a psycopg connection and an `actor`, does all of what it says or nothing, and raises
GovernanceError with a sentence for the user. In autocommit mode each is a transaction of its own; in a transaction it
is a part of it (except `authenticate`). The commands `governance user | key | role | session` call the same functions;
docs/accounts.md has both. The modules are in orchestration/lib/identity.
"""

from orchestration.lib.identity.acting import SYSTEM, Actor, actor_called
from orchestration.lib.identity.erasure import Erased, erase_user
from orchestration.lib.identity.keys import NewKey, create_key, revoke_key, rotate_key
from orchestration.lib.identity.mfa import Enrolment, confirm_mfa, enrol_mfa, reset_mfa, rotate_mfa_keys
from orchestration.lib.identity.people import create_user, deactivate_user, set_password
from orchestration.lib.identity.roles import grant_role, revoke_role
from orchestration.lib.identity.sessions import (
    NewSession,
    Session,
    find_session,
    issue_session,
    revoke_session,
    revoke_sessions,
)
from orchestration.lib.identity.sign_in import SignedIn, SignInRefusedError, authenticate
from orchestration.lib.identity.totp import MfaKeys, read_keys

__all__ = [
    "SYSTEM",
    "Actor",
    "Enrolment",
    "Erased",
    "MfaKeys",
    "NewKey",
    "NewSession",
    "Session",
    "SignInRefusedError",
    "SignedIn",
    "actor_called",
    "authenticate",
    "confirm_mfa",
    "create_key",
    "create_user",
    "deactivate_user",
    "enrol_mfa",
    "erase_user",
    "find_session",
    "grant_role",
    "issue_session",
    "read_keys",
    "reset_mfa",
    "revoke_key",
    "revoke_role",
    "revoke_session",
    "revoke_sessions",
    "rotate_key",
    "rotate_mfa_keys",
    "set_password",
]
