"""Makes up the demo organisation: teams, people, roles, keys, policies, and who calls models how much.

Everything follows from (seed, people, days, start, zone) alone: ids are uuid5 of the seed, each choice has its own
random stream. What changes during the period (people who move or leave, a team that is dissolved, a policy's next
version) is dated from `start`, so a later load of further days sees the same organisation.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from orchestration.demo.entities import (
    ApiKey,
    Assignment,
    Caller,
    Grant,
    Organisation,
    Person,
    Policy,
    Stay,
    Team,
    identifier,
    start_of,
    stream,
)
from orchestration.demo.facts import (
    ACTIVITY,
    HOURS,
    KINDS,
    ORGANISATION,
    POLICIES,
    SERVICES,
    TEAMS,
    UNPRICED_MODEL,
    Weights,
)

_STATUS = {"leaves": "deactivated", "invited": "invited", "suspended": "suspended"}


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
    of_people, of_services = _make_callers(calendar, staff), _make_services(calendar, len(staff), teams, operators)
    made = [*of_people, *of_services]
    policies, assignments = _make_policies(calendar, active[0], teams, operators)
    return Organisation(
        seed=seed,
        start=start,
        zone=zone,
        teams=tuple(teams.values()),
        people=staff,
        keys=tuple(key for _, key in made if key is not None),
        grants=_make_grants(calendar, staff, teams, operators),
        policies=policies,
        assignments=assignments,
        callers=tuple(caller for caller, _ in made),
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
    slugs = [team.slug for team in TEAMS]
    homes = rng.sample(slugs, len(slugs))
    homes += rng.choices(slugs, [team.share for team in TEAMS], k=max(0, people - len(slugs)))
    return homes[:people]


def _make_teams(calendar: _Calendar, homes: list[str]) -> dict[str, Team]:
    teams: dict[str, Team] = {}
    for position, fact in enumerate(TEAMS):
        owner = homes.index(fact.slug) if fact.slug in homes else None
        is_dissolved = fact.slug == ORGANISATION["dissolved_team"]
        teams[fact.slug] = Team(
            id=identifier(calendar.seed, "team", fact.slug),
            slug=fact.slug,
            name=fact.name,
            parent=teams[fact.parent] if fact.parent else None,
            site=fact.site,
            kind=fact.kind,
            cost_center=f"CC-{100 + 10 * position}",
            owner_id=None if owner is None else identifier(calendar.seed, "person", owner),
            budget_period=fact.budget_period,
            currency=fact.currency,
            created_at=calendar.before(700 - 12 * position),
            deleted_at=calendar.instant(calendar.day(0.5)) if is_dissolved else None,
        )
    return teams


def _draw_fates(seed: int, homes: list[str]) -> dict[int, str]:
    """What happens to some of the people, by their index; to nobody who owns a team."""
    people, owners = len(homes), {homes.index(slug) for slug in homes}
    others = [index for index in range(people) if index not in owners] or [people - 1]
    stream(seed, "people").shuffle(others)
    fates: dict[int, str] = {}
    for fate, share in ORGANISATION["fates"].items():
        for _ in range(min(len(others), max(1, round(share * people)))):
            fates[others.pop()] = fate
    return fates


def _make_people(calendar: _Calendar, homes: list[str], teams: dict[str, Team]) -> tuple[Person, ...]:
    seed = calendar.seed
    fates = _draw_fates(seed, homes)
    emails: set[str] = set()
    staff = []
    for index, home in enumerate(homes):
        rng, fate, team = stream(seed, "person", index), fates.get(index), teams[home]
        first, last = rng.choice(ORGANISATION["first_names"]), rng.choice(ORGANISATION["last_names"])
        email = f"{first}.{last}".lower()
        email += str(index) if email in emails else ""
        emails.add(email)
        joined = calendar.start - timedelta(days=rng.randint(10, 500))
        if rng.random() < 0.06:
            joined = calendar.day(0.4 * rng.random())
        left_on = silent_from = None
        if fate == "leaves":
            left_on = calendar.day(0.3 + 0.5 * rng.random())
            joined = min(joined, calendar.start - timedelta(days=200))
        role = "manager" if homes.index(home) == index else "viewer" if rng.random() < 0.05 else "member"
        has_mfa = fate != "invited" and rng.random() < KINDS[team.kind].mfa_share
        if fate in ("never", "invited"):
            silent_from = calendar.start
        elif fate in ("silent", "suspended"):
            silent_from = calendar.day(0.25 + 0.3 * rng.random())
        staff.append(
            Person(
                id=identifier(seed, "person", index),
                email=f"{email}@{ORGANISATION['domain']}",
                display_name=f"{first} {last}",
                status=_STATUS.get(fate or "", "active"),
                mfa_enabled=has_mfa,
                created_at=calendar.instant(joined),
                left_on=left_on,
                silent_from=silent_from,
                kind=team.kind,
                site=team.site,
                stays=_make_stays(calendar, rng, Stay(team, joined, left_on, role), teams, moves=fate == "moves"),
            )
        )
    return tuple(staff)


def _make_stays(
    calendar: _Calendar, rng: random.Random, first: Stay, teams: dict[str, Team], *, moves: bool
) -> tuple[Stay, ...]:
    """The stay as it would be without a move, or the two that a move or the end of the team makes of it."""
    dissolved = ORGANISATION["dissolved_team"]
    if first.team.slug == dissolved:
        moved_on, new_home = max(calendar.day(0.5), first.since), teams[ORGANISATION["heir"]]
    elif moves:
        moved_on = max(calendar.day(0.2 + 0.6 * rng.random()), first.since)
        new_home = rng.choice([team for team in teams.values() if team.slug not in (first.team.slug, dissolved)])
    else:
        return (first,)
    if first.until is not None and first.until <= moved_on:
        return (first,)
    second = Stay(new_home, moved_on, first.until, "member")
    return (second,) if moved_on == first.since else (first._replace(until=moved_on), second)


def _make_callers(calendar: _Calendar, staff: tuple[Person, ...]) -> list[tuple[Caller, ApiKey | None]]:
    """The people as callers, with the keys of those who have one."""
    seed, requests = calendar.seed, ACTIVITY["requests"]["human"] * len(staff)
    made = []
    # a few people send most: shares of a Pareto distribution, cut so that nobody is the company
    shares = [min(stream(seed, "share", index).paretovariate(1.1), 40.0) for index in range(len(staff))]
    total = sum(shares)
    for index, (person, share) in enumerate(zip(staff, shares, strict=True)):
        rng, kind = stream(seed, "caller", index), KINDS[person.kind]
        key = None
        if kind.has_keys and person.status != "invited" and rng.random() < 0.8:
            key = _make_key(calendar, person, rng.choice((None, 180, 365)), is_forgotten=index % 2 == 0)
        made.append(
            (
                Caller(
                    key=person.email,
                    user_id=person.id,
                    api_key_id=key.id if key else None,
                    key_until=key.expires_at.astimezone(calendar.zone).date() if key and key.expires_at else None,
                    stays=person.stays,
                    site=person.site if person.stays[-1].until is None else person.stays[-1].team.site,
                    hours=HOURS["office"],
                    has_mfa=person.mfa_enabled,
                    rate=requests * share / total,
                    until=person.absent_from,
                    models=_choose_models(rng, kind.models),
                    applications=kind.applications,
                ),
                key,
            )
        )
    return made


def _make_key(calendar: _Calendar, person: Person, lifetime: int | None, *, is_forgotten: bool) -> ApiKey:
    """A person's key of so many days; when they leave it is revoked unless it's forgotten."""
    created, expires, revoked = person.created_at, None, None
    if lifetime is not None:
        expires = max(created, calendar.before(60)) + timedelta(days=lifetime)
    if person.left_on is not None and not is_forgotten:
        revoked = max(created, calendar.instant(person.left_on))
    key_id, name = identifier(calendar.seed, "key", person.email), f"{person.display_name.split()[0]}'s laptop"
    return ApiKey(key_id, person.id, person.stays[0].team.id, name, person.id, created, expires, revoked)


def _choose_models(rng: random.Random, candidates: tuple[str, ...]) -> Weights:
    """One to three models, the first most; one without a price is never somebody's only one."""
    count = min(len(candidates), rng.choices((1, 2, 3), (35, 40, 25))[0])
    has_unpriced = candidates[-1] == UNPRICED_MODEL
    chosen = rng.sample(candidates[:-1] if has_unpriced else candidates, count)
    if has_unpriced and count > 1 and rng.random() < 0.5:
        chosen[-1] = UNPRICED_MODEL
    return tuple(zip(chosen, (6.0, 3.0, 1.0), strict=False))


