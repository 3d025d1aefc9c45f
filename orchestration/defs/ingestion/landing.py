"""Runs for files that landed."""

import hashlib
import time

from orchestration.lib.landed import Landing

# a run that died, or met a database that was away, is followed by another
_TRIED_AGAIN_AFTER = 3600


def run_key(landing: Landing) -> str:
    """The same for the same files within an hour, so that they are asked for once."""
    files = "\n".join(f"{file.path} {file.size} {file.modified_at}" for file in landing.pending)
    digest = hashlib.sha256(files.encode()).hexdigest()[:16]
    return f"{digest} {int(time.time()) // _TRIED_AGAIN_AFTER}"
