"""dbt's manifest, of which Dagster makes its assets and checks."""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from orchestration.lib.database.in_use import database_url
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import dbt_target, project_dir

# of this environment: another one, or dbt Fusion, may be on the PATH
DBT = Path(sys.executable).parent / "dbt"
# what the manifest is made of
_SOURCES = ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "tests/generic", "tests/singular")
# reading the project takes the variables of a database, but no database
_NO_DATABASE = "postgresql://nobody:nothing@127.0.0.1:5432/llm_governance"


def ensure_manifest() -> Path:
    """The manifest of the project as it is now, made anew where it is older; raises GovernanceError if dbt can't."""
    manifest = dbt_target() / "manifest.json"
    if is_current(manifest, project_dir()):
        return manifest
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with (manifest.parent / "manifest.lock").open("w") as lock:
        # Dagster's processes notice a change at the same moment
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(manifest, project_dir()):
            _parse()
    return manifest


def is_current(manifest: Path, project: Path) -> bool:
    """Whether the manifest is younger than all it is made of; folders count for the files that left them."""
    if not manifest.exists():
        return False
    made_at = manifest.stat().st_mtime
    sources = (project / name for name in _SOURCES)
    return all(
        path.stat().st_mtime < made_at for source in sources if source.exists() for path in (source, *source.rglob("*"))
    )


def _parse() -> None:
    url = _NO_DATABASE
    with contextlib.suppress(GovernanceError):
        url = database_url()
    # in a process of its own: dbt in this one would leave locks and loggers behind
    parsed = subprocess.run(
        [DBT, "--quiet", "--no-use-colors", "parse"],
        # whatever the environment says of other runs
        env=os.environ | dbt_environment(url) | {"DBT_WRITE_JSON": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if parsed.returncode:
        raise GovernanceError(f"dbt can't read the project:\n{parsed.stdout.strip()}")
