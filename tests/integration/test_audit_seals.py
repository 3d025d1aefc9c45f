"""The sealed audit trail: what is sealed when, what nobody can do unseen, and what proves it without the database."""

import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from audit_attacks import ATTACKS
from core_rows import Connection, value
from engines import Engine
from psycopg.errors import InsufficientPrivilege, RaiseException

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.seal import begin_epoch, seal, status
from orchestration.lib.audit.verify_offline import Checkpoint, Report, Verdict
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError

pytestmark = pytest.mark.engines("postgres")

SEEDS = range(5)
# three seals of transactions of one, many and several entries
ADD = """
    insert into core.audit_logs (actor_type, actor_label, action, resource_type, before, metadata)
    select 'system', 'é "ø" ' || n, 'report.export', 'report', '{"n": 1.10}', jsonb_build_object('n', n)
    from generate_series(1, %s) as n
"""


class Trail:
    """A warehouse with its key and its two anchors."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.key = folder / "key.pem"
        self.anchors = (folder / "here", folder / "there")
        self.public = sign.create_key(self.key, "test")

    def add(self, *entries: int) -> None:
        with connect(self.url) as connection:
            for count in entries:
                connection.execute(ADD, [count])

    def seal_and_sign(self, *, accepts_recovery: bool = False) -> Checkpoint:
        seal(self.url)
        return sign.sign(self.url, self.key, self.anchors, accepts_recovery=accepts_recovery).checkpoint

    def checkpoints(self) -> list[Checkpoint]:
        return verify_offline.read_checkpoints(self.anchors, [self.public])

    def verify(self, connection: Connection | None = None) -> Report:
        if connection is not None:
            return export.verify(connection, self.checkpoints())
        with export.snapshot(self.url) as fresh:
            return export.verify(fresh, self.checkpoints())


@pytest.fixture(scope="module")
def trail(database: str, tmp_path_factory: pytest.TempPathFactory) -> Trail:
    trail = Trail(database, tmp_path_factory.mktemp("trail"))
    for counts in ((1, 40, 3), (1, 1), (20, 5)):
        trail.add(*counts)
        trail.seal_and_sign()
    return trail


@pytest.fixture
def fresh(engine: Engine, tmp_path: Path) -> Iterator[Trail]:
    with engine.database("audit_fresh") as url:
        yield Trail(url, tmp_path)


def past_the_triggers(connection: Connection, state: str = "disable") -> None:
    for table in ("core.audit_logs", "internal.audit_seals"):
        connection.execute(f"alter table {table} {state} trigger user".encode())


def without_constraint(connection: Connection) -> None:
    connection.execute("alter table core.audit_logs drop constraint audit_logs_checksum_version_check")


def test_a_sealed_trail_is_ok(trail: Trail) -> None:
    report = trail.verify()
    assert (report.verdict, report.findings, report.unsealed) == (Verdict.OK, [], 0)
    assert report.seals == report.signed_seals == 3
    assert report.entries == status(trail.url).sealed_entries


@pytest.mark.parametrize("name", ATTACKS)
def test_what_the_owner_of_the_database_changes_is_named(trail: Trail, name: str) -> None:
    attack = ATTACKS[name]
    for number in SEEDS:
        with connect(trail.url, autocommit=False) as connection:
            rows = connection.execute("select id from core.audit_logs order by id").fetchall()
            one, other = random.Random(number).sample(rows, 2)
            past_the_triggers(connection)
            without_constraint(connection)
            for statement in attack.statements:
                text = statement.replace("$id", f"'{one[0]}'").replace("$other", f"'{other[0]}'")
                connection.execute(text.encode())
            report = trail.verify(connection)
            connection.rollback()
        assert report.verdict.name == attack.verdict, (number, verify_offline.as_text(report))
        if attack.verdict == "MODIFIED":
            named = {subject for verdict, subject, _ in report.findings if verdict == Verdict.MODIFIED}
            assert f"entry {one[0]}" in named


def test_a_transaction_that_still_runs_is_sealed_later_and_no_entry_twice(fresh: Trail) -> None:
    with connect(fresh.url, autocommit=False) as slow:
        slow.execute(ADD, [2])
        fresh.add(3, 4)
        before = status(fresh.url)
        sealed = seal(fresh.url)
        assert sealed == before.entries - before.sealed_entries - 7  # what the build wrote
        slow.commit()
    assert seal(fresh.url) == 9
    assert seal(fresh.url) == 0
    fresh.seal_and_sign()
    assert fresh.verify().verdict == Verdict.OK


def test_many_writers_and_two_sealers_seal_each_entry_once(fresh: Trail) -> None:
    failures: list[BaseException] = []

    def write(number: int) -> None:
        draw = random.Random(number)
        try:
            with connect(fresh.url, autocommit=False) as connection:
                for _ in range(60):
                    level = draw.choice(["read committed", "repeatable read", "serializable"])
                    connection.execute(f"set transaction isolation level {level}".encode())
                    connection.execute(ADD, [draw.randint(1, 4)])
                    if draw.random() < 0.1:
                        connection.rollback()
                    else:
                        connection.commit()
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)

    writers = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        sealers = [threading.Thread(target=seal, args=[fresh.url]) for _ in range(2)]
        for each in sealers:
            each.start()
        for each in sealers:
            each.join()
    assert failures == []
    fresh.seal_and_sign()
    with connect(fresh.url) as connection:
        assert value(connection, "select count(*) from core.audit_logs") == value(
            connection, "select count(distinct id) from internal.audit_seals cross join unnest(entry_ids) as each (id)"
        )
    assert fresh.verify().verdict == Verdict.OK


def test_large_transactions_stay_in_one_seal_and_small_ones_share_one(fresh: Trail) -> None:
    seal(fresh.url)
    fresh.add(3, 3, 9, 1, 1)
    with connect(fresh.url) as connection:
        first = value(connection, "select max(sequence) from internal.audit_seals")
        assert value(connection, "select internal.seal_audit_trail(5)") == 17
        counts = connection.execute(
            "select entry_count from internal.audit_seals where sequence > %s order by sequence", [first]
        ).fetchall()
    assert counts == [(3,), (3,), (9,), (2,)]
    fresh.seal_and_sign()
    assert fresh.verify().verdict == Verdict.OK


def test_sealing_needs_read_committed_and_seals_are_append_only(trail: Trail) -> None:
    with connect(trail.url, autocommit=False) as connection:
        connection.execute("set transaction isolation level repeatable read")
        with pytest.raises(RaiseException, match="read committed"):
            connection.execute("select internal.seal_audit_trail()")
    for statement in (
        "update internal.audit_seals set note = ''",
        "delete from internal.audit_seals",
        "truncate internal.audit_seals",
    ):
        with connect(trail.url) as connection, pytest.raises(InsufficientPrivilege, match="audit_seals is append-only"):
            connection.execute(statement.encode())


def test_what_waits_for_its_seal_is_no_finding_until_it_is_old(fresh: Trail) -> None:
    fresh.add(1)
    fresh.seal_and_sign()
    fresh.add(2)
    with export.snapshot(fresh.url) as connection:
        entries, seals = list(export.entries(connection)), list(export.seals(connection))
    now = datetime.now(UTC)
    young = verify_offline.verify(entries, seals, fresh.checkpoints(), now=now)
    assert (young.verdict, young.unsealed) == (Verdict.OK, 2)
    old = verify_offline.verify(entries, seals, fresh.checkpoints(), now=now + timedelta(hours=2))
    assert old.verdict == Verdict.UNSEALED
    # sealed, but the last seal was never signed
    seal(fresh.url)
    with export.snapshot(fresh.url) as connection:
        entries, seals = list(export.entries(connection)), list(export.seals(connection))
    unsigned = verify_offline.verify(entries, seals, fresh.checkpoints(), now=now + timedelta(hours=2))
    assert unsigned.verdict == Verdict.UNSEALED
    assert verify_offline.verify(entries, seals, [], now=now).verdict == Verdict.COULD_NOT_VERIFY


def test_another_history_is_not_signed(fresh: Trail) -> None:
    fresh.add(1)
    fresh.seal_and_sign()
    fresh.add(1)
    last = fresh.seal_and_sign()
    again = sign.sign(fresh.url, fresh.key, fresh.anchors)
    assert (again.checkpoint, again.is_new) == (last, False)
    with connect(fresh.url) as connection:
        past_the_triggers(connection)
        connection.execute("delete from internal.audit_seals where sequence = %s", [last.size])
        past_the_triggers(connection, "enable")
    with pytest.raises(GovernanceError, match=f"it has {last.size - 1} seals, and {last.size} were signed"):
        sign.sign(fresh.url, fresh.key, fresh.anchors)
    fresh.add(1)
    seal(fresh.url)
    with pytest.raises(GovernanceError, match=f"its first {last.size} seals are not those that were signed"):
        sign.sign(fresh.url, fresh.key, fresh.anchors)
    assert fresh.verify().verdict == Verdict.REWRITTEN


def test_a_restore_begins_an_epoch_that_names_what_is_gone(fresh: Trail) -> None:
    fresh.add(2)
    fresh.seal_and_sign()
    fresh.add(3)
    last = fresh.seal_and_sign()
    # as a backup from before the last seal has it
    with connect(fresh.url, autocommit=False) as connection:
        past_the_triggers(connection)
        connection.execute(
            "delete from core.audit_logs where xid >= (select low from internal.audit_seals where sequence = %s)",
            [last.size],
        )
        connection.execute("delete from internal.audit_seals where sequence = %s", [last.size])
        past_the_triggers(connection, "enable")
        connection.commit()
    with pytest.raises(GovernanceError, match="needs a reason"):
        begin_epoch(fresh.url, reason=" ")
    assert begin_epoch(fresh.url, reason=f"backup of noon; last checkpoint: {last.size} {last.root}") == 2
    fresh.add(4)
    seal(fresh.url)
    with pytest.raises(GovernanceError, match="not signed"):
        sign.sign(fresh.url, fresh.key, fresh.anchors)
    fresh.seal_and_sign(accepts_recovery=True)
    report = fresh.verify()
    assert report.verdict == Verdict.OK, verify_offline.as_text(report)
    assert [note.partition(";")[0] for note in report.recoveries] == ["backup of noon"]
    assert status(fresh.url).epoch == 2


@pytest.fixture(scope="module")
def exported(trail: Trail, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.export(trail.url, tmp_path_factory.mktemp("export") / "trail")


def offline(folder: Path, *arguments: str) -> tuple[int, str]:
    """As on a machine without this project."""
    command = [sys.executable, "-I", "-S", "verify.py", ".", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_an_export_is_verified_without_the_project(trail: Trail, exported: Path, tmp_path: Path) -> None:
    trusted = ["--key", str(trail.public), "--checkpoint", str(trail.anchors[0])]
    code, said = offline(exported, *trusted)
    assert (code, said.partition(":")[0]) == (0, "OK")
    code, said = offline(exported, *trusted, "--json")
    assert (code, json.loads(said)["verdict"]) == (0, "OK")
    code, said = offline(exported)
    assert (code, said.partition(" ")[0]) == (1, "COULD_NOT_VERIFY")
    # one byte of one entry
    damaged = Path(shutil.copytree(exported, tmp_path / "damaged"))
    lines = (damaged / "entries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "report.export" in line)
    lines[place] = lines[place].replace("report.export", "report.import")
    (damaged / "entries.jsonl").write_text("".join(lines), encoding="utf-8")
    code, said = offline(damaged, *trusted)
    assert (code, said.partition(" ")[0]) == (Verdict.MODIFIED, "MODIFIED")
    assert lines[place][:36] in said
    with pytest.raises(GovernanceError, match="is there already"):
        export.export(trail.url, exported)


def test_damaged_exports_and_forged_proofs_are_not_accepted(trail: Trail, exported: Path, tmp_path: Path) -> None:
    draw = random.Random(20261128)
    original = {path.name: path.read_bytes() for path in exported.glob("*.jsonl")}
    original["checkpoint"] = next(trail.anchors[0].glob("*.checkpoint")).read_bytes()
    forged = tmp_path / "forged"
    forged.mkdir()
    (forged / "exported_at").write_bytes((exported / "exported_at").read_bytes())
    last = max(trail.anchors[0].glob("*.checkpoint"))
    for _ in range(100):
        name = draw.choice(sorted(original))
        content = bytearray(last.read_bytes() if name == "checkpoint" else original[name])
        place = draw.randrange(len(content))
        if draw.random() < 0.2:
            del content[place:]
        else:
            content[place] ^= 1 << draw.randrange(8)
        for other, text in original.items():
            (forged / other).write_bytes(last.read_bytes() if other == "checkpoint" else text)
        (forged / name).write_bytes(bytes(content))
        try:
            kept = verify_offline.read_checkpoints([forged / "checkpoint"], [trail.public])
            verdict = verify_offline.verify(
                verify_offline.read_entries(forged), verify_offline.read_seals(forged), kept
            ).verdict
        except (verify_offline.NotVerifiableError, UnicodeDecodeError):
            verdict = Verdict.COULD_NOT_VERIFY
        assert verdict != Verdict.OK, (name, place)


def test_nothing_is_left_of_an_export_that_failed(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[object]:
        raise OSError("No space left on device")

    monkeypatch.setattr(export, "seals", broken)
    with pytest.raises(OSError, match="No space left"):
        export.export(trail.url, tmp_path / "out" / "trail")
    assert list((tmp_path / "out").iterdir()) == []
