"""The functions with the owner's rights (SECURITY DEFINER) as each engine gets them, rendered without a database.

`python tests/definer_functions.py` has pgspot read them, which finds what a caller could do by objects of the same
name; `make lint` runs it. Exit code 1 where it finds something.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import yaml

from orchestration.lib.settings import project_dir

ENGINES = ("postgres", "timescaledb", "timescaledb_apache")
_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\((.*?)\)\s*-?%\}.*?\{%-?\s*endmacro\s*-?%\}", re.DOTALL)
_FUNCTION = re.compile(r"create or replace (?:function|procedure) ([\w.]+)\(.*?\$f\$.*?\$f\$;", re.DOTALL)


class Relation(str):
    """What dbt gives a macro that makes a table."""

    __slots__ = ()
    schema, identifier = "core", "llm_metrics"


class _Return(Exception):  # noqa: N818 - as dbt's, it's no error
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def definer_functions(engine: str) -> dict[str, str]:
    """The DDL of each, by name."""
    macros = _macros()
    context = _context(engine, {name: text for name, (text, _) in macros.items()})
    found: dict[str, str] = {}
    for name, (text, arguments) in macros.items():
        if "security definer" in text:
            rendered = context[name](*([Relation("core.llm_metrics")] * arguments))
            made = [each for each in _FUNCTION.finditer(rendered) if "security definer" in each[0]]
            assert len(made) == rendered.count("security definer"), f"{name} makes a function in another form than $f$"
            found |= {each[1]: each[0] for each in made}
    return found


def complaints(functions: Sequence[str]) -> str:
    """What pgspot says of these, nothing where it has no doubt."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "functions.sql"
        file.write_text("\n".join(functions))
        program = Path(sys.executable).with_name("pgspot")
        # PS002: OR REPLACE takes over what somebody else made before, which nobody may in our schemas
        done = subprocess.run([program, "--ignore", "PS002", file], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return "" if "Errors: 0 Warnings: 0 Unknown: 0" in said else said


def _macros() -> dict[str, tuple[str, int]]:
    """Of the project: the text of each and how many arguments it takes."""
    return {
        found[1]: (found[0], len([each for each in found[2].split(",") if each.strip() and "=" not in each]))
        for path in sorted((project_dir() / "macros").rglob("*.sql"))
        for found in _MACRO.finditer(path.read_text(encoding="utf-8"))
    }


def _context(engine: str, macros: dict[str, str]) -> dict[str, Any]:
    """What macros see while dbt renders them, as far as these need it: no database, and each macro by its name."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined)
    said = yaml.safe_load((project_dir() / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]

    def run(name: str, *values: object, **named: object) -> object:
        try:
            return getattr(environment.from_string(macros[name]).module, name)(*values, **named)
        except _Return as ended:
            return ended.value

    def end(value: object) -> None:
        raise _Return(value)

    called: dict[str, Callable[..., object]] = {name: partial(run, name) for name in macros}
    environment.globals |= called | {
        "execute": True,
        "modules": SimpleNamespace(re=re),
        "ref": lambda name: Relation(f"core.{name}"),
        "return": end,
        "time_series_engine": lambda: engine,
        "var": lambda name: said[name],
    }
    return dict(environment.globals)


def main() -> int:
    """Of all engines, each text once."""
    texts = {text for engine in ENGINES for text in definer_functions(engine).values()}
    if said := complaints(sorted(texts)):
        print(said)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
