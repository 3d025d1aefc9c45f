"""A backup is restored with every row, and what is damaged, incomplete or doesn't fit is refused."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from core_rows import add, value
from engines import Engine
from psycopg import sql

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.seal import seal, status
from orchestration.lib.backup import backup as backups
from orchestration.lib.backup.backup import DUMP, MANIFEST, Manifest, backup, read_manifest
from orchestration.lib.backup.drill import drill
from orchestration.lib.backup.restore import restore
from orchestration.lib.database.connection import Connection, connect, ensure_database, with_database
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

pytestmark = [
    pytest.mark.engines("postgres", "timescaledb"),
    pytest.mark.not_on_pglite(reason="pg_dump needs sessions of its own"),
]


@pytest.fixture(scope="module")
def warehouse(database: str) -> str:
    with connect(database) as connection:
        add(connection, "users", email="jörg@example.com", display_name="Jörg \\N", status="active")
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source, tags)"
            " select now() - n * interval '7 hours', 'r' || n, 'p', 'm', 0.1 * n, 'provider',"
            " jsonb_build_object('n', n) from generate_series(1, 200) as n"
        )
    refresh(database)
    seal(database)
    return database


@pytest.fixture(scope="module")
def backed_up(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    return backup(warehouse, tmp_path_factory.mktemp("backups"))


@contextmanager
def empty(server_url: str, name: str) -> Iterator[str]:
    ensure_database(server_url, name)
    try:
        yield with_database(server_url, name)
    finally:
        with connect(with_database(server_url, "postgres")) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_what_is_restored_is_what_was_backed_up(warehouse: str, backed_up: tuple[Path, Manifest]) -> None:
    folder, manifest = backed_up
    assert read_manifest(folder) == manifest
    assert manifest.tables["core.llm_metrics"].rows == 200
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    with empty(warehouse, "restored") as url:
        assert restore(folder, url) == manifest
        with connect(warehouse) as before, connect(url) as after:
            for query in (
                "select sum(cost_amount), count(*) from rollups.llm_metrics_daily",
                "select display_name from core.users where email = 'jörg@example.com'",
            ):
                assert before.execute(query.encode()).fetchall() == after.execute(query.encode()).fetchall()
            assert value(after, "select sum(cost) from reporting.cost_summary_view") == Decimal(2010)
            # ids go on where they were
            add(after, "users", email="new@example.com", display_name="New", status="active")
        known = {each.key for each in verify(warehouse).violations}
        assert [each for each in verify(url).violations if each.severity == "error" and each.key not in known] == []
        # its entries are sealed, and those of the new epoch can be
        assert status(url).epoch == manifest.epoch + 1
        seal(url)
        with export.snapshot(url) as connection:
            report = export.verify(connection, [])
        assert set(report.counts) == {1}, report.findings  # COULD_NOT_VERIFY alone: nobody signed it
        assert report.recoveries == [f"restored the backup of {manifest.made_at}"]


def test_a_restore_is_signed_although_a_newer_checkpoint_was(fresh: str, tmp_path: Path) -> None:
    key, anchors = tmp_path / "key", [tmp_path / "anchor"]
    assert sign.last_checkpoints([], anchors, None) == []
    sign.create_key(key, "test")
    seal(fresh)
    folder, _ = backup(fresh, tmp_path)
    with connect(fresh) as connection:
        add(connection, "users", email="late@example.com", display_name="Late", status="active")
    seal(fresh)
    sign.sign(fresh, key, anchors)
    with empty(fresh, "signed_again") as url:
        restore(folder, url, given_up=sign.last_checkpoints([sign.public_key(key)], anchors, key))
        with pytest.raises(GovernanceError, match="not signed"):
            sign.sign(url, key, anchors)
        sign.sign(url, key, anchors, accepts_recovery=True)
        kept = verify_offline.read_checkpoints(anchors, sign.public_keys(key))
        with export.snapshot(url) as connection:
            assert export.verify(connection, kept).verdict == verify_offline.Verdict.OK


def test_a_drill_proves_a_backup_and_leaves_no_database(warehouse: str, tmp_path: Path) -> None:
    with connect(warehouse) as connection:
        names = "select array_agg(datname order by datname) from pg_database"
        before = value(connection, names)
        done = drill(warehouse, tmp_path)
        assert value(connection, names) == before
    assert done.rows == read_manifest(done.folder).rows


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("flipped", "is damaged"),
        ("truncated", "is damaged"),
        ("gone", "is missing"),
        ("no manifest", "is no backup"),
        ("half a manifest", "is no backup"),
        ("another format", "was made by another release"),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_restored(
    warehouse: str, backed_up: tuple[Path, Manifest], tmp_path: Path, damage: str, message: str
) -> None:
    folder = Path(shutil.copytree(backed_up[0], tmp_path / "copy"))
    dump, manifest = folder / DUMP, folder / MANIFEST
    content = bytearray(dump.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        dump.write_bytes(content)
    elif damage == "truncated":
        dump.write_bytes(content[:-100])
    elif damage == "gone":
        dump.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_text(manifest.read_text()[:200])
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 2}))
    with empty(warehouse, "refused") as url:
        with pytest.raises(GovernanceError, match=message):
            restore(folder, url)
        with connect(url) as connection:
            assert value(connection, "select count(*) from pg_namespace where nspname = 'core'") == 0


def test_what_does_not_fit_is_refused(warehouse: str, backed_up: tuple[Path, Manifest], tmp_path: Path) -> None:
    folder = backed_up[0]
    with pytest.raises(GovernanceError, match="isn't empty"):
        restore(folder, warehouse)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    said = json.loads((copy / MANIFEST).read_text())
    with empty(warehouse, "unfit") as url:
        for change, message in (
            ({"server": 99}, "restore into that version"),
            ({"timescaledb": "9.9"}, "this server has (none|2)"),
        ):
            (copy / MANIFEST).write_text(json.dumps(said | change))
            with pytest.raises(GovernanceError, match=message):
                restore(copy, url)
        # one row fewer than the manifest says
        tables = said["tables"] | {"core.users": {"rows": 99, "hash": "1"}}
        (copy / MANIFEST).write_text(json.dumps(said | {"tables": tables}))
        with pytest.raises(GovernanceError, match=r"not what was backed up: core\.users"):
            restore(copy, url)


@pytest.mark.engines("timescaledb")
def test_background_jobs_run_after_a_restore_and_wait_where_it_failed(
    backed_up: tuple[Path, Manifest], warehouse: str, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(backed_up[0], tmp_path / "copy"))
    said = json.loads((copy / MANIFEST).read_text())
    tables = said["tables"] | {"core.users": {"rows": 99, "hash": "1"}}
    (copy / MANIFEST).write_text(json.dumps(said | {"tables": tables}))
    with empty(warehouse, "failed_restore") as url, empty(warehouse, "successful_restore") as other:
        told: list[str] = []
        with pytest.raises(GovernanceError, match="not what was backed up"):
            restore(copy, url, tell=told.append)
        with connect(url) as connection:
            assert not has_run_soon(connection, patience=3)
            start = re.fullmatch(r"the background jobs .* don't run: `(.*)` there starts them", told[-1])
            assert start is not None
            connection.execute(start.group(1).encode())
            assert has_run_soon(connection)
        restore(backed_up[0], other, tell=told.append)
        assert told[-1] == "comparing every table with the backup"
        with connect(other) as connection:
            assert has_run_soon(connection)


def has_run_soon(connection: Connection, patience: int = 90) -> bool:
    """Whether a background job of the project has; what jobs did before isn't in a backup."""
    query = (
        "select count(*) from timescaledb_information.job_stats where job_id >= 1000 and last_run_status = 'Success'"
    )
    until = time.monotonic() + patience
    while not (has_run := bool(value(connection, query))) and time.monotonic() < until:
        time.sleep(0.2)
    return has_run


def test_nothing_is_left_of_a_backup_that_failed(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "bundled_program", lambda name: None)
    monkeypatch.setattr(backups, "_program", lambda name, server: Path("/bin/false"))
    with pytest.raises(GovernanceError, match="pg_dump failed"):
        backup(warehouse, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def fresh(engine: Engine) -> Iterator[str]:
    with engine.database("backups_fresh") as url:
        yield url


def test_a_backup_is_of_one_moment_while_others_write(
    fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = backups._run

    def write_and_run(name: str, command: list[str], url: str) -> None:
        """Somebody writes after the snapshot was taken, before the dump reads."""
        with connect(fresh) as connection:
            add(connection, "users", email="late@example.com", display_name="Late", status="active")
        run(name, command, url)

    monkeypatch.setattr(backups, "_run", write_and_run)
    folder, manifest = backup(fresh, tmp_path)
    monkeypatch.undo()
    with empty(fresh, "of_one_moment") as url:
        restore(folder, url, begins_epoch=False)
        with connect(url) as connection:
            assert value(connection, "select count(*) from core.users where email = 'late@example.com'") == 0
            assert value(connection, "select count(*) from core.users") == manifest.tables["core.users"].rows
