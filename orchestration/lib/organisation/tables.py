"""Reads people, teams and keys from CSV."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from shlex import quote

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation import cells
from orchestration.lib.organisation.files import Table
from orchestration.lib.organisation.stated import Place, Problems, Stated, listed

_METADATA = "metadata."


@dataclass(frozen=True)
class Column:
    """A column: how its cells are read, what they mean (for the docs), and whether a blank one empties the field."""

    read: Callable[[str], object]
    meaning: str
    empties: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of file; one of the columns of `keys` tells it, and each row has one of them."""

    keys: tuple[str, ...]
    columns: Mapping[str, Column]


KINDS: Mapping[str, Kind] = {
    "people": Kind(
        ("email",),
        {
            "email": Column(cells.email, "the address, whatever its case: who it is"),
            "display_name": Column(cells.text, "name that is shown"),
            "status": Column(cells.user_status, f"one of {', '.join(cells.USER_STATUSES)}"),
            "former_email": Column(cells.person, "the address until now, where it has changed", empties=True),
            "teams": Column(cells.teams, "all teams of the person, each with a role if need be", empties=True),
            "roles": Column(cells.roles, "all roles of the person, everywhere or on a team", empties=True),
        },
    ),
    "teams": Kind(
        ("slug",),
        {
            "slug": Column(cells.slug, "what the team is called by systems: which one it is"),
            "name": Column(cells.text, "name that is shown"),
            "description": Column(cells.text, "what it is for", empties=True),
            "parent": Column(cells.slug, "slug of the team above", empties=True),
            "owner": Column(cells.person, "address of who answers for it", empties=True),
            "budget_amount": Column(cells.amount, "what it may spend in a period", empties=True),
            "budget_period": Column(cells.budget_period, f"one of {', '.join(cells.BUDGET_PERIODS)}"),
            "currency": Column(cells.currency, "of the budget, three capitals"),
            "cost_center": Column(cells.text, "for charge-back", empties=True),
            "status": Column(cells.team_status, f"one of {', '.join(cells.TEAM_STATUSES)}"),
        },
    ),
    "keys": Kind(
        ("key_hash", "key_prefix"),
        {
            "key_hash": Column(cells.key_hash, "SHA-256 of the key, 64 hexadecimal digits: which one it is"),
            "key_prefix": Column(cells.key_prefix, "its first 4 to 16 characters; known ones are found by it too"),
            "name": Column(cells.text, "name that is shown"),
            "user": Column(cells.person, "address of the person it belongs to", empties=True),
            "team": Column(cells.slug, "slug of the team it belongs to", empties=True),
            "expires_at": Column(cells.time, "when it ends, with its zone", empties=True),
        },
    ),
}
# columns that other programs have for what must not be in a file
_CLEAR = {"key", "api_key", "apikey", "token", "secret", "key_value", "value", "password"}


def read_table(table: Table, kind: str | None, ignored: Collection[str], stated: Stated, problems: Problems) -> None:
    """Adds what a CSV file says. Its header tells its kind where none is given. Raises GovernanceError without one."""
    kind = kind or _kind_of(table)
    columns = _columns(table, kind, ignored)
    if not columns:
        return
    stated.kinds.add(kind)
    for place, row in table.rows(columns, problems):
        if any(row.values()):
            said = _read_row(place, row, kind, problems)
            if said is not None:
                _add(kind, place, said, stated, problems)


def _kind_of(table: Table) -> str:
    found = [name for name, kind in KINDS.items() if set(kind.keys) & set(table.header)]
    if len(found) == 1:
        return found[0]
    tell = "; ".join(f"{' or '.join(kind.keys)} for {name}" for name, kind in KINDS.items())
    what = f"could be of {listed(found)}" if found else "tells no kind"
    options = ", ".join(f"--{name} FILE" for name in KINDS)
    raise GovernanceError(f"the header of {table.name} {what}: it needs {tell}; or say what it is with {options}")


def _columns(table: Table, kind: str, ignored: Collection[str]) -> list[str]:
    """The columns that are read; a header that isn't understood is refused as a whole."""
    place = f"{table.name} line 1"
    columns = [name for name in table.header if name not in ignored]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise GovernanceError(f"{place}: the column {listed(twice)} is there twice; leave one out")
    if "" in columns:
        raise GovernanceError(f"{place}: column {table.header.index('') + 1} has no name; name it, or leave it out")
    known = KINDS[kind].columns
    for name in columns:
        if name in known or (kind == "people" and name.startswith(_METADATA) and name != _METADATA):
            continue
        if name in _CLEAR:
            raise GovernanceError(
                f"{place}: column {name} could hold clear keys, which must not be in a file; give key_hash and "
                f"key_prefix instead, or leave it aside with --ignore {quote(name)} and delete the file"
            )
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}, or" if near else "it takes " + ", ".join(known) + ";"
        raise GovernanceError(
            f"{place}: {kind} have no column {name}; {hint} leave it aside with --ignore {quote(name)}"
        )
    if not set(KINDS[kind].keys) & set(columns):
        raise GovernanceError(f"{place}: {kind} need the column {' or '.join(KINDS[kind].keys)}")
    return columns


def _read_row(place: Place, row: Mapping[str, str], kind: str, problems: Problems) -> dict[str, object] | None:
    """What a row says; None where it can't be known of whom."""
    said: dict[str, object] = {}
    is_sound = True
    for name, cell in row.items():
        column = KINDS[kind].columns.get(name, Column(cells.text, "", empties=True))
        if not cell:
            if column.empties:
                said[name] = None
            continue
        try:
            if column.read is not cells.key_hash and column.read is not cells.key_prefix and cells.looks_like_key(cell):
                raise cells.CellError("holds what looks like a clear key; take it out of the file, and revoke it")
            said[name] = column.read(cell)
        except cells.CellError as error:
            problems.add(place, f"{name} {error}")
            is_sound = is_sound and name not in KINDS[kind].keys
    if is_sound and not any(said.get(name) for name in KINDS[kind].keys):
        problems.add(place, f"it has no {' and no '.join(KINDS[kind].keys)}; fill it in, or leave the row out")
        return None
    return said if is_sound else None


def _add(kind: str, place: Place, said: dict[str, object], stated: Stated, problems: Problems) -> None:
    key = str(next(said[name] for name in KINDS[kind].keys if said.get(name)))
    if kind != "people":
        stated.add(kind, key, place, said, problems)
        return
    teams, roles = said.pop("teams", ()), said.pop("roles", ())
    if not stated.add(kind, key.lower(), place, said, problems):
        return
    if isinstance(teams, dict) or teams is None:
        stated.all_teams_of.add(key.lower())
        for team, role in (teams or {}).items():
            stated.memberships[key.lower(), team] = role, place
    if isinstance(roles, list) or roles is None:
        stated.all_roles_of.add(key.lower())
        for role, team in roles or []:
            stated.grants[key.lower(), role, team] = place
