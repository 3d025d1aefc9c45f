"""A backup that is encrypted is read by whom it is for and nobody else, and not where a bit of it is another."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest
from core_rows import add, value
from psycopg import sql

from orchestration.lib.backup import backup as backups
from orchestration.lib.backup.backup import DUMP, MANIFEST, Manifest, backup, digest, read_manifest
from orchestration.lib.backup.drill import drill
from orchestration.lib.backup.encryption import ENDING, read_identities, read_recipients
from orchestration.lib.backup.restore import restore
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.errors import GovernanceError

pytestmark = [pytest.mark.engines("postgres"), pytest.mark.not_on_pglite(reason="pg_dump needs sessions of its own")]

NAME = "Nobody must read this name"
OURS, OTHERS = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def backed_up(database: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    with connect(database) as connection:
        add(connection, "users", email="ann@example.com", display_name=NAME, status="active")
    return backup(database, tmp_path_factory.mktemp("backups"), recipients=[OURS.to_public(), OTHERS.to_public()])


@contextmanager
def empty(server_url: str) -> Iterator[str]:
    ensure_database(server_url, "decrypted")
    try:
        yield with_database(server_url, "decrypted")
    finally:
        with connect(with_database(server_url, "postgres")) as admin:
            admin.execute(sql.SQL("drop database decrypted with (force)"))


def test_each_recipient_restores_it_and_nobody_reads_it(database: str, backed_up: tuple[Path, Manifest]) -> None:
    folder, manifest = backed_up
    assert [path.name for path in sorted(folder.iterdir())] == [MANIFEST, DUMP + ENDING]
    assert not any(NAME.encode() in path.read_bytes() for path in folder.iterdir())
    assert (folder / (DUMP + ENDING)).read_bytes().startswith(b"age-encryption.org/v1\n")
    for identity in (OURS, OTHERS):
        with empty(database) as url:
            assert restore(folder, url, identities=[identity]) == manifest
            with connect(url) as connection:
                assert value(connection, "select display_name from core.users where email = 'ann@example.com'") == NAME


@pytest.mark.parametrize("damage", ["flipped", "truncated", "for others", "without an identity"])
def test_what_can_not_be_decrypted_is_refused(
    database: str, backed_up: tuple[Path, Manifest], tmp_path: Path, damage: str
) -> None:
    """Whoever changes the dump may write its new checksum into the manifest too: the encryption finds it."""
    content = bytearray((backed_up[0] / (DUMP + ENDING)).read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "truncated":
        content = content[: len(content) // 2]
    (tmp_path / (DUMP + ENDING)).write_bytes(content)
    said = json.loads((backed_up[0] / MANIFEST).read_text())
    said["files"] = {DUMP + ENDING: digest(tmp_path / (DUMP + ENDING))}
    (tmp_path / MANIFEST).write_text(json.dumps(said))
    identities = {"for others": [pyrage.x25519.Identity.generate()], "without an identity": []}.get(damage, [OURS])
    with empty(database) as url:
        with pytest.raises(GovernanceError, match="can't be decrypted|give the file of an identity"):
            restore(tmp_path, url, identities=identities)
        with connect(url) as connection:
            tables = "select count(*) from pg_class where relnamespace::regnamespace::text = 'reporting'"
            assert value(connection, tables) == 0


def test_a_drill_needs_the_identity(database: str, tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="needs the file of an identity"):
        drill(database, tmp_path, recipients=[OURS.to_public()])
    assert list(tmp_path.iterdir()) == []
    done = drill(database, tmp_path, recipients=[OURS.to_public()], identities=[OURS])
    assert read_manifest(done.folder).files.keys() == {DUMP + ENDING}


def test_nothing_is_left_of_a_dump_that_failed(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "_program", lambda name, server: Path("/bin/false"))
    with pytest.raises(GovernanceError, match="pg_dump failed"):
        backup(database, tmp_path / "out", recipients=[OURS.to_public()])
    assert list((tmp_path / "out").iterdir()) == []


def test_keys_are_read_from_files_and_what_is_none_is_said(tmp_path: Path) -> None:
    keys, identity = tmp_path / "keys", tmp_path / "identity"
    keys.write_text(f"# finance\n{OURS.to_public()}\n\n{OTHERS.to_public()}\n")
    identity.write_text(f"# created: today\n# public key: {OURS.to_public()}\n{OURS}\n")
    assert [str(key) for key in read_recipients([str(keys)])] == [str(OURS.to_public()), str(OTHERS.to_public())]
    assert [str(key) for key in read_recipients([str(OURS.to_public())])] == [str(OURS.to_public())]
    assert [str(each) for each in read_identities(identity)] == [str(OURS)]
    for said in ("age1nonsense", str(tmp_path / "absent"), str(identity)):
        with pytest.raises(GovernanceError, match="is no recipient of age|can't be read"):
            read_recipients([said])
    for path in (keys, tmp_path / "absent"):
        with pytest.raises(GovernanceError, match="holds no identity|can't be read"):
            read_identities(path)
