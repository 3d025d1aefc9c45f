"""Cells of CSV files as values: each reader takes a text that isn't blank, or raises CellError with what is wrong."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from orchestration.lib.organisation.stated import listed
from orchestration.lib.usage.sources.values import looks_secret

MEMBER_ROLES = ("manager", "member", "viewer")
USER_STATUSES = ("invited", "active", "suspended", "deactivated")
TEAM_STATUSES = ("active", "deactivated")
BUDGET_PERIODS = ("day", "month", "quarter", "year")
SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+([.][^@\s.]+)+")
_PREFIX = re.compile("[A-Za-z0-9_-]{4,16}")
_HASH = re.compile("(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
_AMOUNT = re.compile("[0-9]{1,15}([.][0-9]{1,40})?")
_PARTS = re.compile(r"[\s,;|]+")
_LONGEST_SLUG, _LONGEST_EMAIL, _LONGEST_PREFIX, _SHORTEST_KEY, _EXCERPT = 100, 254, 16, 20, 60


class CellError(ValueError):
    """What is wrong with a cell, as the rest of a sentence that begins with its column."""


def quoted(text: str) -> str:
    """A value in a sentence, not all of a long one."""
    text = " ".join(text.split())
    return f'"{text}"' if len(text) <= _EXCERPT else f'"{text[:_EXCERPT]}…"'


def looks_like_key(text: str) -> bool:
    """Whether it could be an API key itself, of which nothing may be kept or shown."""
    return (
        len(text) >= _SHORTEST_KEY
        and looks_secret(text)
        and any(map(str.isdigit, text))
        and not any(map(str.isspace, text))
    )


def text(cell: str) -> str:
    """Any text; the database says what it doesn't take."""
    return cell


def email(cell: str) -> str:
    """An address as written."""
    if not _EMAIL.fullmatch(cell) or len(cell) > _LONGEST_EMAIL:
        raise CellError(f"is {quoted(cell)}, which is no address such as ann@example.com")
    return cell


def person(cell: str) -> str:
    """A person named by address, in lower case."""
    return email(cell).lower()


def slug(cell: str) -> str:
    """What a team or role is called."""
    if not SLUG.fullmatch(cell) or len(cell) > _LONGEST_SLUG:
        raise CellError(f"is {quoted(cell)}; write lower-case letters, digits and single hyphens, such as data-science")
    return cell


def user_status(cell: str) -> str:
    """One of USER_STATUSES."""
    return _choice(cell, USER_STATUSES)


def team_status(cell: str) -> str:
    """One of TEAM_STATUSES."""
    return _choice(cell, TEAM_STATUSES)


def budget_period(cell: str) -> str:
    """One of BUDGET_PERIODS."""
    return _choice(cell, BUDGET_PERIODS)


def currency(cell: str) -> str:
    """Three capitals."""
    if not re.fullmatch("[A-Z]{3}", cell):
        raise CellError(f"is {quoted(cell)}; write three capital letters, such as USD")
    return cell


def amount(cell: str) -> Decimal:
    """An exact amount of money."""
    if not _AMOUNT.fullmatch(cell):
        raise CellError(
            f"is {quoted(cell)}; write digits with a point for decimals and nothing else, such as 1234.56, below 10^15"
        )
    return Decimal(cell)


def time(cell: str) -> datetime:
    """A time with its zone, in UTC."""
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise CellError(f"is {quoted(cell)}; write a time such as 2027-01-31T00:00:00Z") from None
    if moment.tzinfo is None:
        raise CellError(
            f"is {quoted(cell)}, which has no zone; write {moment.isoformat()}Z for UTC, or +01:00 and so on"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise CellError(f"is {quoted(cell)}, which is out of range") from None


def key_prefix(cell: str) -> str:
    """The first characters of a key; what is longer may be the key itself, and isn't repeated."""
    if len(cell) > _LONGEST_PREFIX or looks_like_key(cell):
        raise CellError(
            f"has {len(cell)} characters, so it may be a clear key; write its first 4 to {_LONGEST_PREFIX} only"
        )
    if not _PREFIX.fullmatch(cell):
        raise CellError(f"is {quoted(cell)}; write 4 to {_LONGEST_PREFIX} letters, digits, _ or -")
    return cell


def key_hash(cell: str) -> str:
    """The SHA-256 of a key, 64 hexadecimal digits; what is none isn't repeated, for it may be the key."""
    found = _HASH.fullmatch(cell)
    if not found:
        raise CellError(
            "is no SHA-256 in 64 hexadecimal digits, so it may be a clear key; never write keys into files, give what "
            "`printf %s KEY | sha256sum` says"
        )
    return found[1].lower()


def teams(cell: str) -> dict[str, str | None]:
    """Teams with the role there: `platform research:manager`."""
    found: dict[str, str | None] = {}
    for part in filter(None, _PARTS.split(cell)):
        name, colon, role = part.partition(":")
        if slug(name) in found:
            raise CellError(f"names {name} twice")
        if colon and role not in MEMBER_ROLES:
            raise CellError(f"is {quoted(part)}; after the colon write {_either(MEMBER_ROLES)}")
        found[name] = role or None
    return found


def roles(cell: str) -> list[tuple[str, str | None]]:
    """Roles, everywhere or on a team and those below it: `viewer team-manager@platform`."""
    found: list[tuple[str, str | None]] = []
    for part in filter(None, _PARTS.split(cell)):
        role, at, team = part.partition("@")
        grant = slug(role), slug(team) if at else None
        if grant in found:
            raise CellError(f"names {part} twice")
        found.append(grant)
    return found


def _choice(cell: str, choices: tuple[str, ...]) -> str:
    if cell.lower() not in choices:
        raise CellError(f"is {quoted(cell)}; write {_either(choices)}")
    return cell.lower()


def _either(choices: tuple[str, ...]) -> str:
    return f"one of {listed(choices)}"
