"""What files state of an organisation: people, teams, keys, who belongs where, each with the place that says so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestration.lib.errors import GovernanceError
from orchestration.lib.words import counted

_SHOWN = 20


@dataclass(frozen=True, order=True)
class Place:
    """Where a file says something: `where` is a line, or in JSON a resource."""

    file: str
    where: str

    def __str__(self) -> str:
        return f"{self.file} {self.where}"


class Problems:
    """What is wrong with the files, a sentence each, so that all of it can be mended at once."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, place: Place | str, what: str) -> None:
        """Notes what is wrong at a place."""
        self._found.setdefault(f"{place}: {what}")

    def refuse(self) -> None:
        """Raises GovernanceError if something is wrong."""
        found = list(self._found)
        if len(found) == 1:
            raise GovernanceError(f"{found[0]}; nothing was changed")
        if found:
            more = [f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
            lines = "\n  ".join([*found[:_SHOWN], *more])
            raise GovernanceError(f"{counted(len(found), 'problem')}, nothing was changed\n  {lines}")


@dataclass
class Entry:
    """What is said of one person, team or key: a field that isn't in `said` is left alone, None empties it."""

    place: Place
    said: dict[str, object]
    places: dict[str, Place] = field(default_factory=dict)

    def place_of(self, name: str) -> Place:
        """Where a field is said."""
        return self.places.get(name, self.place)


@dataclass
class Stated:
    """All that the files of one import state.

    People are known by their address in lower case, teams by slug, keys by what they are called in `keys`: hash, else
    prefix. `memberships` have their role or None, by (address, team); `grants` by (address, role, team or None);
    `members` are people of a directory, by (its id, team), who are told apart by `directory_ids`. Whose memberships or
    roles are stated completely is in `all_teams_of`, `all_roles_of` (addresses) and `all_members_of` (slugs). `kinds`
    are those of which there was a file.
    """

    kinds: set[str] = field(default_factory=set)
    people: dict[str, Entry] = field(default_factory=dict)
    teams: dict[str, Entry] = field(default_factory=dict)
    keys: dict[str, Entry] = field(default_factory=dict)
    memberships: dict[tuple[str, str], tuple[str | None, Place]] = field(default_factory=dict)
    grants: dict[tuple[str, str, str | None], Place] = field(default_factory=dict)
    members: dict[tuple[str, str], Place] = field(default_factory=dict)
    directory_ids: dict[str, str] = field(default_factory=dict)
    all_teams_of: set[str] = field(default_factory=set)
    all_members_of: set[str] = field(default_factory=set)
    all_roles_of: set[str] = field(default_factory=set)

    def add(self, kind: str, key: str, place: Place, said: Mapping[str, object], problems: Problems) -> bool:
        """Adds a person, team or key; what another file said of the same one is completed. False if it is refused."""
        entries: dict[str, Entry] = getattr(self, kind)
        entry = entries.setdefault(key, Entry(place, {}))
        if entry.place != place and place.file in {each.file for each in (entry.place, *entry.places.values())}:
            first = next(each for each in (entry.place, *entry.places.values()) if each.file == place.file)
            called = "this key" if kind == "keys" else key
            within = "in" if first.where.startswith("line") else "as"
            problems.add(place, f"{called} is there already, {within} {first.where}; leave one of the two out")
            return False
        for name, value in said.items():
            if name in entry.said and not _same(name, entry.said[name], value):
                other = entry.place_of(name)
                problems.add(place, f"{name} is not what {other} says; make both the same, or leave one out")
            entry.said.setdefault(name, value)
            entry.places.setdefault(name, place)
        return True


def _same(name: str, one: object, other: object) -> bool:
    if name == "email" and isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one == other


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(sorted(names))