def _make_services(
    calendar: _Calendar, people: int, teams: dict[str, Team], operators: tuple[UUID, ...]
) -> list[tuple[Caller, ApiKey | None]]:
    made: list[tuple[Caller, ApiKey | None]] = []
    requests, total = ACTIVITY["requests"]["service"] * people, sum(service.share for service in SERVICES)
    for position, service in enumerate(SERVICES):
        team, creator = teams[service.team], operators[position % len(operators)]
        key_id, created = identifier(calendar.seed, "key", service.name), calendar.before(30 + 17 * position)
        caller = Caller(
            key=service.name,
            api_key_id=key_id,
            stays=(Stay(team, date.min, None, "service"),),
            site=team.site,
            hours=HOURS[service.hours],
            rate=requests * service.share / total,
            models=service.models,
            applications=((service.application, 1.0),),
            source=service.source,
        )
        made.append((caller, ApiKey(key_id, None, team.id, service.name, creator, created)))
    return made


def _make_policies(
    calendar: _Calendar, first_person: Person, teams: dict[str, Team], operators: tuple[UUID, ...]
) -> tuple[tuple[Policy, ...], tuple[Assignment, ...]]:
    policies: list[Policy] = []
    assignments: list[Assignment] = []
    for fact in POLICIES:
        last = len(fact["versions"])
        for version, text in enumerate(fact["versions"], start=1):
            since = calendar.day(0.8 * (version - 1) / last) if version > 1 else calendar.start - timedelta(days=240)
            until = None if version == last else calendar.day(0.8 * version / last)
            if fact["state"] == "retired":
                until = calendar.day(0.3)
            is_draft = fact["state"] == "draft"
            begins = calendar.instant(calendar.start if is_draft else since)
            ends = None if until is None else calendar.instant(until)
            policy = Policy(
                id=identifier(calendar.seed, "policy", f"{fact['slug']}/{version}"),
                **{name: fact[name] for name in ("slug", "name", "description", "policy_type", "priority")},
                **text,
                version=version,
                is_active=not is_draft and until is None,
                published_at=None if is_draft else begins,
                effective_from=begins,
                effective_to=ends,
                created_by=operators[version % len(operators)],
                created_at=begins - timedelta(days=3),
            )
            policies.append(policy)
            targets: list[tuple[UUID | None, UUID | None]] = [(teams[slug].id, None) for slug in fact["teams"]]
            if fact.get("for_a_person"):
                targets.append((None, first_person.id))
            for team_id, user_id in targets:
                key = identifier(calendar.seed, "assignment", f"{policy.id}/{team_id or user_id}")
                assignments.append(Assignment(key, policy.id, team_id, user_id, begins, ends, policy.created_by))
    return tuple(policies), tuple(assignments)


