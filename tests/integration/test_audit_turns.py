"""What happens to the trail at the same time, or before somebody noticed: no false alarm, and nothing is excused."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from audit_attacks import CHECKSUM
from audit_trails import ADD, Trail, past_the_triggers
from click.testing import CliRunner
from core_rows import value
from engines import Engine

from orchestration.cli.main import main
from orchestration.lib.audit import export, prune, sign, verify_offline
from orchestration.lib.audit.recover import note_of
from orchestration.lib.audit.seal import begin_epoch, seal
from orchestration.lib.audit.verify_offline import Entry, Verdict
from orchestration.lib.compliance import sections
from orchestration.lib.compliance.report import write_report
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError

pytestmark = pytest.mark.engines("postgres")


@pytest.fixture
def trail(engine: Engine, tmp_path: Path) -> Iterator[Trail]:
    with engine.database("audit_turns") as url:
        trail = Trail(url, tmp_path)
        trail.add(3)
        trail.seal_and_sign()
        yield trail


class Other(threading.Thread):
    """Somebody else, whose work waits for ours where it must."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.work = work
        self.done: Any = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.done = self.work()
        except BaseException as error:  # noqa: BLE001 - told by `waited`
            self.failure = error

    def waits(self) -> None:
        self.start()
        self.join(0.3)
        assert self.is_alive(), self.failure

    def ended(self) -> Any:
        self.join(30)
        assert self.failure is None
        return self.done


