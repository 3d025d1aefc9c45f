"""Every rule finds what it is for in a database broken for it, and nothing in one that isn't.

tests/fixtures/verification/<rule>.yml is a list of breakages: `break`, SQL that is rolled back, and `expect`, the rows
it makes the rule show, * in them standing for anything. `engines` names those on which it can be broken so.

A rule that asks for nothing an engine makes in its own way is the same query on each, which an ordinary run tries once.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from core_rows import transaction
from psycopg import sql

from orchestration.lib.database.connection import Connection
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.run import verify

FIXTURES = sorted((project_dir() / "tests" / "fixtures" / "verification").glob("*.yml"))
RULES = {path.stem: path for path in (project_dir() / "models" / "verification").glob("*/*.sql")}
# families of rules about tables, their parts and rollups; in others, what reads those
OF_ENGINES = {"rollups", "schema", "time_series"}
ASKS_ENGINE = re.compile(r"rollup|ref\('llm_\w+_(hourly|daily)'\)|time_series|verified|inherit|partition|chunk")


def knows_no_engine(rule: str) -> bool:
    return RULES[rule].parent.name not in OF_ENGINES and not ASKS_ENGINE.search(RULES[rule].read_text())


def marks(rule: str, breakage: dict[str, Any]) -> Iterator[pytest.MarkDecorator]:
    if "engines" in breakage:
        yield pytest.mark.engines(*breakage["engines"])
    elif knows_no_engine(rule):
        yield pytest.mark.knows_no_engine


BREAKAGES = [
    pytest.param(path.stem, breakage, id=f"{path.stem}-{number}", marks=[*marks(path.stem, breakage)])
    for path in FIXTURES
    for number, breakage in enumerate(yaml.safe_load(path.read_text()), 1)
]
PARTS = ("subject", "message", "fix")


def found(connection: Connection, rule: str) -> list[tuple[str, ...]]:
    query = sql.SQL("select subject, message, fix from verification.{}").format(sql.Identifier(rule))
    return sorted(connection.execute(query).fetchall())


def is_as_expected(row: tuple[str, ...], expected: dict[str, str]) -> bool:
    shown = dict(zip(PARTS, row, strict=True))
    # fnmatch knows sets of characters, which no expectation means
    return all(fnmatchcase(shown[part], text.replace("[", "[[]")) for part, text in expected.items())


def test_a_fresh_database_has_no_violation(database: str) -> None:
    verification = verify(database)
    assert verification.not_run == {}
    assert [each for each in verification.violations if each.severity != "info"] == []
    assert {rule.rule for rule in verification.rules} == {path.stem for path in FIXTURES}


@pytest.mark.parametrize(("rule", "breakage"), BREAKAGES)
def test_a_broken_database_is_found_out(database: str, rule: str, breakage: dict[str, Any]) -> None:
    with transaction(database) as connection:
        before = found(connection, rule)
        connection.execute(breakage["break"].encode())
        after = [row for row in found(connection, rule) if row not in before]
    expected = sorted(breakage["expect"], key=lambda row: (row["subject"], row["message"]))
    assert len(after) == len(expected), after
    for row, expectation in zip(after, expected, strict=True):
        assert is_as_expected(row, expectation), row
        for text in row[1:]:
            assert text[:1].isupper() or text[:1].isdigit()
            assert text.endswith(".")
            assert text == " ".join(text.split())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_breakages_are_written_as_meant(path: Path) -> None:
    for breakage in yaml.safe_load(path.read_text()):
        assert breakage.keys() <= {"break", "expect", "engines", "why"}
        assert breakage["expect"]
        for row in breakage["expect"]:
            assert {"subject", "message"} <= row.keys() <= set(PARTS)
