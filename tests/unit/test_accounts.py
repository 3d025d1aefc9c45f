"""Passwords without a database."""

import re

import bcrypt
import pytest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import DEFAULT_ADMIN_PASSWORD, hash_password, verify_password

GOOD = "correct horse battery"


def test_a_hash_is_bcrypt_of_cost_12_with_its_own_salt() -> None:
    first, second = hash_password(GOOD), hash_password(GOOD)
    assert re.fullmatch(r"\$2b\$12\$[./A-Za-z0-9]{53}", first)
    assert first != second
    assert verify_password(GOOD, first)
    assert not verify_password(GOOD + ".", first)


def test_a_password_of_72_bytes_counts_to_its_last_one_and_one_more_is_refused() -> None:
    longest = "ä" * 33 + "abcdef"
    assert len(longest.encode()) == 72
    hashed = hash_password(longest)
    assert verify_password(longest, hashed)
    assert not verify_password(longest[:-1] + "x", hashed)
    # bcrypt alone would look at its first 72 bytes only
    assert not verify_password(longest + "x", hashed)
    with pytest.raises(GovernanceError, match="73 bytes; choose one of at most 72"):
        hash_password(longest + "x", allow_weak=True)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "0 characters"),
        ("elevenchars", "11 characters"),
        (DEFAULT_ADMIN_PASSWORD, "9 characters"),
        ("abcdabcdabcdabcd", "repeats 4 characters"),
        ("not \udcff UTF-8 at all", "not valid UTF-8"),
    ],
)
def test_weak_and_broken_passwords_are_refused(password: str, reason: str) -> None:
    with pytest.raises(GovernanceError, match=reason):
        hash_password(password)


def test_a_weak_password_is_hashed_where_that_is_asked_for() -> None:
    assert verify_password(DEFAULT_ADMIN_PASSWORD, hash_password(DEFAULT_ADMIN_PASSWORD, allow_weak=True))


def test_a_password_that_no_bytes_can_be_made_of_opens_nothing() -> None:
    assert not verify_password("\udcff", bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode())


@pytest.mark.parametrize("stored", ["", "Admin123!", "$2b$12$tooshort", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"])
def test_a_stored_hash_that_is_not_bcrypt_is_an_error_not_a_wrong_password(stored: str) -> None:
    with pytest.raises(GovernanceError, match="no bcrypt hash"):
        verify_password(GOOD, stored)
