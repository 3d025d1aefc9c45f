"""Random stories of a warehouse that is restored, moved, pruned and signed: no false alarm, no forgery is believed.

GOVERNANCE_TRAIL_STORIES=1000 draws more of them.
"""

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from seal_logs import Log

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.recover import note_of, whole_until
from orchestration.lib.audit.verify_offline import Checkpoint, NotVerifiableError, Verdict
from orchestration.lib.errors import GovernanceError

STORIES = int(os.environ.get("GOVERNANCE_TRAIL_STORIES") or 12)
STEPS = 30


class Story:
    """The log of the server in use, the signer, and what was put by."""

    def __init__(self, folder: Path, draw: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draw, self.folder = draw, folder
        self.log = Log().seal(3)
        self.keys = 0
        self.key = folder / "key-0"
        self.publics = [sign.create_key(self.key, "test")]
        self.anchors = (folder / "here", folder / "there")
        self.backups: list[Log] = []
        # what no signature covers yet: a recovery, a tombstone, or a server before a restore that nobody signed
        self.recovered = self.pruned = False
        self.before: tuple[Log, bool, bool] | None = None
        self.told: list[str] = []
        monkeypatch.setattr(export, "snapshot", self._snapshot)
        monkeypatch.setattr(export, "seals", lambda log: iter(log.seals))
        self.sign()

    @contextlib.contextmanager
    def _snapshot(self, url: str) -> Iterator[Log]:
        yield self.log

    def step(self) -> None:
        steps = [self.seal, self.seal, self.sign, self.sign, self.sign_often, self.backup, self.restore, self.go_back,
                 self.lag, self.move, self.prune, self.lose_the_state, self.succeed]  # fmt: skip
        step = self.draw.choice(steps)
        self.told.append(step.__name__)
        step()

    def seal(self) -> None:
        self.log.seal(self.draw.choice([1, 1, 2, 30]))

    def sign(self) -> None:
        sign.sign("", self.key, self.anchors, accepts_recovery=self.recovered, accepts_pruning=self.pruned)
        self.recovered = self.pruned = False
        self.before = None

    def sign_often(self) -> None:
        for _ in range(self.draw.choice([3, 15])):
            self.log.seal()
            self.sign()

    def backup(self) -> None:
        self.backups.append(self.log.cut(len(self.log.seals)))

    def restore(self) -> None:
        if self.backups:
            self.before = self.before or (self.log, self.recovered, self.pruned)
            # without the key its public half is enough
            key = self.draw.choice([self.key, None])
            given_up = sign.last_checkpoints(self.publics, self.anchors, key)
            chosen = self.draw.choice(self.backups)
            self.log = (
                chosen.cut(len(chosen.seals)).recover(note_of("restored", given_up)).seal(self.draw.randint(0, 20))
            )
            self.recovered, self.pruned = True, True

    def go_back(self) -> None:
        """To the server as it was before a restore that nobody signed."""
        if self.before is not None:
            self.log, self.recovered, self.pruned = self.before
            self.before = None

    def lag(self) -> None:
        """A replica that lagged is promoted, and sealing goes on before anybody notices."""
        if self.recovered or len(self.log.seals) < 6:
            return
        self.log = self.log.cut(len(self.log.seals) - self.draw.randint(1, 5)).seal(self.draw.choice([0, 1, 40]))
        self._recover()

    def move(self) -> None:
        if not self.recovered:
            self._recover()

    def _recover(self) -> None:
        given_up = sign.last_checkpoints(self.publics, self.anchors, self.key)
        whole = whole_until("", self.anchors, self.publics)
        self.log.recover(note_of("moved", given_up, whole=whole)).seal(self.draw.randint(0, 2))
        self.recovered, self.pruned = True, True

    def prune(self) -> None:
        if not self.recovered:
            self.sign()
            self.log.tombstone(self.draw.randint(1, len(self.log.seals)))
            sign.sign("", self.key, self.anchors, accepts_pruning=True)

    def lose_the_state(self) -> None:
        sign._state(self.key).unlink(missing_ok=True)

    def succeed(self) -> None:
        self.keys += 1
        before, self.key = self.key, self.folder / f"key-{self.keys}"
        self.publics.insert(0, sign.create_key(self.key, "test", succeeds=str(before)))

    def kept(self, log: Log) -> list[Checkpoint]:
        return verify_offline.read_checkpoints(self.anchors, self.publics, len(log.seals))


@pytest.mark.parametrize("seed", range(STORIES))
def test_no_story_raises_a_false_alarm(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(tmp_path, random.Random(seed), monkeypatch)
    for _ in range(STEPS):
        story.step()
        if not story.recovered and story.before is None:
            report = verify_offline.verify([], story.log.seals, story.kept(story.log))
            assert report.verdict == Verdict.OK, (" ".join(story.told), verify_offline.as_text(report))


def forged(log: Log, signed: int, kept: list[Checkpoint], draw: random.Random) -> Log:
    """The log as who owns the database could write it anew, without what was signed last."""
    cut = log.cut(draw.randrange(signed))
    named = ", ".join(f"{each.size} {each.root} of history {each.history + draw.randint(0, 2)}" for each in kept)
    note = draw.choice(
        [
            note_of("routine", kept),
            note_of("routine", kept, whole=0),
            f"x; last checkpoint: {named}; whole up to seal 0",
            f"x; last checkpoint: {10**17} {kept[0].root} of history 999999; whole up to seal 0",
        ]
    )
    match draw.choice(["cut", "longer", "recovery", "recovery in front"]):
        case "longer":
            cut.seal(draw.randint(1, 60))
        case "recovery":
            cut.recover(note).seal(draw.randint(0, 60))
        case "recovery in front":
            cut = Log().recover(note).seal(draw.randint(1, 60))
    return cut


@pytest.mark.parametrize("seed", range(STORIES))
def test_in_no_story_a_forgery_is_believed(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    story = Story(tmp_path, draw, monkeypatch)
    for _ in range(STEPS):
        story.step()
        kept = story.kept(story.log)
        signed = verify_offline.verify([], story.log.seals, kept).signed_seals
        if story.recovered or story.before or not signed:
            continue
        for _ in range(5):
            other = forged(story.log, signed, kept, draw)
            report = verify_offline.verify([], other.seals, story.kept(other))
            assert report.verdict != Verdict.OK, (" ".join(story.told), verify_offline.as_text(report))
        # nor does anybody sign one unasked
        true, story.log = story.log, draw.choice([other, story.log.cut(len(story.log.seals)).recover("routine")])
        with pytest.raises(GovernanceError, match="not signed|nothing is sealed"):
            sign.sign("", story.key, story.anchors)
        story.log = true


def test_who_has_a_forged_recovery_signed_gives_up_nothing_that_came_after_it(tmp_path: Path) -> None:
    """Histories of more digits than a checkpoint can say, and those that are just short of it."""
    public = sign.create_key(tmp_path / "key", "test")
    key = sign._read(tmp_path / "key")
    for digits in (6, 9, 18):
        log = Log().seal(3).recover(f"x; 9999 {'ab' * 32} of history {'9' * digits}; whole up to seal 0").seal()
        kept = []
        for _ in range(3):
            note = sign._note(key[1], log.seal().checkpoint())
            with contextlib.suppress(NotVerifiableError):
                kept.append(verify_offline.opened_checkpoint(note, [public]))
        assert log.verdict(*kept) == Verdict.OK, digits
        for size in range(len(log.seals)):
            assert log.cut(size).seal(4).verdict(*kept) not in (Verdict.OK, Verdict.COULD_NOT_VERIFY), (digits, size)


def test_a_history_that_is_no_number_is_told(tmp_path: Path) -> None:
    public = sign.create_key(tmp_path / "key", "test")
    key = sign._read(tmp_path / "key")[1]
    for history in (10**9, -1):
        with pytest.raises(NotVerifiableError, match="no one history"):
            verify_offline.opened_checkpoint(sign._note(key, Checkpoint("test", 1, "ab" * 32, history)), [public])
