"""Exports by FOCUS that are refused, each with one sentence, or that break off: nothing is left of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from orchestration.lib.errors import GovernanceError
from orchestration.lib.export.focus import export_focus

# the file is a COPY, which PGlite can't
pytestmark = pytest.mark.engines("postgres")
MONTH = "2026-10"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--period", "October"], "'October' is not a month: write it as 2026-10, or last-month"),
        (["--period", "2026-13"], "'2026-13' is no month of the calendar"),
        (["--period", "2026-Q3"], "'2026-Q3' is not a month: write it as 2026-10, or last-month"),
        (["--period", "2999-01"], "2999-01 has not begun: export a month that has charges"),
        (["--format", "xlsx"], "'xlsx' is no format: give one of csv, parquet"),
        (["--focus-version", "1.0"], "'1.0' is no version of FOCUS that is written: give one of 1.2, 1.4"),
        (["--dataset", "invoices"], "'invoices' is no dataset: give one of cost-and-usage, billing-period"),
        (
            ["--dataset", "billing-period"],
            "FOCUS 1.2 has no dataset billing-period: export it with --focus-version 1.4",
        ),
        (["--output", "none/x.csv"], "none isn't there: make it, or name another file"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    run_governance: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_governance("export", "focus", "--period", MONTH, "--output", "x.csv", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_written_over(run_governance: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("mine")
    result = run_governance("export", "focus", "--period", MONTH, "--output", str(path))
    assert (result.exit_code, path.read_text()) == (1, "mine")
    assert "x.csv is there already: name a file that isn't" in result.stderr


def test_parquet_needs_the_extra(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GovernanceError, match="install the extra `parquet`"):
        export_focus(database, MONTH, tmp_path / "x.parquet", file_format="parquet")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_an_export_that_breaks_off(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(GovernanceError, match=r"x\.csv can't be written \(No space left on device\)"):
        export_focus(database, MONTH, tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []
