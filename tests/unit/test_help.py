"""What the commands say of themselves, and what they make of a word that is none of theirs."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from all_commands import COMMANDS, PASSED_ON
from click.testing import CliRunner

from orchestration.cli.main import main
from orchestration.lib.usage.record import TARGETS

README = Path(__file__).resolve().parents[2] / "README.md"


def test_ingest_lists_every_column_it_fills() -> None:
    words = set(re.findall(r"\w+", CliRunner().invoke(main, ["ingest", "--help"]).stdout))
    assert set(TARGETS) - words == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_has_a_sentence(name: str) -> None:
    command = COMMANDS[name]
    assert (command.help or "").split("\n")[0].endswith((".", "dbt build"))
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert (option.help or "").split("  [default")[0].endswith((".", "…")), option.name


def _examples(command: click.Command) -> Iterator[list[str]]:
    """The words of each line of its help that runs `governance`."""
    for line in (command.help or "").splitlines():
        if found := re.match(r"(?:zcat logs\.gz \| )?governance (.+?)(?: < \S+)?$", line.strip()):
            yield shlex.split(found[1])


EXAMPLES = [(name, words) for name, command in COMMANDS.items() for words in _examples(command)]


def test_commands_that_need_words_have_an_example() -> None:
    needing = {
        name
        for name, command in COMMANDS.items()
        if sum(isinstance(each, click.Argument) or each.required for each in command.params) > 1
    }
    assert needing - {name for name, _ in EXAMPLES} == set()
    assert len(EXAMPLES) > 40


@pytest.mark.parametrize(("name", "words"), EXAMPLES, ids=[" ".join(words) for _, words in EXAMPLES])
def test_each_example_is_of_words_that_there_are(name: str, words: list[str]) -> None:
    named = max((each for each in COMMANDS if words[: each.count(" ") + 1] == each.split()), key=len)
    options = {spelt for option in COMMANDS[named].params for spelt in option.opts}
    if named not in PASSED_ON:
        assert {word for word in words if word.startswith("--")} - options == set()
    assert named == name or named.startswith(f"{name} ")


def test_help_and_readme_list_the_same_commands() -> None:
    said = CliRunner().invoke(main, ["--help"]).stdout
    sections = said.split("\n\nThe database in use:")[1].split("\n\n")
    listed = [re.findall(r"(?m)^  ([a-z-]+) {2,}", part) for part in sections]
    table = README.read_text().split("\n| for | commands |\n")[1].split("\n\n")[0].splitlines()[1:]
    assert [re.findall(r"`([a-z-]+)`", line) for line in table] == listed
    assert sorted(name for names in listed for name in names) == main.list_commands(click.Context(main))


def test_a_mistyped_command_names_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["veryfy"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "There is no command 'veryfy'. Did you mean `governance verify`?" in result.stderr


def test_a_shell_completes_commands_and_choices() -> None:
    for typed, expected in (("ing", "ingest"), ("ingest --on-conflict ", "replace"), ("audit s", "seal")):
        environment = {
            "COMP_WORDS": f"governance {typed}",
            "COMP_CWORD": str(len(f"{typed}x".split())),
            "_GOVERNANCE_COMPLETE": "bash_complete",
        }
        result = CliRunner().invoke(main, [], prog_name="governance", env=environment)
        assert f"plain,{expected}\n" in result.stdout, typed


# a command whose words wait in a buffer until the end, as those of a table do
BUFFERED = """
import sys
import click
from orchestration.cli import server
from orchestration.cli.main import main
server.url = click.command("url")(lambda: sys.stdout.write("a table"))
main(["url"])
"""


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As `head` does before all is said."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-c", BUFFERED],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
