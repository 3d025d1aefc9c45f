"""What else happens in the demo organisation day by day: sign-ins, alerts and their answers, audited events, load.

As with usage, everything of a local day follows from (organisation, day), and for alerts from that day's requests.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from orchestration.lib.demo.catalogue import OFFICE_HOURS, SITES
from orchestration.lib.demo.organisation import Organisation, Person, Team, identifier, stream
from orchestration.lib.demo.usage import Request, requests_of_day, weather_of_day

SESSION_HOURS, LONG_SESSION_HOURS = 12, 24 * 7
_USER_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
)
# networks that are reserved for examples
_NETWORKS = {"berlin": "192.0.2", "new-york": "198.51.100", "singapore": "203.0.113"}
_VIOLATIONS_FOR_ALERT = 6
# minutes to acknowledge and from there to resolve (medians), share that nobody answers
_ANSWERS = {
    "critical": (6, 70, 0.0),
    "high": (25, 240, 0.03),
    "medium": (200, 1500, 0.1),
    "low": (900, 4000, 0.25),
    "info": (3000, 6000, 0.5),
}


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in; `last_seen_at` and `revoked_at` as they'll turn out, which may be after now."""

    id: UUID
    user_id: UUID
    ip_address: str
    user_agent: str
    mfa_verified: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_reason: str | None


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is raised; what was done about it is `answer_to`."""

    id: UUID
    alert_type: str
    severity: str
    title: str
    details: dict[str, Any]
    dedupe_key: str
    created_at: datetime
    policy_id: UUID | None = None
    team_id: UUID | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """State of an alert at some moment."""

    status: str
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    resolved_at: datetime | None = None
    resolved_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something an application notes in the audit trail."""

    id: UUID
    occurred_at: datetime
    actor_type: str
    actor_id: UUID | None
    actor_label: str
    action: str
    resource_type: str
    outcome: str
    ip_address: str
    user_agent: str
    metadata: dict[str, Any]


class Sample(NamedTuple):
    """One row of core.system_metrics, without labels."""

    time: datetime
    service: str
    host: str
    metric_name: str
    value: float
    unit: str


def sessions_of_day(organisation: Organisation, day: date) -> list[Session]:
    """The sign-ins of a local day."""
    start, end = organisation.start_of(day), organisation.start_of(day + timedelta(days=1))
    sessions = []
    for person in organisation.people:
        gone = min((each for each in (person.left_on, person.silent_from) if each is not None), default=date.max)
        if not person.stays[0].since <= day < gone:
            continue
        rng = stream(organisation.seed, "session", day, person.email)
        if rng.random() > (0.12 if day.weekday() >= 5 else 0.75):
            continue
        # the site's clock: an hour of its working day, moved into this local day
        hour = rng.choices(range(24), OFFICE_HOURS)[0] - SITES[person.site].utc_offset
        created = start + timedelta(hours=hour % 24, seconds=rng.randrange(3600))
        if created >= end:
            continue
        is_long = rng.random() < 0.15
        expires = created + timedelta(hours=LONG_SESSION_HOURS if is_long else SESSION_HOURS)
        left_at = None if person.left_on is None else organisation.start_of(person.left_on)
        revoked = reason = None
        if left_at is not None and created <= left_at < expires:
            revoked, reason = left_at, "account deactivated"
        elif rng.random() < 0.03:
            revoked, reason = created + timedelta(minutes=rng.randint(30, 600)), "signed out everywhere"
        seen = min(created + timedelta(minutes=rng.randint(3, 560)), expires, revoked or expires)
        sessions.append(
            Session(
                id=identifier(organisation.seed, "session", f"{day}/{person.email}"),
                user_id=person.id,
                ip_address=_address(organisation.seed, person),
                user_agent=rng.choice(_USER_AGENTS),
                mfa_verified=person.mfa and rng.random() < 0.97,
                created_at=created,
                last_seen_at=seen,
                expires_at=expires,
                revoked_at=revoked,
                revoked_reason=reason,
            )
        )
    return sessions


def _address(seed: int, person: Person) -> str:
    return f"{_NETWORKS[person.site]}.{stream(seed, 'address', person.email).randint(2, 250)}"


