"""Old spellings of dbt's YAML, which dbt on Postgres takes without a word."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.lib.settings import project_dir

FOLDERS = ("models", "seeds", "tests", "macros")
IGNORED = project_dir() / "tests" / "fixtures"
FILES = sorted(
    path for folder in FOLDERS for path in (project_dir() / folder).rglob("*.yml") if not path.is_relative_to(IGNORED)
)
MOVED_TO_CONFIG = {"access", "docs", "group", "meta", "tags"}
NAMED_TEST_KEYS = {"arguments", "column_name", "config", "description", "name", "test_name"}


def old_spellings(properties: Any) -> Iterator[str]:
    """What of a YAML file's content dbt calls deprecated, each with the name of the thing it stands at."""
    for kind in ("models", "seeds", "sources", "snapshots", "exposures", "macros"):
        for node in properties.get(kind) or []:
            for part in [node, *(node.get("columns") or [])]:
                where = node["name"] if part is node else f"{node['name']}.{part['name']}"
                if "tests" in part:
                    yield f"{where}: tests is called data_tests"
                yield from (f"{where}: {key} belongs under config" for key in sorted(MOVED_TO_CONFIG & part.keys()))
                for test in part.get("data_tests") or []:
                    if isinstance(test, dict):
                        yield from _test_spellings(where, test)
    for test in properties.get("unit_tests") or []:
        yield from (f"{test['name']}: {key} belongs under config" for key in sorted(MOVED_TO_CONFIG & test.keys()))


def _test_spellings(where: str, test: dict[str, Any]) -> Iterator[str]:
    for name, settings in test.items():
        if isinstance(settings, dict):
            others = sorted(settings.keys() - NAMED_TEST_KEYS)
            yield from (f"{where}: {key} of {name} belongs under arguments or config" for key in others)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(project_dir())))
def test_no_old_spelling(path: Path) -> None:
    assert list(old_spellings(yaml.load(path.read_text(), yaml.CSafeLoader) or {})) == []


def test_old_spellings_are_found() -> None:
    text = """
    models:
      - name: users
        access: public
        columns:
          - name: id
            tags: [a]
            tests: [unique]
            data_tests:
              - not_null
              - accepted_values: {values: [a]}
              - relationships: {arguments: {to: ref('teams'), field: id}, config: {severity: warn}}
              - not_null: {severity: warn}
    unit_tests:
      - name: adds_up
        meta: {a: 1}
    """
    assert list(old_spellings(yaml.safe_load(text))) == [
        "users: access belongs under config",
        "users.id: tests is called data_tests",
        "users.id: tags belongs under config",
        "users.id: values of accepted_values belongs under arguments or config",
        "users.id: severity of not_null belongs under arguments or config",
        "adds_up: meta belongs under config",
    ]


def test_every_model_is_documented_where_it_lies() -> None:
    files = {path.stem: path.parent for path in (project_dir() / "models").rglob("*.sql")}
    documented = {
        model["name"]: path.parent
        for path in FILES
        if path.is_relative_to(project_dir() / "models")
        for model in (yaml.load(path.read_text(), yaml.CSafeLoader) or {}).get("models") or []
        if model.get("description")
    }
    assert documented == files


@pytest.mark.parametrize("path", sorted((project_dir() / "models").rglob("*.sql")), ids=lambda path: path.stem)
def test_model_begins_with_its_grain_and_is_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("-- one row per ")
    assert len(lines) <= 80


def test_a_forgotten_password_is_an_error(tmp_path: Path) -> None:
    dbt = [str(Path(sys.executable).parent / "dbt"), "debug", "--log-path", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_DB_")}
    result = subprocess.run(dbt, cwd=project_dir(), env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert "Env var required but not provided: 'GOVERNANCE_DB_PASSWORD'" in result.stdout


def test_rules_about_everything_depend_on_everything() -> None:
    written = (project_dir() / "macros" / "verification" / "depend_on.sql").read_text().split("macro other_relations()")
    folders = ("seeds", "models/rollups", "models/reporting")
    files = [
        path for folder in folders for path in (project_dir() / folder).rglob("*") if path.suffix in (".csv", ".sql")
    ]
    assert sorted(re.findall(r"'(\w+)'", written[1])) == sorted(path.stem for path in files)


def test_every_core_table_has_the_macro_that_makes_it() -> None:
    tables = {path.stem for path in (project_dir() / "models" / "core").rglob("*.sql")}
    macros = {path.stem for path in (project_dir() / "macros" / "schema").rglob("create_core_*.sql")}
    assert {f"create_core_{table}" for table in tables} == macros


def macros_with_arguments() -> Iterator[str]:
    """Each as `name(argument, …)`; not those of one file, nor those that dbt itself describes."""
    for path in (project_dir() / "macros").rglob("*.sql"):
        for name, arguments in re.findall(r"{%-? macro (\w+)\((.+)\) -?%}", path.read_text()):
            if not re.match("_|postgres__|generate_schema_name", name):
                names = [argument.split("=")[0].strip() for argument in arguments.split(", ")]
                yield f"{name}({', '.join(names)})"


def test_every_macro_with_arguments_is_documented_with_their_types() -> None:
    documented = [
        f"{macro['name']}({', '.join(argument['name'] for argument in macro['arguments'])})"
        for path in (project_dir() / "macros").rglob("_macros.yml")
        for macro in yaml.safe_load(path.read_text())["macros"]
        if macro["description"] and all(argument["type"] and argument["description"] for argument in macro["arguments"])
    ]
    assert sorted(documented) == sorted(macros_with_arguments())


@pytest.mark.parametrize("folder", ["reporting", "rollups", "staging"])
def test_every_view_has_its_yaml_beside_it(folder: str) -> None:
    views = {path.stem for path in (project_dir() / "models" / folder).glob("*.sql")}
    assert {path.stem for path in (project_dir() / "models" / folder).glob("[!_]*.yml")} == views
