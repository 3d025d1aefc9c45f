"""Signs how far the trail is sealed, with a key the database never sees, and keeps that where its owner can't write.

A checkpoint is a signed note of the form C2SP tlog-checkpoint: other programs can read, cosign and witness it.
"""

import base64
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from orchestration.lib.audit import export
from orchestration.lib.audit.verify_offline import (
    Checkpoint,
    NotVerifiableError,
    PublicKey,
    leaf,
    merkle_root,
    opened_checkpoint,
    read_checkpoints,
    recoveries,
)
from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import replace


@dataclass(frozen=True)
class Signed:
    """A checkpoint that was signed just now, or the last one where nothing was sealed since, and where it is kept."""

    checkpoint: Checkpoint
    is_new: bool
    kept_in: Sequence[Path]


@dataclass(frozen=True)
class _Key:
    """What a key file holds: the name and the key, and the public keys that it succeeds."""

    name: str
    private: Ed25519PrivateKey
    former: Sequence[PublicKey]

    @property
    def public(self) -> PublicKey:
        return PublicKey.of(self.name, self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def create_key(path: Path, name: str, succeeds: str | None = None) -> PublicKey:
    """Make a private key in a file only its owner can read; the name, such as a host name, goes into each signature.

    `succeeds` is the file of the key before it, or its public half where that is lost: what it signed still verifies,
    and the trail must continue it. Raises GovernanceError where the file is there, or the name isn't fit for a signed
    note.
    """
    if not name or any(character.isspace() or character == "+" for character in name):
        raise GovernanceError(f"the name of a key may hold neither blanks nor +: {name!r}")
    former: Sequence[PublicKey] = []
    before = Path(succeeds) if succeeds and Path(succeeds).exists() else None
    if before is not None:
        former = public_keys(before)
    elif succeeds:
        try:
            former = [PublicKey.parsed(succeeds)]
        except NotVerifiableError as error:
            raise GovernanceError(f"{succeeds} is neither the file of a key nor a public key: {error}") from error
    key = Ed25519PrivateKey.generate()
    head = "".join(f"{line}\n" for line in [f"Name: {name}", *(f"Succeeds: {each}" for each in former)])
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(head.encode() + content)
    except FileExistsError:
        raise GovernanceError(f"{path} is there already: a key is never written over") from None
    if before is not None and (state := _state_of(before)).exists():
        replace(_state_of(path), state.read_bytes())
    return _Key(name, key, former).public


def public_keys(path: Path) -> list[PublicKey]:
    """The public half of a key, for those who verify, and those of the keys that it succeeds."""
    key = _read(path)
    return [key.public, *key.former]


def last_checkpoint(key_file: Path | None, anchors: Sequence[Path]) -> Checkpoint | None:
    """The last checkpoint in the anchors; None where no key is configured, or no anchor has one yet.

    Raises GovernanceError where one can't be read, or isn't signed by the key or one before it.
    """
    used = _used(anchors)
    return newest(used, public_keys(key_file)) if key_file is not None and used else None


def newest(anchors: Sequence[Path], keys: list[PublicKey]) -> Checkpoint:
    """The last checkpoint in the anchors. Raises GovernanceError where one can't be read."""
    try:
        return max(read_checkpoints(anchors, keys), key=lambda each: each.place)
    except NotVerifiableError as error:
        raise GovernanceError(f"the last checkpoint can't be read: {error}") from error


def sign(
    url: str,
    key_file: Path,
    anchors: Sequence[Path],
    *,
    accepts_recovery: bool = False,
    accepts_pruning: bool = False,
    stamp: Callable[[bytes], bytes] | None = None,
) -> Signed:
    """Sign the log of seals as it is now and add the checkpoint to each anchor.

    An anchor is a folder; a file in it is never written over. Beside the key the last checkpoint is kept (the anchors
    have it where it is not there), and a log that is shorter, or not its continuation, is refused: it was truncated or
    rewritten. After a restore
    `accepts_recovery` allows it, if a recovery seal names that checkpoint. A tombstone since then is refused without
    `accepts_pruning`: else whoever owns the database could delete entries and have it signed. `stamp` has an authority
    stamp the checkpoint; where that fails the checkpoint is signed and kept, and the next call tries again.
    """
    if not anchors:
        raise GovernanceError("name a folder in which the owner of the database can't write, to keep the checkpoint in")
    key, state = _read(key_file), _state_of(key_file)
    hashes: list[bytes] = []
    notes: list[tuple[int, str]] = []
    tombstones = 0
    with export.snapshot(url) as connection:
        for seal in export.seals(connection):
            hashes.append(leaf(seal.text.encode()))
            kind, note = json.loads(seal.text)[3], json.loads(seal.text)[-1]
            notes += [(len(hashes), note or "")] if kind == "recovery" else []
            tombstones = len(hashes) if kind == "tombstone" else tombstones
    last = _last(state, anchors, [key.public, *key.former])
    if last is not None:
        _refuse_another_history(hashes, [note for _, note in notes] if accepts_recovery else [], last)
    if tombstones > (last.size if last else 0) and not accepts_pruning:
        raise GovernanceError(
            f"not signed: seal {tombstones} says that entries were deleted since the last checkpoint; if that was "
            "meant, sign with --after-pruning"
        )
    root = merkle_root(hashes)
    history = max((each.history for each in recoveries(notes)), default=0)
    checkpoint = Checkpoint(key.name, len(hashes), root.hex(), history)
    if not hashes:
        raise GovernanceError("nothing is sealed yet: run `governance audit seal` first")
    is_new = last != checkpoint or not state.exists()
    text = _note(key, checkpoint) if is_new else state.read_text(encoding="utf-8")
    kept_in = [_keep(folder, checkpoint, text) for folder in anchors]
    if is_new:
        replace(state, text.encode())
    stamps = [path.with_suffix(".checkpoint.tsr") for path in kept_in]
    if stamp is not None and not all(path.exists() for path in stamps):
        stamped = stamp(text.encode())
        for path in stamps:
            replace(path, stamped)
    return Signed(checkpoint, is_new, kept_in)


def _refuse_another_history(hashes: list[bytes], notes: list[str], last: Checkpoint) -> None:
    if last.size <= len(hashes) and merkle_root(hashes[: last.size]).hex() == last.root:
        return
    if any(f"{last.size} {last.root}" in note for note in notes):
        return
    what = (
        f"it has {len(hashes):,} seals, and {last.size:,} were signed"
        if len(hashes) < last.size
        else f"its first {last.size:,} seals are not those that were signed"
    )
    raise GovernanceError(
        f"not signed: the trail is not the one of the last checkpoint: {what}. Run `governance audit verify`; after a "
        f"restore run `governance audit recover`, then sign with --after-recovery"
    )


def _note(key: _Key, checkpoint: Checkpoint) -> str:
    root = base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    body = f"{key.name}\n{checkpoint.size}\n{root}\n"
    body += f"history {checkpoint.history}\n" if checkpoint.history else ""
    signature = key.public.key_id + key.private.sign(body.encode())
    return f"{body}\n\N{EM DASH} {key.name} {base64.b64encode(signature).decode()}\n"


def _keep(folder: Path, checkpoint: Checkpoint, text: str) -> Path:
    """Its name sorts as it was signed. The same checkpoint again is no error, another one of its size is."""
    folder.mkdir(parents=True, exist_ok=True)
    history = f"history-{checkpoint.history:04d}-" if checkpoint.history else ""
    path = folder / f"{history}{checkpoint.size:012d}-{checkpoint.root[:12]}.checkpoint"
    if not path.exists():
        replace(path, text.encode())
    return path


def _used(anchors: Sequence[Path]) -> list[Path]:
    return [folder for folder in anchors if any(folder.glob("*.checkpoint"))]


def _state_of(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.last")


def _last(state: Path, anchors: Sequence[Path], keys: list[PublicKey]) -> Checkpoint | None:
    if not state.exists():
        return newest(used, keys) if (used := _used(anchors)) else None
    try:
        return opened_checkpoint(state.read_text(encoding="utf-8"), keys)
    except (NotVerifiableError, UnicodeDecodeError) as error:
        raise GovernanceError(f"{state}, the last checkpoint that was signed, can't be read: {error}") from error


def _read(path: Path) -> _Key:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise GovernanceError(f"there is no key {path}: make one with `governance audit key {path}`") from None
    head = [line.decode(errors="replace") for line in takewhile(lambda line: b": " in line, lines)]
    try:
        if not head or not head[0].startswith("Name: "):
            raise ValueError("its first line has no name")
        private = load_pem_private_key(b"\n".join(lines[len(head) :]), None)
        former = [PublicKey.parsed(line.removeprefix("Succeeds: ")) for line in head if line.startswith("Succeeds: ")]
    except (ValueError, NotVerifiableError) as error:
        raise GovernanceError(f"{path} is no key that `governance audit key` made: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise GovernanceError(f"{path} is a key of another algorithm than Ed25519")
    return _Key(head[0].removeprefix("Name: "), private, former)
