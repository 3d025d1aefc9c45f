#!/usr/bin/env python3
"""Verifies an export of the audit trail, without the database and without the project that made it.

    python3 verify.py FOLDER --key KEY --checkpoint FILE

FOLDER holds entries.jsonl and seals.jsonl. KEY is the public key of who signs, `name+id+base64`, and FILE a checkpoint
(or a folder of them) kept where the owner of the database can't write. The first word printed is the verdict, and each
has an exit code of its own. Needs Python 3.11 and, for signatures, the package cryptography or the program openssl.

An entry is a leaf of its seal's Merkle tree, a seal a record of a log, and a checkpoint (C2SP tlog-checkpoint, a signed
note) signs the size and the root of that log; all hashes are those of RFC 6962. The seals name their entries, so what
is missing, changed or added can be named too.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile

if sys.version_info < (3, 11):  # noqa: UP036 - of an auditor's machine
    sys.exit(f"COULD_NOT_VERIFY: Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}")

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from uuid import UUID

# what findings a verdict lists
_SHOWN = 1000
_NO_HASH = "00" * 32
_ED25519 = 1
# DER of an Ed25519 public key, before its 32 bytes
_DER = bytes.fromhex("302a300506032b6570032100")
_ENTRY = re.compile(r'\[([0-9]+), "([0-9a-f-]{36})", ([0-9]+), "([0-9]+)", (-?[0-9]+), ')
# in the note of a recovery: checkpoints of what was given up, and the last seal that is as it was signed
# a history of more digits than a checkpoint can say names none: read as another one it would give up that one
_GIVEN_UP = re.compile(r"\b([0-9]{1,18}) ([0-9a-f]{64})\b(?: of history ([0-9]{1,6})\b|(?! of history ))")
_NAME = re.compile(r"([0-9]{12,18})-([0-9a-f]{12})(?:-([0-9]{1,9}))?\.checkpoint")
_WHOLE_UNTIL = re.compile(r"; whole up to seal ([0-9]{1,18})\b")


class Verdict(IntEnum):
    """The verdicts with their exit codes; of several that hold the first of `_WORST` is told."""

    OK = 0
    COULD_NOT_VERIFY = 1
    MODIFIED = 10
    MISSING = 11
    EXTRA = 12
    SEAL_BROKEN = 13
    TAIL_TRUNCATED = 14
    REWRITTEN = 15
    UNSEALED = 16


_WORST = (
    Verdict.COULD_NOT_VERIFY,
    Verdict.SEAL_BROKEN,
    Verdict.REWRITTEN,
    Verdict.TAIL_TRUNCATED,
    Verdict.MODIFIED,
    Verdict.MISSING,
    Verdict.EXTRA,
    Verdict.UNSEALED,
)


class NotVerifiableError(Exception):
    """The export, a key or a checkpoint can't be read, so nothing can be said."""


@dataclass(frozen=True)
class Entry:
    """An entry as it is exported: its checksum in hex and its canonical form, which is None where it can have none."""

    id: str
    checksum: str | None
    canonical: str | None


@dataclass(frozen=True)
class Seal:
    """A seal as it is exported: its canonical form, and the ids and leaves of its entries."""

    text: str
    seal_hash: str
    ids: list[str]
    leaves: list[bytes]


