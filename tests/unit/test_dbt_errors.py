"""What is read out of dbt's errors; the refusals themselves are tested on a database."""

from pathlib import Path
from typing import Any

import pytest
from dbt.parser.manifest import ManifestLoader

from orchestration.lib.dbt.runner import refusal, run_dbt

SAID = "the rollups were built in time zone UTC, not Europe/Berlin; set it back"


@pytest.mark.parametrize(
    "output",
    [
        f"governance.on-run-start.2 failed, error:\n {SAID}\nCONTEXT:  PL/pgSQL function line 17 at RAISE\n",
        f"Failure in operation governance-on-run-start-2 (x)\n  governance.on-run-start.2 failed, error:\n\n {SAID}\n",
        f"Compilation Error in operation governance-on-run-start-0 (./dbt_project.yml)\n  {SAID}\n  \n  > in macro x\n",
        f"failed.\n\nDatabase Error in operation governance-on-run-start-0 (x)\n  {SAID}\n  LINE 1:",
    ],
)
def test_a_hook_speaks_for_itself(output: str) -> None:
    assert refusal(output) == SAID


@pytest.mark.parametrize(
    "output",
    ["Database Error in model users (models/core)\n  deadlock", "1 of 3 OK hook: governance.on-run-start.0", ""],
)
def test_others_are_no_refusal(output: str) -> None:
    assert refusal(output) is None


def test_a_ctrl_c_while_dbt_reads_the_project_is_no_error_of_dbt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ManifestLoader, "get_full_manifest", interrupted)
    folders = ["--target-path", str(tmp_path), "--log-path", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        run_dbt(["parse", *folders], "postgresql://user:password@127.0.0.1:1/none")
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "error" not in said
