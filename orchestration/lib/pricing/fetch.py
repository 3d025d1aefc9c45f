"""The content of a price list, from a file or from an address."""

import http.client
import urllib.error
from pathlib import Path

from orchestration.lib.addresses import ask, is_address, shown
from orchestration.lib.errors import GovernanceError, UnreachableError, reason

_SECONDS = 30
# twenty times as large as LiteLLM's map
_MOST = 64 * 2**20
_PASSES = (408, 425, 429)


def content_of(place: str) -> bytes:
    """What the file or the address has. Raises GovernanceError: UnreachableError where it may be there in a while."""
    if not is_address(place):
        if "://" in place:
            raise GovernanceError(f"{shown(place)} is no place of prices: give a path, or an address with https://")
        try:
            with Path(place).expanduser().open("rb") as file:
                return _bounded(place, file.read(_MOST + 1))
        except OSError as error:
            raise GovernanceError(f"{place} can't be read: {error.strerror}") from error
    try:
        with ask(place, seconds=_SECONDS) as answer:
            content: bytes = answer.read(_MOST + 1)
            length = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        sentence = f"{shown(place)} answers {error.code} {error.reason}: no prices were pulled"
        passes = error.code >= 500 or error.code in _PASSES
        raise (UnreachableError if passes else GovernanceError)(sentence) from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None)
        why = reason(cause if isinstance(cause, Exception) else error)
        raise UnreachableError(f"{shown(place)} can't be reached: {why}; no prices were pulled") from error
    if length is not None and length.isdigit() and len(content) < min(int(length), _MOST):
        raise UnreachableError(f"{shown(place)} broke off after {len(content):,} of {length} bytes: nothing is changed")
    return _bounded(shown(place), content)


def _bounded(name: str, content: bytes) -> bytes:
    if len(content) > _MOST:
        raise GovernanceError(f"{name} has more than {_MOST // 2**20} MB, so it is no price list")
    return content
