"""The demo organisation and its activity as rows of the core tables: dicts by column, all of a table with the same.

Column names are those of the tables; what is not named keeps its default.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from orchestration.lib.demo.activity import Alert, Event, Session, answer_to, budgets
from orchestration.lib.demo.blueprint import DEFAULT_POLICIES_IN_USE
from orchestration.lib.demo.organisation import Organisation, digest, identifier

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seeded:
    """Ids of what every warehouse starts with: roles and active policies by slug, and the root team."""

    roles: dict[str, UUID]
    policies: dict[str, UUID]
    root_team: UUID


def organisation_rows(organisation: Organisation, seeded: Seeded, now: datetime) -> Iterator[tuple[str, list[Row]]]:
    """The tables of the organisation with their rows, in an order that foreign keys allow."""
    seed, start_of = organisation.seed, organisation.start_of
    amounts = budgets(organisation)
    roles = seeded.roles | {role.slug: role.id for role in organisation.roles}

    yield (
        "users",
        [
            {
                "id": person.id,
                "email": person.email,
                "display_name": person.name,
                "status": person.status,
                "mfa_enabled": person.mfa,
                "metadata": Jsonb({"source": "demo", "site": person.site, "sign_in": "sso"}),
                "created_at": person.created_at,
                "deleted_at": None if person.left_on is None else start_of(person.left_on),
            }
            for person in organisation.people
        ],
    )
    yield (
        "mfa_secrets",
        [
            {
                "id": identifier(seed, "mfa", person.email),
                "user_id": person.id,
                "secret_ciphertext": digest(seed, "mfa", person.email) + digest(seed, "mfa-tag", person.email),
                "encryption_key_id": "demo-2",
                "backup_code_hashes": [digest(seed, f"backup-{code}", person.email) for code in range(8)],
                "confirmed_at": person.created_at,
                "created_at": person.created_at,
            }
            for person in organisation.people
            if person.mfa
        ],
    )
    # in the order of the tree, parents first
    yield (
        "teams",
        [
            {
                "id": team.id,
                "name": team.name,
                "slug": team.slug,
                "parent_team_id": team.parent.id if team.parent else seeded.root_team,
                "owner_id": team.owner_id,
                "budget_amount": amounts.get(team.id),
                "budget_period": team.budget_period or "month",
                "currency": team.currency,
                "cost_center": team.cost_center,
                "created_at": team.created_at,
                "deleted_at": team.deleted_at,
            }
            for team in organisation.teams
        ],
    )
    yield (
        "team_members",
        [
            {
                "id": identifier(seed, "member", f"{person.email}/{stay.team.slug}"),
                "team_id": stay.team.id,
                "user_id": person.id,
                "member_role": stay.role,
                "joined_at": start_of(stay.since),
                "left_at": None if stay.until is None else start_of(stay.until),
            }
            for person in organisation.people
            for stay in person.stays
        ],
    )
    yield (
        "roles",
        [
            {
                "id": role.id,
                "slug": role.slug,
                "name": role.name,
                "description": role.description,
                "parent_role_id": None if role.parent is None else roles[role.parent],
                "permissions": Jsonb(role.permissions),
            }
            for role in organisation.roles
        ],
    )
    yield (
        "user_roles",
        [
            {
                "id": grant.id,
                "user_id": grant.user_id,
                "role_id": roles[grant.role],
                "team_id": grant.team_id,
                "granted_by": grant.granted_by,
                "granted_at": grant.granted_at,
                "expires_at": grant.expires_at,
                "revoked_at": grant.revoked_at,
            }
            for grant in organisation.grants
        ],
    )
    yield (
        "api_keys",
        [
            {
                "id": key.id,
                "user_id": key.user_id,
                "team_id": key.team_id,
                "name": key.name,
                "key_prefix": f"nw-{digest(seed, 'key-prefix', key.id).hex()[:8]}",
                "key_hash": digest(seed, "key", key.id),
                "scopes": Jsonb({"models": ["use"], "metrics": ["write"]}),
                "expires_at": key.expires_at,
                "revoked_at": key.revoked_at,
                "created_by": key.created_by,
                "created_at": key.created_at,
            }
            for key in organisation.keys
        ],
    )
    yield (
        "policies",
        [
            {
                "id": policy.id,
                "name": policy.name,
                "slug": policy.slug,
                "description": policy.description,
                "policy_type": policy.policy_type,
                "rules": Jsonb(policy.rules),
                "enforcement": policy.enforcement,
                "priority": policy.priority,
                "version": policy.version,
                "is_active": policy.since is not None and policy.until is None,
                "published_at": None if policy.since is None else start_of(policy.since),
                "effective_from": start_of(policy.since or organisation.start),
                "effective_to": None if policy.until is None else start_of(policy.until),
                "created_by": policy.created_by,
                "created_at": start_of(policy.since or organisation.start) - timedelta(days=3),
            }
            for policy in organisation.policies
        ],
    )
    yield (
        "policy_assignments",
        [
            {
                "id": assignment.id,
                "policy_id": assignment.policy.id,
                "team_id": assignment.team_id,
                "user_id": assignment.user_id,
                "effective_from": start_of(assignment.since),
                "expires_at": None if assignment.until is None else start_of(assignment.until),
                "assigned_by": assignment.assigned_by,
            }
            for assignment in organisation.assignments
        ],
    )
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
            for slug in DEFAULT_POLICIES_IN_USE
            if slug in seeded.policies
        ],
    )
    yield (
        "alert_subscriptions",
        [
            {
                "id": subscription.id,
                "user_id": subscription.user_id,
                "alert_type": subscription.alert_type,
                "min_severity": subscription.min_severity,
                "channel": subscription.channel,
                "target": subscription.target,
            }
            for subscription in organisation.subscriptions
        ],
    )


def session_rows(organisation: Organisation, sessions: Iterable[Session], now: datetime) -> list[Row]:
    """Rows of core.sessions as of `now`."""
    return [
        {
            "id": session.id,
            "user_id": session.user_id,
            "token_hash": digest(organisation.seed, "session", session.id),
            "ip_address": session.ip_address,
            "user_agent": session.user_agent,
            "mfa_verified": session.mfa_verified,
            "created_at": session.created_at,
            "last_seen_at": min(session.last_seen_at, now),
            "expires_at": session.expires_at,
            "revoked_at": revoked_at,
            "revoked_reason": session.revoked_reason if revoked_at else None,
        }
        for session in sessions
        for revoked_at in [session.revoked_at if session.revoked_at and session.revoked_at <= now else None]
    ]


def alert_rows(organisation: Organisation, alerts: Iterable[Alert], now: datetime) -> list[Row]:
    """Rows of core.alerts with what has been done about them by `now`."""
    return [
        {
            "id": alert.id,
            "alert_type": alert.alert_type,
            "severity": alert.severity,
            "status": answer.status,
            "title": alert.title,
            "details": Jsonb(alert.details),
            "dedupe_key": alert.dedupe_key,
            "policy_id": alert.policy_id,
            "team_id": alert.team_id,
            "user_id": alert.user_id,
            "created_at": alert.created_at,
            "acknowledged_at": answer.acknowledged_at,
            "acknowledged_by": answer.acknowledged_by,
            "resolved_at": answer.resolved_at,
            "resolved_by": answer.resolved_by,
        }
        for alert in alerts
        for answer in [answer_to(organisation, alert.id, alert.severity, alert.created_at, now)]
    ]


def event_rows(events: Iterable[Event]) -> list[Row]:
    """Rows of core.audit_logs."""
    return [
        {
            "id": event.id,
            "occurred_at": event.occurred_at,
            "actor_type": event.actor_type,
            "actor_id": event.actor_id,
            "actor_label": event.actor_label,
            "action": event.action,
            "resource_type": event.resource_type,
            "outcome": event.outcome,
            "ip_address": event.ip_address,
            "user_agent": event.user_agent,
            "metadata": Jsonb(event.metadata),
        }
        for event in events
    ]
