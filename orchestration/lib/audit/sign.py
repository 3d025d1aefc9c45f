"""Signs how far the trail is sealed, with a key the database never sees, and keeps that where its owner can't write.

A checkpoint is a signed note of the form C2SP tlog-checkpoint: other programs can read, cosign and witness it.
"""

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    """A checkpoint that was signed just now, or the last one where nothing was sealed since, and where it is kept.

    `continues` is how many of its seals are as they were signed before, `recoveries` what those after them say of
    restores: it is believed from now on.
    """

    checkpoint: Checkpoint
    is_new: bool
    kept_in: Sequence[Path]
    continues: int
    recoveries: Sequence[str]


def create_key(path: Path, name: str, *, succeeds: str | None = None) -> PublicKey:
    """Make a private key in a file only its owner can read; the name, such as a host name, goes into each signature.

    `succeeds` is the file of the key before it, or its public half where that is lost: this one goes on from its last
    checkpoint, and what it signed stays verified. Raises GovernanceError where the file is there, or the name isn't fit
    for a signed note.
    """
    before = Path(succeeds) if succeeds and Path(succeeds).exists() else None
    former = public_keys(before) if before is not None else _parsed(succeeds) if succeeds else []
    if not name or any(character.isspace() or character == "+" for character in name):
        raise GovernanceError(f"the name of a key may hold neither blanks nor +: {name!r}")
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(f"Name: {name}\n".encode() + content)
    except FileExistsError:
        raise GovernanceError(f"{path} is there already: a key is never written over") from None
    if former:
        replace(_former(path), "".join(f"{each}\n" for each in former).encode())
    if before is not None and _state(before).exists():
        replace(_state(path), _state(before).read_bytes())
    return _public(name, key)


def public_key(path: Path) -> PublicKey:
    """The public half of a key, for those who verify."""
    return _public(*_read(path))


def public_keys(path: Path) -> list[PublicKey]:
    """The public half of a key, and those of the keys before it, whose checkpoints are in the anchors too."""
    try:
        former = _former(path).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        former = []
    try:
        return [public_key(path), *map(PublicKey.parsed, former)]
    except NotVerifiableError as error:
        raise GovernanceError(f"{_former(path)} holds what is no public key: {error}") from error


def last_checkpoints(keys: Sequence[PublicKey], anchors: Sequence[Path], key_file: Path | None) -> list[Checkpoint]:
    """What a recovery gives up: the checkpoint that was signed last, and the largest of the anchors.

    They are two where another recovery came before. Raises GovernanceError where one can't be read, or isn't signed by
    any of the keys.
    """
    last = None if key_file is None else _last(_state(key_file), public_keys(key_file))
    largest = _largest(anchors, keys)
    return list(dict.fromkeys(each for each in (last, largest) if each is not None))


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

    An anchor is a folder; a file in it is never written over. Beside the key the last checkpoint is kept, and a log
    that is shorter than it, or not its continuation, is refused: it was truncated or rewritten. Where that file is
    lost the largest of the anchors takes its place. After a restore `accepts_recovery` allows it, if a recovery seal
    names that checkpoint. A tombstone since then is refused without `accepts_pruning`, and a recovery without
    `accepts_recovery`: else whoever owns the database could write one and have it signed. `stamp` has an authority
    stamp the checkpoint; where that fails the checkpoint is signed and kept, and the next call tries again.
    """
    if not anchors:
        raise GovernanceError("name a folder in which the owner of the database can't write, to keep the checkpoint in")
    name, key = _read(key_file)
    with _alone(key_file):
        state, keys = _state(key_file), public_keys(key_file)
        last = _last(state, keys) or _largest(anchors, keys)
        log = _read_log(url)
        signed = _signed_before(log, last, anchors, keys, accepts_recovery=accepts_recovery)
        if log.tombstone > signed and not accepts_pruning:
            raise GovernanceError(
                f"not signed: seal {log.tombstone} says that entries were deleted since the last checkpoint; if that "
                "was meant, sign with --after-pruning"
            )
        if not log.hashes:
            raise GovernanceError("nothing is sealed yet: run `governance audit seal` first")
        history = max((each.history for each in recoveries(log.recovered)), default=0)
        checkpoint = Checkpoint(name, len(log.hashes), merkle_root(log.hashes).hex(), history)
        is_kept = last == checkpoint and state.exists()
        text = state.read_text(encoding="utf-8") if is_kept else _note(key, checkpoint)
        kept_in = [_keep(folder, checkpoint, text) for folder in anchors]
        if not is_kept:
            replace(state, text.encode())
        stamps = [path.with_suffix(".checkpoint.tsr") for path in kept_in]
        if stamp is not None and not all(path.exists() for path in stamps):
            stamped = stamp(text.encode())
            for path in stamps:
                replace(path, stamped)
    recovered = [note for number, note in log.recovered if number > signed]
    return Signed(checkpoint, last != checkpoint, kept_in, signed, recovered)


@dataclass(frozen=True)
class _Log:
    """The log as it is: hashes of its seals, number and note of its recoveries, number of its last tombstone or 0."""

    hashes: list[bytes]
    recovered: list[tuple[int, str]]
    tombstone: int


def _read_log(url: str) -> _Log:
    hashes: list[bytes] = []
    recovered: list[tuple[int, str]] = []
    tombstone = 0
    with export.snapshot(url) as connection:
        for seal in export.seals(connection):
            hashes.append(leaf(seal.text.encode()))
            kind, note = json.loads(seal.text)[3], json.loads(seal.text)[-1]
            if kind == "recovery":
                recovered.append((len(hashes), note or ""))
            elif kind == "tombstone":
                tombstone = len(hashes)
    return _Log(hashes, recovered, tombstone)


def _signed_before(
    log: _Log, last: Checkpoint | None, anchors: Sequence[Path], keys: Sequence[PublicKey], *, accepts_recovery: bool
) -> int:
    """How many seals are as they were signed; raises GovernanceError where the log isn't the one that was signed."""
    if last is None:
        return 0
    if last.signs(log.hashes):
        if log.recovered and log.recovered[-1][0] > last.size and not accepts_recovery:
            number, note = log.recovered[-1]
            raise GovernanceError(
                f"not signed: seal {number} says that the trail was recovered since the last checkpoint: {note}; "
                "if that is so, sign with --after-recovery"
            )
        return last.size
    _refuse_another_history(log.hashes, [note for _, note in log.recovered] if accepts_recovery else [], last)
    # what was given up covers none of the seals that are there
    return signed_until(log.hashes, anchors, keys)


