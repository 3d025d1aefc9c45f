"""Old entries are deleted with a tombstone that is signed, and never unseen."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from core_rows import value
from engines import Engine

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.prune import prune
from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.seal import begin_epoch, seal, status
from orchestration.lib.audit.verify_offline import Report, Verdict
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify as verify_warehouse

pytestmark = pytest.mark.engines("postgres")

ADD = (
    "insert into core.audit_logs (actor_type, actor_label, action, resource_type)"
    " select 'system', 'n' || n, 'report.export', 'report' from generate_series(1, %s) as n"
)
IDS = "select array_agg(id order by epoch, xid, id) from core.audit_logs"


class Trail:
    """Five seals of ten entries; `cut` is when the third was begun."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.key, self.anchors = url, folder / "key", [folder / "here", folder / "there"]
        sign.create_key(self.key, "test")
        with connect(url) as connection:
            for number in range(5):
                if number == 2:
                    self.cut: datetime = value(connection, "select clock_timestamp()")
                connection.execute(ADD, [10])
                seal(url)
        sign.sign(url, self.key, self.anchors)

    def prune(self) -> int:
        return prune(self.url, self.cut, "three years are over", self.key, self.anchors).entries

    def verify(self) -> Report:
        kept = verify_offline.read_checkpoints(self.anchors, sign.public_keys(self.key))
        with export.snapshot(self.url) as connection:
            return export.verify(connection, kept)


@pytest.fixture
def trail(engine: Engine, tmp_path: Path) -> Iterator[Trail]:
    with engine.database("audit_pruning") as url:
        yield Trail(url, tmp_path)


def test_what_was_pruned_is_said_and_the_rest_verifies(trail: Trail, tmp_path: Path) -> None:
    export.export(trail.url, tmp_path / "before")
    with connect(trail.url) as connection:
        before = value(connection, IDS)
        gone = trail.prune()
        assert value(connection, IDS) == before[gone:]
        assert len(before) - gone == 30
        states = "select distinct tgenabled::text from pg_trigger where tgrelid = 'core.audit_logs'::regclass"
        assert connection.execute(states).fetchall() == [("A",)]
        with pytest.raises(Exception, match="append-only"):
            connection.execute("delete from core.audit_logs")
    report = trail.verify()
    assert (report.verdict, report.pruned, report.entries) == (Verdict.OK, gone, 30), report.findings
    (note,) = report.prunings
    assert json.loads(note)["reason"] == "three years are over"
    assert f"pruned: {note}" in verify_offline.as_text(report)
    found = status(trail.url)
    assert found.entries == found.sealed_entries == 30
    # another time, nothing is old enough; the trail goes on, also in another epoch
    assert trail.prune() == 0
    begin_epoch(trail.url, reason="moved")
    with connect(trail.url) as connection:
        connection.execute(ADD, [4])
        trail.cut = value(connection, "select clock_timestamp()")
    sign.sign(trail.url, trail.key, trail.anchors, accepts_recovery=True)
    assert trail.prune() == 34
    report = trail.verify()
    assert (report.verdict, report.pruned, report.entries) == (Verdict.OK, gone + 34, 0), report.findings
    assert list(verify_warehouse(trail.url, select=["unsealed_entries"]).violations) == []
    # an export from before is still verified by what was signed since
    kept = verify_offline.read_checkpoints(trail.anchors[:1], sign.public_keys(trail.key))
    old = min(kept, key=lambda each: each.size)
    entries, seals = verify_offline.read_entries(tmp_path / "before"), verify_offline.read_seals(tmp_path / "before")
    report = verify_offline.verify(entries, seals, [old], now=datetime.now(UTC))
    assert (report.verdict, report.entries) == (Verdict.OK, len(before))


def test_one_pruned_entry_more_than_the_tombstone_says_is_missing(trail: Trail) -> None:
    trail.prune()
    with connect(trail.url, autocommit=False) as connection:
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute("delete from core.audit_logs where id = (select min(id::text)::uuid from core.audit_logs)")
        kept = verify_offline.read_checkpoints(trail.anchors, sign.public_keys(trail.key))
        report = export.verify(connection, kept)
        connection.rollback()
    assert (report.verdict, report.counts[Verdict.MISSING]) == (Verdict.MISSING, 1)


def test_a_tombstone_that_nobody_accepted_is_neither_signed_nor_believed(trail: Trail) -> None:
    """The owner of the database deletes entries by the function itself, and waits for the hourly signature."""
    with connect(trail.url) as connection:
        gone = value(connection, "select internal.prune_audit_trail(%s, 'covering up')", trail.cut)
    assert gone >= 20
    with pytest.raises(GovernanceError, match="entries were deleted since the last checkpoint"):
        sign.sign(trail.url, trail.key, trail.anchors)
    report = trail.verify()
    assert (report.verdict, report.counts[Verdict.MISSING], report.pruned) == (Verdict.MISSING, gone, 0)
    # who meant it says so
    sign.sign(trail.url, trail.key, trail.anchors, accepts_pruning=True)
    assert trail.verify().verdict == Verdict.OK


def test_a_tombstone_is_not_signed_because_a_restore_is_said_to_have_come_after_it(trail: Trail) -> None:
    """Its number is one that was signed, in what the restore gave up."""
    last = sign.last_checkpoints(sign.public_keys(trail.key), trail.anchors, trail.key)
    with connect(trail.url) as connection:
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute("alter table internal.audit_seals disable trigger user")
        connection.execute(
            "delete from core.audit_logs where xid >= (select high from internal.audit_seals where sequence = 3)"
        )
        connection.execute("delete from internal.audit_seals where sequence > 3")
        connection.execute("alter table internal.audit_seals enable always trigger audit_seals_append_only")
        assert value(connection, "select internal.prune_audit_trail(%s, 'covering up')", trail.cut) > 0
        connection.execute("alter table core.audit_logs enable always trigger audit_logs_checksum")
    begin_epoch(trail.url, reason=note_of("restored", last))
    with pytest.raises(GovernanceError, match="entries were deleted since the last checkpoint"):
        sign.sign(trail.url, trail.key, trail.anchors, accepts_recovery=True)
    sign.sign(trail.url, trail.key, trail.anchors, accepts_recovery=True, accepts_pruning=True)


def test_nothing_is_deleted_of_a_trail_that_is_not_whole(trail: Trail) -> None:
    with connect(trail.url) as connection:
        connection.execute("alter table core.audit_logs disable trigger user")
        connection.execute("delete from core.audit_logs where id = (select min(id::text)::uuid from core.audit_logs)")
        connection.execute("alter table core.audit_logs enable always trigger audit_logs_append_only")
        before = value(connection, IDS)
        with pytest.raises(GovernanceError, match="nothing is deleted: the trail is MISSING"):
            trail.prune()
        with pytest.raises(Exception, match="has not the entries that its seals cover"):
            connection.execute("select internal.prune_audit_trail(now() + interval '1 day', 'x')")
        assert value(connection, IDS) == before
    with pytest.raises(GovernanceError, match="why are entries deleted"):
        prune(trail.url, datetime.now(UTC) - timedelta(days=1), " ", trail.key, trail.anchors)
