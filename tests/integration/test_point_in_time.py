"""A server that lost data goes back to a moment, from a base backup and the log that was archived since."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from core_rows import add, value
from embedded_homes import new_home

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.seal import begin_epoch, seal
from orchestration.lib.backup.backup import backup
from orchestration.lib.backup.restore import restore
from orchestration.lib.database.connection import connect, program_environment, without_password
from orchestration.lib.database.in_use import start
from orchestration.lib.embedded.binaries import bundled_program
from orchestration.lib.embedded.folder import ServerFolder
from orchestration.lib.embedded.server import EmbeddedServer

pytestmark = [pytest.mark.engines("postgres"), pytest.mark.not_on_pglite(reason="it has a log of its own")]

REQUEST = (
    "insert into core.llm_metrics (time, request_id, provider, model, cost_amount, cost_source)"
    " values (now(), %s, 'p', 'm', 1.5, 'provider')"
)


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[tuple[EmbeddedServer, str, Path]]:
    """A server of its own with the warehouse, which archives its log into a folder."""
    with new_home() as home:
        server = EmbeddedServer(home)
        start(server)
        archive = home.parent / "archive"
        archive.mkdir()
        archive.chmod(0o777)
        maintenance = server.url("postgres")
        assert maintenance is not None
        with connect(maintenance) as connection:
            connection.execute("alter system set archive_mode = on")
            connection.execute(f"alter system set archive_command = 'cp %p {archive}/%f'".encode())
        server.down()
        url = server.up()
        folder, _ = backup(database, tmp_path)
        restore(folder, url, begins_epoch=False)
        yield server, url, archive


def base_backup(url: str, folder: Path) -> None:
    """With the log that was written meanwhile."""
    program = bundled_program("pg_basebackup")
    assert program is not None
    command = [
        str(program),
        f"--dbname={without_password(url)}",
        f"--pgdata={folder}",
        "--checkpoint=fast",
        "--no-password",
    ]
    subprocess.run(command, env=program_environment(url), check=True, capture_output=True)


def test_what_was_lost_is_back_and_the_trail_says_so(server: tuple[EmbeddedServer, str, Path], tmp_path: Path) -> None:
    embedded, url, archive = server
    key, anchors = tmp_path / "key", [tmp_path / "anchor"]
    sign.create_key(key, "test")
    base_backup(url, tmp_path / "base")
    with connect(url) as connection:
        connection.execute(REQUEST, ["after the base backup"])
        add(connection, "users", email="late@example.com", display_name="Late", status="active")
    seal(url)
    sign.sign(url, key, anchors)
    with connect(url) as connection:
        moment = value(connection, "select clock_timestamp()::text")
        time.sleep(0.01)
        # the accident, of which the log knows too
        connection.execute("drop schema reporting cascade")
        connection.execute("delete from core.llm_metrics")
        connection.execute("select pg_switch_wal()")
    embedded.down()
    data = ServerFolder(embedded.home, lambda message: None).data()
    owner = data.stat()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "base", data)
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\n")
        settings.write(f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n")
    (data / "recovery.signal").touch()
    data.chmod(0o700)
    for path in (data, *data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    url = embedded.up()
    with connect(url) as connection:
        deadline = time.monotonic() + 30
        while value(connection, "select pg_is_in_recovery()") and time.monotonic() < deadline:
            time.sleep(0.05)
        requests = "select array_agg(request_id) from core.llm_metrics"
        assert value(connection, requests) == ["after the base backup"]
        assert value(connection, "select sum(cost) from reporting.cost_summary_view") == Decimal("1.5")
    begin_epoch(url, reason="recovered to a moment before an accident")
    with connect(url) as connection:
        add(connection, "users", email="next@example.com", display_name="Next", status="active")
    seal(url)
    sign.sign(url, key, anchors, accepts_recovery=True)
    kept = verify_offline.read_checkpoints(anchors, sign.public_keys(key))
    with export.snapshot(url) as connection:
        report = export.verify(connection, kept)
    assert report.verdict == verify_offline.Verdict.OK, report.findings
    assert report.recoveries == ["recovered to a moment before an accident"]
