"""What commands say and ask. In foreign texts, characters that a terminal would obey or hide are shown as escapes."""

import getpass
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import click

from orchestration.lib.errors import GovernanceError, explained

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


def login() -> str:
    """Who runs the command, as the machine calls them; by number where nothing has a name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def tell(message: str) -> None:
    """Shows a sentence about progress on stderr."""
    click.echo(message, err=True)


def tell_error(error: GovernanceError) -> None:
    """Shows what went wrong on stderr."""
    tell(f"error: {visible(str(error))}")


def confirm(question: str, *, yes: bool, otherwise: str = "nothing is changed") -> None:
    """Asks on stderr unless `yes`. Raises GovernanceError where the answer is no, or there is none."""
    try:
        agreed = yes or (sys.stdin is not None and click.confirm(question, err=True))
    except click.Abort:
        tell("")
        agreed = False
    if not agreed:
        raise GovernanceError(f"{otherwise}: it wasn't confirmed (--yes does without the question)")


@contextmanager
def errors_exit_with_2() -> Iterator[None]:
    """For commands whose exit code 1 says that something was found."""
    try:
        with explained():
            yield
    except GovernanceError as error:
        tell_error(error)
        sys.exit(2)