def budgets(organisation: Organisation) -> dict[UUID, Decimal]:
    """Budget of each team that has one: near what it may come to spend, judged by seven days of three months."""
    spent: dict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
    lines = {team.id: team.line for team in organisation.teams}
    # each weekday once
    for offset in range(0, 91, 13):
        for request in requests_of_day(organisation, organisation.start + timedelta(days=offset)):
            for team in lines[request.team_id]:
                spent[team.id, request.currency] += request.cost_amount or 0
    weeks = {"day": Decimal("0.2"), "month": Decimal("4.5"), "quarter": Decimal(13), "year": Decimal(52)}
    amounts = {}
    for team in organisation.teams:
        if team.budget_period is not None:
            rng = stream(organisation.seed, "budget", team.slug)
            generosity = Decimal(rng.choice(("0.9", "1.1", "1.2", "1.4", "1.7")))
            amount = spent[team.id, team.currency] * weeks[team.budget_period] * generosity
            step = 10 ** max(0, len(str(int(amount))) - 2)
            amounts[team.id] = Decimal(max(5, round(amount / step) * step))
    return amounts


@dataclass
class BudgetWatch:
    """Adds up what teams and those above them spend in the period of their budget, and says when a limit is passed."""

    organisation: Organisation
    limits: dict[UUID, Decimal]
    _spent: dict[tuple[UUID, date], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    _lines: dict[UUID, tuple[Team, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._lines = {
            team.id: tuple(each for each in team.line if each.id in self.limits) for team in self.organisation.teams
        }

    def add(self, day: date, team_id: UUID, currency: str, cost: Decimal) -> Iterator[tuple[Team, int]]:
        """Count a cost; yields (team, percent) for each limit of 80 or 100 percent that it passes."""
        for team in self._lines.get(team_id, ()):
            if team.currency != currency or team.budget_period is None:
                continue
            key = team.id, period_start(day, team.budget_period)
            before = self._spent[key]
            self._spent[key] = after = before + cost
            # nobody is told on each day that most of its budget is used
            for percent in (100,) if team.budget_period == "day" else (80, 100):
                limit = self.limits[team.id] * percent / 100
                if before < limit <= after:
                    yield team, percent


def period_start(day: date, period: str) -> date:
    """First day of the budget period (day, month, quarter, year) that a day lies in."""
    if period == "day":
        return day
    month = {"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1, "year": 1}[period]
    return date(day.year, month, 1)


def alerts_of_day(
    organisation: Organisation, day: date, requests: Iterable[Request], watch: BudgetWatch
) -> list[Alert]:
    """The alerts of a local day, given its requests in order of time; counts them in the watch."""
    alerts = [*_incident_alerts(organisation, day), *_key_alerts(organisation, day)]
    names = {team.id: team.name for team in organisation.teams}
    policies = {policy.id: policy for policy in organisation.policies}
    blocked: dict[tuple[UUID, UUID], int] = defaultdict(int)
    is_unpriced_reported = day.weekday() != 0 and day != organisation.preview_from

    def alert(kind: str, severity: str, key: str, time: datetime, title: str, **more: Any) -> None:
        alerts.append(_alert(organisation.seed, kind, severity, key, time, title, **more))

    for request in requests:
        if request.cost_amount is None:
            if not is_unpriced_reported:
                is_unpriced_reported = True
                alert(
                    "unpriced_model",
                    "medium",
                    f"unpriced:{request.model}:{day}",
                    request.time,
                    f"{request.provider}/{request.model} has no price: what it costs is unknown",
                    details={"provider": request.provider, "model": request.model},
                )
        elif request.cost_amount:
            for team, percent in watch.add(day, request.team_id, request.currency, request.cost_amount):
                assert team.budget_period is not None
                period = period_start(day, team.budget_period)
                # a daily budget that is used up is an ordinary day
                severity = "low" if team.budget_period == "day" else "high" if percent == 100 else "medium"
                alert(
                    "budget",
                    severity,
                    f"budget:{team.slug}:{period}:{percent}",
                    request.time,
                    f"{team.name} has used {percent} % of its budget of the {team.budget_period}",
                    team_id=team.id,
                    details={"budget": str(watch.limits[team.id]), "currency": team.currency, "percent": percent},
                )
        if request.policy_decision == "block" and request.policy_id is not None:
            key = request.team_id, request.policy_id
            blocked[key] += 1
            if blocked[key] == _VIOLATIONS_FOR_ALERT:
                policy = policies[request.policy_id]
                alert(
                    "policy_violations",
                    "high" if policy.policy_type == "content_filter" else "low",
                    f"policy:{policy.slug}:{request.team_id}:{day}",
                    request.time,
                    f"{policy.name} blocked {_VIOLATIONS_FOR_ALERT} requests of {names[request.team_id]} today",
                    team_id=request.team_id,
                    policy_id=policy.id,
                )
    return sorted(alerts, key=lambda each: (each.created_at, each.dedupe_key))


def _alert(
    seed: int,
    kind: str,
    severity: str,
    key: str,
    time: datetime,
    title: str,
    *,
    details: dict[str, Any] | None = None,
    policy_id: UUID | None = None,
    team_id: UUID | None = None,
    user_id: UUID | None = None,
) -> Alert:
    return Alert(
        id=identifier(seed, "alert", key),
        alert_type=kind,
        severity=severity,
        title=title,
        details={"source": "demo"} | (details or {}),
        dedupe_key=key,
        created_at=time,
        policy_id=policy_id,
        team_id=team_id,
        user_id=user_id,
    )


def _incident_alerts(organisation: Organisation, day: date) -> Iterator[Alert]:
    seed, start = organisation.seed, organisation.start_of(day)
    weather = weather_of_day(organisation, day)
    if weather.outage_provider:
        minutes = int((weather.outage_until - weather.outage_from).total_seconds() // 60)
        yield _alert(
            seed,
            "error_rate",
            "critical" if minutes > 90 else "high",
            f"error_rate:{weather.outage_provider}:{day}",
            weather.outage_from + timedelta(minutes=4),
            f"Almost half of the requests to {weather.outage_provider} fail",
            details={"provider": weather.outage_provider, "lasted_minutes": minutes},
        )
    if weather.looping_service:
        caller = next(each for each in organisation.callers if each.key == weather.looping_service)
        yield _alert(
            seed,
            "cost_spike",
            "critical",
            f"cost_spike:{caller.key}:{day}",
            start + timedelta(hours=11, minutes=7),
            f"{caller.key} sends six times as many requests as usual",
            details={"api_key": caller.key},
            team_id=caller.teams[-1][2].id,
        )
    rng = stream(seed, "break-in", day)
    if rng.random() < 0.08:
        person = rng.choice(organisation.people)
        yield _alert(
            seed,
            "failed_logins",
            "high",
            f"failed_logins:{person.email}:{day}",
            start + timedelta(seconds=rng.randrange(82_000)),
            f"{rng.randint(6, 40)} failed sign-ins to {person.email} within five minutes",
            user_id=person.id,
        )


def _key_alerts(organisation: Organisation, day: date) -> Iterator[Alert]:
    start = organisation.start_of(day)
    morning = start + timedelta(hours=7)
    for key in organisation.keys:
        ends = key.expires_at
        if (
            ends is not None
            and start <= ends - timedelta(days=7) < start + timedelta(days=1)
            and key.revoked_at is None
        ):
            yield _alert(
                organisation.seed,
                "key_expiry",
                "low",
                f"key_expiry:{key.id}",
                morning,
                f"The key {key.name} expires in a week",
                team_id=key.team_id,
                user_id=key.user_id,
            )
    live_keys = {key.user_id for key in organisation.keys if key.user_id is not None and key.revoked_at is None}
    for person in organisation.people:
        if person.left_on is not None and person.left_on + timedelta(days=1) == day and person.id in live_keys:
            yield _alert(
                organisation.seed,
                "orphaned_key",
                "high",
                f"orphaned_key:{person.id}",
                morning,
                f"{person.name} has left, a key of theirs still works",
                user_id=person.id,
            )


def answer_to(organisation: Organisation, alert_id: UUID, severity: str, created_at: datetime, now: datetime) -> Answer:
    """What has been done by `now` about an alert raised at `created_at`."""
    rng = stream(organisation.seed, "answer", alert_id)
    to_acknowledge, to_resolve, ignored = _ANSWERS[severity]
    operator = rng.choice(organisation.operators)
    acknowledged_at = created_at + timedelta(minutes=to_acknowledge * rng.lognormvariate(0, 0.7))
    resolved_at = acknowledged_at + timedelta(minutes=to_resolve * rng.lognormvariate(0, 0.6))
    roll = rng.random()
    if roll < ignored:
        return Answer("suppressed" if roll < ignored / 3 and now >= acknowledged_at else "open")
    if now < acknowledged_at:
        return Answer("open")
    if now < resolved_at:
        return Answer("acknowledged", acknowledged_at, operator)
    return Answer("resolved", acknowledged_at, operator, resolved_at, operator)


# action, resource, outcome
_EVENTS = (
    ("login.failed", "session", "failure"),
    ("login.failed", "session", "failure"),
    ("mfa.challenged", "session", "success"),
    ("mfa.challenged", "session", "failure"),
    ("report.exported", "report", "success"),
    ("api_key.used", "api_key", "denied"),
    ("policy.read", "policy", "success"),
    ("budget.read", "budget", "denied"),
    ("audit_log.exported", "audit_log", "success"),
)


def events_of_day(organisation: Organisation, day: date) -> list[Event]:
    """What applications noted in the audit trail on a local day."""
    rng = stream(organisation.seed, "events", day)
    start = organisation.start_of(day)
    present = [
        person
        for person in organisation.people
        if person.stays[0].since <= day and (person.left_on is None or day < person.left_on)
    ]
    events = []
    for number in range(rng.randint(2, 5) if day.weekday() >= 5 else rng.randint(6, 16)):
        person = rng.choice(present or organisation.people)
        action, resource, outcome = rng.choice(_EVENTS)
        events.append(
            Event(
                id=identifier(organisation.seed, "event", f"{day}/{number}"),
                occurred_at=start + timedelta(seconds=rng.randrange(82_000)),
                actor_type="user",
                actor_id=person.id,
                actor_label=person.email,
                action=action,
                resource_type=resource,
                outcome=outcome,
                ip_address=_address(organisation.seed, person),
                user_agent=rng.choice(_USER_AGENTS),
                metadata={"source": "demo"},
            )
        )
    return sorted(events, key=lambda event: (event.occurred_at, event.id))


# service, host, metric, unit, base value, what a full load adds
_GAUGES = (
    ("gateway", "gateway-1", "cpu_percent", "percent", 8.0, 55.0),
    ("gateway", "gateway-1", "memory_bytes", "bytes", 9.0e8, 6.0e8),
    ("gateway", "gateway-1", "requests_in_flight", "requests", 1.0, 40.0),
    ("policy-engine", "policy-1", "cpu_percent", "percent", 4.0, 30.0),
    ("policy-engine", "policy-1", "queue_depth", "requests", 0.0, 25.0),
    ("warehouse", "postgres-1", "cpu_percent", "percent", 6.0, 35.0),
    ("warehouse", "postgres-1", "connections", "connections", 6.0, 24.0),
)


def samples_of_day(organisation: Organisation, day: date) -> Iterator[Sample]:
    """How the systems themselves fared: one sample an hour of each gauge."""
    rng = stream(organisation.seed, "system", day)
    time, end = organisation.start_of(day), organisation.start_of(day + timedelta(days=1))
    while time < end:
        # Berlin's and New York's days overlap
        busy = (OFFICE_HOURS[(time.hour + 1) % 24] + OFFICE_HOURS[(time.hour - 5) % 24]) / 20
        busy *= 0.2 if time.weekday() >= 5 else 1.0
        for service, host, metric, unit, base, full in _GAUGES:
            value = (base + full * busy) * rng.lognormvariate(0, 0.15)
            yield Sample(time, service, host, metric, round(value, 2), unit)
        time += timedelta(hours=1)
