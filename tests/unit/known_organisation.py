"""An organisation as the database knows it, for tests of what an import would do with it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orchestration.lib.organisation.known import Row
from orchestration.lib.organisation.plan import Options

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ID = UUID(int=1)
HASHES = {name: f"{number:064x}" for number, name in enumerate("abc", 1)}
ADMIN = ("admin@acme.example", "super-admin", None)
END = Options(ends_memberships=True)
MISSING = Options(deactivates_missing=True)


def person(email: str, **fields: Any) -> Row:
    return Row(ID, NOW, None, {"email": email, "display_name": "Someone", "status": "active"} | fields)


def team(slug: str, **fields: Any) -> Row:
    defaults = {"parent": "organization", "owner": None, "budget_amount": None, "status": "active"}
    return Row(ID, NOW, None, {"slug": slug, "name": "Team"} | defaults | fields)


def key(name: str, *, revoked: datetime | None = None, **fields: Any) -> Row:
    defaults = {"key_hash": HASHES[name], "key_prefix": f"sk-{name}", "name": "Key", "expires_at": None}
    return Row(ID, NOW - timedelta(days=9), revoked, defaults | {"user": None, "team": "platform"} | fields)


PEOPLE: dict[str, dict[str, Any]] = {
    "admin@acme.example": {},
    "ann@acme.example": {"display_name": "Ann", "metadata.scim_id": "1"},
    "bob@acme.example": {},
    "carl@acme.example": {"status": "deactivated"},
}
TEAMS: dict[str, dict[str, Any]] = {
    "organization": {"parent": None},
    "platform": {},
    "below": {"parent": "platform"},
    "old": {"status": "deactivated"},
}
# an administrator, ann in platform as a manager with a role and a key, bob without anything, carl gone
KNOWN: dict[str, Any] = {
    "people": {email: person(email, **fields) for email, fields in PEOPLE.items()},
    "teams": {slug: team(slug, **fields) for slug, fields in TEAMS.items()},
    "keys": {
        HASHES["a"]: key("a", user="ann@acme.example"),
        HASHES["b"]: key("b"),
        HASHES["c"]: key("c", revoked=NOW),
    },
    "memberships": {("ann@acme.example", "platform"): (ID, "manager")},
    "grants": {ADMIN: ID, ("ann@acme.example", "viewer", "platform"): ID},
    "roles": {"super-admin": ID, "viewer": ID},
}
