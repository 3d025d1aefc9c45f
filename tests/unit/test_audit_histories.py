"""Logs of seals that were cut: a restore that says so is believed once it is signed, whoever forges one is not."""

from pathlib import Path

import pytest
from seal_logs import Log

from orchestration.lib.audit import sign, verify_offline
from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.verify_offline import Checkpoint, Verdict
from orchestration.lib.errors import GovernanceError


def signed_each(log: Log, number: int) -> list[Checkpoint]:
    """The checkpoints of so many seals, one each."""
    return [log.seal().checkpoint() for _ in range(number)]


def test_a_restore_gives_up_every_checkpoint_since_its_backup() -> None:
    log = Log().seal(3)
    kept = [log.checkpoint()]
    backup = log.cut(3)
    kept += signed_each(log, 7)
    restored = backup.recover(note_of("nightly backup", [kept[-1]]))
    # nobody has signed it yet, so it may be of whoever cut the trail
    assert restored.verdict(*kept) == Verdict.REWRITTEN
    kept.append(restored.seal().checkpoint())
    assert restored.verdict(*kept) == Verdict.OK
    # as it grows past what was lost
    for _ in range(9):
        kept.append(restored.seal().checkpoint())
        assert restored.verdict(*kept) == Verdict.OK
    # the history that was given up is none that verifies
    assert log.verdict(*kept) != Verdict.OK


def test_a_recovery_that_the_owner_of_the_database_wrote_hides_nothing() -> None:
    log = Log().seal(5)
    last = log.checkpoint()
    forged = log.cut(2).recover(note_of("routine", [last])).seal(6)
    assert forged.verdict(last) == Verdict.REWRITTEN
    short = log.cut(2).recover(note_of("routine", [last]))
    report = verify_offline.verify([], short.seals, [last])
    assert (report.verdict, report.signed_seals) == (Verdict.TAIL_TRUNCATED, 0)
    assert "seal 3 speaks of a recovery, and no checkpoint signs that" in report.findings[0][2]


def test_who_rewrites_what_came_after_a_recovery_is_found() -> None:
    log = Log().seal(3)
    backup = log.cut(3)
    kept = signed_each(log, 5)
    restored = backup.recover(note_of("restored", [kept[-1]]))
    kept.append(restored.checkpoint())
    kept += signed_each(restored, 2)
    assert restored.verdict(*kept) == Verdict.OK
    # seals 5 and 6 anew, numbers that the history before had too
    assert restored.cut(4).recover("again").seal(2).verdict(*kept) == Verdict.REWRITTEN
    assert restored.cut(4).verdict(*kept) == Verdict.TAIL_TRUNCATED


def test_restoring_a_backup_from_before_another_restore_is_possible() -> None:
    log = Log().seal(3)
    first = log.cut(3)
    kept = signed_each(log, 4)
    second = first.cut(3).recover(note_of("once", [kept[-1]]))
    kept.append(second.checkpoint())
    kept += signed_each(second, 6)
    third = first.cut(3).recover(note_of("twice, the older backup", [kept[-1]])).seal()
    kept.append(third.checkpoint())
    assert [each.history for each in kept] == [0] * 4 + [1] * 7 + [2]
    assert third.verdict(*kept) == Verdict.OK
    kept += signed_each(third, 12)
    assert third.verdict(*kept) == Verdict.OK


def test_a_backup_of_a_history_that_another_restore_gave_up_can_be_restored() -> None:
    log = Log().seal(3)
    old = log.cut(3)
    kept = signed_each(log, 5)
    newer = log.cut(8)
    other = old.cut(3).recover(note_of("the old one", [kept[-1]]))
    kept.append(other.checkpoint())
    # of another history, up to the size of the newer backup and past it
    kept += signed_each(other, 6)
    back = newer.recover(note_of("the newer one after all", [kept[-1]]))
    kept.append(back.checkpoint())
    assert back.verdict(*kept) == Verdict.OK
    assert [each.history for each in kept] == [0] * 5 + [1] * 7 + [2]
    # what led here must still be there
    assert back.cut(2).seal(8).verdict(*kept) == Verdict.REWRITTEN


def test_a_restore_that_named_nothing_is_mended_by_a_recovery_that_does() -> None:
    log = Log().seal(3)
    backup = log.cut(3)
    kept = signed_each(log, 4)
    restored = backup.recover("restored where the key was not").seal()
    assert restored.verdict(*kept, restored.checkpoint()) == Verdict.REWRITTEN
    restored.recover(note_of("the same", [kept[-1]], whole=3)).seal()
    assert restored.verdict(*kept, restored.checkpoint()) == Verdict.OK


