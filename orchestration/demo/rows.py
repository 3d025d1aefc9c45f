"""The demo organisation and its activity as rows of the core tables: dicts by column, all of a table with the same.

Column names are those of the tables; what is not named keeps its default. Objects of JSON columns are dicts.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from orchestration.demo.activity import Session
from orchestration.demo.alerts import Alert, answer_to, budgets
from orchestration.demo.entities import Organisation, Person, Team, digest, identifier
from orchestration.demo.facts import ORGANISATION

Row = dict[str, Any]


class Seeded(NamedTuple):
    """Ids of what every warehouse starts with: roles and active policies by slug, and the root team."""

    roles: dict[str, UUID]
    policies: dict[str, UUID]
    root_team: UUID


def organisation_rows(organisation: Organisation, seeded: Seeded, now: datetime) -> Iterator[tuple[str, list[Row]]]:
    """The tables of the organisation with their rows, in an order that foreign keys allow."""
    seed, people = organisation.seed, organisation.people
    amounts = budgets(organisation)
    role_ids = seeded.roles | {role["slug"]: identifier(seed, "role", role["slug"]) for role in ORGANISATION["roles"]}

    def instant(day: date | None) -> datetime | None:
        return None if day is None else organisation.start_of(day)

    yield "users", [_user(person, instant(person.left_on)) for person in people]
    yield "mfa_secrets", [_mfa_secret(seed, person) for person in people if person.mfa_enabled]
    # in the order of the tree, parents first
    yield (
        "teams",
        [_team(team, seeded.root_team) | {"budget_amount": amounts.get(team.id)} for team in organisation.teams],
    )
    yield (
        "team_members",
        [
            {
                "id": identifier(seed, "member", f"{person.email}/{stay.team.slug}"),
                "team_id": stay.team.id,
                "user_id": person.id,
                "member_role": stay.role,
                "joined_at": instant(stay.since),
                "left_at": instant(stay.until),
            }
            for person in people
            for stay in person.stays
        ],
    )
    yield (
        "roles",
        [
            {name: role[name] for name in ("slug", "name", "description", "permissions")}
            | {"id": role_ids[role["slug"]], "parent_role_id": role_ids[role["parent"]] if "parent" in role else None}
            for role in ORGANISATION["roles"]
        ],
    )
    yield "user_roles", [_renamed(grant._asdict(), "role", "role_id", role_ids) for grant in organisation.grants]
    yield (
        "api_keys",
        [
            key._asdict()
            | {
                "key_prefix": f"nw-{digest(seed, 'key-prefix', key.id).hex()[:8]}",
                "key_hash": digest(seed, "key", key.id),
                "scopes": {"models": ["use"], "metrics": ["write"]},
            }
            for key in organisation.keys
        ],
    )
    yield "policies", [policy._asdict() for policy in organisation.policies]
    yield "policy_assignments", [assignment._asdict() for assignment in organisation.assignments]
    yield (
        "policy_assignments",
        [
            {
                "id": identifier(seed, "assignment", f"{slug}/root"),
                "policy_id": seeded.policies[slug],
                "team_id": seeded.root_team,
                "effective_from": now,
                "assigned_by": organisation.operators[0],
            }
            for slug in ORGANISATION["root_policies"]
            if slug in seeded.policies
        ],
    )
    yield "alert_subscriptions", list(_subscriptions(organisation))


def _user(person: Person, left_at: datetime | None) -> Row:
    return {
        "id": person.id,
        "email": person.email,
        "display_name": person.display_name,
        "status": person.status,
        "mfa_enabled": person.mfa_enabled,
        "metadata": {"source": "demo", "site": person.site, "sign_in": "sso"},
        "created_at": person.created_at,
        "deleted_at": left_at,
    }


def _mfa_secret(seed: int, person: Person) -> Row:
    return {
        "id": identifier(seed, "mfa", person.email),
        "user_id": person.id,
        "secret_ciphertext": digest(seed, "mfa", person.email) + digest(seed, "mfa-tag", person.email),
        "encryption_key_id": "demo-2",
        "backup_code_hashes": [digest(seed, f"backup-{code}", person.email) for code in range(8)],
        "confirmed_at": person.created_at,
        "created_at": person.created_at,
    }


def _team(team: Team, root_team: UUID) -> Row:
    names = ("id", "name", "slug", "owner_id", "currency", "cost_center", "created_at", "deleted_at")
    return {name: getattr(team, name) for name in names} | {
        "parent_team_id": team.parent.id if team.parent else root_team,
        "budget_period": team.budget_period or "month",
    }


def _renamed(row: Row, name: str, column: str, values: dict[str, UUID]) -> Row:
    row[column] = values[row.pop(name)]
    return row


def _subscriptions(organisation: Organisation) -> Iterator[Row]:
    emails = {person.id: person.email for person in organisation.people}
    for position, user_id in enumerate(organisation.operators):
        for fact in ORGANISATION["subscriptions"][: None if position == 0 else 1]:
            key = f"{user_id}/{fact['alert_type']}/{fact['channel']}"
            row = {"id": identifier(organisation.seed, "subscription", key), "user_id": user_id}
            yield row | {"target": emails[user_id]} | fact


def session_rows(organisation: Organisation, sessions: Iterable[Session], now: datetime) -> list[Row]:
    """Rows of core.sessions as of `now`."""
    rows = []
    for session in sessions:
        if session.revoked_at is not None and session.revoked_at > now:
            session = session._replace(revoked_at=None, revoked_reason=None)
        token_hash = digest(organisation.seed, "session", session.id)
        rows.append(session._asdict() | {"last_seen_at": min(session.last_seen_at, now), "token_hash": token_hash})
    return rows


def alert_rows(organisation: Organisation, alerts: Iterable[Alert], now: datetime) -> list[Row]:
    """Rows of core.alerts with what has been done about them by `now`."""
    return [
        alert._asdict() | answer_to(organisation, alert.id, alert.severity, alert.created_at, now)._asdict()
        for alert in alerts
    ]
