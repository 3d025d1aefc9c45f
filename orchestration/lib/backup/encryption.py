"""Encryption of backups for recipients, by age: who makes a backup can't read it, who holds the identity can.

The format is age's own (https://age-encryption.org/v1), so `age --decrypt` opens a dump without this project. It is
encrypted in parts that are authenticated, and a flipped bit or a missing end is refused.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeAlias

import pyrage  # type: ignore[import-untyped]

from orchestration.lib.errors import GovernanceError, reason

ENDING = ".age"
Recipient: TypeAlias = "pyrage.x25519.Recipient"
Identity: TypeAlias = "pyrage.x25519.Identity"


def read_recipients(said: Sequence[str]) -> list[Recipient]:
    """Of keys (`age1…`) and of files that have one in a line; raises GovernanceError where one is none."""
    return [_parsed(line, origin) for each in said for line, origin in _lines(each)]


def _lines(said: str) -> list[tuple[str, str]]:
    if said.startswith("age1"):
        return [(said, "")]
    path = Path(said).expanduser()
    return [(line, f" in {path}") for line in _content(path, "a recipient is a key that begins with age1, or a file")]


def _parsed(line: str, origin: str) -> Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(line)
    except pyrage.RecipientError as error:
        raise GovernanceError(f"{line[:20]}…{origin} is no recipient of age: `age-keygen -y` shows the key") from error


def read_identities(path: Path) -> list[Identity]:
    """Of a file as `age-keygen` writes it; raises GovernanceError where it has none."""
    found = [line for line in _content(path, "give the file that `age-keygen` wrote") if line.startswith("AGE-SECRET-")]
    try:
        identities = [pyrage.x25519.Identity.from_str(line) for line in found]
    except pyrage.IdentityError as error:
        raise GovernanceError(f"{path} holds an identity that is none of age's: {error}") from error
    if not identities:
        raise GovernanceError(f"{path} holds no identity: give the file that `age-keygen` wrote")
    return identities


def _content(path: Path, hint: str) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GovernanceError(f"{path} can't be read ({reason(error)}): {hint}") from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def assert_decryptable(path: Path, by: Sequence[Identity]) -> None:
    """Raises GovernanceError where the file is for others, or isn't wholly as it was written."""
    with path.open("rb") as file, Path(os.devnull).open("wb") as nowhere:
        try:
            pyrage.decrypt_io(file, nowhere, list(by))
        except (pyrage.DecryptError, OSError) as error:
            raise GovernanceError(f"{path} can't be decrypted with this identity: {reason(error)}") from error


def encrypt_output(command: Sequence[str], environment: dict[str, str], path: Path, to: Sequence[Recipient]) -> str:
    """Run a program and write what it prints into a file, encrypted; returns what it complained of, empty if nothing.

    Nothing of it touches the disk before.
    """

    def encrypt(program: "subprocess.Popen[bytes]") -> None:
        assert program.stdout is not None
        with path.open("wb") as file:
            pyrage.encrypt_io(program.stdout, file, list(to))

    return _piped(command, environment, encrypt, stdout=subprocess.PIPE)


def decrypt_input(
    command: Sequence[str], environment: dict[str, str], path: Path, by: Sequence[Identity]
) -> tuple[str, str]:
    """Run a program that reads the file, decrypted; returns what it prints, and what it complained of.

    Ask `assert_decryptable` before: the program gets what comes before a damage.
    """

    def decrypt(program: "subprocess.Popen[bytes]") -> None:
        assert program.stdin is not None
        with path.open("rb") as file:
            try:
                pyrage.decrypt_io(file, program.stdin, list(by))
            except BrokenPipeError:
                # the program ended before its input did, and says why
                return
        program.stdin.close()

    with tempfile.TemporaryFile() as printed:
        complaint = _piped(command, environment, decrypt, stdin=subprocess.PIPE, stdout=printed)
        printed.seek(0)
        return printed.read().decode(), complaint


def _piped(
    command: Sequence[str],
    environment: dict[str, str],
    work: Callable[["subprocess.Popen[bytes]"], None],
    *,
    stdin: int | None = None,
    stdout: int | IO[bytes] | None = None,
) -> str:
    complaints: IO[bytes]
    with tempfile.TemporaryFile() as complaints:
        program = subprocess.Popen(command, env=environment, stdin=stdin, stdout=stdout, stderr=complaints)
        try:
            work(program)
        except BaseException:
            program.kill()
            raise
        finally:
            for pipe in (program.stdin, program.stdout):
                if pipe is not None and not pipe.closed:
                    _close(pipe)
            program.wait()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace")
    return said or f"it ended with {program.returncode}" if program.returncode else ""


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        # what was buffered for a program that has ended
        return
