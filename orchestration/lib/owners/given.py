"""Who is meant, as people write it: an email, a slug, a key's prefix, on the command line or in a CSV file."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.owners.attribution import Name
from orchestration.lib.owners.identities import Identity
from orchestration.lib.owners.resolution import KINDS, LONGEST
from orchestration.lib.usage.sources.csv import separator_of
from orchestration.lib.usage.sources.values import key as without_secret
from orchestration.lib.words import did_you_mean

COLUMNS = ("source", "kind", "external_id", "user", "team", "key", "valid_from", "valid_to")
# of the lines of a file that can't be read as many are named
_NAMED = 5
_QUERIES = {
    "user": "select id, email from core.users where id::text = lower(%(text)s) or lower(email) = lower(%(text)s)",
    "team": "select id, slug from core.teams where id::text = lower(%(text)s) or slug = lower(%(text)s)",
    "key": "select id, key_prefix from core.api_keys where id::text = lower(%(text)s) or key_prefix = %(text)s"
    " or id = internal.key_of_hash(case when %(text)s ~* '^[0-9a-f]{64}$' then decode(%(text)s, 'hex') end)",
}
_KNOWN = {"user": "select email from core.users", "team": "select slug from core.teams"}
_BY = {"user": "email", "team": "slug", "key": "prefix, or by its id where several have it"}


def identity(connection: Connection, said: Mapping[str, str | None], where: str = "") -> Identity:
    """The identity that is said by the names of COLUMNS; `where` begins its errors. Raises GovernanceError."""
    texts = {column: (said.get(column) or "").strip() for column in COLUMNS}
    for column, text in texts.items():
        if "\0" in text or not _is_utf8(text):
            raise GovernanceError(f"{where}{column} has a character that no text of a database can hold")
    source, kind, external_id = texts["source"], texts["kind"], texts["external_id"]
    for column in ("source", "external_id"):
        if not texts[column]:
            raise GovernanceError(f"{where}{column} is empty: it is what the source is called, and whom it names")
    if kind not in KINDS:
        raise GovernanceError(f"{where}there is no kind {kind or 'without a name'}: the kinds are {', '.join(KINDS)}")
    if len(external_id) > LONGEST:
        raise GovernanceError(f"{where}external_id is longer than {LONGEST} characters")
    if kind == "key":
        # the key itself is known by its hash
        external_id = without_secret(external_id) or external_id
    owners = {what: texts[what] for what in _QUERIES if texts[what]}
    if not owners:
        raise GovernanceError(f"{where}nobody is said to be meant by {external_id}: give a user, a team or a key")
    [(zone,)] = connection.execute("select value from internal.settings where name = 'reporting_timezone'")
    begin, end = (_moment(texts[column], ZoneInfo(zone), f"{where}{column}") for column in ("valid_from", "valid_to"))
    if begin and end and begin >= end:
        raise GovernanceError(f"{where}valid_to is not after valid_from")
    ids = {what: _find(connection, what, text, where) for what, text in owners.items()}
    return Identity(
        Name(source, kind, external_id, begin, end),
        ids.get("user"),
        ids.get("team"),
        ids.get("key"),
        ", ".join(f"{what} {text}" for what, text in owners.items()),
        where,
    )


def read_file(path: str) -> Callable[[Connection], Sequence[Identity]]:
    """What finds the identities of a CSV file with the COLUMNS, all or none. Raises GovernanceError."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=True)
        header = list(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader if any(row.values())]
    except FileNotFoundError as error:
        raise GovernanceError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GovernanceError(f"{path} can't be read as CSV in UTF-8: {reason(error)}") from error
    needed = COLUMNS[:3]
    if missing := [column for column in needed if column not in header]:
        raise GovernanceError(f"{path} has no column {missing[0]}: its columns are {', '.join(COLUMNS)}")
    if unknown := [column for column in header if column not in COLUMNS]:
        raise GovernanceError(f"{path} has a column {unknown[0]}, which says nothing here: drop or rename it")
    if not rows:
        raise GovernanceError(f"{path} has no line below its header")

    def found(connection: Connection) -> Sequence[Identity]:
        identities, wrong = [], []
        for line, row in rows:
            try:
                if None in row or None in row.values():
                    raise GovernanceError(f"line {line}: it has other columns than the header")
                identities.append(identity(connection, row, f"line {line}: "))
            except GovernanceError as error:
                wrong.append(str(error))
        if wrong:
            more = f"; and {len(wrong) - _NAMED} lines more" if len(wrong) > _NAMED else ""
            raise GovernanceError(f"nothing of {path} is imported. {'; '.join(wrong[:_NAMED])}{more}")
        return identities

    return found


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _find(connection: Connection, what: str, text: str, where: str) -> UUID:
    found = connection.execute(_QUERIES[what], {"text": text}).fetchall()
    if len(found) == 1:
        return UUID(str(found[0][0]))
    if found:
        raise GovernanceError(f"{where}{len(found)} {what}s are called {text}: name one by its id")
    known = [str(name) for (name,) in connection.execute(_KNOWN[what]).fetchall()] if what in _KNOWN else []
    hint = did_you_mean(text, known)
    raise GovernanceError(f"{where}there is no {what} {text}: {hint}a {what} is named by its {_BY[what]}")


def _moment(text: str, zone: ZoneInfo, what: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        # years 1 and 9999 may leave the calendar
        return aware.astimezone(ZoneInfo("UTC"))
    except (ValueError, OverflowError) as error:
        raise GovernanceError(
            f"{what} is {text}, which is no date or time such as 2026-03-01 or 2026-03-01T10:00Z"
        ) from error
