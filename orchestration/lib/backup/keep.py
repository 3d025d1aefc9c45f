"""Which backups are kept: the last of so many days, weeks and months, and the newest."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestration.lib.backup.backup import MANIFEST, NAME, parse_manifest
from orchestration.lib.errors import GovernanceError

_SAID = re.compile(r"(\d{1,4}),(\d{1,4}),(\d{1,4})")


@dataclass(frozen=True)
class Keep:
    """Of how many days, weeks (of ISO 8601) and months, in UTC, the last backup is kept."""

    daily: int
    weekly: int
    monthly: int

    @classmethod
    def parse(cls, said: str) -> "Keep":
        """Of three numbers, `7,4,12`; raises GovernanceError where it isn't that, or would keep none."""
        match = _SAID.fullmatch(said.replace(" ", ""))
        if match is None or not any(map(int, match.groups())):
            raise GovernanceError(f"{said!r} doesn't say which backups to keep: 7,4,12 is 7 days, 4 weeks, 12 months")
        return cls(*map(int, match.groups()))


def superseded(moments: Iterable[datetime], keep: Keep) -> set[datetime]:
    """The moments of which no backup is kept; only periods that have a backup count."""
    newest_first = sorted(moments, reverse=True)
    kept = set(newest_first[:1])
    for form, wanted in (("%Y-%m-%d", keep.daily), ("%G-%V", keep.weekly), ("%Y-%m", keep.monthly)):
        last: dict[str, datetime] = {}
        for moment in newest_first:
            last.setdefault(f"{moment:{form}}", moment)
        kept.update(list(last.values())[:wanted])
    return set(newest_first) - kept


def delete_superseded(output: Path, keep: Keep, database: str) -> list[Path]:
    """Delete the backups of a database in `output` that are not kept; returns their folders.

    A folder that isn't a backup of that database, or is incomplete, is left alone and takes no other's place.
    """
    found: dict[datetime, Path] = {}
    for manifest in sorted(output.glob(f"*/{MANIFEST}")):
        try:
            moment = datetime.strptime(manifest.parent.name, NAME).replace(tzinfo=UTC)
            if parse_manifest(manifest.parent).database == database:
                found[moment] = manifest.parent
        except (ValueError, GovernanceError):  # a folder of something else
            continue
    gone = [found[moment] for moment in sorted(superseded(found, keep))]
    for folder in gone:
        shutil.rmtree(folder)
    return gone
