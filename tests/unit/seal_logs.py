"""Logs of seals without entries, for the tests of what a checkpoint says of them."""

import itertools
import json
import time
from dataclasses import dataclass, field

from orchestration.lib.audit import verify_offline
from orchestration.lib.audit.verify_offline import Checkpoint, Seal, Verdict, leaf, merkle_root

_NOW = time.time_ns() // 1000
_numbers = itertools.count(1)


@dataclass
class Log:
    """Seals without entries, as `seals.jsonl` has them."""

    seals: list[Seal] = field(default_factory=list)
    epoch: int = 1

    def seal(self, number: int = 1) -> "Log":
        for _ in range(number):
            self._add("seal", None)
        return self

    def recover(self, note: str) -> "Log":
        self._add("recovery", note)
        self.epoch += 1
        return self

    def tombstone(self, through: int) -> "Log":
        self._add("tombstone", json.dumps({"through": through, "entries": 0, "reason": "as agreed"}))
        return self

    def cut(self, size: int) -> "Log":
        """As a backup from then has it."""
        kinds = [json.loads(each.text)[3] for each in self.seals[:size]]
        return Log(self.seals[:size], 1 + kinds.count("recovery"))

    def checkpoint(self) -> Checkpoint:
        notes = [
            (number, json.loads(each.text)[-1])
            for number, each in enumerate(self.seals, 1)
            if json.loads(each.text)[3] == "recovery"
        ]
        history = max((each.history for each in verify_offline.recoveries(notes)), default=0)
        root = merkle_root([leaf(each.text.encode()) for each in self.seals])
        return Checkpoint("test", len(self.seals), root.hex(), history)

    def verdict(self, *kept: Checkpoint) -> Verdict:
        return verify_offline.verify([], self.seals, kept).verdict

    def _add(self, kind: str, note: str | None) -> None:
        last = json.loads(self.seals[-1].text) if self.seals else None
        follows = last is not None and last[4] == self.epoch and last[3] != "recovery"
        low = int(last[6]) if follows and last else 0
        # a seal of its own each time, for another history may have one of this number
        high = {"seal": low + next(_numbers), "recovery": 2**64 - 1}.get(kind, low)
        previous = self.seals[-1].seal_hash if self.seals else "00" * 32
        said = ["llm-governance-audit-seal", 1, len(self.seals) + 1, kind, self.epoch, str(low), str(high), 0, 0]
        text = json.dumps([*said, merkle_root([]).hex(), previous, _NOW, note])
        self.seals.append(Seal(text, leaf(text.encode()).hex(), [], []))
