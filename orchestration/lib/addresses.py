"""Addresses of the web, which may hold a login or a token: how they are shown, and how they are asked."""

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from orchestration.lib.errors import GovernanceError


def is_address(place: str) -> bool:
    """Whether it is one of the web, and no path."""
    return place.startswith(("http://", "https://"))


def shown(place: str) -> str:
    """The place without what may be secret of an address: a login, a token."""
    if "://" not in place:
        return place
    try:
        parts = urlsplit(place)
        # a password with a slash in it ends the host, and begins a port
        _ = parts.port
    except ValueError:
        return "the address that is given"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def ask(
    address: str, *, seconds: float, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> http.client.HTTPResponse:
    """The answer, to be read and closed. The login of the address is sent to its server, and to none it sends us to.

    Raises GovernanceError where it is no address, and an OSError or HTTPException where nobody answers, or not so.
    """
    try:
        parts = urlsplit(address)
        login, at, host = parts.netloc.rpartition("@")
        request = urllib.request.Request(  # noqa: S310 - callers have made sure that it is of the web
            urlunsplit((parts.scheme, host, parts.path, parts.query, "")),
            data=data,
            headers={"User-Agent": "llm-governance-warehouse", **(headers or {})},
        )
        if at:
            encoded = base64.b64encode(unquote(login).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {encoded}")
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=seconds)  # noqa: S310 - the same
    except urllib.error.HTTPError as error:
        # it holds the connection, which nobody reads
        error.close()
        raise
    except (http.client.InvalidURL, ValueError):
        # what the error says may be a part of a password
        raise GovernanceError(
            f"{shown(address)} is no address: write https://host/path, and percent-encode what is special in it"
        ) from None
    return answer