@dataclass(frozen=True)
class Checkpoint:
    """Who signed it, how many seals the log had, its root in hex, and of which history it is.

    A recovery gives up what came after its backup and begins another history, whose seals have the same numbers again.
    """

    origin: str
    size: int
    root: str
    history: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Sorts checkpoints as they were signed."""
        return self.history, self.size

    def signs(self, hashes: list[bytes]) -> bool:
        """Whether the log whose seals have these hashes begins with what it signs."""
        return self.size <= len(hashes) and merkle_root(hashes[: self.size]).hex() == self.root


@dataclass(frozen=True)
class Recovery:
    """A recovery: the number of its seal, the history it began, the last seal that is whole of each history that led to
    it, and what it gives up.
    """

    number: int
    history: int
    whole: dict[int, int]
    given_up: list[Checkpoint]

    def gives_up(self, checkpoint: Checkpoint) -> bool:
        """Whether it is of a history before, of seals that are gone, up to those that are named."""
        return (
            checkpoint.history < self.history
            # one of a history that did not lead here signs the recovery with which that began, which is gone
            and checkpoint.size > self.whole.get(checkpoint.history, 0)
            and any(
                checkpoint.place < each.place or (checkpoint.place, checkpoint.root) == (each.place, each.root)
                for each in self.given_up
            )
        )


def recoveries(notes: Iterable[tuple[int, str]]) -> list[Recovery]:
    """The recoveries of a log, of the numbers and the notes of their seals."""
    found: list[Recovery] = []
    history = 0
    whole: dict[int, int] = {}
    for number, note in notes:
        given_up = [
            Checkpoint("", int(size), root, int(of_history or 0)) for size, root, of_history in _GIVEN_UP.findall(note)
        ]
        said = _WHOLE_UNTIL.search(note)
        until = min(int(said[1]), number - 1) if said else number - 1
        whole = {each: min(size, until) for each, size in whole.items()} | {history: until}
        # a backup may be older than another recovery, which then is given up too
        history = max([history, *(each.history for each in given_up)]) + 1
        found.append(Recovery(number, history, whole, given_up))
    return found


@dataclass
class Report:
    """What was found: counts, and (verdict, subject, message) of each finding."""

    entries: int = 0
    seals: int = 0
    signed_seals: int = 0
    unsealed: int = 0
    pruned: int = 0
    recoveries: list[str] = field(default_factory=list)
    prunings: list[str] = field(default_factory=list)
    findings: list[tuple[Verdict, str, str]] = field(default_factory=list)
    counts: dict[Verdict, int] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst that was found."""
        return next((verdict for verdict in _WORST if self.counts.get(verdict)), Verdict.OK)

    def add(self, verdict: Verdict, subject: str, message: str) -> None:
        """Count a finding, and list it while there are few."""
        self.counts[verdict] = self.counts.get(verdict, 0) + 1
        if len(self.findings) < _SHOWN:
            self.findings.append((verdict, subject, message))


def leaf(data: bytes) -> bytes:
    """Hash of a leaf, RFC 6962."""
    return hashlib.sha256(b"\0" + data).digest()


def merkle_root(hashes: list[bytes]) -> bytes:
    """Root of a tree over these leaves, RFC 6962."""
    return merkle_roots(hashes, [len(hashes)])[len(hashes)]


