"""Who makes up the demo organisation: teams, people, roles, grants, keys, policies and who calls models how much.

Everything follows from (seed, people, days, start, zone) alone: ids are uuid5 of the seed, each choice has its own
random stream. What changes during the period (people who move or leave, a team that is dissolved, a policy's next
version) is dated from `start`, so a later load of further days sees the same organisation.
"""

import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from orchestration.lib.demo.blueprint import (
    APPLICATIONS_OF_KIND,
    DISSOLVED_TEAM,
    DOMAIN,
    FIRST_NAMES,
    HUMAN_REQUESTS,
    ITS_HEIR,
    LAST_NAMES,
    MODELS_OF_KIND,
    POLICIES,
    ROLES,
    SERVICE_REQUESTS,
    SERVICES,
    TEAMS,
    UNPRICED_MODEL,
)
from orchestration.lib.demo.catalogue import OFFICE_HOURS

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
        """The team and those above it, itself first."""
        return (self, *(self.parent.line if self.parent else ()))


@dataclass(frozen=True, slots=True)
class Stay:
    """Membership of a person in a team over whole local days: [since, until), until None = still there."""

    team: Team
    since: date
    until: date | None
    role: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; `stays` in order, the last one is today's team."""

    id: UUID
    email: str
    name: str
    status: str
    mfa: bool
    created_at: datetime
    left_on: date | None
    silent_from: date | None
    kind: str
    site: str
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a person, or of a team's service (user_id None)."""

    id: UUID
    user_id: UUID | None
    team_id: UUID
    name: str
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Role:
    """An operator's own role; `parent` is the slug of a system role or of one of these."""

    id: UUID
    slug: str
    name: str
    description: str
    parent: str | None
    permissions: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role given to somebody; team_id None = everywhere."""

    id: UUID
    user_id: UUID
    role: str
    team_id: UUID | None
    granted_by: UUID
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy, in force on the local days [since, until); since None = a draft."""

    id: UUID
    slug: str
    name: str
    description: str
    policy_type: str
    rules: dict[str, Any]
    enforcement: str
    priority: int
    version: int
    since: date | None
    until: date | None
    created_by: UUID


@dataclass(frozen=True, slots=True)
class Assignment:
    """A policy version for a team and those below it, or for a person, on the local days [since, until)."""

    id: UUID
    policy: Policy
    team_id: UUID | None
    user_id: UUID | None
    since: date
    until: date | None
    assigned_by: UUID


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told about which alerts, and how."""

    id: UUID
    user_id: UUID
    alert_type: str
    min_severity: str
    channel: str
    target: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody or something that sends requests: `rate` is the mean number on a weekday.

    `teams` holds (since, until, team), `models` and `applications` (name, weight). People without a key, or whose key
    has expired, are known to the gateway by their sign-in.
    """

    key: str
    user_id: UUID | None
    api_key_id: UUID | None
    key_until: date | None
    teams: tuple[tuple[date, date | None, Team], ...]
    site: str
    hours: tuple[float, ...]
    is_service: bool
    mfa: bool
    rate: float
    since: date
    until: date | None
    models: tuple[tuple[str, float], ...]
    applications: tuple[tuple[str, float], ...]

    def team_on(self, day: date) -> Team | None:
        """The team that pays for the requests of a day; None = not here that day."""
        if day < self.since or (self.until is not None and day >= self.until):
            return None
        for since, until, team in self.teams:
            if since <= day and (until is None or day < until):
                return team
        return None


