"""The rooms of the code: who may import whom, who may show something, and how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.cli.main import main
from orchestration.lib.settings import project_dir

PACKAGE = project_dir() / "orchestration"
FILES = sorted(PACKAGE.rglob("*.py"))
# a folder, and what its files may not import
FORBIDDEN = {
    "lib": ("orchestration.cli", "orchestration.defs", "orchestration.demo"),
    "lib/embedded": ("orchestration.lib.database", "psycopg"),
    "lib/database": ("orchestration.lib.dbt", "orchestration.lib.warehouse", "orchestration.lib.verification"),
    "lib/evidence": ("orchestration.lib.verification", "orchestration.lib.identity"),
    "defs": ("orchestration.cli", "orchestration.demo"),
    "demo": ("orchestration.cli", "orchestration.defs"),
}
# what is shown is cli's
SHOWING = ("rich", "click")
HEAVY = ("psycopg", "dagster", "dbt", "rich", "hypothesis", "yaml", "bcrypt")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_room_imports_only_what_it_may(folder: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for module in imported(path)
        if any(is_below(module, package) for package in FORBIDDEN[folder])
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["lib", "defs", "demo"])
def test_only_the_command_line_shows_something(folder: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for module in imported(path)
        if any(is_below(module, package) for package in SHOWING)
    ]
    assert found == []


def test_the_environment_is_read_in_few_places() -> None:
    """Our own variables in settings.py, libpq's and dbt's where a connection and dbt are prepared."""
    allowed = {
        "lib/settings.py",
        "lib/database/connection.py",
        "lib/dbt/environment.py",
        "lib/dbt/manifest.py",
        "cli/server.py",
        "cli/ui.py",
    }
    found = {str(path.relative_to(PACKAGE)) for path in FILES if "os.environ" in path.read_text()}
    assert found <= allowed
    ours = {str(path.relative_to(PACKAGE)) for path in FILES if 'environ.get("GOVERNANCE_' in path.read_text()}
    assert ours == {"lib/settings.py"}


def test_no_file_is_longer_than_400_lines() -> None:
    folders = ("orchestration", "tests", "benchmarks")
    files = [path for folder in folders for path in (project_dir() / folder).rglob("*.py")]
    lengths = {str(path.relative_to(project_dir())): len(path.read_text().splitlines()) for path in files}
    # an auditor gets it as one file
    del lengths["orchestration/lib/audit/verify_offline.py"]
    assert {name: lines for name, lines in lengths.items() if lines > 400 and "node_modules" not in name} == {}


def test_help_loads_nothing_that_takes_time() -> None:
    code = (
        "import sys; from orchestration.cli.main import main; main(['--help'], standalone_mode=False); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project_dir())
    assert shown.stdout.splitlines()[-1] == "[]"


def test_every_command_is_there_and_says_what_it_does() -> None:
    import click

    context = click.Context(main)
    assert len(main.list_commands(context)) >= 16
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
