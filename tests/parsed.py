"""What dbt read of a project is kept for the run: on each database it would take 4 seconds to read all of it again."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from dbt.constants import PARTIAL_PARSE_FILE_NAME
from dbt.parser.manifest import ManifestLoader

from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.warehouse.build_lock import APPLICATION


def read_for_process(url: str, *options: str) -> None:
    """dbt finds the project read when a process of its own builds this database with these options."""
    run_dbt(["parse", *options], url, quiet=True, application=APPLICATION)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """While in it, dbt finds in its target folder what any test of the run has read with the same settings.

    It goes on from there as it does after any edit, and reads the files that differ: also in a copy of the project.
    With other vars it would read everything again, for nothing: test_parsed.py compares.
    """
    folder.mkdir(exist_ok=True)
    dbts: Any = ManifestLoader
    read, write = dbts.read_manifest_for_partial_parse, dbts.write_manifest_for_partial_parse

    def read_or_take(loader: Any) -> Any:
        manifest, kept = read(loader), folder / _key(loader)
        if manifest is None and kept.exists():
            target = Path(loader.root_project.project_target_path)
            target.mkdir(parents=True, exist_ok=True)
            _replace(target / PARTIAL_PARSE_FILE_NAME, _fitted(kept.read_bytes(), loader))
            manifest = read(loader)
        return manifest

    def write_and_keep(loader: Any) -> None:
        write(loader)
        kept = folder / _key(loader)
        if not kept.exists():
            target = Path(loader.root_project.project_target_path)
            _replace(kept, (target / PARTIAL_PARSE_FILE_NAME).read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ManifestLoader, "read_manifest_for_partial_parse", read_or_take)
        patch.setattr(ManifestLoader, "write_manifest_for_partial_parse", write_and_keep)
        yield


def _key(loader: Any) -> str:
    """Of what dbt reads everything again for, but for the connection and the vars."""
    state = loader.build_manifest_state_check()
    parts = [state.project_env_vars_hash.checksum]
    parts += [part for name, found in sorted(state.project_hashes.items()) for part in (name, found.checksum)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _fitted(content: bytes, loader: Any) -> bytes:
    """The same for the loader's database and vars."""
    manifest = msgpack.unpackb(content, strict_map_key=False)
    state = loader.build_manifest_state_check()
    manifest["metadata"]["invocation_id"] = None
    manifest["state_check"] |= {"profile_hash": state.profile_hash.to_dict(), "vars_hash": state.vars_hash.to_dict()}
    _rename(manifest, loader.root_project.credentials.database)
    fitted: bytes = msgpack.packb(manifest)
    return fitted


def _rename(found: Any, database: str) -> None:
    """Puts the name of the database into every relation below."""
    if isinstance(found, list):
        for each in found:
            _rename(each, database)
    elif isinstance(found, dict):
        if isinstance(name := found.get("relation_name"), str):
            found["relation_name"] = name.replace(f'"{found["database"]}".', f'"{database}".', 1)
        if isinstance(found.get("database"), str):
            found["database"] = database
        for each in found.values():
            _rename(each, database)


def _replace(path: Path, content: bytes) -> None:
    """Whole at once, for other workers read it too."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)  # noqa: PTH105 - the name is a str
