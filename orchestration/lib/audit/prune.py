"""Deletes old entries of the audit trail, and has the trail say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestration.lib.audit import export, sign
from orchestration.lib.audit.seal import seal
from orchestration.lib.audit.verify_offline import NotVerifiableError, Verdict
from orchestration.lib.database.connection import connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.errors import GovernanceError


@dataclass(frozen=True)
class Pruned:
    """How many entries are gone, and the files of the checkpoint that signs it; none where nothing was old enough."""

    entries: int
    kept_in: Sequence[Path]


def prune(url: str, before: datetime, reason: str, key_file: Path, anchors: Sequence[Path]) -> Pruned:
    """Delete the entries recorded before a moment, seal by seal, add a tombstone, and sign it.

    The seals stay with the hashes of their entries, so an older export can still be verified. Nothing is deleted, and
    GovernanceError raised, where the trail does not verify as a whole, or the role doesn't own it.
    """
    if not reason.strip():
        raise GovernanceError("why are entries deleted? The reason is kept in the trail")
    seal(url)
    sign.sign(url, key_file, anchors)
    try:
        report = export.verified(url, anchors, sign.public_keys(key_file))
    except NotVerifiableError as error:
        raise GovernanceError(f"nothing is deleted: the trail can't be verified: {error}") from error
    if report.verdict != Verdict.OK:
        raise GovernanceError(
            f"nothing is deleted: the trail is {report.verdict.name}; `governance audit verify` says what is wrong"
        )
    with connect(url, application="governance audit prune") as connection:
        connection.execute("select pg_advisory_lock(%s)", [Lock.PRUNE])
        [(entries,)] = connection.execute("select internal.prune_audit_trail(%s, %s)", [before, reason.strip()])
        if not entries:
            return Pruned(0, [])
        return Pruned(entries, sign.sign(url, key_file, anchors, accepts_pruning=True).kept_in)
