"""What docs/rules says of each rule, for the findings of a report: what it demands, and why."""

import re
from functools import cache

from orchestration.lib.compliance.sections import Table
from orchestration.lib.settings import project_dir

_SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_WHAT = re.compile(r"`(?:error|warn|info)`[^.]*? (.*?)(?=\n\n|\Z)", re.DOTALL)
_WHY = re.compile(r"\*\*Why\.\*\* (.*?)(?=\n\n|\Z)", re.DOTALL)


def explained_findings(findings: Table) -> Table:
    """Condition, criteria, effect and recommendation of each finding."""
    names = {"message": "condition", "fix": "recommendation"}
    place = findings.columns.index("rule")
    columns = [names.get(name, name) for name in findings.columns]
    rows = [[*row, *_explanation(row[place] or "")] for row in findings.rows]
    return Table(findings.name, findings.title, [*columns, "criteria", "effect"], rows, findings.of_period)


def _explanation(rule: str) -> tuple[str | None, str | None]:
    section = _sections().get(rule, "")
    what, why = _WHAT.search(section), _WHY.search(section)
    return (_plain(what[1]) if what else None, _plain(why[1]) if why else None)


@cache
def _sections() -> dict[str, str]:
    """By the name of the rule."""
    pages = sorted((project_dir() / "docs" / "rules").glob("*.md"))
    return {found[1]: found[2] for page in pages for found in _SECTION.finditer(page.read_text(encoding="utf-8"))}


def _plain(markdown: str) -> str:
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", markdown)
    return " ".join(text.replace("`", "").replace("**", "").split())
