"""What is asked of the warehouse, and what was found."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

SEVERITIES = ("error", "warn", "info")


@dataclass(frozen=True)
class Rule:
    """A rule: the view verification.<rule> has one row per violation."""

    rule: str
    family: str
    severity: str
    description: str
    docs: str


@dataclass(frozen=True)
class Violation:
    """What violates a rule, what is wrong in a sentence, and what to do in another."""

    rule: str
    severity: str
    subject: str
    message: str
    fix: str


@dataclass(frozen=True)
class Verification:
    """What the rules said.

    `accepted` counts the violations that verification_exceptions excuses, `not_run` has the reason of each rule that
    gave no answer.
    """

    rules: list[Rule]
    violations: list[Violation] = field(default_factory=list)
    accepted: int = 0
    not_run: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """2 where a rule gave no answer, else 1 where there is a violation at level error, else 0."""
        return 2 if self.not_run else 1 if self.count("error") else 0

    def count(self, severity: str) -> int:
        """Violations of a severity."""
        return sum(violation.severity == severity for violation in self.violations)


def united(parts: Sequence[Verification]) -> Verification:
    """What several verifications said, as one."""
    return Verification(
        [rule for part in parts for rule in part.rules],
        [violation for part in parts for violation in part.violations],
        sum(part.accepted for part in parts),
        {rule: reason for part in parts for rule, reason in part.not_run.items()},
    )


def as_json(verification: Verification) -> str:
    """The violations, the counts, and the rules that gave no answer, as a JSON object."""
    return json.dumps(
        {
            "violations": [asdict(violation) for violation in verification.violations],
            "summary": {severity: verification.count(severity) for severity in SEVERITIES}
            | {"accepted": verification.accepted, "rules": len(verification.rules)},
            "not_run": verification.not_run,
        },
        indent=2,
    )
