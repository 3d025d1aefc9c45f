"""What a page tells a reader to type or to open is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from all_commands import COMMANDS, PASSED_ON

from orchestration.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    f"{path.relative_to(ROOT)}": path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
}
# a command as it is typed, up to what ends it in a shell or in prose
_TYPED = re.compile(r"(?<![\w/.=-])(?:\.venv/bin/)?governance((?: +(?:\\\n +)?[^\s`|;&)(]+)+)")
_OPTION = re.compile(r"--[a-z][a-z-]+")
# the name of a session of the database, as of `governance dbt build`
_SESSION = "dbt"


def _typed(page: str) -> Iterator[str]:
    """The words after `governance` in each block of commands and each span of code."""
    fences = re.findall(r"^```[a-z]*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]*\n?[^`\n]*)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    for code in [*fences, *spans]:
        yield from (found.replace("\\\n", " ") for found in _TYPED.findall(code))


def _unknown(said: str) -> str | None:
    """What no command or option of ours is, of one command that is typed."""
    words = said.split()
    named = max((name for name in COMMANDS if words[: name.count(" ") + 1] == name.split()), key=len, default="")
    command = COMMANDS.get(named, main)
    if command.name in PASSED_ON or words[0] == _SESSION:
        return None
    following = words[len(named.split()) :]
    if isinstance(command, click.Group) and following and re.fullmatch("[a-z][a-z-]+", following[0]):
        return said
    options = {spelt for option in command.params for spelt in option.opts} | {"--help"}
    return ", ".join(sorted({word for word in _OPTION.findall(said) if word not in options})) or None


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_options_of_a_page_exist(name: str) -> None:
    if name != "CHANGELOG.md":
        assert [each for each in _typed(PAGES[name]) if _unknown(each)] == []


def test_pages_are_read_for_commands() -> None:
    assert _unknown(" ingest --undo usage.csv") is None
    assert _unknown(" ingest --undone usage.csv") == "--undone"
    assert _unknown(" audit sing") is not None
    assert sum(1 for page in PAGES.values() for _ in _typed(page)) > 250


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_page_lead_somewhere(name: str) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub("`[^`]*`", "", PAGES[name])):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text())):
            broken.append(link)
    assert broken == []


def test_the_commands_that_print_json_are_listed() -> None:
    [sentence] = re.findall(r"(?m)^`--json` of (.*?) prints", PAGES["docs/commands.md"])
    printing = {name for name, command in COMMANDS.items() if any("--json" in each.opts for each in command.params)}
    named = set(re.findall(r"`([a-z -]+)`", sentence))
    assert {name for name in printing if name not in named and name.split()[0] not in named} == set()
    assert all(name in printing or any(each.startswith(f"{name} ") for each in printing) for name in named)