def signed_until(hashes: list[bytes], anchors: Sequence[Path], keys: Sequence[PublicKey]) -> int:
    """The size of the largest checkpoint of the anchors that signs the log of these seals; 0 where none does.

    Looks as far back as it must: a restore may have given up any number of them.
    """
    files = [file for folder in anchors for file in folder.glob("*.checkpoint")]
    for file in sorted(files, key=lambda file: file.name, reverse=True):
        (checkpoint,) = _opened([file], keys)
        if checkpoint.signs(hashes):
            return checkpoint.size
    return 0


@contextmanager
def _alone(key_file: Path) -> Iterator[None]:
    """Of several that sign with a key one after the other: who came later would find more signed than it saw."""
    with key_file.with_name(f"{key_file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_another_history(hashes: list[bytes], notes: list[str], last: Checkpoint) -> None:
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


def _note(key: Ed25519PrivateKey, checkpoint: Checkpoint) -> str:
    name, root = checkpoint.origin, base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    body = f"{name}\n{checkpoint.size}\n{root}\n" + (f"history {checkpoint.history}\n" if checkpoint.history else "")
    signature = _public(name, key).key_id + key.sign(body.encode())
    return f"{body}\n\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"


def _keep(folder: Path, checkpoint: Checkpoint, text: str) -> Path:
    """Its name sorts by size, and tells histories apart; the same checkpoint again is no error."""
    folder.mkdir(parents=True, exist_ok=True)
    history = f"-{checkpoint.history}" if checkpoint.history else ""
    path = folder / f"{checkpoint.size:012d}-{checkpoint.root[:12]}{history}.checkpoint"
    if not path.exists():
        replace(path, text.encode())
    return path


def _state(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.last")


def _former(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.former")


def _parsed(text: str) -> list[PublicKey]:
    try:
        return [PublicKey.parsed(text)]
    except NotVerifiableError as error:
        raise GovernanceError(f"{text} is neither the file of a key nor a public key: {error}") from error


def _largest(anchors: Sequence[Path], keys: Sequence[PublicKey]) -> Checkpoint | None:
    kept = _opened([each for each in anchors if any(each.glob("*.checkpoint"))], keys)
    return max(kept, key=lambda each: each.place, default=None)


def _opened(paths: Sequence[Path], keys: Sequence[PublicKey]) -> list[Checkpoint]:
    try:
        return read_checkpoints(paths, list(keys))
    except NotVerifiableError as error:
        raise GovernanceError(f"the last checkpoint can't be read: {error}") from error


def _last(state: Path, keys: list[PublicKey]) -> Checkpoint | None:
    if not state.exists():
        return None
    try:
        return opened_checkpoint(state.read_text(encoding="utf-8"), keys)
    except (NotVerifiableError, UnicodeDecodeError) as error:
        raise GovernanceError(f"{state}, the last checkpoint that was signed, can't be read: {error}") from error


def _read(path: Path) -> tuple[str, Ed25519PrivateKey]:
    try:
        head, _, content = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        raise GovernanceError(f"there is no key {path}: make one with `governance audit key {path}`") from None
    name = head.decode(errors="replace").removeprefix("Name: ")
    try:
        key = load_pem_private_key(content, None)
    except ValueError as error:
        raise GovernanceError(f"{path} is no key that `governance audit key` made: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise GovernanceError(f"{path} is a key of another algorithm than Ed25519")
    return name, key


def _public(name: str, key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey.of(name, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