def _make_grants(
    calendar: _Calendar, staff: tuple[Person, ...], teams: dict[str, Team], operators: tuple[UUID, ...]
) -> tuple[Grant, ...]:
    seed = calendar.seed
    grants: list[Grant] = []

    def grant(
        person: Person, role: str, team: Team | None = None, *, expires: date | None = None, revoked: date | None = None
    ) -> None:
        granted_at = person.created_at
        ends = [day for day in (revoked, person.left_on) if day is not None]
        grants.append(
            Grant(
                id=identifier(seed, "grant", f"{person.email}/{role}/{team.slug if team else '*'}"),
                user_id=person.id,
                role=role,
                team_id=team.id if team else None,
                granted_by=operators[len(grants) % len(operators)],
                granted_at=granted_at,
                expires_at=max(calendar.instant(expires), granted_at + timedelta(hours=1)) if expires else None,
                revoked_at=max(calendar.instant(min(ends)), granted_at) if ends else None,
            )
        )

    for index, person in enumerate(staff):
        rng, team, base = stream(seed, "grants", index), person.stays[-1].team, KINDS[person.kind].role
        # a developer of a team is one there and below; viewers see everything
        grant(person, base, team if base == "developer" and rng.random() < 0.7 else None)
        if person.stays[0].role == "manager":
            grant(person, "team-manager", person.stays[0].team)
        for some in ORGANISATION["some"]:
            is_meant = some.get("team") == team.slug or some.get("kind") == person.kind
            if is_meant and rng.random() < some["chance"]:
                grant(person, some["role"], team if some["in_team"] else None)
        if rng.random() < 0.05:
            # a stand-in for a week or two, long over
            grant(person, "admin", expires=calendar.day(0.5 * rng.random()))
        elif rng.random() < 0.04:
            grant(person, "budget-owner", team, revoked=calendar.day(0.7 * rng.random()))
    admin, *rest = [person for person in staff if person.status == "active"]
    grant(admin, "admin")
    for person, single in zip(rest, ORGANISATION["single"], strict=False):
        grant(person, single["role"], teams[single["team"]] if "team" in single else None)
    # of two grants of a role for one scope the last one stays
    return tuple({(each.user_id, each.role, each.team_id): each for each in grants}.values())
