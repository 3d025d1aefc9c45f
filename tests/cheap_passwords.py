"""Passwords of tests are hashed at bcrypt's least cost: at that of accounts a guess takes a quarter of a second."""

from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt
import pytest

# what tells such a hash from one of a process of a test's own; of the letters that bcrypt knows
_MARK = b"cheap"
_COST, _LEAST = b"$2b$12$", b"$2b$04$"


@contextmanager
def hashed() -> Iterator[None]:
    """While in it, hashes of cost 12 say so and are of cost 4; any other hash is compared as ever."""
    hash_at_cost, check_at_cost = bcrypt.hashpw, bcrypt.checkpw

    def hashpw(password: bytes, salt: bytes) -> bytes:
        if not salt.startswith(_COST):
            return hash_at_cost(password, salt)
        marked = _LEAST + _MARK + salt[len(_COST) + len(_MARK) :]
        return hash_at_cost(password, marked).replace(_LEAST, _COST, 1)

    def checkpw(password: bytes, hashed_password: bytes) -> bool:
        return check_at_cost(password, hashed_password.replace(_COST + _MARK, _LEAST + _MARK, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bcrypt, "hashpw", hashpw)
        patch.setattr(bcrypt, "checkpw", checkpw)
        yield
