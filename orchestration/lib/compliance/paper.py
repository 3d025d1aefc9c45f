"""A report on paper: PDF by Typst, with the fonts that come with it, so that the same report is the same bytes."""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestration.lib.errors import GovernanceError

# tagged and readable by a screen reader; what breaks that is refused
_STANDARD = "ua-1"
# stands for a character that the fonts don't have
_MISSING = "\N{WHITE SQUARE}"
# below it are the scripts that the fonts have; beyond it a page of 256 characters has all of them or none
_COMMON = 0x2E80


def is_installed() -> bool:
    """Whether what writes PDF is there: the extra `pdf`."""
    return find_spec("typst") is not None


def pdf(page: Mapping[str, Any], as_of: datetime) -> bytes:
    """The page of a report as PDF/UA-1, made at the moment `as_of`. Raises GovernanceError where Typst refuses it."""
    text = json.dumps(page, ensure_ascii=False)
    lacking = _lacking(text)
    for character in lacking:
        text = text.replace(character, _MISSING)
    template = Path(__file__).with_name("templates") / "report.typ"
    inputs = {"page": text, "missing": _MISSING if lacking else ""}
    return _compiled(template.read_bytes(), inputs, as_of)


def _compiled(template: bytes, inputs: dict[str, str], as_of: datetime) -> bytes:
    typst = import_module("typst")
    compiler = typst.Compiler(input=template, ignore_system_fonts=True, sys_inputs=inputs)
    try:
        made = compiler.compile(format="pdf", pdf_standards=[_STANDARD], timestamp=int(as_of.timestamp()))
    except typst.TypstError as error:
        said = " ".join([str(error.message), *error.hints])
        raise GovernanceError(f"Typst can't write report.pdf: {said}; without the package there is none") from error
    assert isinstance(made, bytes)
    return made


def _lacking(text: str) -> list[str]:
    """Characters of a text that no font of Typst has, or whose page of the character set it hasn't."""
    typst = import_module("typst")
    known: dict[int, bool] = {}
    places = {each: ord(each) if ord(each) < _COMMON else -(ord(each) >> 8) for each in text if ord(each) > 0x17F}
    for character, place in sorted(places.items()):
        if place not in known:
            source = b'#set document(title: "x")\n#sys.inputs.text'
            compiler = typst.Compiler(input=source, ignore_system_fonts=True, sys_inputs={"text": character})
            try:
                compiler.compile(format="pdf", pdf_standards=[_STANDARD])
                known[place] = True
            except typst.TypstError:
                known[place] = False
    return [character for character, place in sorted(places.items()) if not known[place]]