def test_checkpoints_of_a_folder_are_read_as_they_were_signed(tmp_path: Path) -> None:
    public, (_, key) = sign.create_key(tmp_path / "key", "test"), sign._read(tmp_path / "key")
    log = Log().seal(3)
    backup = log.cut(3)
    kept = signed_each(log, 15)
    restored = backup.recover(note_of("restored", [kept[-1]]))
    kept += [restored.checkpoint(), *signed_each(restored, 3)]
    for each in kept:
        sign._keep(tmp_path / "anchor", each, sign._note(key, each))
    read = verify_offline.read_checkpoints([tmp_path / "anchor"], [public], len(restored.seals))
    assert set(kept[15:]) < set(read)
    assert restored.verdict(*read) == Verdict.OK


def test_a_key_that_succeeds_another_verifies_what_that_one_signed(tmp_path: Path) -> None:
    log, anchors = Log().seal(2), [tmp_path / "anchor"]
    first = sign.create_key(tmp_path / "first", "test")
    last = log.checkpoint()
    sign._keep(anchors[0], last, sign._note(sign._read(tmp_path / "first")[1], last))
    (tmp_path / "first.last").write_text("the last one")
    second = sign.create_key(tmp_path / "second", "b", succeeds=str(tmp_path / "first"))
    # where the file is lost its public half does
    third = sign.create_key(tmp_path / "third", "c", succeeds=str(second))
    assert sign.public_keys(tmp_path / "second") == [second, first]
    assert sign.public_keys(tmp_path / "third") == [third, second]
    assert (tmp_path / "second.last").read_text() == "the last one"
    (tmp_path / "second.last").unlink()
    assert sign.last_checkpoints(sign.public_keys(tmp_path / "second"), anchors, tmp_path / "second") == [last]
    with pytest.raises(GovernanceError, match="none of the given keys signed it"):
        sign.last_checkpoints([third], anchors, tmp_path / "third")
    with pytest.raises(GovernanceError, match="neither the file of a key nor a public key"):
        sign.create_key(tmp_path / "fourth", "d", succeeds="nothing")


def test_many_checkpoints_of_a_history_that_was_given_up_hide_none_of_this_one(tmp_path: Path) -> None:
    """The old one was signed at each seal, this one is not: between its checkpoints stand those of the old one."""
    public, (_, key) = sign.create_key(tmp_path / "key", "test"), sign._read(tmp_path / "key")
    log = Log().seal(3)
    backup = log.cut(3)
    kept = signed_each(log, 60)
    restored = backup.recover(note_of("restored", [kept[-1]])).seal(10)
    kept.append(restored.checkpoint())
    for each in kept:
        sign._keep(tmp_path / "anchor", each, sign._note(key, each))
    for _ in range(40):
        restored.seal()
        read = verify_offline.read_checkpoints([tmp_path / "anchor"], [public], len(restored.seals))
        assert restored.verdict(*read) == Verdict.OK
    # where the signer's own file is lost its last one is found all the same
    assert sign.last_checkpoints([public], [tmp_path / "anchor"], None) == kept[-1:]
    hashes = [verify_offline.leaf(each.text.encode()) for each in restored.seals]
    assert sign.signed_until(hashes, [tmp_path / "anchor"], [public]) == 14


def test_a_backup_of_a_restore_that_nobody_signed_can_be_restored() -> None:
    log = Log().seal(3)
    kept = [log.checkpoint()]
    tried = log.cut(3).recover(note_of("tried", kept)).seal(4)
    # the old server went on meanwhile
    kept += signed_each(log, 20)
    back = tried.recover(note_of("for good", [kept[-1]])).seal()
    kept.append(back.checkpoint())
    assert back.verdict(*kept) == Verdict.OK
    assert back.cut(2).seal(20).verdict(*kept) == Verdict.REWRITTEN


def test_a_checkpoint_under_the_name_of_another_one_hides_none(tmp_path: Path) -> None:
    public, (_, key) = sign.create_key(tmp_path / "key", "test"), sign._read(tmp_path / "key")
    log, anchor = Log().seal(3), tmp_path / "anchor"
    kept = signed_each(log, 12)
    for each in kept:
        sign._keep(anchor, each, sign._note(key, each))
    cut = log.cut(5)
    assert cut.verdict(*verify_offline.read_checkpoints([anchor], [public], 5)) == Verdict.TAIL_TRUNCATED
    old = min(anchor.iterdir()).read_bytes()
    for name in ("000000000015-{}-1", "000000000004-{}-1", "000000000099-{}", "000000000004-000000000000"):
        copy = anchor / f"{name.format(kept[0].root[:12])}.checkpoint"
        copy.write_bytes(old)
        with pytest.raises(verify_offline.NotVerifiableError, match="its name is not that of its content"):
            verify_offline.read_checkpoints([anchor], [public], 5)
        copy.unlink()
    # an auditor names it as he likes
    (anchor / "from the board.checkpoint").write_bytes(old)
    assert kept[0] in verify_offline.read_checkpoints([anchor], [public], 5)