def test_what_is_signed_while_a_report_is_written_is_no_truncation(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = sections.read

    def meanwhile(*given: Any) -> Any:
        contents = read(*given)
        trail.add(1)
        trail.seal_and_sign()
        return contents

    monkeypatch.setattr(sections, "read", meanwhile)
    _, contents = write_report(
        trail.url, "2001-05", tmp_path / "reports", keys=[trail.public], checkpoints=trail.anchors
    )
    said = next(each for each in contents.verdicts if "signed" in each.message)
    assert said.state == "ok", said


def test_two_who_sign_take_turns(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first finds more signed than it saw, or signs less after the second."""
    snapshot = export.snapshot
    others: list[Other] = []

    @contextmanager
    def meanwhile(url: str) -> Iterator[Any]:
        with snapshot(url) as connection:
            connection.execute("select")
            if not others:
                trail.add(1)
                seal(trail.url)
                others.append(Other(lambda: sign.sign(trail.url, trail.key, trail.anchors)))
                others[0].waits()
            yield connection

    trail.add(1)
    seal(trail.url)
    monkeypatch.setattr(export, "snapshot", meanwhile)
    first = sign.sign(trail.url, trail.key, trail.anchors)
    second = others[0].ended()
    assert second.checkpoint.size == first.checkpoint.size + 1
    assert trail.given_up() == [second.checkpoint]


def test_who_verifies_waits_for_a_pruning_to_be_signed(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(trail.url) as connection:
        now = value(connection, "select clock_timestamp()")
    trail.add(2)
    trail.seal_and_sign()
    others: list[Other] = []
    as_ever = sign.sign

    def late(*given: Any, **options: Any) -> Any:
        if options.get("accepts_pruning"):
            others.append(Other(trail.verify))
            others[0].waits()
        return as_ever(*given, **options)

    monkeypatch.setattr(sign, "sign", late)
    assert prune.prune(trail.url, now, "as agreed", trail.key, trail.anchors).entries > 0
    report = others[0].ended()
    assert (report.verdict, bool(report.prunings)) == (Verdict.OK, True), verify_offline.as_text(report)


def test_a_recovery_is_signed_only_by_who_knows_of_it(trail: Trail) -> None:
    """Also where the trail goes on from the last checkpoint."""
    begin_epoch(trail.url, reason=note_of("moved", trail.given_up()))
    with pytest.raises(GovernanceError, match="says that the trail was recovered since the last checkpoint: moved;"):
        sign.sign(trail.url, trail.key, trail.anchors)
    assert trail.verify().verdict == Verdict.OK
    signed = sign.sign(trail.url, trail.key, trail.anchors, accepts_recovery=True)
    assert (signed.continues, len(signed.recoveries)) == (signed.checkpoint.size - 1, 1)
    trail.add(1)
    assert trail.seal_and_sign().size == signed.checkpoint.size + 1
    assert trail.verify().verdict == Verdict.OK


def as_of_another_server(trail: Trail) -> None:
    """As after a restore by hand: what is sealed is of transactions that this server comes to much later."""
    with connect(trail.url) as connection:
        past_the_triggers(connection)
        connection.execute("delete from internal.audit_seals")
        connection.execute("update core.audit_logs set xid = (xid::text::bigint + 1000000000)::text::xid8")
        connection.execute(f"update core.audit_logs set checksum = {CHECKSUM}".encode())
        past_the_triggers(connection, "enable")
        connection.execute("select internal.seal_audit_span('segment', 1, '0', '2000000000', null)")


def test_what_was_written_after_a_move_that_nobody_told_is_sealed_by_the_recovery(
    trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of_another_server(trail)
    trail.anchors = (tmp_path / "moved", tmp_path / "moved too")
    sign._state(trail.key).unlink()
    sign.sign(trail.url, trail.key, trail.anchors)
    trail.add(2)
    with pytest.raises(psycopg.errors.RaiseException, match="run governance audit recover"):
        seal(trail.url)
    # one from before the last seal, as somebody who owns the database may add it
    with connect(trail.url) as connection:
        forged = value(connection, f"{ADD} returning id", 1)
        past_the_triggers(connection)
        connection.execute(
            "update core.audit_logs set recorded_at = recorded_at - interval '1 day' where id = %s", [forged]
        )
        connection.execute(f"update core.audit_logs set checksum = {CHECKSUM}".encode())
        past_the_triggers(connection, "enable")
    environment = {
        "GOVERNANCE_DATABASE_URL": trail.url,
        "GOVERNANCE_AUDIT_KEY": str(trail.key),
        "GOVERNANCE_AUDIT_ANCHORS": ":".join(map(str, trail.anchors)),
    }
    done = CliRunner().invoke(main, ["audit", "recover", "--reason", "moved", "--yes"], env=environment)
    assert (done.exit_code, done.stdout) == (0, "epoch 2 began\n"), done.output
    trail.add(1)
    trail.seal_and_sign(accepts_recovery=True)
    report = trail.verify()
    assert [(verdict, subject) for verdict, subject, _ in report.findings] == [(Verdict.EXTRA, f"entry {forged}")]
    with export.snapshot(trail.url) as connection:
        entries, seals = list(export.entries(connection)), list(export.seals(connection))
    entries = [each for each in entries if each.id != str(forged)]
    kept = trail.checkpoints()
    assert verify_offline.verify(entries, seals, kept).verdict == Verdict.OK
    # what such a recovery covers can be neither changed nor there twice
    recovery = next(seal for seal in seals if '"recovery"' in seal.text)
    number, late = next((n, each) for n, each in enumerate(entries) if each.id == recovery.ids[0])
    assert late.canonical is not None
    other = Entry(late.id, late.checksum, late.canonical.replace("report.export", "report.import"))
    for forgery in (
        [other, late],
        [late, other],
        [other],
        [late, late],
        [],
        [Entry(late.id, "00" * 32, late.canonical)],
    ):
        report = verify_offline.verify([*entries[:number], *forgery, *entries[number + 1 :]], seals, kept)
        assert report.verdict in (Verdict.MODIFIED, Verdict.MISSING, Verdict.EXTRA), forgery
        assert late.id in report.findings[0][1]


def test_without_a_key_an_epoch_begins_too(trail: Trail) -> None:
    done = CliRunner().invoke(
        main, ["audit", "recover", "--reason", "moved", "--yes"], env={"GOVERNANCE_DATABASE_URL": trail.url}
    )
    assert (done.exit_code, done.stdout) == (0, "epoch 2 began\n"), done.output
