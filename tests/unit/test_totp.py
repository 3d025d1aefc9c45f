"""One-time codes by time: the vectors of RFC 6238, the window, replay, and how secrets are sealed."""

import base64
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.totp import (
    MfaKeys,
    add_key,
    backup_code_hash,
    base32,
    code_at,
    key_id,
    matching_step,
    new_backup_codes,
    otpauth_url,
    read_keys,
)

SECRET = b"12345678901234567890"
SOME = uuid4()


@pytest.mark.parametrize(
    ("time", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(time: int, code: str) -> None:
    assert code_at(SECRET, time // 30, digits=8) == code
    assert code_at(SECRET, time // 30) == code[2:]


@given(secret=st.binary(min_size=20, max_size=20), step=st.integers(1, 2**33), into=st.floats(0, 29.9))
@settings(max_examples=50, deadline=None)
def test_a_code_is_accepted_in_its_own_half_minute_and_the_two_beside_it_once(
    secret: bytes, step: int, into: float
) -> None:
    code = code_at(secret, step)
    for off in (-1, 0, 1):
        found = matching_step(secret, code, (step + off) * 30 + into)
        # two of the three codes may be the same by chance
        assert found is not None
        assert code_at(secret, found) == code
        assert abs(found - step - off) <= 1
    latest = matching_step(secret, code, step * 30 + into)
    assert latest is not None
    assert matching_step(secret, code, step * 30 + into, after=latest) is None
    far = matching_step(secret, code, (step + 3) * 30 + into)
    assert far is None or code_at(secret, far) == code


@pytest.mark.parametrize("code", ["", "94287", "٩٤٢٨٧٠", "abcdef", "9428708"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert matching_step(SECRET, code, 59) is None


@given(secret=st.binary(min_size=20, max_size=20), place=st.integers(0, 47))
@settings(max_examples=30, deadline=None)
def test_a_sealed_secret_opens_for_its_user_alone_and_not_once_a_bit_is_flipped(secret: bytes, place: int) -> None:
    keys = MfaKeys([b"a" * 32])
    sealed = keys.seal(SOME, secret)
    assert len(sealed) == 48
    assert secret not in sealed
    assert keys.seal(SOME, secret) != sealed
    assert keys.open(SOME, sealed, keys.current) == secret
    flipped = bytes(byte ^ (index == place) for index, byte in enumerate(sealed))
    for user, content in ((UUID(int=1), sealed), (SOME, flipped)):
        with pytest.raises(GovernanceError, match="is damaged"):
            keys.open(user, content, keys.current)


def test_a_new_key_encrypts_and_older_ones_go_on_decrypting(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "mfa"
    first = add_key(path)
    sealed = first.seal(SOME, SECRET)
    second = add_key(path)
    assert read_keys(path) == second
    assert second.current != first.current
    assert second.open(SOME, sealed, first.current) == SECRET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert base64.b64encode(second.keys[0]).decode() not in second.current
    with pytest.raises(GovernanceError, match=f"{second.current}, which the file lacks"):
        first.open(SOME, second.seal(SOME, SECRET), second.current)
    assert key_id(second.keys[1]) == first.current


@pytest.mark.parametrize(
    ("content", "said"), [("", "something else"), ("c2hvcnQ=", "something else"), ("no base64!", "can't be read")]
)
def test_a_file_that_holds_no_keys_is_refused_and_not_repeated(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mfa"
    path.write_text(content)
    with pytest.raises(GovernanceError, match=said) as error:
        read_keys(path)
    assert not content or content not in str(error.value)
    with pytest.raises(GovernanceError, match="there is no file"):
        read_keys(tmp_path / "none")
    with pytest.raises(GovernanceError, match="mfa-key FILE"):
        read_keys(None)


def test_backup_codes_are_long_different_and_read_however_they_are_typed() -> None:
    codes = new_backup_codes()
    assert len(set(codes)) == 10
    assert all(len(code) == 19 for code in codes)
    assert backup_code_hash(codes[0]) == backup_code_hash(f" {codes[0].upper().replace('-', ' ')} ")
    assert len({backup_code_hash(code) for code in codes}) == 10


def test_an_authenticator_reads_the_address() -> None:
    assert base64.b32decode(base32(SECRET)) == SECRET
    assert otpauth_url(SECRET, "zoë@acme.example", "LLM governance") == (
        f"otpauth://totp/LLM%20governance%3Azo%C3%AB%40acme.example?secret={base32(SECRET)}&issuer=LLM%20governance"
    )
