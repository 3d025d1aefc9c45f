"""What proves the trail without the database: a stranger's verification, and forged proofs that nobody accepts."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from audit_trails import Trail
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.verify_offline import Entry, NotVerifiableError, Seal, Verdict, leaf, merkle_root

pytestmark = pytest.mark.engines("postgres")

SEEDS = range(5)
ALONE = ("entries.jsonl", "seals.jsonl", "exported_at")


@pytest.fixture(scope="module")
def trail(database: str, tmp_path_factory: pytest.TempPathFactory) -> Trail:
    trail = Trail(database, tmp_path_factory.mktemp("trail"))
    for counts in ((1, 40, 3), (7, 1), (20, 5)):
        trail.add(*counts)
        trail.seal_and_sign()
    return trail


@pytest.fixture(scope="module")
def exported(trail: Trail, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.export(trail.url, tmp_path_factory.mktemp("export") / "trail")


@pytest.fixture
def empty_folder(exported: Path, trail: Trail, tmp_path: Path) -> Path:
    """What a stranger has: the export, the checkpoint, and the one file."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    for name in ALONE:
        shutil.copy(exported / name, folder)
    shutil.copy(max(trail.anchors[0].glob("*.checkpoint")), folder / "checkpoint")
    shutil.copy(verify_offline.__file__, folder)
    return folder