def merkle_roots(hashes: list[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The root of a tree over the first so many of these leaves, for each size that there is, in one pass."""
    wanted = {size for size in sizes if size <= len(hashes)}
    found = {0: hashlib.sha256(b"").digest()}
    # roots of whole trees, each of a power of two leaves, the larger first
    peaks: list[bytes] = []
    for number, digest in enumerate(hashes[: max(wanted, default=0)], 1):
        peaks.append(digest)
        rest = number
        while rest % 2 == 0:
            right = peaks.pop()
            peaks[-1] = hashlib.sha256(b"\1" + peaks[-1] + right).digest()
            rest //= 2
        if number in wanted:
            root = peaks[-1]
            for left in peaks[-2::-1]:
                root = hashlib.sha256(b"\1" + left + root).digest()
            found[number] = root
    return found


def verify(
    entries: Iterable[Entry],
    seals: Iterable[Seal],
    checkpoints: Iterable[Checkpoint],
    *,
    now: datetime | None = None,
    blind_window: timedelta = timedelta(hours=1),
) -> Report:
    """Compare entries, in the order of epoch, xid and id, with their seals, and the seals with signed checkpoints.

    What is younger than `blind_window` may be without a seal or checkpoint. Without a checkpoint nothing is proven, for
    who can write to the database can write all of it anew: the verdict is then COULD_NOT_VERIFY.
    """
    report = Report()
    now = now or datetime.now(UTC)
    hashes: list[bytes] = []
    # by id: the number of the seal that covers it, and its leaf; why it belongs to none, and itself
    missing: dict[str, tuple[int, bytes]] = {}
    extra: dict[str, tuple[str, Entry]] = {}
    # of each tombstone: its number, and that of the last seal whose entries it says are gone
    tombstones: list[tuple[int, int]] = []
    unsealed: list[int] = []
    recovered: list[tuple[int, str]] = []
    sealed_at: list[int] = []
    reader = _Reader(entries, extra)
    previous, total, place = _NO_HASH, 0, (0, 0)
    for seal in seals:
        report.seals += 1
        name = f"seal {report.seals}"
        said = _said(seal, name)
        hashes.append(leaf(seal.text.encode()))
        expected = [report.seals, previous, total + said.entry_count]
        follows = [said.sequence, said.previous_hash, said.total_count] == expected
        for fault in _faults(seal, said, hashes[-1], place, follows=follows):
            report.add(Verdict.SEAL_BROKEN, name, fault)
        previous, total = seal.seal_hash, said.total_count
        place = (said.epoch, said.high)
        if said.kind == "recovery":
            recovered.append((said.sequence, said.note or ""))
            place = (said.epoch + 1, 0)
        if said.kind == "tombstone":
            tombstones.append((said.sequence, _through(said, name)))
            report.prunings.append(said.note or "")
        sealed_at.append(said.sealed_at)
        _compare(seal, reader.before((said.epoch, said.high)), report, missing, extra)
    for entry, recorded_at in reader.rest():
        if entry.id in missing:
            _set_aside(entry, "it stands after the last seal", extra)
        else:
            unsealed.append(recorded_at)
            _check_checksum(entry, report)
    report.entries = reader.read
    report.recoveries = [note for _, note in recovered]
    _check_log(hashes, list(checkpoints), recoveries(recovered), report)
    # an unsigned one may be of whoever deleted the entries
    pruned = max((through for number, through in tombstones if number <= report.signed_seals), default=0)
    _place(missing, extra, {number for number, _ in recovered}, report)
    report.pruned = len(missing) - sum(number > pruned for number, _ in missing.values())
    _tell({each: found for each, found in missing.items() if found[0] > pruned}, extra, report)
    report.unsealed = len(unsealed)
    _tell_late(unsealed, sealed_at, now, blind_window, report)
    return report


@dataclass(frozen=True)
class _Said:
    """What the canonical form of a seal says."""

    sequence: int
    kind: str
    epoch: int
    low: int
    high: int
    entry_count: int
    total_count: int
    root: str
    previous_hash: str
    sealed_at: int
    note: str | None


def _said(seal: Seal, name: str) -> _Said:
    try:
        kind, version, *values = json.loads(seal.text)
        sequence, what, epoch, low, high, count, total, root, previous, sealed_at, note = values
        said = _Said(sequence, what, epoch, int(low), int(high), count, total, root, previous, sealed_at, note)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotVerifiableError(f"{name} can't be read: {error}") from error
    numbers = (sequence, epoch, count, total, sealed_at)
    if any(type(each) is not int for each in numbers) or not isinstance(note, str | None):
        raise NotVerifiableError(f"{name} can't be read: it has a number or a text of another type")
    if (kind, version) != ("llm-governance-audit-seal", 1):
        raise NotVerifiableError(f"{name} is of another kind or a newer version: {kind} {version}")
    return said


def _faults(seal: Seal, said: _Said, digest: bytes, place: tuple[int, int], *, follows: bool) -> Iterator[str]:
    """What is wrong with a seal whose text has this hash, after one that ended at this epoch and transaction."""
    if not follows or len(seal.ids) != said.entry_count:
        yield "it does not follow the seal before it"
    if said.low != place[1] if said.epoch == place[0] else (said.epoch < place[0] or said.low != 0):
        yield "its span does not begin where the one before ended"
    if digest.hex() != seal.seal_hash:
        yield "its hash is not that of its content"
    if merkle_root(seal.leaves).hex() != said.root:
        yield "its root is not that of its leaves"


def _through(said: _Said, name: str) -> int:
    """The last seal whose entries a tombstone says are gone."""
    try:
        through = int(json.loads(said.note or "")["through"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotVerifiableError(f"{name} is a tombstone that can't be read: {error}") from error
    return min(through, said.sequence - 1)


class _Reader:
    """Entries in order; one that comes out of order belongs to no seal."""

    def __init__(self, entries: Iterable[Entry], extra: dict[str, tuple[str, Entry]]) -> None:
        self.read = 0
        self._extra = extra
        self._waiting: tuple[tuple[int, int], Entry, int] | None = None
        self._entries = self._placed(entries)

    def _placed(self, entries: Iterable[Entry]) -> Iterator[tuple[tuple[int, int], Entry, int]]:
        last = (0, 0)
        for entry in entries:
            self.read += 1
            found = _ENTRY.match(entry.canonical) if entry.canonical is not None else None
            if found is None or found[2] != entry.id:
                _set_aside(entry, "it has no canonical form, so it was not written by the trigger", self._extra)
                continue
            key = (int(found[3]), int(found[4]))
            if key < last:
                _set_aside(entry, "it stands after entries of later transactions", self._extra)
                continue
            last = key
            yield key, entry, int(found[5])

    def before(self, end: tuple[int, int]) -> Iterator[Entry]:
        """The entries that were not yet read, up to a place."""
        while True:
            self._waiting = self._waiting or next(self._entries, None)
            if self._waiting is None or self._waiting[0] >= end:
                return
            entry, self._waiting = self._waiting[1], None
            yield entry

    def rest(self) -> Iterator[tuple[Entry, int]]:
        """What is left, with its time in microseconds."""
        if self._waiting is not None:
            yield self._waiting[1], self._waiting[2]
        for _, entry, recorded_at in self._entries:
            yield entry, recorded_at


def _compare(
    seal: Seal,
    entries: Iterable[Entry],
    report: Report,
    missing: dict[str, tuple[int, bytes]],
    extra: dict[str, tuple[str, Entry]],
) -> None:
    sealed = dict(zip(seal.ids, seal.leaves, strict=False))
    if not len(sealed) == len(seal.ids) == len(seal.leaves):
        # the ids are not hashed: one that stands for another as well would hide that the other is gone
        report.add(Verdict.SEAL_BROKEN, f"seal {report.seals}", "it does not name each of its entries once")
    for entry in entries:
        expected, found = sealed.pop(entry.id, None), _leaf_of(entry)
        if expected is None:
            _set_aside(entry, f"seal {report.seals} ends after it and does not cover it", extra)
        elif found != expected:
            report.add(Verdict.MODIFIED, f"entry {entry.id}", f"it is not what seal {report.seals} covers")
        else:
            _check_checksum(entry, report)
    missing.update({identifier: (report.seals, digest) for identifier, digest in sealed.items()})


def _set_aside(entry: Entry, why: str, extra: dict[str, tuple[str, Entry]]) -> None:
    """Of two with the same id neither is what a seal covers."""
    extra[entry.id] = (why, entry) if entry.id not in extra else ("it is there twice", Entry(entry.id, None, None))


def _place(
    missing: dict[str, tuple[int, bytes]], extra: dict[str, tuple[str, Entry]], recovered: set[int], report: Report
) -> None:
    """A recovery covers what was written in its cluster before, with the number of an earlier transaction."""
    for identifier in extra.keys() & missing.keys():
        number, digest = missing[identifier]
        entry = extra[identifier][1]
        if number in recovered and _leaf_of(entry) == digest:
            del missing[identifier], extra[identifier]
            _check_checksum(entry, report)


def _tell(missing: dict[str, tuple[int, bytes]], extra: dict[str, tuple[str, Entry]], report: Report) -> None:
    """An entry that is missing in its place and extra in another was changed, and so was a seal that misnames one."""
    covered = {digest for _, digest in missing.values()}
    for identifier, (message, entry) in extra.items():
        if identifier in missing:
            said = f"it is not what seal {missing[identifier][0]} covers: {message}"
            report.add(Verdict.MODIFIED, f"entry {identifier}", said)
        elif _leaf_of(entry) in covered:
            report.add(Verdict.SEAL_BROKEN, f"entry {identifier}", "a seal covers it under another id")
        else:
            report.add(Verdict.EXTRA, f"entry {identifier}", message)
    for identifier, (number, _) in missing.items():
        if identifier not in extra:
            report.add(Verdict.MISSING, f"entry {identifier}", f"seal {number} covers it, and it is not there")


def _tell_late(
    unsealed: list[int], sealed_at: list[int], now: datetime, blind_window: timedelta, report: Report
) -> None:
    """What should have a seal or a checkpoint by now, of times in microseconds."""
    allowed = blind_window // timedelta(microseconds=1)
    if max([*unsealed, *sealed_at[-1:]], default=0) > _microseconds(now) + allowed:
        message = f"there are some of after {now.isoformat(timespec='seconds')}, so what is late can't be told"
        report.add(Verdict.UNSEALED, "entries or seals", message)
    border = _microseconds(now) - allowed
    late = sum(each < border for each in unsealed)
    if late:
        report.add(Verdict.UNSEALED, "entries", f"{late:,} are older than {blind_window} and have no seal")
    if 0 < report.signed_seals < len(sealed_at) and sealed_at[report.signed_seals] < border:
        message = f"those after {report.signed_seals:,} are older than {blind_window}, and no checkpoint covers them"
        report.add(Verdict.UNSEALED, "seals", message)


def _leaf_of(entry: Entry) -> bytes:
    return leaf((entry.canonical or "").encode())


def _check_checksum(entry: Entry, report: Report) -> None:
    canonical = entry.canonical or ""
    if entry.checksum != hashlib.sha256(b"\1" + canonical.encode()).hexdigest():
        report.add(Verdict.MODIFIED, f"entry {entry.id}", "its checksum is not that of its columns")


def _check_log(hashes: list[bytes], checkpoints: list[Checkpoint], recovered: list[Recovery], report: Report) -> None:
    if not checkpoints:
        report.add(Verdict.COULD_NOT_VERIFY, "checkpoint", "none was given, so the whole trail may have been rewritten")
        return
    others = []
    roots = merkle_roots(hashes, (checkpoint.size for checkpoint in checkpoints))
    # each anchor has the same
    for checkpoint in dict.fromkeys(checkpoints):
        if checkpoint.size in roots and roots[checkpoint.size].hex() == checkpoint.root:
            report.signed_seals = max(report.signed_seals, checkpoint.size)
        else:
            others.append(checkpoint)
    # a restore gives up what came after its backup; a recovery that nobody signed may be of whoever cut the tail
    signed = [each for each in recovered if each.number <= report.signed_seals]
    unsigned = [each.number for each in recovered if each.number > report.signed_seals]
    hint = f"; seal {unsigned[-1]:,} speaks of a recovery, and no checkpoint signs that" if unsigned else ""
    for checkpoint in others:
        if any(each.gives_up(checkpoint) for each in signed):
            continue
        if checkpoint.size > len(hashes):
            there = f"there {'is' if len(hashes) == 1 else 'are'} {len(hashes):,}"
            message = f"a checkpoint signs {_counted(checkpoint.size, 'seal', 'seals')}, and {there}{hint}"
            report.add(Verdict.TAIL_TRUNCATED, "seals", message)
        else:
            message = f"the first {checkpoint.size:,} are not those that a checkpoint signs{hint}"
            report.add(Verdict.REWRITTEN, "seals", message)
    if not report.signed_seals and not others:
        report.add(Verdict.COULD_NOT_VERIFY, "checkpoint", "what was given signs no seal")


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 key in the form of signed notes: `name+id+base64`."""

    name: str
    key_id: bytes
    raw: bytes

    @classmethod
    def parsed(cls, text: str) -> "PublicKey":
        """Raises NotVerifiableError where the text is no such key."""
        name, key_id, encoded = [*text.strip().split("+", 2), "", ""][:3]
        try:
            content = _decoded(encoded)
            given = bytes.fromhex(key_id)
        except ValueError as error:
            raise NotVerifiableError(f"the key can't be read, give it as name+id+base64: {error}") from error
        if not name or not content:
            raise NotVerifiableError("the key can't be read, give it as name+id+base64")
        if len(content) != 33 or content[0] != _ED25519:
            raise NotVerifiableError(
                "the key is of another algorithm than Ed25519, which a newer version of this file may know"
            )
        key = cls.of(name, content[1:])
        if key.key_id != given:
            raise NotVerifiableError("the id in the key is not that of its name and bytes: it was copied wrongly")
        return key

    @classmethod
    def of(cls, name: str, raw: bytes) -> "PublicKey":
        """The key with its id."""
        return cls(name, hashlib.sha256(name.encode() + b"\n" + bytes([_ED25519]) + raw).digest()[:4], raw)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([_ED25519]) + self.raw).decode()}"


