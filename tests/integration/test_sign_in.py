"""Signing in with a password and a second factor, and what happens after failures, also of many at once."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest
import shared_fixtures
from account_people import HASH, KEYS, PASSWORD, person
from core_rows import value

from orchestration.lib import accounts
from orchestration.lib.accounts import MfaKeys, SignInRefusedError
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.sign_in import MOST_FAILURES
from orchestration.lib.identity.totp import SECONDS, backup_code_hash, code_at

pytestmark = pytest.mark.engines("postgres")


open_connection = shared_fixtures.open_connection


@pytest.fixture
def account(open_connection: Connection) -> tuple[UUID, str]:
    """An active person's id and address."""
    made = person(open_connection)
    return made, str(value(open_connection, "select email from core.users where id = %s", made))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Stops the clock of codes at the beginning of a half minute, given by its number."""

    def stop(step: int) -> None:
        monkeypatch.setattr("time.time", lambda: step * SECONDS + 1.0)

    return stop


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """bcrypt takes a quarter of a second a try, and one test with it is enough."""
    monkeypatch.setattr(
        "orchestration.lib.identity.sign_in.verify_password",
        lambda password, stored: (password, stored) == (PASSWORD, HASH),
    )


def refusal(connection: Connection, email: str, password: str = PASSWORD, code: str | None = None) -> str:
    with pytest.raises(SignInRefusedError) as error:
        accounts.authenticate(connection, email, password, code=code, keys=KEYS)
    return error.value.reason


def tries(connection: Connection, user: UUID) -> list[tuple[str, str | None]]:
    return connection.execute(
        "select outcome, metadata ->> 'reason' from core.audit_logs"
        " where action = 'users.sign_in' and resource_id = %s order by recorded_at",
        [user],
    ).fetchall()


def test_a_right_password_signs_in_and_a_wrong_one_says_nothing(
    open_connection: Connection, account: tuple[UUID, str]
) -> None:
    user, email = account
    found = accounts.authenticate(open_connection, f" {email.upper()} ", PASSWORD, ip_address="192.0.2.5")
    assert (found.user_id, found.mfa_verified, found.must_change_password) == (user, False, False)
    assert value(open_connection, "select last_login_at > now() - interval '1 min' from core.users where id = %s", user)
    assert refusal(open_connection, email, PASSWORD + "x") == "password"
    assert refusal(open_connection, "nobody@example.com") == "unknown"
    open_connection.execute("update core.users set status = 'suspended' where id = %s", [user])
    assert refusal(open_connection, email) == "inactive"
    assert tries(open_connection, user) == [("success", None), ("failure", "password"), ("denied", "inactive")]
    # an address may be a password typed into the wrong field
    trail = "select count(*) from core.audit_logs where concat(before, after, metadata, actor_label) like %s"
    assert value(open_connection, trail, "%nobody@example.com%") == 0
    assert value(open_connection, trail, f"%{PASSWORD}%") == 0
    said = set()
    for address, password in ((email, PASSWORD), ("nobody@example.com", "x"), (email, "wrong")):
        with pytest.raises(SignInRefusedError) as error:
            accounts.authenticate(open_connection, address, password)
        said.add(str(error.value))
    assert len(said) == 1


def test_the_fifth_failure_locks_and_the_right_password_does_not_open(
    open_connection: Connection, account: tuple[UUID, str], quick: None
) -> None:
    user, email = account
    for _ in range(MOST_FAILURES):
        assert refusal(open_connection, email, "wrong") == "password"
    assert refusal(open_connection, email) == "locked"
    left = value(open_connection, "select locked_until - now() from core.users where id = %s", user)
    assert 14 < left.total_seconds() / 60 <= 15
    open_connection.execute("update core.users set locked_until = now() - interval '1 s' where id = %s", [user])
    # the count begins anew, so one wrong try more does not lock again
    assert refusal(open_connection, email, "wrong") == "password"
    assert accounts.authenticate(open_connection, email, PASSWORD).user_id == user
    state = "select failed_login_count, locked_until from core.users where id = %s"
    assert open_connection.execute(state, [user]).fetchone() == (0, None)


def test_tries_at_once_are_all_counted(
    open_connection: Connection, database: str, account: tuple[UUID, str], quick: None
) -> None:
    user, email = account
    reasons: list[str] = []

    def guess(number: int) -> None:
        with connect(database) as connection:
            try:
                accounts.authenticate(connection, email, f"guess {number}")
            except SignInRefusedError as error:
                reasons.append(error.reason)

    threads = [threading.Thread(target=guess, args=[number]) for number in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reasons) == ["locked"] * 2 + ["password"] * MOST_FAILURES
    assert len(tries(open_connection, user)) == 7


def test_a_failure_stays_counted_whatever_the_caller_does(
    open_connection: Connection, database: str, account: tuple[UUID, str], quick: None
) -> None:
    user, email = account
    with pytest.raises(GovernanceError, match="outside of a transaction"), open_connection.transaction():
        accounts.authenticate(open_connection, email, "wrong")
    with connect(database, autocommit=False) as connection:
        assert refusal(connection, email, "wrong") == "password"
        connection.rollback()
    assert value(open_connection, "select failed_login_count from core.users where id = %s", user) == 1


def test_a_second_factor_from_enrolment_to_its_last_backup_code(
    open_connection: Connection, account: tuple[UUID, str], at: Callable[[int], None], quick: None
) -> None:
    user, email = account
    step = int(time.time()) // SECONDS
    at(step)
    enrolment = accounts.enrol_mfa(open_connection, user, KEYS)
    stored = "select secret_ciphertext, encryption_key_id from core.mfa_secrets where user_id = %s"
    sealed, identifier = open_connection.execute(stored, [user]).fetchone() or (b"", "")
    secret = KEYS.open(user, sealed, identifier)
    assert enrolment.secret not in repr(enrolment)
    # nothing is asked for until it is confirmed
    assert not accounts.authenticate(open_connection, email, PASSWORD).mfa_verified
    with pytest.raises(GovernanceError, match="not the one of now"):
        accounts.confirm_mfa(open_connection, user, code_at(secret, step - 5), KEYS)
    codes = accounts.confirm_mfa(open_connection, user, code_at(secret, step), KEYS)
    with pytest.raises(GovernanceError, match="has a second factor already"):
        accounts.enrol_mfa(open_connection, user, KEYS)
    with pytest.raises(GovernanceError, match="confirmed already"):
        accounts.confirm_mfa(open_connection, user, code_at(secret, step), KEYS)

    assert refusal(open_connection, email) == "code_needed"
    # the code that confirmed is used, as is each one once
    assert refusal(open_connection, email, code=code_at(secret, step)) == "code"
    at(step + 1)
    assert accounts.authenticate(
        open_connection, email, PASSWORD, code=code_at(secret, step + 1), keys=KEYS
    ).mfa_verified
    assert refusal(open_connection, email, code=code_at(secret, step + 1)) == "code"
    # nor is an older one taken that its window would still let in
    assert refusal(open_connection, email, code=code_at(secret, step)) == "code"

    signed_in = accounts.authenticate(open_connection, email, PASSWORD, code=codes[0].upper())
    assert signed_in.backup_codes_left == 9
    assert refusal(open_connection, email, code=codes[0]) == "code"
    hashes = value(open_connection, "select backup_code_hashes from core.mfa_secrets where user_id = %s", user)
    assert [backup_code_hash(code) for code in codes[1:]] == hashes

    newer = MfaKeys([b"n" * 32, *KEYS.keys])
    assert accounts.rotate_mfa_keys(open_connection, newer) == 1
    assert accounts.rotate_mfa_keys(open_connection, newer) == 0
    at(step + 2)
    only_new = MfaKeys(newer.keys[:1])
    signed_in = accounts.authenticate(open_connection, email, PASSWORD, code=code_at(secret, step + 2), keys=only_new)
    assert signed_in.backup_codes_left == 9
    with pytest.raises(GovernanceError, match="set GOVERNANCE_MFA_KEYS"):
        accounts.authenticate(open_connection, email, PASSWORD, code="123456")
    trail = "select string_agg(concat(before, after, metadata), ' ') from core.audit_logs"
    written = value(open_connection, trail)
    assert not any(text in written for text in (enrolment.secret, *codes, sealed.hex()))
    assert accounts.reset_mfa(open_connection, user)
    assert not accounts.reset_mfa(open_connection, user)
    assert not accounts.authenticate(open_connection, email, PASSWORD).mfa_verified


def test_wrong_codes_lock_as_wrong_passwords_do(
    open_connection: Connection, account: tuple[UUID, str], at: Callable[[int], None], quick: None
) -> None:
    user, email = account
    at(50_000_000)
    accounts.enrol_mfa(open_connection, user, KEYS)
    [(sealed,)] = open_connection.execute("select secret_ciphertext from core.mfa_secrets where user_id = %s", [user])
    secret = KEYS.open(user, sealed, KEYS.current)
    accounts.confirm_mfa(open_connection, user, code_at(secret, 50_000_000), KEYS)
    for number in range(MOST_FAILURES):
        assert refusal(open_connection, email, code=f"nothing-{number}") == "code"
    at(50_000_001)
    assert refusal(open_connection, email, code=code_at(secret, 50_000_001)) == "locked"
