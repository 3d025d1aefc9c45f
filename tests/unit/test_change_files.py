"""Schema changes as files: a number of their own, plain SQL."""

import re
from collections import Counter
from pathlib import Path

import pytest

from orchestration.lib.settings import project_dir

NAME = re.compile(r"change_\d{4}_[a-z0-9_]+\.sql")
FORM = re.compile(r"(\{#[^#]*#\}\n)?\{% macro (?P<name>\w+)\(\) %\}\n(?P<text>.*\S)\n\{% endmacro %\}\n", re.DOTALL)


def faults(files: list[Path]) -> list[str]:
    """What is wrong with a folder of changes."""
    found = [f"{path.name}: not change_NNNN_<what>.sql" for path in files if not NAME.fullmatch(path.name)]
    numbers = Counter(path.name[:11] for path in files)
    found += [f"{path.name}: its number is taken" for path in files if numbers[path.name[:11]] > 1]
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
        ("change_2_a", "change_2_a", "select 1", "not change_NNNN_<what>.sql"),
        ("change_0001_a", "change_0001_b", "select 1", "not one macro of the file's name"),
        ("change_0001_a", "change_0001_a", "select {{ var('x') }}", "Jinja, so its text may differ by engine"),
    ],
)
def test_faults_are_found(tmp_path: Path, name: str, macro: str, text: str, fault: str | None) -> None:
    (tmp_path / f"{name}.sql").write_text(f"{{% macro {macro}() %}}\n{text}\n{{% endmacro %}}\n")
    assert faults(list(tmp_path.iterdir())) == ([f"{name}.sql: {fault}"] if fault else [])


def test_a_number_taken_twice_is_found(tmp_path: Path) -> None:
    for name in ("change_0001_a", "change_0001_b", "change_0003_c"):
        (tmp_path / f"{name}.sql").write_text(f"{{% macro {name}() %}}\nselect 1\n{{% endmacro %}}\n")
    assert faults(sorted(tmp_path.iterdir())) == [
        "change_0001_a.sql: its number is taken",
        "change_0001_b.sql: its number is taken",
    ]
