"""What docs/rules says of each rule, for the findings of a report: what it demands, its usual cause, and why."""

import re
from dataclasses import replace
from functools import cache

from orchestration.lib.compliance.tables import Table
from orchestration.lib.settings import project_dir

_SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_WHAT = re.compile(r"`(?:error|warn|info)`[^.]*? (.*?)(?=\n\n|\Z)", re.DOTALL)
_SAID = r"\*\*{}\.\*\* (.*?)(?=\n\n|\Z)"
_CAUSE, _WHY = (re.compile(_SAID.format(word), re.DOTALL) for word in ("Cause", "Why"))
_NOT_KNOWN = "Not known: see when it was first found, and what changed before."
_ORDER = ["severity", "rule", "subject", "condition", "criteria", "cause", "effect", "recommendation"]


def explained_findings(findings: Table) -> Table:
    """Condition, criteria, cause, effect and recommendation of each finding; the cause is the usual one of its rule."""
    names = {"message": "condition", "fix": "recommendation"}
    columns = [*_ORDER, *(name for name in findings.columns if name not in {*_ORDER, *names})]
    rows = []
    for row in findings.dicts():
        said = {names.get(name, name): value for name, value in row.items()}
        criteria, cause, effect = _explanation(row["rule"] or "")
        said |= {"criteria": criteria, "cause": cause or _NOT_KNOWN, "effect": effect}
        rows.append([said[column] for column in columns])
    return replace(findings, columns=columns, rows=rows)


def _explanation(rule: str) -> tuple[str | None, str | None, str | None]:
    section = _sections().get(rule, "")
    what, cause, why = (pattern.search(section) for pattern in (_WHAT, _CAUSE, _WHY))
    found = [_plain(each[1]) if each else None for each in (what, cause, why)]
    return found[0], found[1], found[2]


@cache
def _sections() -> dict[str, str]:
    """By the name of the rule."""
    pages = sorted((project_dir() / "docs" / "rules").glob("*.md"))
    return {found[1]: found[2] for page in pages for found in _SECTION.finditer(page.read_text(encoding="utf-8"))}


def _plain(markdown: str) -> str:
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", markdown)
    return " ".join(text.replace("`", "").replace("**", "").split())