def _decoded(text: str) -> bytes:
    """What base64 says, if it is written in the one way there is; raises ValueError where not."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("it is not the base64 of its content")
    return content


def opened_checkpoint(note: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint in a signed note; raises NotVerifiableError where none of the keys signed it."""
    body, separator, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) < 3 or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
        raise NotVerifiableError("it is no checkpoint: origin, size and root, an empty line, signatures")
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            content = _decoded(encoded)
        except ValueError:
            continue
        for key in keys:
            is_of_key = dash == "\N{EM DASH}" and name == key.name and content[:4] == key.key_id and len(content) == 68
            if is_of_key and is_signed(key.raw, content[4:], f"{body}\n".encode()):
                try:
                    root = _decoded(lines[2])
                except ValueError as error:
                    raise NotVerifiableError(f"its root is no base64: {error}") from error
                histories = [line[8:] for line in lines[3:] if line.startswith("history ")]
                if len(histories) > 1 or not all(re.fullmatch("[1-9][0-9]{0,8}", each) for each in histories):
                    raise NotVerifiableError(f"it says no one history: {', '.join(histories)}")
                return Checkpoint(lines[0], int(lines[1]), root.hex(), int(histories[0]) if histories else 0)
    raise NotVerifiableError("none of the given keys signed it")


