"""What CONTRIBUTING.md asks of a table, a view and a rule, and what is missing, by name."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.lib.settings import project_dir

MODELS = project_dir() / "models"
VIEWS = (project_dir() / "docs" / "views.md").read_text()


@lru_cache
def described(kind: str) -> list[dict[str, Any]]:
    """Everything of a kind (models, unit_tests, exposures) in the YAML files of the project."""
    files = sorted(MODELS.rglob("*.yml"))
    return [each for path in files for each in (yaml.load(path.read_text(), yaml.CSafeLoader) or {}).get(kind) or []]


def models_in(folder: str) -> list[str]:
    return sorted(path.stem for path in (MODELS / folder).rglob("*.sql"))


def missing_columns(name: str, *, typed: bool) -> Iterator[str]:
    (model,) = [each for each in described("models") if each["name"] == name]
    columns = model.get("columns") or []
    if not columns:
        yield f"{name}: its YAML has no columns"
    for column in columns:
        if not str(column.get("description") or "").strip():
            yield f"{name}.{column['name']}: no description in YAML"
        if typed and not column.get("data_type"):
            yield f"{name}.{column['name']}: no data_type in YAML"


@pytest.mark.parametrize("view", models_in("reporting"))
def test_a_view_is_complete(view: str) -> None:
    missing = list(missing_columns(view, typed=True))
    if not any(each["model"] == view for each in described("unit_tests")):
        missing.append(f"{view}: no unit test with numbers computed by hand")
    if not any(f"ref('{view}')" in each["depends_on"] for each in described("exposures")):
        missing.append(f"{view}: no exposure names who reads it")
    if f"`{view}`" not in VIEWS:
        missing.append(f"{view}: not in docs/views.md")
    assert missing == []


@pytest.mark.parametrize("rollup", models_in("rollups"))
def test_a_rollup_is_complete(rollup: str) -> None:
    assert list(missing_columns(rollup, typed=True)) == []


@pytest.mark.parametrize("rule", sorted(path.stem for path in (MODELS / "verification").glob("*/*.sql")))
def test_a_rule_is_complete(rule: str) -> None:
    (path,) = MODELS.glob(f"verification/*/{rule}.sql")
    missing = list(missing_columns(rule, typed=True))
    page: Path = project_dir() / "docs" / "rules" / f"{path.parent.name}.md"
    if not page.exists() or f"## {rule}\n" not in page.read_text():
        missing.append(f"{rule}: no section in docs/rules/{path.parent.name}.md")
    if not (project_dir() / "tests" / "fixtures" / "verification" / f"{rule}.yml").exists():
        missing.append(f"{rule}: no broken database in tests/fixtures/verification/{rule}.yml")
    assert missing == []


@pytest.mark.parametrize("table", models_in("core"))
def test_a_table_is_complete(table: str) -> None:
    missing = list(missing_columns(table, typed=True))
    (path,) = MODELS.glob(f"core/**/{table}.sql")
    ddl = project_dir() / "macros" / "schema" / path.parent.name / f"create_core_{table}.sql"
    if not ddl.exists():
        missing.append(f"{table}: no DDL in {ddl.relative_to(project_dir())}")
    assert missing == []