def run(folder: Path, trail: Trail, *options: str, programs: str = os.defpath, python: str = "-I") -> tuple[int, str]:
    """The program in that folder; `-S` hides the packages, and with them cryptography."""
    key = ["--key", str(trail.public), "--checkpoint", "checkpoint"]
    command = [sys.executable, *python.split(), "verify_offline.py", ".", *(options or key)]
    done = subprocess.run(
        command, cwd=folder, env={"PATH": programs}, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("python", ["-I", "-I -S"], ids=["cryptography", "openssl"])
def test_a_stranger_verifies_the_trail_and_sees_which_row_one_byte_changed(
    trail: Trail, empty_folder: Path, python: str
) -> None:
    code, said = run(empty_folder, trail, python=python)
    assert (code, said.partition(":")[0]) == (0, "OK")
    path = empty_folder / "entries.jsonl"
    content = path.read_bytes()
    draw = random.Random(python)
    for _ in SEEDS:
        # a letter or digit becomes another one, outside of the id, by which the row is named
        while True:
            place = draw.randrange(len(content))
            begin = content.rfind(b"\n", 0, place) + 1
            at_id = content.find(b'", ', place, place + 40) == -1 and place - begin < 37
            if place - begin > 37 and content[place : place + 1].isalnum() and not at_id:
                break
        row = content[begin : begin + 36].decode()
        other = b"1" if content[place : place + 1] != b"1" else b"2"
        path.write_bytes(content[:place] + other + content[place + 1 :])
        code, said = run(empty_folder, trail, python=python)
        assert code != 0
        assert row in said, (place, said)
    path.write_bytes(content.replace(b"report.export", b"report.import", 1))
    code, said = run(empty_folder, trail, "--json", *("--key", str(trail.public), "--checkpoint", "checkpoint"))
    changed = content[content.rfind(b"\n", 0, content.index(b"report.export")) + 1 :][:36].decode()
    (finding,) = json.loads(said)["findings"]
    assert (code, finding["verdict"], finding["subject"]) == (Verdict.MODIFIED, "MODIFIED", f"entry {changed}")


def test_what_can_not_be_verified_is_not_ok(trail: Trail, empty_folder: Path) -> None:
    trusted = ("--key", str(trail.public), "--checkpoint", "checkpoint")
    assert run(empty_folder, trail, "--json")[0] == Verdict.COULD_NOT_VERIFY
    code, said = run(empty_folder, trail, *trusted, programs="", python="-I -S")
    assert code == Verdict.COULD_NOT_VERIFY
    assert "signatures need the package cryptography or the program openssl 3" in said
    exported_at = (empty_folder / "exported_at").read_text()
    for text in ("yesterday", "2026-11-28T00:00:00", ""):
        (empty_folder / "exported_at").write_text(text)
        code, said = run(empty_folder, trail)
        assert (code, said.partition(" ")[0]) == (Verdict.COULD_NOT_VERIFY, "COULD_NOT_VERIFY")
    # a time before its last seal would hide what waits for one since long
    for text in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"):
        (empty_folder / "exported_at").write_text(f"{text}\n")
        assert run(empty_folder, trail)[0] == (Verdict.UNSEALED if text < "1" else 0)
    (empty_folder / "exported_at").write_text(exported_at)
    for name in ALONE:
        content = (empty_folder / name).read_bytes()
        (empty_folder / name).unlink()
        assert run(empty_folder, trail)[0] == Verdict.COULD_NOT_VERIFY
        (empty_folder / name).write_bytes(content)
    seals = (empty_folder / "seals.jsonl").read_text().splitlines()
    first = json.loads(seals[0])
    deep = "[" * 100_000 + "]" * 100_000
    damaged: list[dict[str, object]] = [
        first | {"seal": 5},
        first | {"seal": "5"},
        first | {"seal": first["seal"].replace(', 1, "segment"', ', "1", "segment"')},
        first | {"seal": deep},
        first | {"ids": None},
        first | {"ids": first["ids"][:-4]},
        {},
    ]
    for other in damaged:
        (empty_folder / "seals.jsonl").write_text("\n".join([json.dumps(other), *seals[1:], ""]))
        code, said = run(empty_folder, trail)
        assert (code, said.partition(" ")[0]) == (Verdict.COULD_NOT_VERIFY, "COULD_NOT_VERIFY"), other
    (empty_folder / "seals.jsonl").write_text(deep + "\n")
    assert run(empty_folder, trail)[0] == Verdict.COULD_NOT_VERIFY


def read(folder: Path, checkpoint: bytes, key: verify_offline.PublicKey) -> Verdict:
    (folder / "checkpoint").write_bytes(checkpoint)
    try:
        kept = verify_offline.read_checkpoints([folder / "checkpoint"], [key])
        entries, seals = verify_offline.read_entries(folder), verify_offline.read_seals(folder)
        return verify_offline.verify(entries, seals, kept).verdict
    except (NotVerifiableError, UnicodeDecodeError):
        return Verdict.COULD_NOT_VERIFY


def test_no_damage_anywhere_is_accepted(trail: Trail, exported: Path, tmp_path: Path) -> None:
    """One bit, the end, a byte too many, a line twice: of each file, at places of a fixed seed."""
    draw = random.Random(20261128)
    last = max(trail.anchors[0].glob("*.checkpoint")).read_bytes()
    original = {name: (exported / name).read_bytes() for name in ALONE[:2]} | {"checkpoint": last}
    assert read(Path(shutil.copytree(exported, tmp_path / "whole")), last, trail.public) == Verdict.OK
    forged = tmp_path / "forged"
    forged.mkdir()
    for number in range(160):
        name = sorted(original)[number % 3]
        content = bytearray(original[name])
        place = draw.randrange(len(content))
        match draw.choice(["bit", "bit", "bit", "end", "byte", "line"]):
            case "end":
                del content[place:]
            case "byte":
                content.insert(place, draw.randrange(256))
            case "line" if name != "checkpoint":
                lines = bytes(content).splitlines(keepends=True)
                content = bytearray(b"".join([*lines, draw.choice(lines)]))
            case _:
                content[place] ^= 1 << draw.randrange(8)
        for other, text in (original | {name: bytes(content)}).items():
            (forged / other).write_bytes(text)
        verdict = read(forged, (forged / "checkpoint").read_bytes(), trail.public)
        # a line more at the end of a note would be somebody else's signature
        if name == "checkpoint" and verdict == Verdict.OK:
            assert verify_offline.opened_checkpoint(
                content.decode(), [trail.public]
            ) == verify_offline.opened_checkpoint(last.decode(), [trail.public])
            continue
        assert verdict != Verdict.OK, (name, place)


class Forger:
    """Who has an export and can write another one, but neither the key nor the anchor."""

    def __init__(self, exported: Path, seed: int) -> None:
        self.entries = list(verify_offline.read_entries(exported))
        self.seals = list(verify_offline.read_seals(exported))
        self.draw = random.Random(seed)
        # of the seals that cover several entries
        self.number = self.draw.choice([n for n, seal in enumerate(self.seals) if len(seal.ids) > 2])

    @property
    def seal(self) -> Seal:
        return self.seals[self.number]

    def take_out(self) -> Entry:
        """Removes one entry of the seal, not its last."""
        identifier = self.draw.choice(self.seal.ids[:-1])
        entry = next(each for each in self.entries if each.id == identifier)
        self.entries.remove(entry)
        return entry

    def write_seal(self, **changes: object) -> None:
        self.seals[self.number] = replace(self.seal, **changes)  # type: ignore[arg-type]

    def seal_anew(self, notes: dict[int, tuple[str, str]] | None = None) -> None:
        """Every seal from its entries as they are now; kind and note of some are given by number."""
        previous, total = "00" * 32, 0
        there = {entry.id: leaf((entry.canonical or "").encode()) for entry in self.entries}
        for number, seal in enumerate(self.seals):
            said = json.loads(seal.text)
            ids = [each for each in seal.ids if each in there]
            leaves = [there[each] for each in ids]
            total += len(ids)
            said[2], said[7], said[8], said[9], said[10] = (
                number + 1,
                len(ids),
                total,
                merkle_root(leaves).hex(),
                previous,
            )
            if notes and number in notes:
                said[3], said[-1] = notes[number]
            text = json.dumps(said, ensure_ascii=False)
            previous = leaf(text.encode()).hex()
            self.seals[number] = Seal(text, previous, ids, leaves)


def named_twice(forger: Forger) -> None:
    """The last id of a seal in the place of one that is gone: ids are not hashed."""
    gone = forger.take_out()
    forger.write_seal(ids=[forger.seal.ids[-1] if each == gone.id else each for each in forger.seal.ids])


def named_elsewhere(forger: Forger) -> None:
    gone = forger.take_out()
    other = forger.seals[(forger.number + 1) % len(forger.seals)].ids[0]
    forger.write_seal(ids=[other if each == gone.id else each for each in forger.seal.ids])


def nobody(forger: Forger) -> None:
    gone = forger.take_out()
    forger.write_seal(ids=[each for each in forger.seal.ids if each != gone.id])


def inner_nodes(forger: Forger) -> None:
    """The root as the only leaf of a seal has the same root."""
    forger.take_out()
    forger.write_seal(leaves=[merkle_root(forger.seal.leaves)])


def without_its_leaf(forger: Forger) -> None:
    place = forger.seal.ids.index(forger.take_out().id)
    leaves = [each for number, each in enumerate(forger.seal.leaves) if number != place]
    forger.write_seal(leaves=leaves, ids=[each for number, each in enumerate(forger.seal.ids) if number != place])


def sealed_anew(forger: Forger) -> None:
    forger.take_out()
    forger.seal_anew()


def all_others(forger: Forger) -> None:
    forger.entries = forger.entries[:1]
    forger.seal_anew()


def as_a_restore(forger: Forger, checkpoint: str) -> None:
    """Another history, whose last seal says that a restore gave up what is signed."""
    forger.take_out()
    forger.seal_anew({len(forger.seals) - 1: ("recovery", f"restored; last checkpoint: {checkpoint}")})


def cut_as_a_restore(forger: Forger, checkpoint: str) -> None:
    gone = set(forger.seals[-2].ids) | set(forger.seals[-1].ids)
    del forger.seals[-1]
    forger.entries = [each for each in forger.entries if each.id not in gone]
    forger.seal_anew({len(forger.seals) - 1: ("recovery", f"x; last checkpoint: {checkpoint}; whole up to seal 0")})


def as_pruned(forger: Forger, checkpoint: str) -> None:
    """One seal more says that entries were deleted as agreed."""
    del checkpoint
    gone = forger.take_out()
    said = json.loads(forger.seals[-1].text)
    note = json.dumps({"through": len(forger.seals), "entries": 1, "reason": gone.id})
    values = [*said[:2], said[2] + 1, "tombstone", said[4], said[6], said[6], 0, said[8]]
    text = json.dumps([*values, merkle_root([]).hex(), forger.seals[-1].seal_hash, said[11], note])
    forger.seals.append(Seal(text, leaf(text.encode()).hex(), [], []))


def out_of_order(forger: Forger) -> None:
    one, other = forger.draw.sample(range(len(forger.seals)), 2)
    forger.seals[one], forger.seals[other] = forger.seals[other], forger.seals[one]


def twice(forger: Forger) -> None:
    entry = forger.draw.choice(forger.entries)
    forger.entries.insert(forger.entries.index(entry), entry)


def under_another_id(forger: Forger) -> None:
    entry = forger.take_out()
    other = entry.id[:-1] + ("0" if entry.id[-1] != "0" else "1")
    forger.entries.append(replace(entry, id=other, canonical=(entry.canonical or "").replace(entry.id, other)))


def without_canonical_form(forger: Forger) -> None:
    entry = forger.take_out()
    forger.entries.append(replace(entry, canonical=None))


def without_its_seals(forger: Forger) -> None:
    forger.seals = []


def without_the_last(forger: Forger) -> None:
    gone = set(forger.seals.pop().ids)
    forger.entries = [each for each in forger.entries if each.id not in gone]


FORGED: list[Callable[[Forger], None]] = [
    named_twice, named_elsewhere, nobody, inner_nodes, without_its_leaf, sealed_anew, all_others, out_of_order, twice,
    under_another_id, without_canonical_form, without_its_seals, without_the_last,
]  # fmt: skip
EXCUSED: list[Callable[[Forger, str], None]] = [as_a_restore, cut_as_a_restore, as_pruned]


@pytest.mark.parametrize("forge", [*FORGED, *EXCUSED], ids=lambda forge: forge.__name__)
def test_a_forged_export_is_not_accepted(
    trail: Trail, exported: Path, forge: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    (last,) = verify_offline.read_checkpoints([max(trail.anchors[0].glob("*.checkpoint"))], [trail.public])
    for seed in SEEDS:
        for kept in ([last], trail.checkpoints(), []):
            forger = Forger(exported, seed)
            forge(forger, *([f"{last.size} {last.root}"] if forge in EXCUSED else []))
            report = verify_offline.verify(forger.entries, forger.seals, kept)
            assert report.verdict != Verdict.OK, (seed, len(kept))


def notes(trail: Trail) -> dict[str, str]:
    """Forged checkpoints by what they try; the trail has three that are signed."""
    name, key = sign._read(trail.key)
    files = sorted(trail.anchors[0].glob("*.checkpoint"))
    first, last = files[0].read_text(), files[-1].read_text()
    body, _, signature = last.rpartition("\n\n")
    origin, size, root = body.split("\n")
    other = Ed25519PrivateKey.generate()

    def signed(text: str, by: Ed25519PrivateKey, key_id: bytes = trail.public.key_id, of: str = name) -> str:
        content = base64.b64encode(key_id + by.sign(f"{text}\n".encode())).decode()
        return f"{text}\n\n\N{EM DASH} {of} {content}\n"

    public = sign._public(name, other)
    wrong_root = base64.b64encode(bytes(32)).decode()
    return {
        "signed by another key of the same name": signed(body, other, public.key_id),
        "signed by another key that says it is this one": signed(body, other),
        "signed by another key of another name": signed(body, other, public.key_id, "somebody"),
        "the signature of an older one": f"{body}\n\n{first.rpartition(chr(10) * 2)[2]}",
        "another size": f"{origin}\n{int(size) - 1}\n{root}\n\n{signature}",
        "another root": f"{origin}\n{size}\n{wrong_root}\n\n{signature}",
        "another origin": f"x{origin}\n{size}\n{root}\n\n{signature}",
        "a line more": f"{body}\nmore\n\n{signature}",
        "a line less": f"{origin}\n{size}\n\n{signature}",
        "no signature": f"{body}\n\n",
        "no empty line": f"{body}\n{signature}",
        "two bodies": f"{body}\n\n{origin}\n1\n{root}\n\n{signature}",
        "a signature of nothing": f"{body}\n\n\N{EM DASH} {name} {base64.b64encode(trail.public.key_id).decode()}\n",
        "zeros before the size": signed(f"{origin}\n0{size}\n{root}", key),
        "digits of another script": signed(f"{origin}\n\N{ARABIC-INDIC DIGIT THREE}\n{root}", key),
        "ends of lines of Windows": signed(body.replace("\n", "\r\n"), key),
        "a root in another spelling of base64": signed(f"{origin}\n{size}\n{root[:-2]}{chr(ord(root[-2]) + 1)}=", key),
        "more seals than there are": signed(f"{origin}\n{int(size) + 1}\n{root}", key),
        "fewer seals than its root": signed(f"{origin}\n{int(size) - 1}\n{root}", key),
        "no seal at all": signed(f"{origin}\n0\n{base64.b64encode(merkle_root([])).decode()}", key),
        "dash of another kind": last.replace("\N{EM DASH}", "-"),
        "nothing": "",
    }


def test_a_forged_checkpoint_is_not_accepted(trail: Trail, exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "export"))
    found = notes(trail)
    accepted = [what for what, note in found.items() if read(folder, note.encode(), trail.public) == Verdict.OK]
    assert accepted == []
    # none beside a right one hides what that says
    forger = Forger(exported, 1)
    named_twice(forger)
    assert verify_offline.verify(forger.entries, forger.seals, trail.checkpoints()).verdict == Verdict.SEAL_BROKEN
