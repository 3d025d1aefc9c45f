"""What the seal of a recovery says of the trail that was given up, so that its checkpoints raise no alarm."""

from collections.abc import Sequence
from pathlib import Path

from orchestration.lib.audit import export
from orchestration.lib.audit.sign import signed_until
from orchestration.lib.audit.verify_offline import Checkpoint, PublicKey, leaf


def note_of(reason: str, given_up: Sequence[Checkpoint], *, whole: int | None = None) -> str:
    """The note: checkpoints larger than `whole`, up to those given up, are of seals that are gone.

    Without `whole` these are the ones from the recovery on, as after a restore, where nothing was sealed since.
    """
    named = ", ".join(
        f"{each.size} {each.root}" + (f" of history {each.history}" if each.history else "") for each in given_up
    )
    signed = f"; last checkpoint: {named}" if named else ""
    return f"{reason.strip()}{signed}" + ("" if whole is None else f"; whole up to seal {whole}")


def whole_until(url: str, anchors: Sequence[Path], keys: Sequence[PublicKey]) -> int:
    """The size of the largest checkpoint that the log still has as it was signed; 0 where none fits."""
    with export.snapshot(url) as connection:
        hashes = [leaf(seal.text.encode()) for seal in export.seals(connection)]
    return signed_until(hashes, anchors, keys)
