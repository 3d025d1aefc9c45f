"""Reads users and groups of a directory from SCIM 2.0 (RFC 7643), as Okta, Entra ID and others export it.

A user is a person, a group a team. Roles and entitlements of a directory mean something else there and aren't read.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from orchestration.lib.organisation import cells
from orchestration.lib.organisation.stated import Place, Problems, Stated
from orchestration.lib.usage.sources.values import nested

_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# attributes that are kept of a user, and where they are
_KEPT = {
    "scim_id": ("id",),
    "external_id": ("externalId",),
    "title": ("title",),
    "department": (_ENTERPRISE, "department"),
    "division": (_ENTERPRISE, "division"),
    "organization": (_ENTERPRISE, "organization"),
    "cost_center": (_ENTERPRISE, "costCenter"),
    "employee_number": (_ENTERPRISE, "employeeNumber"),
}
# letters that have no accent to take away
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "đ": "d", "ł": "l", "\u0131": "i", "þ": "th"})

Resource = Mapping[str, object]


class Directory:
    """The resources of all SCIM files of an import; groups that are in others are known when all were read.

    With `groups`, only groups whose display name fits one of these patterns are teams.
    """

    def __init__(self, stated: Stated, problems: Problems, groups: Sequence[str] = ()) -> None:
        self._stated, self._problems, self._groups = stated, problems, groups
        # of each group that is a team its slug, by id
        self._teams: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._members: list[tuple[Place, str, str, bool]] = []

    def add(self, place: Place, resource: Resource) -> None:
        """Adds what a user or group says."""
        kind = _kind_of(resource)
        if kind == "User":
            self._add_user(place, resource)
        elif kind == "Group":
            self._add_group(place, resource)
        else:
            self._problems.add(place, "it is neither a user nor a group of SCIM 2.0; leave it out")

    def finish(self) -> None:
        """Puts members into their teams, and groups below those that they are members of."""
        parents: dict[str, str] = {}
        for place, team, member, is_group in self._members:
            if member in self._left_out:
                continue
            if not is_group and member not in self._teams:
                self._stated.members[member, team] = place
            elif member not in self._teams:
                self._problems.add(
                    place, f"its member {cells.quoted(member)} is a group that no file has; add its file"
                )
            elif parents.setdefault(member, team) != team:
                slug = self._teams[member]
                self._problems.add(
                    place, f"{slug} is in {team} and in {parents[member]}; a team is below one: leave it out of one"
                )
            else:
                entry = self._stated.teams[self._teams[member]]
                entry.said.setdefault("parent", team)
                entry.places.setdefault("parent", place)

    def _add_user(self, place: Place, user: Resource) -> None:
        self._stated.kinds.add("people")
        address = _address(user)
        if address is None:
            self._problems.add(place, f"{_called(user)} has no address in emails or userName; add one, or leave it out")
            return
        try:
            said: dict[str, object] = {"email": cells.email(address)}
        except cells.CellError as error:
            self._problems.add(place, f"its address {error}")
            return
        name = _display_name(user)
        if name:
            said["display_name"] = name
        if "active" in user:
            if not isinstance(user["active"], bool):
                self._problems.add(place, f"active of {address} is neither true nor false; write one of them")
                return
            said["is_active"] = user["active"]
        for kept, path in _KEPT.items():
            value = nested(user, *path)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                said[f"metadata.{kept}"] = str(value).strip()
        if not self._stated.add("people", address.lower(), place, said, self._problems):
            return
        identity = _text(user.get("id"))
        if identity and self._stated.directory_ids.setdefault(identity, address.lower()) != address.lower():
            self._problems.add(place, f"the id of {address} is that of another user too; a user needs one of its own")

    def _add_group(self, place: Place, group: Resource) -> None:
        name, identity = _text(group.get("displayName")), _text(group.get("id"))
        if name is None:
            self._problems.add(place, f"{_called(group)} has no displayName; add one, or leave it out")
            return
        if self._groups and not any(fnmatchcase(name, pattern) for pattern in self._groups):
            self._left_out.update(filter(None, [identity]))
            return
        self._stated.kinds.add("teams")
        slug = slug_of(name)
        if not cells.SLUG.fullmatch(slug):
            self._problems.add(
                place, f"group {cells.quoted(name)} has no letters a slug can be made of; import it as CSV with a slug"
            )
            return
        same = self._stated.teams.get(slug)
        if same is not None and same.place_of("name").file == place.file:
            other = cells.quoted(str(same.said.get("name")))
            self._problems.add(place, f"group {cells.quoted(name)} and {other} are both {slug} as a slug; rename one")
            return
        self._stated.add("teams", slug, place, {"slug": slug, "name": name}, self._problems)
        if identity is not None:
            self._teams[identity] = slug
        if "members" in group:
            self._stated.all_members_of.add(slug)
            self._members += self._members_of(place, slug, group["members"])

    def _members_of(self, place: Place, slug: str, members: object) -> Iterable[tuple[Place, str, str, bool]]:
        for member in members if isinstance(members, list) else []:
            value = _text(nested(member, "value"))
            if value is None:
                self._problems.add(place, f"a member of {slug} has no value, which is the id of a user; add it")
            else:
                yield place, slug, value, nested(member, "type") == "Group"


def slug_of(name: str) -> str:
    """A slug of a name: without accents, in lower case, hyphens between words; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    bare = "".join(each for each in plain if not unicodedata.combining(each))
    # letters that have no place in a slug would be dropped without a word
    if any(each.isalpha() and not each.isascii() for each in bare):
        return ""
    return re.sub("[^a-z0-9]+", "-", bare).strip("-")


def _kind_of(resource: Resource) -> str | None:
    schemas = resource.get("schemas")
    said = [str(each) for each in schemas] if isinstance(schemas, list) else []
    said.append(f":{nested(resource, 'meta', 'resourceType')}")
    for kind in ("User", "Group"):
        if any(each.endswith(f"core:2.0:{kind}") or each == f":{kind}" for each in said):
            return kind
    if "userName" in resource or "emails" in resource:
        return "User"
    return "Group" if "members" in resource or ("displayName" in resource and not schemas) else None


def _address(user: Resource) -> str | None:
    """The primary address, else the user name where it is one, else the first."""
    emails = user.get("emails")
    entries = [each for each in emails if isinstance(each, dict)] if isinstance(emails, list) else []
    primary = next((_text(each.get("value")) for each in entries if each.get("primary") is True), None)
    name = _text(user.get("userName"))
    if primary is None and name is not None and "@" in name:
        return name
    return primary or next(filter(None, (_text(each.get("value")) for each in entries)), None) or name


def _display_name(user: Resource) -> str | None:
    parts = (_text(nested(user, "name", part)) for part in ("givenName", "familyName"))
    formatted = _text(nested(user, "name", "formatted"))
    return _text(user.get("displayName")) or formatted or " ".join(filter(None, parts)) or None


def _called(resource: Resource) -> str:
    name = _text(resource.get("displayName")) or _text(resource.get("userName")) or _text(resource.get("id"))
    return cells.quoted(name) if name else "it"


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
