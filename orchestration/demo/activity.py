"""What else happens in the demo organisation day by day: sign-ins, audited events, load of the systems.

As with usage, everything of a local day follows from (organisation, day).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from orchestration.demo.entities import Organisation, Person, identifier, stream
from orchestration.demo.facts import ACTIVITY, EVENTS, GAUGES, HOURS, SITES

SESSION_HOURS, LONG_SESSION_HOURS = 12, 24 * 7


class Session(NamedTuple):
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


class Event(NamedTuple):
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
        if not person.stays[0].since <= day < (person.absent_from or date.max):
            continue
        rng = stream(organisation.seed, "session", day, person.email)
        if rng.random() > (0.12 if day.weekday() >= 5 else 0.75):
            continue
        # the site's clock: an hour of its working day, moved into this local day
        hour = rng.choices(range(24), HOURS["office"])[0] - SITES[person.site].utc_offset
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
                user_agent=rng.choice(ACTIVITY["user_agents"]),
                mfa_verified=person.mfa_enabled and rng.random() < 0.97,
                created_at=created,
                last_seen_at=seen,
                expires_at=expires,
                revoked_at=revoked,
                revoked_reason=reason,
            )
        )
    return sessions


def _address(seed: int, person: Person) -> str:
    return f"{SITES[person.site].network}.{stream(seed, 'address', person.email).randint(2, 250)}"


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
        event = rng.choice(EVENTS)
        events.append(
            Event(
                id=identifier(organisation.seed, "event", f"{day}/{number}"),
                occurred_at=start + timedelta(seconds=rng.randrange(82_000)),
                actor_type="user",
                actor_id=person.id,
                actor_label=person.email,
                **event,
                ip_address=_address(organisation.seed, person),
                user_agent=rng.choice(ACTIVITY["user_agents"]),
                metadata={"source": "demo"},
            )
        )
    return sorted(events, key=lambda event: (event.occurred_at, event.id))


def samples_of_day(organisation: Organisation, day: date) -> Iterator[Sample]:
    """How the systems themselves fared: one sample an hour of each gauge."""
    rng, office = stream(organisation.seed, "system", day), HOURS["office"]
    time, end = organisation.start_of(day), organisation.start_of(day + timedelta(days=1))
    while time < end:
        # Berlin's and New York's days overlap
        busy = (office[(time.hour + 1) % 24] + office[(time.hour - 5) % 24]) / 20
        busy *= 0.2 if time.weekday() >= 5 else 1.0
        for gauge in GAUGES:
            value = (gauge.idle + gauge.busy * busy) * rng.lognormvariate(0, 0.15)
            yield Sample(time, gauge.service, gauge.host, gauge.metric_name, round(value, 2), gauge.unit)
        time += timedelta(hours=1)
