"""Where things are: the project and the folder that holds the embedded database and other local state."""

import os
from pathlib import Path


def project_dir() -> Path:
    """Folder of dbt_project.yml; the package lies directly below it (editable install)."""
    return Path(__file__).resolve().parents[2]


def governance_home() -> Path:
    """Folder of local state: $GOVERNANCE_HOME, else `.governance` in the project, which git ignores."""
    configured = os.environ.get("GOVERNANCE_HOME")
    return Path(configured).expanduser().absolute() if configured else project_dir() / ".governance"


def dbt_target() -> Path:
    """Folder dbt writes to: $DBT_TARGET_PATH, else `target` in the project, or in the home if it's read-only."""
    configured = os.environ.get("DBT_TARGET_PATH")
    if configured:
        return project_dir() / configured
    target = project_dir() / "target"
    writable = os.access(target if target.exists() else project_dir(), os.W_OK)
    return target if writable else governance_home() / "target"
