"""Compares the passwords of accounts with those that everybody tries first.

bcrypt takes a quarter of a second for each guess, so SQL can't ask; what is found is kept with the fingerprint of the
hash it was found of, and each password is compared once.
"""

import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.compared import Search, Searched
from orchestration.lib.identity.accounts import DEFAULT_ADMIN_PASSWORD, verify_password

# few, for each costs a quarter of a second an account; the part of the address before the @ is tried too
COMMON = (
    "admin",
    "password",
    "Password1!",
    "123456",
    "12345678",
    "123456789",
    "qwerty",
    "welcome",
    "changeme",
    "letmein",
)
WELL_KNOWN = ("default", "common")
# each step of the cost doubles the time: at 14 the list takes some ten seconds, at 31 weeks
MAX_COMPARED_COST = 14
_LIST = hashlib.sha256("\n".join((DEFAULT_ADMIN_PASSWORD, *COMMON)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Account:
    id: str
    email: str
    password_hash: str


def judge(connection: Connection, seconds: float) -> Searched:
    """Compare passwords that were not yet compared, of accounts with roles everywhere first, until the time is up."""
    deadline = time.monotonic() + seconds
    accounts = _unjudged(connection)
    workers = os.cpu_count() or 1
    judged = found = 0
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(accounts), workers):
            if time.monotonic() >= deadline:
                break
            batch = accounts[start : start + workers]
            for account, finding in zip(batch, pool.map(finding_of, batch), strict=True):
                _keep(connection, account, finding)
                judged += 1
                found += finding in WELL_KNOWN
    return Searched(judged, len(accounts) - judged, found)


def finding_of(account: _Account) -> str | None:
    """`default`, `common`, or None if the password is none of the list.

    `unreadable` where the stored text is no bcrypt hash, whatever its shape, and `costly` where a guess would take too
    long: one such account is told, and keeps none of the others from being compared.
    """
    shape = re.fullmatch(r"\$2[aby]\$(\d\d)\$.{53}", account.password_hash)
    if shape is None:
        return "unreadable"
    if int(shape[1]) > MAX_COMPARED_COST:
        return "costly"
    guesses = (*COMMON, account.email.split("@")[0])
    try:
        if verify_password(DEFAULT_ADMIN_PASSWORD, account.password_hash):
            return "default"
        return "common" if any(verify_password(guess, account.password_hash) for guess in guesses) else None
    except GovernanceError:
        return "unreadable"


def _unjudged(connection: Connection) -> list[_Account]:
    rows = connection.execute(
        """
        select users.id::text, users.email, users.password_hash
        from core.users
        left join internal.password_findings as findings
            on findings.user_id = users.id
                and findings.fingerprint = sha256(convert_to(users.password_hash, 'UTF8'))
                and findings.compared_with = %s
        where users.password_hash is not null and users.status <> 'deactivated' and findings.user_id is null
        order by
            exists (select from core.user_roles where user_id = users.id and team_id is null) desc,
            users.created_at,
            users.id
        """,
        [_LIST],
    )
    return [_Account(*row) for row in rows]


def _keep(connection: Connection, account: _Account, finding: str | None) -> None:
    connection.execute(
        """
        insert into internal.password_findings (user_id, fingerprint, compared_with, finding)
        values (%s, %s, %s, %s)
        on conflict (user_id) do update
        set fingerprint = excluded.fingerprint, compared_with = excluded.compared_with, finding = excluded.finding,
            judged_at = now()
        """,
        [account.id, hashlib.sha256(account.password_hash.encode()).digest(), _LIST, finding],
    )


PASSWORDS = Search(
    "well_known_passwords",
    {"core.users": ["select"], "internal.password_findings": ["select", "insert", "update"]},
    judge,
)
