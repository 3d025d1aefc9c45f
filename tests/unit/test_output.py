"""Where what a command says goes, if it can go anywhere."""

import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.cli import terminal
from orchestration.cli.tables import show_table

COMMAND = str(Path(sys.executable).with_name("governance"))
# nobody listens there, which `status` says on stdout
NOWHERE = os.environ | {"GOVERNANCE_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}


def run(*arguments: str, to: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" "$@" {to}'
    return subprocess.run(
        ["sh", "-c", command, COMMAND, *arguments], env=NOWHERE, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["ingest", "--help"]])
def test_a_full_disk_is_one_sentence(arguments: list[str]) -> None:
    done = run(*arguments, to="> /dev/full")
    assert done.stderr == (
        "error: cannot write a file, or the output: No space left on device; see to that, then run the same command"
        " again\n"
    )
    assert done.returncode == 1


def test_without_an_output_the_exit_code_is_left() -> None:
    done = run("status", to=">&-")
    assert (done.returncode, done.stderr) == (3, "")


def test_a_reader_that_has_gone_is_no_error() -> None:
    done = run("--help", to="| head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: governance")


def test_who_has_no_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any number."""

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert terminal.login() == f"uid {os.getuid()}"


@pytest.mark.parametrize(("no_color", "is_plain"), [("1", True), ("", False)])
def test_a_terminal_that_wants_no_colours_gets_plain_letters(
    no_color: str, is_plain: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    show_table(("name", "cost"), [("a", "1")], numbers=("cost",))
    assert ("\x1b" not in capsys.readouterr().out) == is_plain
