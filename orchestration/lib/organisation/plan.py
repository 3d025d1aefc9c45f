"""What an import would do: the differences between what files state and what the database knows. Pure functions."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from orchestration.lib.organisation.known import Row
from orchestration.lib.organisation.stated import Place

Key = tuple[str | None, ...]
KINDS = ("people", "teams", "memberships", "roles", "keys")


@dataclass(frozen=True)
class Options:
    """What an import may do besides creating and changing.

    `ends_memberships`: end memberships and roles that people and teams in the files no longer have there.
    `deactivates_missing`: that, and deactivate people and revoke keys that no file has; `forced`: even most of them.
    `since`: when new memberships begin, None for now.
    """

    ends_memberships: bool = False
    deactivates_missing: bool = False
    forced: bool = False
    since: datetime | None = None


@dataclass(frozen=True)
class Change:
    """A field with its value before and after; None is none."""

    field: str
    before: object
    after: object


@dataclass(frozen=True)
class Act:
    """Something to do with a row: create it, change it, or end it (deactivate, leave, revoke).

    `key` is what it is known by: address, slug, hash; of memberships (address, team), of roles (address, role, team).
    """

    kind: str
    what: Literal["create", "change", "end"]
    key: Key
    name: str
    changes: tuple[Change, ...] = ()
    row: UUID | None = None
    why: str = ""
    place: Place | None = field(default=None, compare=False)

    @property
    def values(self) -> dict[str, object]:
        """Fields with what they will be."""
        return {change.field: change.after for change in self.changes}

    @property
    def deactivates(self) -> bool:
        """Whether a person or team is deactivated by it."""
        return self.what == "end" or (self.what == "change" and self.values.get("status") == "deactivated")


@dataclass
class Plan:
    """All acts in their order, how many rows stay as they are, what is in no file, and what is worth noting."""

    options: Options
    acts: list[Act] = field(default_factory=list)
    unchanged: Counter[str] = field(default_factory=Counter)
    missing: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, kind: str, *whats: str) -> Iterator[Act]:
        """Acts of a kind, all or only those that create, change or end."""
        return (act for act in self.acts if act.kind == kind and (not whats or act.what in whats))

    def miss(self, kind: str, name: str) -> None:
        """Notes that something is in no file and stays."""
        self.missing.setdefault(kind, []).append(name)

    def merge(
        self, kind: str, place: Place, key: Key, name: str, known: Row | None, wanted: Mapping[str, object]
    ) -> None:
        """Adds the act that makes a row what is wanted of it; none where it is that already."""
        before: Mapping[str, object] = known.fields if known else {}
        changes = tuple(
            Change(each, before.get(each), value) for each, value in wanted.items() if before.get(each) != value
        )
        if known is None:
            self.acts.append(Act(kind, "create", key, name, changes, place=place))
        elif changes:
            self.acts.append(Act(kind, "change", key, name, changes, known.id, place=place))
        else:
            self.unchanged[kind] += 1
