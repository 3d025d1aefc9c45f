"""What dbt read of a project is kept for the run: on each database it would take 4 seconds to read all of it again."""

import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from dbt.constants import PARTIAL_PARSE_FILE_NAME
from dbt.contracts.graph.manifest import Manifest
from dbt.flags import get_flags
from dbt.parser.manifest import ManifestLoader, extended_mashumaro_encoder, extended_mashumuro_decoder
from dbt_common.invocation import get_invocation_id

from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.warehouse.build_lock import APPLICATION

_Stamp = tuple[str, int]
_PARTS = [each.name for each in fields(Manifest) if not each.name.startswith("_")]


def read_for_process(url: str, *options: str, application: str = APPLICATION) -> None:
    """dbt finds the project read when a process of its own, as `application`, uses this database with these options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Kept, "is_for_processes", True)
        run_dbt(["parse", *options], url, quiet=True, application=application)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """While in it, dbt finds in its target folder what any test of the run has read with the same settings.

    It goes on from there as it does after any edit, and reads the files that differ: also in a copy of the project.
    With other vars or another database it would read everything again, for nothing: test_parsed.py compares.
    """
    folder.mkdir(exist_ok=True)
    dbts: Any = ManifestLoader
    kept, write = _Kept(folder), dbts.write_manifest_for_partial_parse

    def read_or_take(loader: Any) -> Any:
        return kept.read(loader)

    def write_and_keep(loader: Any) -> None:
        write(loader)
        kept.keep(loader)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ManifestLoader, "read_manifest_for_partial_parse", read_or_take)
        patch.setattr(ManifestLoader, "write_manifest_for_partial_parse", write_and_keep)
        yield


class _Kept:
    """What dbt has read: in files that the workers share, and in this process as it is once a file was decoded."""

    is_for_processes = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[_Stamp, Any] = {}
        self._decoded: dict[_Stamp, bytes] = {}

    def keep(self, loader: Any) -> None:
        """Keeps what dbt has just written into its target folder."""
        kept = self._folder / _key(loader)
        if not kept.exists():
            _replace(kept, _target(loader).read_bytes())

    def read(self, loader: Any) -> Any:
        """What the target folder holds of these settings, else what any test has read with them."""
        if not get_flags().PARTIAL_PARSE:  # type: ignore[no-untyped-call]
            return None
        own, kept = _target(loader), self._folder / _key(loader)
        state = loader.manifest.state_check
        if own.exists() and self._state(own) == state.to_dict():
            manifest = self._decode(own)
        elif kept.exists():
            manifest = self._decode(kept)
            manifest.state_check = state
            _put_into(manifest, loader.root_project.credentials.database)
            if self.is_for_processes:
                own.parent.mkdir(parents=True, exist_ok=True)
                _replace(own, manifest.to_msgpack(extended_mashumaro_encoder))
        else:
            return None
        manifest.metadata.generated_at = datetime.now(UTC).replace(tzinfo=None)
        manifest.metadata.invocation_id = get_invocation_id()
        return manifest

    def _state(self, path: Path) -> Any:
        """The settings with which a file was read; None of one whose writer was killed."""
        if (stamp := _stamp(path)) not in self._states:
            try:
                self._states[stamp] = msgpack.unpackb(path.read_bytes(), strict_map_key=False)["state_check"]
            except ValueError:
                self._states[stamp] = None
        return self._states[stamp]

    def _decode(self, path: Path) -> Manifest:
        if (stamp := _stamp(path)) not in self._decoded:
            manifest = Manifest.from_msgpack(path.read_bytes(), decoder=extended_mashumuro_decoder)
            # pickled as a whole it forgets one of its parts
            self._decoded[stamp] = pickle.dumps({name: getattr(manifest, name) for name in _PARTS})
        return Manifest(**pickle.loads(self._decoded[stamp]))


def _stamp(path: Path) -> _Stamp:
    return str(path), path.stat().st_mtime_ns


def _target(loader: Any) -> Path:
    return Path(loader.root_project.project_target_path, PARTIAL_PARSE_FILE_NAME)


def _put_into(manifest: Manifest, database: str) -> None:
    """As if it had been read for this database."""
    for found in chain(manifest.nodes.values(), manifest.unit_tests.values(), *manifest.disabled.values()):
        each: Any = found
        if name := getattr(each, "relation_name", None):
            each.relation_name = name.replace(f'"{each.database}".', f'"{database}".', 1)
        if hasattr(each, "database"):
            each.database = database


def _key(loader: Any) -> str:
    """Of what dbt reads everything again for, but for the connection and the vars."""
    state = loader.build_manifest_state_check()
    parts = [state.project_env_vars_hash.checksum]
    parts += [part for name, found in sorted(state.project_hashes.items()) for part in (name, found.checksum)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Whole at once, for other workers read it too."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)  # noqa: PTH105 - the name is a str
