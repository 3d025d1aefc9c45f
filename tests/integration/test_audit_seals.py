"""The sealed audit trail: what is sealed when, what nobody can do unseen, and what proves it without the database."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from audit_attacks import ATTACKS
from audit_trails import ADD, Trail, past_the_triggers
from click.testing import CliRunner
from core_rows import value
from engines import Engine
from psycopg.errors import InsufficientPrivilege, RaiseException, SerializationFailure

from orchestration.cli.main import main
from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.seal import begin_epoch, seal, status
from orchestration.lib.audit.verify_offline import Verdict
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError

pytestmark = pytest.mark.engines("postgres")

SEEDS = range(5)


# three seals of transactions of one, many and several entries
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


def test_a_new_key_goes_on_where_the_old_one_ended(fresh: Trail) -> None:
    fresh.add(1)
    fresh.seal_and_sign()
    old, fresh.key = fresh.key, fresh.key.with_name("new.pem")
    fresh.public = sign.create_key(fresh.key, "new", succeeds=str(old))
    for path in (old, old.with_name(f"{old.name}.last")):
        path.unlink()
    fresh.add(1)
    last = fresh.seal_and_sign()
    with export.snapshot(fresh.url) as connection:
        kept = export.read_checkpoints(connection, fresh.anchors, sign.public_keys(fresh.key))
        assert {each.origin for each in kept} == {"test", "new"}
        assert export.verify(connection, kept).signed_seals == last.size
    with connect(fresh.url) as connection:
        past_the_triggers(connection)
        connection.execute("delete from internal.audit_seals")
        past_the_triggers(connection, "enable")
    seal(fresh.url)
    third = fresh.key.with_name("third.pem")
    sign.create_key(third, "third", succeeds=str(fresh.key))
    assert [each.name for each in sign.public_keys(third)] == ["third", "new", "test"]
    with pytest.raises(GovernanceError, match="not signed"):
        sign.sign(fresh.url, third, fresh.anchors)


def cut(trail: Trail, seals: int) -> None:
    """As a backup has it that was made when there were so many seals."""
    with connect(trail.url, autocommit=False) as connection:
        past_the_triggers(connection)
        connection.execute(
            "delete from core.audit_logs"
            " where (epoch, xid) >= (select epoch, high from internal.audit_seals where sequence = %s)",
            [seals],
        )
        connection.execute("delete from internal.audit_seals where sequence > %s", [seals])
        connection.execute(
            "update internal.audit_epoch set epoch = (select coalesce(max(epoch), 1) from internal.audit_seals)"
        )
        past_the_triggers(connection, "enable")
        connection.commit()


def test_a_restore_begins_an_epoch_that_names_what_is_gone(fresh: Trail) -> None:
    """Also a second one, to before the first."""
    sizes = []
    for _ in range(14):
        fresh.add(2)
        sizes.append(fresh.seal_and_sign().size)
    cut(fresh, sizes[2])
    with pytest.raises(GovernanceError, match="needs a reason"):
        begin_epoch(fresh.url, reason=" ")
    assert begin_epoch(fresh.url, reason=note_of("backup of noon", fresh.given_up())) == 2
    fresh.add(4)
    seal(fresh.url)
    with pytest.raises(GovernanceError, match="not signed"):
        sign.sign(fresh.url, fresh.key, fresh.anchors)
    # whoever cuts the tail can write such a note too: it counts once it is signed
    report = fresh.verify()
    assert report.counts[Verdict.TAIL_TRUNCATED] > 0
    assert report.verdict == Verdict.REWRITTEN
    assert "speaks of a recovery, and no checkpoint signs that" in report.findings[0][2]
    last = fresh.seal_and_sign(accepts_recovery=True)
    report = fresh.verify()
    assert report.verdict == Verdict.OK, verify_offline.as_text(report)
    assert (report.signed_seals, report.seals) == (last.size, last.size)
    assert [note.partition(";")[0] for note in report.recoveries] == ["backup of noon"]
    assert status(fresh.url).epoch == 2
    # of a later history, though smaller than what was signed before
    assert fresh.given_up() == [last]
    cut(fresh, sizes[0])
    begin_epoch(fresh.url, reason=note_of("backup of the morning", fresh.given_up()))
    fresh.add(1)
    last = fresh.seal_and_sign(accepts_recovery=True)
    report = fresh.verify()
    assert (report.verdict, report.signed_seals) == (Verdict.OK, last.size), verify_offline.as_text(report)
    # what remains of the first is still as it was signed
    cut(fresh, sizes[0] - 1)
    assert fresh.verify().verdict == Verdict.TAIL_TRUNCATED


def test_what_was_sealed_before_somebody_noticed_that_data_were_lost_is_no_alarm(fresh: Trail) -> None:
    """A replica that lagged is promoted, and the sealer goes on at once."""
    sizes = []
    for _ in range(6):
        fresh.add(1)
        sizes.append(fresh.seal_and_sign().size)
    cut(fresh, sizes[2])
    for _ in range(2):
        fresh.add(1)
        seal(fresh.url)
    assert fresh.verify().verdict == Verdict.REWRITTEN
    environment = {
        "GOVERNANCE_DATABASE_URL": fresh.url,
        "GOVERNANCE_AUDIT_KEY": str(fresh.key),
        "GOVERNANCE_AUDIT_ANCHORS": ":".join(map(str, fresh.anchors)),
    }
    refused = CliRunner().invoke(main, ["audit", "recover", "--reason", "promoted"], input="n\n", env=environment)
    assert f"the first {sizes[2]} of them as they were signed" in refused.output
    assert status(fresh.url).epoch == 1
    done = CliRunner().invoke(main, ["audit", "recover", "--reason", "promoted", "--yes"], env=environment)
    assert (done.exit_code, done.stdout) == (0, "epoch 2 began\n")
    fresh.add(1)
    last = fresh.seal_and_sign(accepts_recovery=True)
    report = fresh.verify()
    assert (report.verdict, report.signed_seals) == (Verdict.OK, last.size), verify_offline.as_text(report)


def test_a_transaction_older_than_the_epoch_in_force_is_tried_again(fresh: Trail) -> None:
    """Its snapshot says the epoch that has ended, in which nothing more is sealed."""
    fresh.add(1)
    with connect(fresh.url, autocommit=False) as old:
        old.execute("set transaction isolation level repeatable read")
        old.execute("select count(*) from core.audit_logs")
        begin_epoch(fresh.url, reason="moved")
        with pytest.raises(SerializationFailure):
            old.execute(ADD, [1])
        old.rollback()
        old.execute(ADD, [1])
        old.commit()
    fresh.seal_and_sign()
    assert fresh.verify().verdict == Verdict.OK


def test_a_seal_outlives_a_crash_where_commits_may_not(fresh: Trail) -> None:
    fresh.add(1)
    with connect(fresh.url, autocommit=False) as connection:
        connection.execute("set synchronous_commit = off")
        assert value(connection, "select internal.seal_audit_trail()") > 0
        assert value(connection, "show synchronous_commit") == "local"


def test_nothing_is_left_of_an_export_that_failed(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Connection) -> Iterator[object]:
        raise OSError("No space left on device")

    monkeypatch.setattr(export, "seals", broken)
    with pytest.raises(OSError, match="No space left"):
        export.export(trail.url, tmp_path / "out" / "trail")
    assert list((tmp_path / "out").iterdir()) == []
