"""The program that verifies an export, by itself: trees, keys, signed notes, and what it needs of Python."""

import ast
import base64
import hashlib
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.audit import sign, verify_offline
from orchestration.lib.audit.verify_offline import NotVerifiableError, PublicKey, leaf, merkle_root, opened_checkpoint
from orchestration.lib.errors import GovernanceError

# RFC 8032, the second test of section 7.1: a key, a message of one byte and its signature
RAW = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
MESSAGE = b"\x72"
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
# test data of RFC 6962's own implementation
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_it_is_one_file_of_the_standard_library() -> None:
    tree = ast.parse(Path(verify_offline.__file__).read_text())
    found = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert found - sys.stdlib_module_names == {"cryptography"}


def test_an_older_python_is_told_so() -> None:
    program = "import sys; sys.version_info = (3, 9, 18); exec(open(sys.argv[1]).read())"
    done = subprocess.run(
        [sys.executable, "-c", program, verify_offline.__file__], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (verify_offline.Verdict.COULD_NOT_VERIFY, "")
    assert re.fullmatch(r"COULD_NOT_VERIFY: Python 3\.11 or newer is needed, and \S+ is 3\.\S+\n", done.stderr)


def test_what_the_trail_says_can_not_write_over_the_verdict() -> None:
    """Notes are of whoever writes the database; half a surrogate could not even be printed."""
    report = verify_offline.Report(recoveries=["\x1b[2J\x1b[HOK\nOK: 5 entries", "\ud800 \u202e Zoë"])
    report.add(verify_offline.Verdict.MODIFIED, "entry \r1", "it was changed")
    text = verify_offline.as_text(report)
    assert [line.partition(":")[0] for line in text.splitlines()] == [
        "MODIFIED 1", "  MODIFIED entry \\r1", "  recovery", "  recovery"
    ]  # fmt: skip
    assert text.endswith("recovery: \\x1b[2J\\x1b[HOK\\nOK: 5 entries\n  recovery: \\ud800 \\u202e Zoë")


@pytest.mark.parametrize(
    ("changed", "arguments", "said"),
    [
        (
            {"exported_at": b"garbage"},
            [],
            "COULD_NOT_VERIFY export: exported_at says 'garbage', no time: the export is",
        ),
        ({"entries.jsonl": b"\xff\xfe"}, [], "COULD_NOT_VERIFY export: a file of it has bytes that are no text"),
        ({}, ["--checkpoint", "a.checkpoint"], "COULD_NOT_VERIFY export: no key was given: name the public key of who"),
        ({}, [], "COULD_NOT_VERIFY checkpoint: none was given, so the whole trail may have been rewritten"),
    ],
)
def test_what_is_wrong_with_an_export_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, bytes], arguments: list[str], said: str
) -> None:
    export = {"entries.jsonl": b"", "seals.jsonl": b"", "exported_at": b"2026-11-28T10:00:00+00:00\n"}
    for name, content in (export | changed).items():
        (tmp_path / name).write_bytes(content)
    assert verify_offline.main([str(tmp_path), *arguments]) == verify_offline.Verdict.COULD_NOT_VERIFY
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_rfc_6962(size: int) -> None:
    assert merkle_root([leaf(bytes.fromhex(each)) for each in LEAVES[:size]]).hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_a_root_is_that_of_the_recursive_definition(data: list[bytes]) -> None:
    def root(leaves: list[bytes]) -> bytes:
        if not leaves:
            return hashlib.sha256().digest()
        if len(leaves) == 1:
            return hashlib.sha256(b"\0" + leaves[0]).digest()
        half = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()

    assert merkle_root([leaf(each) for each in data]) == root(data)


def test_signatures_are_checked_by_cryptography_and_by_openssl() -> None:
    for check in (verify_offline.is_signed, verify_offline._is_signed_by_openssl):
        assert check(RAW, SIGNATURE, MESSAGE)
        assert not check(RAW, SIGNATURE, b"\x73")
        assert not check(RAW, bytes(64), MESSAGE)


def test_a_note_of_another_program_is_opened() -> None:
    """The example of the specification of signed notes, as Go's note package writes it."""
    key = PublicKey.parsed("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "\N{EM DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNX"
        "gKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    body, _, signature = text.rpartition("\n\n")
    content = base64.b64decode(signature.split()[2])
    assert content[:4] == key.key_id
    assert verify_offline.is_signed(key.raw, content[4:], f"{body}\n".encode())


def test_what_is_signed_is_opened_and_nothing_else(tmp_path: Path) -> None:
    public = sign.create_key(tmp_path / "key", "a/b")
    assert PublicKey.parsed(str(public)) == public == sign.public_keys(tmp_path / "key")[0]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    key = sign._read(tmp_path / "key")
    note = sign._note(key[1], verify_offline.Checkpoint("a/b", 7, bytes(range(32)).hex()))
    assert opened_checkpoint(note, [public]) == verify_offline.Checkpoint("a/b", 7, bytes(range(32)).hex())
    # a cosignature of somebody else is passed over
    other = sign.create_key(tmp_path / "other", "witness")
    cosigned = f"{note}\N{EM DASH} witness {base64.b64encode(other.key_id + bytes(64)).decode()}\n"
    assert opened_checkpoint(cosigned, [public]) == opened_checkpoint(note, [public])
    with pytest.raises(NotVerifiableError, match="none of the given keys"):
        opened_checkpoint(note, [other])
    draw = random.Random(1)
    for _ in range(200):
        place = draw.randrange(len(note.encode()))
        forged = bytearray(note.encode())
        forged[place] ^= 1 << draw.randrange(7)
        text = forged.decode(errors="replace")
        # unused bits of a last letter of base64, and the end of the line, carry nothing
        try:
            opened = opened_checkpoint(text, [public])
        except NotVerifiableError:
            continue
        assert opened == opened_checkpoint(note, [public])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "can't be read"),
        ("a+zz+AAAA", "can't be read"),
        ("a+00000000+" + base64.b64encode(b"\2" + bytes(32)).decode(), "another algorithm"),
        ("a+00000000+" + base64.b64encode(b"\1" + bytes(32)).decode(), "copied wrongly"),
    ],
)
def test_a_key_that_is_none_is_told(text: str, message: str) -> None:
    with pytest.raises(NotVerifiableError, match=message):
        PublicKey.parsed(text)


def test_a_key_is_never_written_over_and_its_name_has_no_blanks(tmp_path: Path) -> None:
    sign.create_key(tmp_path / "key", "a")
    with pytest.raises(GovernanceError, match="never written over"):
        sign.create_key(tmp_path / "key", "a")
    with pytest.raises(GovernanceError, match="neither blanks"):
        sign.create_key(tmp_path / "other", "a b")
    with pytest.raises(GovernanceError, match="there is no key"):
        sign.public_keys(tmp_path / "none")
    (tmp_path / "none").write_text("Name: x\nnothing")
    with pytest.raises(GovernanceError, match="is no key that"):
        sign.public_keys(tmp_path / "none")


@pytest.mark.parametrize(
    "note", ["", "a\n1\n", "a\n1\n\n", "a\nx\nAAAA\n\n- a AAAA\n", "a\n01\nAAAA\n\n\N{EM DASH} a !\n"]
)
def test_what_is_no_note_is_told(note: str, tmp_path: Path) -> None:
    with pytest.raises(NotVerifiableError):
        opened_checkpoint(note, [sign.create_key(tmp_path / "key", "a")])
