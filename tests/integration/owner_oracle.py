"""Whose a request is, told once more in plain Python: what docs/owners.md says, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

# times are hours, None is without an end
Hour = int | None
NAMES = {
    "user": ("user", "user_email", "user_id"),
    "team": ("team", "team_name", "team_id"),
    "key": ("key", "key_name", "api_key_id"),
    "project": ("project",),
    "end_user": ("end_user",),
}


@dataclass(frozen=True)
class User:
    id: UUID
    email: str


@dataclass(frozen=True)
class Team:
    id: UUID
    slug: str
    name: str
    deleted_at: Hour = None


@dataclass(frozen=True)
class Key:
    id: UUID
    prefix: str
    secret: str
    user: UUID | None
    team: UUID | None
    revoked_at: Hour = None

    @property
    def hash(self) -> str:
        return sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True)
class Membership:
    user: UUID
    team: UUID
    joined_at: int
    left_at: Hour = None


@dataclass(frozen=True)
class Identity:
    source: str
    kind: str
    external_id: str
    user: UUID | None = None
    team: UUID | None = None
    key: UUID | None = None
    valid_from: Hour = None
    valid_to: Hour = None


@dataclass(frozen=True)
class Request:
    hour: int
    source: str
    owner: dict[str, str]
    user: UUID | None = None
    team: UUID | None = None
    key: UUID | None = None


@dataclass(frozen=True)
class Answer:
    user: UUID | None = None
    team: UUID | None = None
    key: UUID | None = None


@dataclass(frozen=True)
class World:
    users: Sequence[User]
    teams: Sequence[Team]
    keys: Sequence[Key]
    memberships: Sequence[Membership]
    identities: Sequence[Identity]

    def owners(self, request: Request) -> tuple[UUID | None, UUID | None, UUID | None, dict[str, list[str]] | None]:
        """User, team and key of a request, and what is unresolved of it."""
        names = {kind: [request.owner[n] for n in keys if request.owner.get(n)] for kind, keys in NAMES.items()}
        given = {"user": request.user, "team": request.team, "key": request.key}
        answers: dict[str, Answer] = {}
        unresolved: dict[str, list[str]] = {}
        for kind, said in names.items():
            found = self._means(kind, said, request)
            if len(found) == 1:
                answers[kind] = found[0]
            elif said and not given.get(kind):
                unresolved[kind] = [said[0], "ambiguous" if found else "unknown"]

        def of(kind: str, what: str) -> UUID | None:
            return getattr(answers[kind], what) if kind in answers else None

        key = request.key or of("key", "key")
        if not key and not names["key"]:
            key = of("project", "key") or of("user", "key") or of("team", "key") or of("end_user", "key")
        own = next((each for each in self.keys if each.id == key), None)
        user = request.user or of("user", "user")
        if not user and not names["user"]:
            user = of("key", "user") or (own and own.user) or of("project", "user") or of("team", "user")
            user = user or of("end_user", "user")
        team = request.team or of("team", "team")
        if not team and not names["team"]:
            team = of("key", "team") or (own and own.team) or of("project", "team") or of("user", "team")
            team = team or of("end_user", "team")
            if not team and user:
                teams = self._teams_of(user, request.hour)
                if len(teams) == 1:
                    (team,) = teams
                else:
                    reason = "in several teams" if teams else "in no team"
                    known = [(kind, *names[kind], given.get(kind)) for kind in ("user", "key", "project", "end_user")]
                    by, name = next((str(kind), str(name)) for kind, name, *_ in known if name)
                    unresolved.setdefault(by, [name, reason])
        hints = []
        if team or names["team"]:
            hints.append("project")
        if any(given.values()) or any(names[kind] for kind in ("user", "team", "key", "project")):
            hints.append("end_user")
        for kind in hints:
            if kind in unresolved and unresolved[kind][1] in ("unknown", "ambiguous"):
                del unresolved[kind]
        return user, team, key, unresolved or None

    def _means(self, kind: str, names: Sequence[str], request: Request) -> list[Answer]:
        """Those who are meant by the first way, and of one way by the first name, by which anybody is."""
        for way in range(4):
            for name in names:
                if found := list(self._known(way, kind, name, request)):
                    return found
        return []

    def _known(self, way: int, kind: str, name: str, request: Request) -> Iterator[Answer]:
        if way == 0:
            for each in self.identities:
                is_it = (each.source, each.kind, each.external_id) == (request.source, kind, name)
                if is_it and holds(each.valid_from, each.valid_to, request.hour):
                    yield Answer(each.user, each.team, each.key)
        if kind in ("user", "end_user"):
            for user in self.users:
                if name.lower() == {1: str(user.id), 2: user.email.lower()}.get(way):
                    yield Answer(user=user.id)
        if kind == "team":
            for team in self.teams:
                is_live = holds(None, team.deleted_at, request.hour)
                if name.lower() == {1: str(team.id), 2: team.slug, 3: team.name.lower() if is_live else None}.get(way):
                    yield Answer(team=team.id)
        if kind == "key":
            for key in self.keys:
                prefix = key.prefix if holds(None, key.revoked_at, request.hour) else None
                if name == {1: str(key.id), 2: key.hash, 3: prefix}.get(way):
                    yield Answer(key=key.id)

    def _teams_of(self, user: UUID, hour: int) -> set[UUID]:
        live = {team.id for team in self.teams if holds(None, team.deleted_at, hour)}
        return {m.team for m in self.memberships if m.user == user and holds(m.joined_at, m.left_at, hour)} & live


def holds(begin: Hour, end: Hour, hour: int) -> bool:
    return (begin is None or begin <= hour) and (end is None or hour < end)


def overlap(one: Identity, other: Identity) -> bool:
    """Whether both say what a name means at some time, which the table refuses."""
    if (one.source, one.kind, one.external_id) != (other.source, other.kind, other.external_id):
        return False
    begins = [each.valid_from for each in (one, other) if each.valid_from is not None]
    ends = [each.valid_to for each in (one, other) if each.valid_to is not None]
    return not begins or not ends or max(begins) < min(ends)


def write(connection: Any, world: World, at: Any) -> None:
    """Puts the world into the tables; `at` makes a time of an hour."""
    for user in world.users:
        connection.execute(
            "insert into core.users (id, email, display_name) values (%s, %s, 'U')", [user.id, user.email]
        )
    for team in world.teams:
        connection.execute(
            "insert into core.teams (id, slug, name, deleted_at) values (%s, %s, %s, %s)",
            [team.id, team.slug, team.name, at(team.deleted_at)],
        )
    for key in world.keys:
        connection.execute(
            "insert into core.api_keys (id, name, key_prefix, key_hash, user_id, team_id, created_at, revoked_at)"
            " values (%s, 'K', %s, sha256(%s::bytea), %s, %s, '2020-01-01', %s)",
            [key.id, key.prefix, key.secret.encode(), key.user, key.team, at(key.revoked_at)],
        )
    for each in world.memberships:
        connection.execute(
            "insert into core.team_members (user_id, team_id, joined_at, left_at) values (%s, %s, %s, %s)",
            [each.user, each.team, at(each.joined_at), at(each.left_at)],
        )
    for identity in world.identities:
        connection.execute(
            "insert into core.source_identities"
            " (source, kind, external_id, user_id, team_id, api_key_id, valid_from, valid_to)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                identity.source,
                identity.kind,
                identity.external_id,
                identity.user,
                identity.team,
                identity.key,
                at(identity.valid_from),
                at(identity.valid_to),
            ],
        )
