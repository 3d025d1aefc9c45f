"""Time stamps of checkpoints by an authority (RFC 3161): when a checkpoint was there, said by somebody else.

A stamp stands beside its checkpoint as `<checkpoint>.tsr`, in the form that `openssl ts -verify` reads.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import (
    PKIStatus,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.settings import Settings

_SECONDS = 30


def stamper(settings: Settings) -> Callable[[bytes], bytes] | None:
    """What the settings say: a function that has a text stamped; None where no authority is configured.

    Raises GovernanceError where there is an authority without the certificate by which its stamps are checked.
    """
    url, roots = settings.audit_timestamp_url, settings.audit_timestamp_roots
    if url is None:
        return None
    if roots is None:
        raise GovernanceError(
            "whose stamps count? GOVERNANCE_AUDIT_TIMESTAMP_ROOTS names the file of the authority's root certificate"
        )
    return lambda content: stamp(content, url, roots)


def stamp(content: bytes, url: str, roots: Path) -> bytes:
    """The answer of the authority at `url` to the content, checked against the certificates in `roots` (PEM).

    Raises GovernanceError where it doesn't answer, refuses, or says what those certificates don't bear out.
    """
    try:
        certificates = load_pem_x509_certificates(roots.read_bytes())
    except (OSError, ValueError) as error:
        raise GovernanceError(f"{roots} has no certificate that can be read: {reason(error)}") from error
    asked = TimestampRequestBuilder().data(content).build()
    if not url.startswith(("http://", "https://")):
        raise GovernanceError(f"{url} is no authority's address: it begins with http:// or https://")
    request = urllib.request.Request(  # noqa: S310 - of these two only
        url, data=asked.as_bytes(), headers={"Content-Type": "application/timestamp-query"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the same
            said: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise GovernanceError(f"not stamped: {url} can't be asked: {error}; sign again to try again") from error
    try:
        response = decode_timestamp_response(said)
        if PKIStatus(response.status) not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            raise GovernanceError(f"not stamped: {url} refuses: {', '.join(response.status_string) or response.status}")
        builder = VerifierBuilder.from_request(asked)
        for certificate in certificates:
            builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(response, content)
    except (ValueError, VerificationError) as error:
        raise GovernanceError(f"not stamped: what {url} says is no stamp of this checkpoint: {error}") from error
    return said
