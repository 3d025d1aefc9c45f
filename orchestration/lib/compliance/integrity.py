"""The audit trail as a report sees it: verified against signed checkpoints where there are some, counted where not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestration.lib.audit import export, verify_offline
from orchestration.lib.audit.verify_offline import Checkpoint, NotVerifiableError, PublicKey, Verdict
from orchestration.lib.compliance.tables import as_text
from orchestration.lib.database.connection import Connection
from orchestration.lib.words import counted

_COUNTS = """
select
    (select count(*) from core.audit_logs) as entries,
    (select count(*) from internal.audit_seals) as seals,
    (select max(sealed_at) from internal.audit_seals) as last_seal_at,
    (select epoch from internal.audit_epoch) as epoch
"""


Kept = list[Checkpoint] | NotVerifiableError | None


def kept(connection: Connection, keys: Sequence[PublicKey], checkpoints: Sequence[Path]) -> Kept:
    """The checkpoints that the trail is verified against, to be read before it; none where none or no key was given."""
    if not keys or not checkpoints:
        return None
    try:
        return export.read_checkpoints(connection, checkpoints, list(keys))
    except NotVerifiableError as error:
        return error


def verified(connection: Connection, kept: Kept) -> dict[str, Any]:
    """The verdict about the audit trail in the transaction of the report, and how much it rests on."""
    [counts] = connection.execute(_COUNTS)
    found: dict[str, Any] = {
        "rows_in_the_trail": counts[0],
        "rows_verified": 0,
        "seals": counts[1],
        "last_seal_at": as_text(counts[2]),
        "epoch": counts[3],
        "last_checkpoint": None,
    }
    if kept is None:
        message = f"no key and no checkpoint were given, so nothing of {counts[0]:,} entries is proven."
        return {"verdict": "NOT SIGNED", "state": "no data", "message": message, **found}
    try:
        if isinstance(kept, NotVerifiableError):
            raise kept
        report = export.verify(connection, kept)
    except NotVerifiableError as error:
        return {"verdict": "COULD_NOT_VERIFY", "state": "problem", "message": f"{error}.", **found}
    # a larger one may be of what a restore gave up
    signed = [each for each in kept if each.size <= report.signed_seals]
    last = max(signed or kept, key=lambda checkpoint: checkpoint.place, default=None)
    found |= {
        "rows_verified": report.entries,
        "last_checkpoint": last and {"origin": last.origin, "seals": last.size, "root": last.root},
    }
    of_last = f"; the last checkpoint is of {counted(last.size, 'seal')}" if last else ""
    message = (
        f"{counted(report.entries, 'entry', 'entries')} and {counted(report.seals, 'seal')} were verified, "
        f"{report.signed_seals:,} of the seals signed{of_last}; "
        f"{counted(report.unsealed, 'newer entry', 'newer entries')} not sealed yet."
    )
    state = "ok" if report.verdict == Verdict.OK else "problem"
    said = json.loads(verify_offline.as_json(report))
    return {"verdict": report.verdict.name, "state": state, "message": message, **found, "report": said}
