"""Folders that are whole, or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path, *, mode: int = 0o755, over: bool = False) -> Iterator[Path]:
    """A folder to write into, which has the name of `folder` at the end; nothing is left where the writing fails.

    With `over` it takes the place of the one that is there, which stays as it was where the writing fails.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield written
        written.chmod(mode)
        if over and folder.exists():
            folder.rename(written.with_suffix(".before"))
        written.rename(folder)
    finally:
        shutil.rmtree(written, ignore_errors=True)
        shutil.rmtree(written.with_suffix(".before"), ignore_errors=True)
