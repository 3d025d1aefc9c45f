"""One-time codes by the time (RFC 6238: SHA-1, six digits, half minutes), and how their secrets are kept.

The secret is encrypted with AES-256-GCM, bound to its user, by a key the database never sees.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import replace

SECONDS = 30
DIGITS = 6
# a clock may be one step off
WINDOW = 1
BACKUP_CODES = 10
_NONCE, _SECRET, _KEY = 12, 20, 32


@dataclass(frozen=True)
class MfaKeys:
    """The keys of a file, the one that encrypts first; all of them decrypt."""

    keys: Sequence[bytes]

    @property
    def current(self) -> str:
        """The id of the key that encrypts."""
        return key_id(self.keys[0])

    def seal(self, user: UUID, secret: bytes) -> bytes:
        """The secret of a user, encrypted with the current key: nonce, ciphertext and tag."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.keys[0]).encrypt(nonce, secret, user.bytes)

    def open(self, user: UUID, sealed: bytes, identifier: str) -> bytes:
        """What was sealed. Raises GovernanceError without its key, and where it is another user's or damaged."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        for key in self.keys:
            if key_id(key) == identifier:
                try:
                    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], user.bytes)
                except InvalidTag as error:
                    raise GovernanceError("the stored secret of the second factor is damaged; reset it") from error
        raise GovernanceError(
            f"the secret of the second factor is encrypted with the key {identifier}, which the file lacks; "
            "put that key back, or reset the second factor"
        )


def key_id(key: bytes) -> str:
    """What a key is called: the beginning of its hash, which tells nothing of it."""
    return hashlib.sha256(key).hexdigest()[:16]


def read_keys(path: Path | None) -> MfaKeys:
    """The keys of a file, base64 of 32 bytes a line, the current one first. Raises GovernanceError without one."""
    if path is None:
        raise GovernanceError(
            "secrets of second factors are encrypted, and there is no key: `governance user mfa-key FILE` makes one, "
            "then set GOVERNANCE_MFA_KEYS to that file"
        )
    try:
        lines = path.read_text(encoding="ascii").split()
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except FileNotFoundError as error:
        raise GovernanceError(f"there is no file {path}: GOVERNANCE_MFA_KEYS names it") from error
    except (OSError, ValueError) as error:
        raise GovernanceError(
            f"{path} can't be read as keys, base64 of 32 bytes a line: {type(error).__name__}"
        ) from None
    if not keys or any(len(key) != _KEY for key in keys):
        raise GovernanceError(f"{path} holds something else than keys of 32 bytes, base64, a line each")
    return MfaKeys(keys)


def add_key(path: Path) -> MfaKeys:
    """Makes a key the current one of a file that only its owner can read; older ones go on decrypting."""
    made = secrets.token_bytes(_KEY)
    old = read_keys(path).keys if path.exists() else ()
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{base64.b64encode(key).decode()}\n" for key in (made, *old)]
    replace(path, "".join(lines).encode(), mode=0o600)
    return MfaKeys([made, *old])


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 asks for."""
    return secrets.token_bytes(_SECRET)


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a step, which is a number of half minutes since 1970."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    return str((int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF) % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, time: float, after: int | None = None) -> int | None:
    """The step around `time` (seconds since 1970) whose code it is, if it comes after the step `after`, else None."""
    now = int(time // SECONDS)
    given = code.encode()
    found = None
    for step in range(max(now - WINDOW, 0), now + WINDOW + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), given) and (after is None or step > after):
            found = step
    return found


def base32(secret: bytes) -> str:
    """As people type it into an authenticator."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_url(secret: bytes, email: str, issuer: str) -> str:
    """What an authenticator reads from a picture."""
    return f"otpauth://totp/{quote(f'{issuer}:{email}')}?secret={base32(secret)}&issuer={quote(issuer)}"


def new_backup_codes() -> list[str]:
    """Codes of 80 random bits, each of which opens once."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(BACKUP_CODES)]
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def backup_code_hash(code: str) -> bytes:
    """What is stored of a backup code, however it is typed."""
    return hashlib.sha256("".join(code.lower().replace("-", " ").split()).encode()).digest()
