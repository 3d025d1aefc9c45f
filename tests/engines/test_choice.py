"""A test that gets another name keeps its engines."""

import re

import pytest

from engines.choice import BESIDE_POSTGRES
from orchestration.lib.settings import project_dir


@pytest.mark.parametrize("name", BESIDE_POSTGRES)
def test_what_runs_on_more_engines_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    text = (project_dir() / "tests" / "integration" / f"{file}.py").read_text()
    assert re.search(rf"^def {test or 'test_'}", text, re.MULTILINE)