@dataclass(frozen=True)
class Organisation:
    """The demo organisation; `start` is the first local day of its usage."""

    seed: int
    size: int
    days: int
    start: date
    zone: ZoneInfo
    teams: tuple[Team, ...]
    people: tuple[Person, ...]
    keys: tuple[ApiKey, ...]
    roles: tuple[Role, ...]
    grants: tuple[Grant, ...]
    policies: tuple[Policy, ...]
    assignments: tuple[Assignment, ...]
    subscriptions: tuple[Subscription, ...]
    callers: tuple[Caller, ...]
    operators: tuple[UUID, ...] = field(repr=False)
    preview_from: date

    def start_of(self, day: date) -> datetime:
        """First instant of a local day, in UTC."""
        return start_of(day, self.zone)

    @cached_property
    def _assignments_by_target(self) -> dict[UUID, list[Assignment]]:
        targets: dict[UUID, list[Assignment]] = defaultdict(list)
        for assignment in self.assignments:
            target = assignment.team_id or assignment.user_id
            assert target is not None
            targets[target].append(assignment)
        return targets

    def policies_on(self, day: date, team: Team, user_id: UUID | None) -> tuple[Policy, ...]:
        """The versions that apply to a request of a team and person on a day, those of highest priority first."""
        targets = [each.id for each in team.line] + ([user_id] if user_id else [])
        found = {
            assignment.policy.id: assignment.policy
            for target in targets
            for assignment in self._assignments_by_target.get(target, ())
            if assignment.since <= day and (assignment.until is None or day < assignment.until)
        }
        return tuple(sorted(found.values(), key=lambda policy: (policy.priority, policy.slug)))


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """First instant of a local day, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def build_organisation(seed: int, people: int, days: int, start: date, zone: ZoneInfo) -> Organisation:
    """The organisation of `people` people (at least 5) whose usage starts on the local day `start`.

    Changes during the period fall into the first `days` days. Raises ValueError if people < 5 or days < 1.
    """
    if people < 5 or days < 1:
        raise ValueError("a demo organisation has at least 5 people and 1 day")
    calendar = _Calendar(seed, days, start, zone)
    homes = _place(seed, people)
    teams = _make_teams(calendar, homes)
    staff = _make_people(calendar, homes, teams)
    active = [person for person in staff if person.status == "active"]
    settled = [person for person in active if person.silent_from is None and person.stays[0].since < start]
    operators = tuple(person.id for person in settled or active)[: max(2, people // 25)]
    keys, callers = _make_callers(calendar, staff, teams, operators)
    policies, assignments = _make_policies(calendar, staff, teams, operators)
    return Organisation(
        seed=seed,
        size=people,
        days=days,
        start=start,
        zone=zone,
        teams=tuple(teams.values()),
        people=staff,
        keys=keys,
        roles=tuple(
            Role(identifier(seed, "role", slug), slug, name, description, parent, permissions)
            for slug, name, description, parent, permissions in ROLES
        ),
        grants=_make_grants(calendar, staff, teams, operators),
        policies=policies,
        assignments=assignments,
        subscriptions=_make_subscriptions(seed, staff, operators),
        callers=callers,
        operators=operators,
        preview_from=calendar.day(0.6),
    )


@dataclass(frozen=True, slots=True)
class _Calendar:
    """When things happen: days by their share of the period."""

    seed: int
    days: int
    start: date
    zone: ZoneInfo

    def day(self, share: float) -> date:
        return self.start + timedelta(days=int(share * self.days))

    def instant(self, day: date) -> datetime:
        return start_of(day, self.zone)

    def before(self, days: float) -> datetime:
        return start_of(self.start, self.zone) - timedelta(days=days)


def _place(seed: int, people: int) -> list[str]:
    """Home team of each person: every team gets somebody before the rest is spread by size."""
    rng = stream(seed, "placement")
    slugs = [team[0] for team in TEAMS]
    homes = rng.sample(slugs, len(slugs))
    shares = [team[5] for team in TEAMS]
    homes += rng.choices(slugs, shares, k=max(0, people - len(slugs)))
    return homes[:people]


def _make_teams(calendar: _Calendar, homes: list[str]) -> dict[str, Team]:
    teams: dict[str, Team] = {}
    for position, (slug, name, parent, site, kind, _, currency, period) in enumerate(TEAMS):
        owner = homes.index(slug) if slug in homes else None
        teams[slug] = Team(
            id=identifier(calendar.seed, "team", slug),
            slug=slug,
            name=name,
            parent=teams[parent] if parent else None,
            site=site,
            kind=kind,
            cost_center=f"CC-{100 + 10 * position}",
            owner_id=None if owner is None else identifier(calendar.seed, "person", owner),
            budget_period=period,
            currency=currency,
            created_at=calendar.before(700 - 12 * position),
            deleted_at=calendar.instant(calendar.day(0.5)) if slug == DISSOLVED_TEAM else None,
        )
    return teams


def _make_people(calendar: _Calendar, homes: list[str], teams: dict[str, Team]) -> tuple[Person, ...]:
    seed, people = calendar.seed, len(homes)
    rng = stream(seed, "people")
    # nobody who owns a team leaves or never came
    others = [index for index in range(people) if index not in {homes.index(slug) for slug in homes}] or [people - 1]
    rng.shuffle(others)

    def take(share: float) -> set[int]:
        return {others.pop() for _ in range(max(1, round(share * people))) if others}

    leavers, movers, invited = take(0.03), take(0.05), take(0.02)
    silent, never, suspended = take(0.06), take(0.03), take(0.01)
    emails: set[str] = set()
    staff = []
    for index, home in enumerate(homes):
        own = stream(seed, "person", index)
        first, last = own.choice(FIRST_NAMES), own.choice(LAST_NAMES)
        email = f"{first}.{last}".lower()
        if email in emails:
            email += str(index)
        emails.add(email)
        team = teams[home]
        joined = calendar.start - timedelta(days=own.randint(10, 500))
        if own.random() < 0.06:
            joined = calendar.day(0.4 * own.random())
        left_on = calendar.day(0.3 + 0.5 * own.random()) if index in leavers else None
        if left_on is not None:
            joined = min(joined, calendar.start - timedelta(days=200))
        role = "manager" if homes.index(home) == index else "viewer" if own.random() < 0.05 else "member"
        staff.append(
            Person(
                id=identifier(seed, "person", index),
                email=f"{email}@{DOMAIN}",
                name=f"{first} {last}",
                status=(
                    "deactivated"
                    if index in leavers
                    else "invited"
                    if index in invited
                    else "suspended"
                    if index in suspended
                    else "active"
                ),
                mfa=index not in invited and own.random() < (0.85 if team.kind == "engineering" else 0.7),
                created_at=calendar.instant(joined),
                left_on=left_on,
                silent_from=(
                    calendar.start
                    if index in never | invited
                    else calendar.day(0.25 + 0.3 * own.random())
                    if index in silent | suspended
                    else None
                ),
                kind=team.kind,
                site=team.site,
                stays=_make_stays(calendar, own, team, teams, joined, left_on, role, moves=index in movers),
            )
        )
    return tuple(staff)


def _make_stays(
    calendar: _Calendar,
    rng: random.Random,
    home: Team,
    teams: dict[str, Team],
    joined: date,
    left_on: date | None,
    role: str,
    *,
    moves: bool,
) -> tuple[Stay, ...]:
    moved_on, new_home = None, home
    if home.slug == DISSOLVED_TEAM:
        moved_on, new_home = max(calendar.day(0.5), joined), teams[ITS_HEIR]
    elif moves:
        moved_on = max(calendar.day(0.2 + 0.6 * rng.random()), joined)
        new_home = rng.choice([team for team in teams.values() if team.slug not in (home.slug, DISSOLVED_TEAM)])
    if moved_on is None or (left_on is not None and left_on <= moved_on):
        return (Stay(home, joined, left_on, role),)
    if moved_on == joined:
        return (Stay(new_home, joined, left_on, "member"),)
    return (Stay(home, joined, moved_on, role), Stay(new_home, moved_on, left_on, "member"))


def _make_callers(
    calendar: _Calendar, staff: tuple[Person, ...], teams: dict[str, Team], operators: tuple[UUID, ...]
) -> tuple[tuple[ApiKey, ...], tuple[Caller, ...]]:
    seed = calendar.seed
    keys: list[ApiKey] = []
    callers: list[Caller] = []
    # a few people send most: shares of a Pareto distribution, cut so that nobody is the company
    shares = [min(stream(seed, "share", index).paretovariate(1.1), 40.0) for index in range(len(staff))]
    for index, (person, share) in enumerate(zip(staff, shares, strict=True)):
        rng = stream(seed, "caller", index)
        team = person.stays[-1].team
        api_key_id = None
        key_until = None
        if person.kind in ("engineering", "research") and person.status != "invited" and rng.random() < 0.8:
            is_forgotten = person.left_on is not None and index % 2 == 0
            created = person.created_at
            lifetime = rng.choice((None, 180, 365))
            expires = None if lifetime is None else max(created, calendar.before(60)) + timedelta(days=lifetime)
            key_until = None if expires is None else expires.astimezone(calendar.zone).date()
            api_key_id = identifier(seed, "key", person.email)
            keys.append(
                ApiKey(
                    id=api_key_id,
                    user_id=person.id,
                    team_id=person.stays[0].team.id,
                    name=f"{person.name.split()[0]}'s laptop",
                    created_by=person.id,
                    created_at=created,
                    expires_at=expires,
                    revoked_at=None
                    if person.left_on is None or is_forgotten
                    else max(created, calendar.instant(person.left_on)),
                )
            )
        candidates = MODELS_OF_KIND[person.kind]
        count = min(len(candidates), rng.choices((1, 2, 3), (35, 40, 25))[0])
        chosen = (
            rng.sample(candidates[:-1], count) if candidates[-1] == UNPRICED_MODEL else rng.sample(candidates, count)
        )
        if candidates[-1] == UNPRICED_MODEL and count > 1 and rng.random() < 0.5:
            chosen[-1] = UNPRICED_MODEL
        since = person.stays[0].since
        callers.append(
            Caller(
                key=person.email,
                user_id=person.id,
                api_key_id=api_key_id,
                key_until=key_until,
                teams=tuple((stay.since, stay.until, stay.team) for stay in person.stays),
                site=person.site if person.stays[-1].until is None else team.site,
                hours=OFFICE_HOURS,
                is_service=False,
                mfa=person.mfa,
                rate=HUMAN_REQUESTS * len(staff) * share / sum(shares),
                since=since,
                until=min((day for day in (person.left_on, person.silent_from) if day is not None), default=None),
                models=tuple((model, weight) for model, weight in zip(chosen, (6.0, 3.0, 1.0), strict=False)),
                applications=APPLICATIONS_OF_KIND[person.kind],
            )
        )
    total = sum(service[3] for service in SERVICES)
    for position, (name, application, slug, share, hours, models) in enumerate(SERVICES):
        team = teams[slug]
        key = ApiKey(
            id=identifier(seed, "key", name),
            user_id=None,
            team_id=team.id,
            name=name,
            created_by=operators[position % len(operators)],
            created_at=calendar.before(30 + 17 * position),
            expires_at=None,
            revoked_at=None,
        )
        keys.append(key)
        callers.append(
            Caller(
                key=name,
                user_id=None,
                api_key_id=key.id,
                key_until=None,
                teams=((date.min, None, team),),
                site=team.site,
                hours=hours,
                is_service=True,
                mfa=True,
                rate=SERVICE_REQUESTS * len(staff) * share / total,
                since=date.min,
                until=None,
                models=models,
                applications=((application, 1.0),),
            )
        )
    return tuple(keys), tuple(callers)


def _make_policies(
    calendar: _Calendar, staff: tuple[Person, ...], teams: dict[str, Team], operators: tuple[UUID, ...]
) -> tuple[tuple[Policy, ...], tuple[Assignment, ...]]:
    seed = calendar.seed
    policies: list[Policy] = []
    assignments: list[Assignment] = []
    for slug, name, description, policy_type, versions, priority, targets, state in POLICIES:
        for number, (rules, enforcement) in enumerate(versions, start=1):
            is_last = number == len(versions)
            since = (
                calendar.start - timedelta(days=240)
                if number == 1
                else calendar.day(0.8 * (number - 1) / len(versions))
            )
            until = None if is_last else calendar.day(0.8 * number / len(versions))
            if state == "retired":
                until = calendar.day(0.3)
            policy = Policy(
                id=identifier(seed, "policy", f"{slug}/{number}"),
                slug=slug,
                name=name,
                description=description,
                policy_type=policy_type,
                rules=rules,
                enforcement=enforcement,
                priority=priority,
                version=number,
                since=None if state == "draft" else since,
                until=until,
                created_by=operators[number % len(operators)],
            )
            policies.append(policy)
            people = [person for person in staff if person.status == "active"][:1] if slug == "frontier-spend" else []
            for team_id, user_id in [(teams[target].id, None) for target in targets] + [(None, p.id) for p in people]:
                assignments.append(
                    Assignment(
                        id=identifier(seed, "assignment", f"{policy.id}/{team_id or user_id}"),
                        policy=policy,
                        team_id=team_id,
                        user_id=user_id,
                        since=since,
                        until=until,
                        assigned_by=policy.created_by,
                    )
                )
    return tuple(policies), tuple(assignments)


def _make_grants(
    calendar: _Calendar, staff: tuple[Person, ...], teams: dict[str, Team], operators: tuple[UUID, ...]
) -> tuple[Grant, ...]:
    seed = calendar.seed
    grants: list[Grant] = []

    def grant(
        person: Person,
        role: str,
        team: Team | None = None,
        *,
        expires_at: datetime | None = None,
        revoked_at: datetime | None = None,
    ) -> None:
        granted_at = person.created_at
        if person.left_on is not None:
            left_at = max(granted_at, calendar.instant(person.left_on))
            revoked_at = left_at if revoked_at is None else min(revoked_at, left_at)
        grants.append(
            Grant(
                id=identifier(seed, "grant", f"{person.email}/{role}/{team.slug if team else '*'}"),
                user_id=person.id,
                role=role,
                team_id=team.id if team else None,
                granted_by=operators[len(grants) % len(operators)],
                granted_at=granted_at,
                expires_at=None if expires_at is None else max(expires_at, granted_at + timedelta(hours=1)),
                revoked_at=None if revoked_at is None else max(revoked_at, granted_at),
            )
        )

    everywhere = {"engineering": "developer", "research": "developer", "european": "developer"}
    for index, person in enumerate(staff):
        rng = stream(seed, "grants", index)
        team = person.stays[-1].team
        base = everywhere.get(person.kind, "viewer")
        # a developer of a team is one there and below; viewers see everything
        grant(person, base, team if base == "developer" and rng.random() < 0.7 else None)
        if person.stays[0].role == "manager":
            grant(person, "team-manager", person.stays[0].team)
        if team.slug == "security" and rng.random() < 0.5:
            grant(person, "security-officer")
        if team.slug == "finance" and rng.random() < 0.5:
            grant(person, "finance-manager")
        if person.kind == "research" and rng.random() < 0.3:
            grant(person, "prompt-engineer", team)
        if person.kind == "business" and rng.random() < 0.15:
            grant(person, "cost-analyst", team)
        if rng.random() < 0.05:
            # a stand-in for a week or two, long over
            grant(person, "admin", expires_at=calendar.instant(calendar.day(0.5 * rng.random())))
        elif rng.random() < 0.04:
            grant(person, "budget-owner", team, revoked_at=calendar.instant(calendar.day(0.7 * rng.random())))
    admin, *rest = [person for person in staff if person.status == "active"]
    grant(admin, "admin")
    special = (
        ("head-of-ai-governance", None),
        ("security-officer", None),
        ("policy-steward", teams["engineering"]),
        ("external-auditor", None),
        ("budget-owner", teams["engineering"]),
    )
    for person, (role, scope) in zip(rest, special, strict=False):
        grant(person, role, scope)
    # of two grants of a role for one scope the last one stays
    return tuple({(each.user_id, each.role, each.team_id): each for each in grants}.values())


def _make_subscriptions(seed: int, staff: tuple[Person, ...], operators: tuple[UUID, ...]) -> tuple[Subscription, ...]:
    by_id = {person.id: person for person in staff}
    wanted = (
        ("*", "critical", "email", None),
        ("error_rate", "high", "slack", "#llm-incidents"),
        ("budget", "medium", "slack", "#llm-spend"),
        ("unpriced_model", "low", "webhook", f"https://hooks.{DOMAIN}/llm-prices"),
    )
    return tuple(
        Subscription(
            id=identifier(seed, "subscription", f"{user_id}/{alert_type}/{channel}"),
            user_id=user_id,
            alert_type=alert_type,
            min_severity=severity,
            channel=channel,
            target=target or by_id[user_id].email,
        )
        for position, user_id in enumerate(operators)
        for alert_type, severity, channel, target in (wanted if position == 0 else wanted[:1])
    )