def is_signed(raw_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is right, by the package cryptography or else the program openssl."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return _is_signed_by_openssl(raw_key, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(raw_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_signed_by_openssl(raw_key: bytes, signature: bytes, message: bytes) -> bool:
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(_DER + raw_key).decode()}\n-----END PUBLIC KEY-----\n"
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": pem.encode(), "signature": signature, "message": message}
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "message"]
        try:
            done = subprocess.run(
                [*command, "-sigfile", "signature"], cwd=folder, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise NotVerifiableError("signatures need the package cryptography or the program openssl 3") from error
    if done.returncode == 0:
        return True
    if "Verification Failure" in done.stdout + done.stderr:
        return False
    raise NotVerifiableError(f"openssl could not check a signature: {(done.stderr or done.stdout).strip()}")


def read_entries(folder: Path) -> Iterator[Entry]:
    """The entries of an export: on each line the id, the checksum and the canonical form."""
    with (folder / "entries.jsonl").open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            parts = line.rstrip("\n").split(" ", 2)
            if len(parts) != 3 or not line.endswith("\n"):
                raise NotVerifiableError(f"line {number} of entries.jsonl is no entry, the export is damaged")
            yield Entry(parts[0], None if parts[1] == "-" else parts[1], None if parts[2] == "-" else parts[2])


def read_seals(folder: Path) -> Iterator[Seal]:
    """The seals of an export, a JSON object each."""
    with (folder / "seals.jsonl").open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                said = json.loads(line)
                text, digest, ids, leaves = said["seal"], said["hash"], _decoded(said["ids"]), _decoded(said["leaves"])
                if f"{json.dumps(said)}\n" != line or not isinstance(text, str):
                    raise ValueError("it is not in the form of an export")
                seal = Seal(
                    text,
                    digest,
                    [str(UUID(bytes=ids[at : at + 16])) for at in range(0, len(ids), 16)],
                    [leaves[at : at + 32] for at in range(0, len(leaves), 32)],
                )
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise NotVerifiableError(
                    f"line {number} of seals.jsonl is no seal, the export is damaged: {error}"
                ) from error
            yield seal


def read_checkpoints(paths: Iterable[Path], keys: list[PublicKey], seals: int | None = None) -> list[Checkpoint]:
    """Those of the files, and of each folder the ten largest of each history; raises NotVerifiableError where one isn't
    signed.

    With `seals` also the ten largest for a log of so many: after a restore there are fewer than were signed before.
    """
    found = []
    for path in paths:
        if not keys:
            raise NotVerifiableError("no key was given: name the public key of who signs by --key")
        files = _latest(path, seals) if path.is_dir() else [path]
        if not files:
            raise NotVerifiableError(f"{path} has no file *.checkpoint")
        for file in files:
            try:
                checkpoint = opened_checkpoint(file.read_text(encoding="utf-8"), keys)
                if path.is_dir():
                    _check_name(file, checkpoint)
            except NotVerifiableError as error:
                raise NotVerifiableError(f"{file}: {error}") from error
            found.append(checkpoint)
    return found


def _latest(folder: Path, seals: int | None) -> list[Path]:
    """By their names, which say the size, a part of the root, and the history after the first one."""
    chosen: list[Path] = []
    of_history: dict[str, dict[str, list[Path]]] = {}
    for file in sorted(folder.glob("*.checkpoint")):
        if said := _NAME.fullmatch(file.name):
            of_history.setdefault(said[3] or "", {}).setdefault(said[1], []).append(file)
        else:
            # somebody named it
            chosen.append(file)
    for files in of_history.values():
        sizes = sorted(files)
        until = sizes if seals is None else [size for size in sizes if int(size) <= seals]
        chosen += [file for size in sorted({*sizes[-10:], *until[-10:]}) for file in files[size]]
    return chosen


def _check_name(file: Path, checkpoint: Checkpoint) -> None:
    """Copies of old ones with the names of larger ones would take the place of the latest."""
    said = _NAME.fullmatch(file.name)
    if said is not None and (
        int(said[1]) != checkpoint.size
        or said[2] != checkpoint.root[:12]
        or int(said[3] or checkpoint.history) != checkpoint.history
    ):
        raise NotVerifiableError("its name is not that of its content")


def as_json(report: Report) -> str:
    """The report as one JSON object."""
    findings = [
        {"verdict": verdict.name, "subject": subject, "message": message}
        for verdict, subject, message in report.findings
    ]
    counts = {verdict.name: count for verdict, count in report.counts.items()}
    return json.dumps(
        {
            "verdict": report.verdict.name,
            "entries": report.entries,
            "seals": report.seals,
            "signed_seals": report.signed_seals,
            "unsealed": report.unsealed,
            "pruned": report.pruned,
            "recoveries": report.recoveries,
            "prunings": report.prunings,
            "counts": counts,
            "findings": findings,
        }
    )


def as_text(report: Report) -> str:
    """The verdict, what it is about, and the first findings; what a terminal would obey is shown as an escape."""
    of_verdict = [finding for finding in report.findings if finding[0] == report.verdict]
    head = f" {report.counts[report.verdict]:,}" if of_verdict else ""
    entries, seals = _counted(report.entries, "entry", "entries"), _counted(report.seals, "seal", "seals")
    waiting = _counted(report.unsealed, "newer entry", "newer entries")
    lines = [
        f"{report.verdict.name}{head}: {entries}, {seals}, {report.signed_seals:,} of them signed, "
        f"{waiting} not sealed yet"
    ]
    lines += [f"  {verdict.name} {subject}: {message}" for verdict, subject, message in report.findings[:20]]
    rest = sum(report.counts.values()) - 20
    lines += [f"  and {rest:,} more"] if rest > 0 else []
    lines += [f"  recovery: {note}" for note in report.recoveries]
    lines += [f"  pruned: {note}" for note in report.prunings]
    return "\n".join("".join(each if each.isprintable() else ascii(each)[1:-1] for each in line) for line in lines)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verifies an export of the audit trail.")
    parser.add_argument("folder", type=Path, help="of the export")
    parser.add_argument("--key", action="append", default=[], help="public key of who signs; may be repeated")
    parser.add_argument(
        "--checkpoint",
        action="append",
        type=Path,
        default=[],
        help="a checkpoint, or a folder of them; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    given = parser.parse_args(arguments)
    try:
        keys = [PublicKey.parsed(text) for text in given.key]
        with (given.folder / "seals.jsonl").open("rb") as file:
            checkpoints = read_checkpoints(given.checkpoint, keys, seals=sum(1 for _ in file))
        exported = (given.folder / "exported_at").read_text(encoding="utf-8").strip()
        try:
            now = datetime.fromisoformat(exported)
        except ValueError as error:
            raise NotVerifiableError(f"exported_at says {exported[:50]!r}, no time: the export is damaged") from error
        if now.tzinfo is None:
            raise NotVerifiableError(f"exported_at says {exported}, which has no time zone: the export is damaged")
        report = verify(read_entries(given.folder), read_seals(given.folder), checkpoints, now=now)
    except OSError as error:
        report = Report()
        report.add(Verdict.COULD_NOT_VERIFY, "export", f"{error.filename}: {error.strerror}")
    except UnicodeDecodeError:
        report = Report()
        report.add(Verdict.COULD_NOT_VERIFY, "export", "a file of it has bytes that are no text: the export is damaged")
    except (NotVerifiableError, ValueError) as error:
        report = Report()
        report.add(Verdict.COULD_NOT_VERIFY, "export", str(error))
    hint = "\n  an export from before that checkpoint is verified with one from when it was made"
    print(  # noqa: T201 - a program of its own
        as_json(report) if given.json else as_text(report) + hint * (report.verdict == Verdict.TAIL_TRUNCATED)
    )
    return report.verdict


if __name__ == "__main__":
    sys.exit(main())
