"""What the environment says: the one place where our own variables are read. `.env.example` lists them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SCHEDULE = re.compile("GOVERNANCE_(.+)_SCHEDULE")


@dataclass(frozen=True)
class Settings:
    """The variables as they are set; None where one isn't, or is empty.

    `schedules` has the cron of each GOVERNANCE_<NAME>_SCHEDULE by its name in lower case.
    """

    database_url: str | None = None
    home: Path | None = None
    target: str | None = None
    dbt_target_path: Path | None = None
    dbt_log_path: Path | None = None
    admin_password: str | None = None
    audit_key: Path | None = None
    audit_anchors: tuple[Path, ...] = ()
    audit_timestamp_url: str | None = None
    audit_timestamp_roots: Path | None = None
    mfa_keys: Path | None = None
    actor: str | None = None
    backup_recipients: tuple[str, ...] = ()
    backup_identity: Path | None = None
    backup_keep: str | None = None
    schedule_timezone: str | None = None
    sources: Path | None = None
    prices_folder: Path | None = None
    prices_from: str | None = None
    schedules: Mapping[str, str] = field(default_factory=dict)


def settings() -> Settings:
    """The settings at this moment."""
    target, log = _said("DBT_TARGET_PATH"), _said("DBT_LOG_PATH")
    anchors = (_said("GOVERNANCE_AUDIT_ANCHORS") or "").split(os.pathsep)
    named = {name: _SCHEDULE.fullmatch(name) for name in sorted(os.environ)}
    return Settings(
        database_url=_said("GOVERNANCE_DATABASE_URL"),
        home=_path("GOVERNANCE_HOME"),
        target=_said("GOVERNANCE_TARGET"),
        dbt_target_path=Path(target) if target else None,
        dbt_log_path=Path(log) if log else None,
        # blanks may belong to it
        admin_password=os.environ.get("GOVERNANCE_ADMIN_PASSWORD") or None,
        audit_key=_path("GOVERNANCE_AUDIT_KEY"),
        audit_anchors=tuple(Path(each).expanduser().absolute() for each in anchors if each),
        mfa_keys=_path("GOVERNANCE_MFA_KEYS"),
        actor=_said("GOVERNANCE_ACTOR"),
        audit_timestamp_url=_said("GOVERNANCE_AUDIT_TIMESTAMP_URL"),
        audit_timestamp_roots=_path("GOVERNANCE_AUDIT_TIMESTAMP_ROOTS"),
        backup_recipients=tuple((_said("GOVERNANCE_BACKUP_RECIPIENTS") or "").split()),
        backup_identity=_path("GOVERNANCE_BACKUP_IDENTITY"),
        backup_keep=_said("GOVERNANCE_BACKUP_KEEP"),
        schedule_timezone=_said("GOVERNANCE_SCHEDULE_TIMEZONE"),
        sources=_path("GOVERNANCE_SOURCES"),
        prices_folder=_path("GOVERNANCE_PRICES_FOLDER"),
        prices_from=_said("GOVERNANCE_PRICES_FROM"),
        schedules={match[1].lower(): os.environ[name].strip() for name, match in named.items() if match},
    )


def project_dir() -> Path:
    """Folder of dbt_project.yml; the package lies directly below it (editable install)."""
    return Path(__file__).resolve().parents[2]


def governance_home() -> Path:
    """Folder of local state: $GOVERNANCE_HOME, else `.governance` in the project, which git ignores."""
    return settings().home or project_dir() / ".governance"


def sources_file() -> tuple[Path, bool]:
    """Where the sources that are loaded by themselves are written down, and whether a variable says so."""
    configured = settings().sources
    return (configured, True) if configured else (governance_home() / "sources.yml", False)


def prices_folder() -> Path:
    """Where price lists land: $GOVERNANCE_PRICES_FOLDER, else `prices` in the home."""
    return settings().prices_folder or governance_home() / "prices"


def variable(name: str) -> str | None:
    """What a variable says that the user has named; None where it isn't set, or is empty."""
    return _said(name)


def dbt_target() -> Path:
    """Folder dbt writes to: $DBT_TARGET_PATH, else `target` in the project, or in the home if it's read-only."""
    configured = settings().dbt_target_path
    if configured:
        return project_dir() / configured
    target = project_dir() / "target"
    writable = os.access(target if target.exists() else project_dir(), os.W_OK)
    return target if writable else governance_home() / "target"


def _path(name: str) -> Path | None:
    said = _said(name)
    return Path(said).expanduser().absolute() if said else None


def _said(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None
