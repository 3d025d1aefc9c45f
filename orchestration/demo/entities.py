"""What the demo organisation consists of. Field names are those of the core tables where a column holds the field."""

import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from orchestration.demo.facts import Weights

_NAMESPACE = UUID("6f1f3b0c-52d8-4d0e-9b1c-1f6f2b5a8c11")


def stream(seed: int, *parts: object) -> random.Random:
    """The random stream of one entity: the same for the same seed and parts, whatever else is generated."""
    return random.Random("/".join(str(part) for part in (seed, *parts)))  # noqa: S311


def identifier(seed: int, kind: str, key: object) -> UUID:
    """The id of a demo row."""
    return uuid5(_NAMESPACE, f"{seed}/{kind}/{key}")


def digest(seed: int, kind: str, key: object) -> bytes:
    """32 bytes that stand where a real system keeps the hash of a secret; there is no secret behind them."""
    return hashlib.sha256(f"demo/{seed}/{kind}/{key}".encode()).digest()


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """First instant of a local day, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Team:
    """A team below the seeded root; `parent` None = directly below it, `budget_period` None = it has no budget."""

    id: UUID
    slug: str
    name: str
    parent: "Team | None"
    site: str
    kind: str
    cost_center: str
    owner_id: UUID | None
    budget_period: str | None
    currency: str
    created_at: datetime
    deleted_at: datetime | None

    @property
    def line(self) -> "tuple[Team, ...]":
        """The team and its ancestors, itself first."""
        return (self, *(self.parent.line if self.parent else ()))


class Stay(NamedTuple):
    """Membership in a team over whole local days: [since, until), until None = still there."""

    team: Team
    since: date
    until: date | None
    role: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; `stays` in order, the last one is today's team."""

    id: UUID
    email: str
    display_name: str
    status: str
    mfa_enabled: bool
    created_at: datetime
    left_on: date | None
    silent_from: date | None
    kind: str
    site: str
    stays: tuple[Stay, ...]

    @property
    def absent_from(self) -> date | None:
        """The first local day without anything of theirs; None = still active."""
        return min((day for day in (self.left_on, self.silent_from) if day is not None), default=None)


class ApiKey(NamedTuple):
    """A key of a person, or of a team's service (user_id None)."""

    id: UUID
    user_id: UUID | None
    team_id: UUID
    name: str
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Grant(NamedTuple):
    """A role given to somebody; team_id None = everywhere."""

    id: UUID
    user_id: UUID
    role: str
    team_id: UUID | None
    granted_by: UUID
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Policy(NamedTuple):
    """One version of a policy, in force at [effective_from, effective_to) if it was published."""

    id: UUID
    slug: str
    name: str
    description: str
    policy_type: str
    rules: dict[str, Any]
    enforcement: str
    priority: int
    version: int
    is_active: bool
    published_at: datetime | None
    effective_from: datetime
    effective_to: datetime | None
    created_by: UUID
    created_at: datetime


class Assignment(NamedTuple):
    """A policy version for a team and those below it, or for a person, at [effective_from, expires_at)."""

    id: UUID
    policy_id: UUID
    team_id: UUID | None
    user_id: UUID | None
    effective_from: datetime
    expires_at: datetime | None
    assigned_by: UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody or something that sends requests: `rate` is the mean number on a weekday, until the local day `until`.

    People without a key, or whose key has expired by `key_until`, are known to the gateway by their sign-in.
    """

    key: str
    stays: tuple[Stay, ...]
    site: str
    hours: tuple[float, ...]
    rate: float
    models: Weights
    applications: Weights
    api_key_id: UUID | None
    key_until: date | None = None
    user_id: UUID | None = None
    has_mfa: bool = True
    until: date | None = None
    # how its requests are told: by the gateway itself, or in files of another system
    source: str = "demo"

    @property
    def is_service(self) -> bool:
        """Whether it belongs to a team and to nobody."""
        return self.user_id is None

    def team_on(self, day: date) -> Team | None:
        """The team that pays for the requests of a local day; None = not here that day."""
        if self.until is None or day < self.until:
            for team, since, until, _ in self.stays:
                if since <= day and (until is None or day < until):
                    return team
        return None


@dataclass(frozen=True)
class Organisation:
    """The demo organisation; `start` is the first local day of its usage."""

    seed: int
    start: date
    zone: ZoneInfo
    teams: tuple[Team, ...]
    people: tuple[Person, ...]
    keys: tuple[ApiKey, ...]
    grants: tuple[Grant, ...]
    policies: tuple[Policy, ...]
    assignments: tuple[Assignment, ...]
    callers: tuple[Caller, ...]
    operators: tuple[UUID, ...] = field(repr=False)
    preview_from: date

    def start_of(self, day: date) -> datetime:
        """First instant of a local day, in UTC."""
        return start_of(day, self.zone)

    @cached_property
    def _assignments_by_target(self) -> dict[UUID, list[tuple[Assignment, Policy]]]:
        policies = {policy.id: policy for policy in self.policies}
        targets: dict[UUID, list[tuple[Assignment, Policy]]] = defaultdict(list)
        for assignment in self.assignments:
            target = assignment.team_id or assignment.user_id
            assert target is not None
            targets[target].append((assignment, policies[assignment.policy_id]))
        return targets

    def policies_on(self, day: date, team: Team, user_id: UUID | None) -> tuple[Policy, ...]:
        """The versions that apply to a request of a team and person on a day, those of highest priority first."""
        start = self.start_of(day)
        targets = [each.id for each in team.line] + ([user_id] if user_id else [])
        found = {
            policy.id: policy
            for target in targets
            for assignment, policy in self._assignments_by_target.get(target, ())
            if assignment.effective_from <= start and (assignment.expires_at is None or start < assignment.expires_at)
        }
        return tuple(sorted(found.values(), key=lambda policy: (policy.priority, policy.slug)))
