"""The alerts of the demo organisation: what a local day's requests and incidents raise, and what is done about them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from orchestration.demo.entities import Organisation, Team, identifier, stream
from orchestration.demo.facts import ACTIVITY
from orchestration.demo.usage import Request, requests_of_day, weather_of_day

_VIOLATIONS_FOR_ALERT = 6


class Alert(NamedTuple):
    """An alert as it is raised; what was done about it is `answer_to`."""

    id: UUID
    alert_type: str
    severity: str
    title: str
    details: dict[str, Any]
    dedupe_key: str
    policy_id: UUID | None
    team_id: UUID | None
    user_id: UUID | None
    created_at: datetime


class Answer(NamedTuple):
    """State of an alert at some moment."""

    status: str
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    resolved_at: datetime | None = None
    resolved_by: UUID | None = None


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
    raised = _Alerts(organisation, day)
    raised.of_incidents()
    raised.of_keys()
    raised.of_requests(requests, watch)
    return sorted(raised.alerts, key=lambda alert: (alert.created_at, alert.dedupe_key))


class _Alerts:
    """Raises the alerts of one local day."""

    def __init__(self, organisation: Organisation, day: date) -> None:
        self._organisation, self._day, self._start = organisation, day, organisation.start_of(day)
        self.alerts: list[Alert] = []

    def _raise(
        self,
        alert_type: str,
        severity: str,
        time: datetime,
        *,
        details: dict[str, Any] | None = None,
        policy_id: UUID | None = None,
        team_id: UUID | None = None,
        user_id: UUID | None = None,
        **words: object,
    ) -> None:
        """Raise it; its title and its key are texts of the facts in which `words` and the like are named."""
        texts = ACTIVITY["alerts"][alert_type]
        words |= {"day": self._day, "team_id": team_id, "user_id": user_id, **(details or {})}
        key, title = texts["key"].format_map(words), texts["title"].format_map(words)
        alert_id = identifier(self._organisation.seed, "alert", key)
        given = {"source": "demo"} | (details or {})
        self.alerts.append(Alert(alert_id, alert_type, severity, title, given, key, policy_id, team_id, user_id, time))

    def of_incidents(self) -> None:
        day, weather = self._day, weather_of_day(self._organisation, self._day)
        if weather.outage_provider:
            minutes = int((weather.outage_until - weather.outage_from).total_seconds() // 60)
            severity, seen = "critical" if minutes > 90 else "high", weather.outage_from + timedelta(minutes=4)
            details = {"provider": weather.outage_provider, "lasted_minutes": minutes}
            self._raise("error_rate", severity, seen, details=details)
        if weather.looping_service:
            caller = next(each for each in self._organisation.callers if each.key == weather.looping_service)
            seen, team_id = self._start + timedelta(hours=11, minutes=7), caller.stays[-1].team.id
            self._raise("cost_spike", "critical", seen, details={"api_key": caller.key}, team_id=team_id)
        rng = stream(self._organisation.seed, "break-in", day)
        if rng.random() < 0.08:
            person = rng.choice(self._organisation.people)
            seen = self._start + timedelta(seconds=rng.randrange(82_000))
            self._raise("failed_logins", "high", seen, user_id=person.id, email=person.email, count=rng.randint(6, 40))

    def of_keys(self) -> None:
        morning, next_start = self._start + timedelta(hours=7), self._start + timedelta(days=1)
        live = [key for key in self._organisation.keys if key.revoked_at is None]
        for key in live:
            if key.expires_at and self._start <= key.expires_at - timedelta(days=7) < next_start:
                team_id, user_id = key.team_id, key.user_id
                self._raise(
                    "key_expiry", "low", morning, team_id=team_id, user_id=user_id, key_id=key.id, name=key.name
                )
        owners = {key.user_id for key in live}
        for person in self._organisation.people:
            has_just_left = person.left_on is not None and person.left_on + timedelta(days=1) == self._day
            if has_just_left and person.id in owners:
                self._raise("orphaned_key", "high", morning, user_id=person.id, name=person.display_name)

    def of_requests(self, requests: Iterable[Request], watch: BudgetWatch) -> None:
        day = self._day
        names = {team.id: team.name for team in self._organisation.teams}
        policies = {policy.id: policy for policy in self._organisation.policies}
        blocked: dict[tuple[UUID, UUID], int] = defaultdict(int)
        is_unpriced_reported = day.weekday() != 0 and day != self._organisation.preview_from
        for request in requests:
            if request.cost_amount is None and not is_unpriced_reported:
                is_unpriced_reported = True
                details = {"provider": request.provider, "model": request.model}
                self._raise("unpriced_model", "medium", request.time, details=details)
            elif request.cost_amount:
                for team, percent in watch.add(day, request.team_id, request.currency, request.cost_amount):
                    self._raise_budget(request.time, team, percent, watch.limits[team.id])
            if request.policy_decision == "block" and request.policy_id is not None:
                key = request.team_id, request.policy_id
                blocked[key] += 1
                if blocked[key] == _VIOLATIONS_FOR_ALERT:
                    policy = policies[request.policy_id]
                    self._raise(
                        "policy_violations",
                        "high" if policy.policy_type == "content_filter" else "low",
                        request.time,
                        team_id=request.team_id,
                        policy_id=policy.id,
                        policy=policy.slug,
                        name=policy.name,
                        count=_VIOLATIONS_FOR_ALERT,
                        team=names[request.team_id],
                    )

    def _raise_budget(self, time: datetime, team: Team, percent: int, limit: Decimal) -> None:
        assert team.budget_period is not None
        # a daily budget that is used up is an ordinary day
        severity = "low" if team.budget_period == "day" else "high" if percent == 100 else "medium"
        self._raise(
            "budget",
            severity,
            time,
            details={"budget": str(limit), "currency": team.currency, "percent": percent},
            team_id=team.id,
            team=team.slug,
            name=team.name,
            budget_period=team.budget_period,
            period=period_start(self._day, team.budget_period),
        )


def answer_to(organisation: Organisation, alert_id: UUID, severity: str, created_at: datetime, now: datetime) -> Answer:
    """What has been done by `now` about an alert raised at `created_at`."""
    rng = stream(organisation.seed, "answer", alert_id)
    minutes = ACTIVITY["answers"][severity]
    operator = rng.choice(organisation.operators)
    acknowledged_at = created_at + timedelta(minutes=minutes["acknowledged"] * rng.lognormvariate(0, 0.7))
    resolved_at = acknowledged_at + timedelta(minutes=minutes["resolved"] * rng.lognormvariate(0, 0.6))
    roll = rng.random()
    if roll < minutes["ignored"]:
        return Answer("suppressed" if roll < minutes["ignored"] / 3 and now >= acknowledged_at else "open")
    if now < acknowledged_at:
        return Answer("open")
    if now < resolved_at:
        return Answer("acknowledged", acknowledged_at, operator)
    return Answer("resolved", acknowledged_at, operator, resolved_at, operator)
