"""What verification asks, and what it found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Protocol

# the worst first; macros/bootstrap/internal/create_internal_verification.sql has the same
SEVERITIES = ("error", "warn", "info")


@dataclass(frozen=True)
class Rule:
    """What is asked, and the family that it belongs to."""

    rule: str
    family: str
    severity: str


@dataclass(frozen=True)
class Violation:
    """What violates a rule, what is wrong in a sentence, and what to do in another.

    `accepted_by` is the reason of the exception that accepts it.
    """

    rule: str
    severity: str
    subject: str
    message: str
    fix: str
    accepted_by: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by from run to run: rule and subject."""
        return self.rule, self.subject


@dataclass(frozen=True)
class History:
    """What earlier runs recorded: when each open finding was first seen, by rule and subject, and what they asked.

    `asked` are the rules that answered, `last_run` is when the last of them ended.
    """

    first_seen: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    last_run: datetime | None = None


@dataclass(frozen=True)
class Verification:
    """What was asked and found. `violations` count, `excused` are those that an exception accepts.

    `not_run` has the reason of each rule, or part of one, that gave no answer.
    """

    rules: list[Rule]
    violations: list[Violation] = field(default_factory=list)
    excused: list[Violation] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    history: History = field(default_factory=History)

    @property
    def exit_code(self) -> int:
        """2 where a rule gave no answer, else 1 where there is a violation at level error, else 0."""
        return 2 if self.not_run else 1 if self.count("error") else 0

    @property
    def answered(self) -> set[str]:
        """Rules that gave a whole answer."""
        # a part that was not run, such as a probe, is named by itself
        whole = {rule.rule for rule in self.rules}
        if self.not_run.keys() - whole:
            whole -= {rule.rule for rule in self.rules if rule.family == "probes"}
        return whole - self.not_run.keys()

    @property
    def new(self) -> list[Violation]:
        """Violations of rules that earlier runs asked, and that those didn't find."""
        return [
            each
            for each in self.violations
            if each.rule in self.history.asked and each.key not in self.history.first_seen
        ]

    @property
    def resolved(self) -> list[tuple[str, str]]:
        """Rule and subject of what the last run found and this one, asking the same, didn't."""
        found = {each.key for each in (*self.violations, *self.excused)}
        return sorted(key for key in self.history.first_seen.keys() - found if key[0] in self.answered)

    def count(self, severity: str) -> int:
        """Violations of a severity."""
        return sum(violation.severity == severity for violation in self.violations)


class Collector(Protocol):
    """Finds out one kind of things about the database at `url`: rules, drift, probes, passwords.

    What it finds counts nowhere before exceptions are matched (`orchestration.lib.evidence.store.collect`). Raises
    GovernanceError where nothing can be asked.
    """

    def __call__(self, url: str, /) -> Verification:
        """What was asked, what was found, and what gave no answer."""


def of_rule(verification: Verification, rule: str) -> Verification:
    """What it says of one rule."""
    return replace(
        verification,
        rules=[each for each in verification.rules if each.rule == rule],
        violations=[each for each in verification.violations if each.rule == rule],
        excused=[each for each in verification.excused if each.rule == rule],
        not_run={name: reason for name, reason in verification.not_run.items() if name == rule},
    )


def united(parts: Sequence[Verification]) -> Verification:
    """What several verifications said, as one."""
    return Verification(
        [rule for part in parts for rule in part.rules],
        [violation for part in parts for violation in part.violations],
        [violation for part in parts for violation in part.excused],
        {rule: reason for part in parts for rule, reason in part.not_run.items()},
    )


def as_json(verification: Verification) -> str:
    """The violations with when they were first seen, the counts, and the rules that gave no answer: a JSON object."""
    first_seen, new = verification.history.first_seen, {each.key for each in verification.new}
    return json.dumps(
        {
            "violations": [
                {
                    **{name: value for name, value in asdict(each).items() if name != "accepted_by"},
                    "first_seen": str(first_seen[each.key]) if each.key in first_seen else None,
                    "is_new": each.key in new,
                }
                for each in verification.violations
            ],
            "resolved": [{"rule": rule, "subject": subject} for rule, subject in verification.resolved],
            "summary": {severity: verification.count(severity) for severity in SEVERITIES}
            | {
                "accepted": len(verification.excused),
                "new": len(new),
                "resolved": len(verification.resolved),
                "rules": len(verification.rules),
            },
            "not_run": verification.not_run,
        },
        indent=2,
    )
