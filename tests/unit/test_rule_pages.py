"""The rules of verification: each documented, each with a deliberately broken database, severities stated once."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.lib.settings import project_dir

MODELS = project_dir() / "models" / "verification"
RULES = {path.stem: path.parent.name for path in sorted(MODELS.glob("*/*.sql"))}
PAGES = {path.stem: path.read_text() for path in sorted((project_dir() / "docs" / "rules").glob("*.md"))}
BREAKAGES = project_dir() / "tests" / "fixtures" / "verification"


@cache
def properties() -> dict[str, dict[str, Any]]:
    """What YAML says of each rule."""
    return {
        model["name"]: model
        for path in sorted(MODELS.glob("*/*.yml"))
        for model in yaml.safe_load(path.read_text())["models"]
    }


def test_every_rule_is_explained_on_the_page_of_its_family_and_every_explained_rule_exists() -> None:
    explained = {
        rule: family for family, page in PAGES.items() for rule in re.findall(r"^## (\w+)$", page, re.MULTILINE)
    }
    assert explained == RULES


@pytest.mark.parametrize("rule", RULES)
def test_a_page_says_what_why_and_how_to_fix(rule: str) -> None:
    section = re.split(r"^## ", PAGES[RULES[rule]].split(f"## {rule}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    for part in ("**Example.**", "**Why.**", "**Cause.**", "**Fix.**"):
        assert part in section
    severity = properties()[rule]["config"]["meta"]["severity"]
    assert section.strip().startswith(f"`{severity}`")


@pytest.mark.parametrize("rule", RULES)
def test_the_check_of_a_rule_has_its_severity(rule: str) -> None:
    model = properties()[rule]
    severity = model["config"]["meta"]["severity"]
    checks = [test["is_empty"] for test in model.get("data_tests", [])]
    if severity == "info":
        assert checks == [], "a fact fails nothing"
    else:
        (check,) = checks
        assert check["name"] == f"no_{rule}"
        assert check.get("config", {}).get("severity", "error") == severity


def test_every_rule_has_a_broken_database() -> None:
    assert {path.stem for path in BREAKAGES.glob("*.yml")} == set(RULES)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*/*.sql")), ids=lambda path: path.stem)
def test_no_rule_knows_an_engine(path: Path) -> None:
    assert not re.search("timescaledb|_timescaledb|pg_partitioned_table|time_series_engine", path.read_text())
