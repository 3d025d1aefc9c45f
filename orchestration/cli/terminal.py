"""Text for a terminal: what came from elsewhere is shown as what it is, and can neither hide nor command."""

import sys
import unicodedata

import click

from orchestration.lib.errors import GovernanceError

# control, format (bidirectional overrides, zero-width characters), surrogate; separators of lines and paragraphs
_SHOWN_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# letters and marks by category that take no room all the same
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def visible(text: str, *, keep: str = "\n") -> str:
    """The text with each character that a terminal would obey or not show as an escape such as \\x1b or \\u202e.

    Those in `keep` stay: line breaks, unless the text belongs on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(ascii(each)[1:-1] if each not in keep and _is_hidden(each) else each for each in text)


def _is_hidden(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _SHOWN_ESCAPED


def tell(message: str) -> None:
    """Shows a sentence about progress on stderr."""
    click.echo(message, err=True)


def confirm(question: str, *, outcome: str = "nothing is changed") -> None:
    """Asks on stderr. Raises GovernanceError, which begins with `outcome`, unless the answer is yes."""
    try:
        # a program that was started without a standard input has none to answer by
        agreed = sys.stdin is not None and click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise GovernanceError(f"{outcome}: it wasn't confirmed (--yes does without the question)")
