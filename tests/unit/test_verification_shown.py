"""How the command shows what verification found: all of it, whatever the width."""

import io
from collections import Counter
from datetime import UTC, datetime

import pytest

from orchestration.cli.verification import print_verification
from orchestration.lib.evidence.result import History, Rule, Verification, Violation

_SUBJECT = "unpriced_model 880997a7-6155-5a1d-b6f1-cc8a2c5a1070 of google/gemini-exp-preview"
_FOUND = [
    Violation("unknown_models", "info", "openai/x", "902 requests of a model that no rule knows.", "Say what it is."),
    Violation("budgets_in_other_currencies", "warn", _SUBJECT, "A sentence. " * 9, "Do this, and that. " * 7),
    Violation("neglected_alerts", "error", "名前" * 20, "名前" * 40, "`governance models alias --provider x y`"),
]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(monkeypatch: pytest.MonkeyPatch, width: int, found: list[Violation], history: History) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    file = _Terminal()
    print_verification(Verification([Rule("x", "usage", "warn")], found, history=history), file)
    return file.getvalue().splitlines()


def _letters(texts: list[str]) -> Counter[str]:
    return Counter(letter for text in texts for letter in text if not letter.isspace())


@pytest.mark.parametrize("found", [_FOUND, _FOUND[:1], _FOUND[1:2]], ids=["all", "short", "long"])
@pytest.mark.parametrize("has_history", [True, False])
def test_nothing_is_cut_at_any_width(
    monkeypatch: pytest.MonkeyPatch, found: list[Violation], has_history: bool
) -> None:
    asked = frozenset(each.rule for each in _FOUND)
    seen = {_FOUND[1].key: datetime(2026, 11, 28, tzinfo=UTC)}
    history = History(seen, asked, datetime(2026, 11, 28, tzinfo=UTC)) if has_history else History()
    parts = [part for each in found for part in (each.severity, each.rule, each.subject, each.message, each.fix)]
    for width in range(34, 260):
        lines = _shown(monkeypatch, width, found, history)
        missing = _letters(parts) - _letters(lines)
        assert not missing, (width, missing)
        assert all(len(line) <= width for line in lines), width


def test_a_narrow_terminal_has_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = frozenset({"unknown_models"})
    lines = _shown(monkeypatch, 60, _FOUND[:1], History({}, asked, datetime(2026, 11, 28, tzinfo=UTC)))
    assert lines[:4] == [
        "info unknown_models, new",
        "  openai/x",
        "  902 requests of a model that no rule knows.",
        "  Say what it is.",
    ]
