"""Schema changes as files: a number each, plain SQL."""

import re
from pathlib import Path

import pytest

from orchestration.lib.settings import project_dir

FORM = re.compile(r"(\{#[^#]*#\}\n)?\{% macro (?P<name>\w+)\(\) %\}\n(?P<text>.*\S)\n\{% endmacro %\}\n", re.DOTALL)


def faults(files: list[Path]) -> list[str]:
    """What is wrong with a folder of changes."""
    found = [
        f"{path.name}: the next number is {number:04}"
        for number, path in enumerate(files, 1)
        if not re.fullmatch(rf"change_{number:04}_[a-z0-9_]+\.sql", path.name)
    ]
    for path in files:
        form = FORM.fullmatch(path.read_text())
        if form is None or form["name"] != path.stem:
            found.append(f"{path.name}: not one macro of the file's name")
        elif re.search(r"\{[{%#]", form["text"]):
            found.append(f"{path.name}: Jinja, so its text may differ by engine")
    return found


def test_changes_are_numbered_and_plain_sql() -> None:
    assert faults(sorted((project_dir() / "macros" / "schema" / "changes").glob("*.sql"))) == []


@pytest.mark.parametrize(
    ("name", "macro", "text", "fault"),
    [
        ("change_0001_a", "change_0001_a", "select 1", None),
        ("change_0002_a", "change_0002_a", "select 1", "the next number is 0001"),
        ("change_0001_a", "change_0001_b", "select 1", "not one macro of the file's name"),
        ("change_0001_a", "change_0001_a", "select {{ var('x') }}", "Jinja, so its text may differ by engine"),
    ],
)
def test_faults_are_found(tmp_path: Path, name: str, macro: str, text: str, fault: str | None) -> None:
    (tmp_path / f"{name}.sql").write_text(f"{{% macro {macro}() %}}\n{text}\n{{% endmacro %}}\n")
    assert faults(list(tmp_path.iterdir())) == ([f"{name}.sql: {fault}"] if fault else [])
