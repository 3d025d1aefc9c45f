"""What the commands say of themselves."""

import re

from click.testing import CliRunner

from orchestration.cli.main import main
from orchestration.lib.usage.record import TARGETS


def test_ingest_lists_every_column_it_fills() -> None:
    words = set(re.findall(r"\w+", CliRunner().invoke(main, ["ingest", "--help"]).stdout))
    assert set(TARGETS) - words == set()
