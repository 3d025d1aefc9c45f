"""What came from elsewhere neither hides in a terminal nor commands it."""

from io import StringIO

import pytest

from orchestration.lib.demo.summary import Answer, print_summary
from orchestration.lib.ingest.display import ProgressDisplay
from orchestration.lib.terminal import visible
from orchestration.lib.verify import Rule, Verification, Violation, print_verification

HIDDEN = "a\x1b[2Jd\u202emin\u200b"
SHOWN = "a\\x1b[2Jd\\u202emin\\u200b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ASCII", "plain ASCII"),
        ("Zo\u00eb \u674e \u0438\u0432\u0430\u043d \U0001f469", "Zo\u00eb \u674e \u0438\u0432\u0430\u043d \U0001f469"),
        ("two\nlines", "two\nlines"),
        ("\r\x07\t\x7f\x9b31m", "\\r\\x07\\t\\x7f\\x9b31m"),
        ("\u202d\u2066\u200f\u061c", "\\u202d\\u2066\\u200f\\u061c"),
        ("\u200b\u200d\ufeff\u00ad\u3164\u2028", "\\u200b\\u200d\\ufeff\\xad\\u3164\\u2028"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
    ],
)
def test_what_is_hidden_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_line_stays_one_line() -> None:
    assert visible("a\nerror: b", keep="") == "a\\nerror: b"


def test_violations_show_what_they_are_about() -> None:
    rule = Rule("some_rule", "identity", "error", "d", "docs")
    said = Verification([rule], [Violation("some_rule", "error", HIDDEN, HIDDEN, HIDDEN)], 0, {"other": HIDDEN})
    file = StringIO()
    print_verification(said, file)
    assert file.getvalue().count(SHOWN) == 4
    assert not {"\x1b", "\u202e", "\u200b"} & set(file.getvalue())


def test_answers_of_the_demo_show_what_they_are_about() -> None:
    file = StringIO()
    print_summary("Demo", [Answer("view", "Who?", HIDDEN, ("name",), [(HIDDEN,)])], [], file)
    assert file.getvalue().count(SHOWN) == 2
    assert not {"\x1b", "\u202e", "\u200b"} & set(file.getvalue())


def test_messages_of_a_load_show_what_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressDisplay().note(HIDDEN)
    assert capsys.readouterr().err == f"{SHOWN}\n"
