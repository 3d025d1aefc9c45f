"""Decisions of a review of access: read from the file that a report wrote, and carried out as a whole or refused."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError, reason
from orchestration.lib.usage.sources.csv import separator_of

_NEEDED = ("kind", "item_id", "decision", "reviewer", "decided_on")
# of what is wrong so many lines are named
_NAMED = 20
_PATIENCE = "10s"
# nobody grants or takes the last administrator away meanwhile
_ALONE = "lock table core.users, core.user_roles, core.api_keys in share row exclusive mode"
_ITEMS = """
select grants.id, 'role' as kind, grants.user_id, lower(people.email) as email, roles.name as item,
    grants.granted_at as began_at, (grants.granted_at at time zone %(zone)s)::date as began_on,
    least(grants.expires_at, grants.revoked_at) <= now() as has_ended
from core.user_roles as grants
join core.users as people on people.id = grants.user_id
join core.roles as roles on roles.id = grants.role_id
where grants.id = any(%(ids)s)
union all
select keys.id, 'key', keys.user_id, lower(people.email), keys.name, keys.created_at,
    (keys.created_at at time zone %(zone)s)::date, least(keys.expires_at, keys.revoked_at) <= now()
from core.api_keys as keys
left join core.users as people on people.id = keys.user_id
where keys.id = any(%(ids)s)
"""
_REVIEWERS = "select lower(email) as email, id, status from core.users where lower(email) = any(%s)"
_RECORD: Mapping[str, LiteralString] = {
    "role": "insert into core.access_reviews (user_role_id, user_id, decision, reviewer_id, decided_on, request_id)"
    " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
    "key": "insert into core.access_reviews (api_key_id, user_id, decision, reviewer_id, decided_on, request_id)"
    " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
}
_REVOKE: Mapping[str, LiteralString] = {
    "role": "update core.user_roles set revoked_at = greatest(granted_at, now())"
    " where id = %s and (revoked_at is null or revoked_at > now()) and (expires_at is null or expires_at > now())",
    "key": "update core.api_keys set revoked_at = greatest(created_at, now())"
    " where id = %s and (revoked_at is null or revoked_at > now()) and (expires_at is null or expires_at > now())",
}
_ADMINISTRATORS = """
select count(*)
from core.user_roles as grants
join core.users as people on people.id = grants.user_id
join core.roles as roles on roles.id = grants.role_id
where people.status = 'active' and roles.slug = 'super-admin' and grants.team_id is null
    and grants.granted_at <= now() and (grants.expires_at is null or grants.expires_at > now())
    and (grants.revoked_at is null or grants.revoked_at > now())
"""


@dataclass(frozen=True)
class Decision:
    """A line of the file in which somebody decided; `email` is whose access it is, as the line says."""

    line: int
    kind: str
    item: UUID
    email: str
    decision: str
    reviewer: str
    decided_on: date


@dataclass
class Outcome:
    """What became of the decisions: recorded now or known already, and what was revoked. `request` is in the trail."""

    request: str
    recorded: int = 0
    known: int = 0
    kept: int = 0
    roles_revoked: int = 0
    keys_revoked: int = 0
    ended_before: int = 0


def read_decisions(path: Path) -> tuple[list[Decision], int]:
    """The decisions of a file, and how many of its lines have none. Raises GovernanceError with all that is wrong."""
    decisions, wrong, undecided = [], [], 0
    for line, row in _rows(path):
        said = {name: (value or "").strip() for name, value in row.items()}
        if not any(said[name] for name in _NEEDED[2:]):
            undecided += 1
            continue
        faults = list(_faults(said))
        if faults:
            wrong += [f"line {line}: {fault}" for fault in faults]
            continue
        decisions.append(
            Decision(
                line,
                said["kind"].lower(),
                UUID(said["item_id"]),
                # an address that a spreadsheet would run was written with an apostrophe
                said.get("email", "").removeprefix("'").lower(),
                said["decision"].lower(),
                said["reviewer"].removeprefix("'").lower(),
                date.fromisoformat(said["decided_on"]),
            )
        )
    _refuse(wrong)
    return decisions, undecided


def carry_out(url: str, decisions: Sequence[Decision], *, dry_run: bool = False) -> Outcome:
    """Record the decisions and revoke what they say, all in one transaction; with `dry_run` it is rolled back.

    In the audit trail each change has its reviewer as the one who acted. What is recorded already changes nothing.
    Raises GovernanceError with a sentence for each line that can't be carried out, and nothing is changed.
    """
    outcome = Outcome(f"access-review-{uuid4()}")
    try:
        with (
            connect(url, application="governance access-review") as connection,
            connection.transaction(force_rollback=dry_run),
        ):
            _configure(connection, lock_timeout=_PATIENCE, request_id=outcome.request)
            connection.execute(_ALONE)
            _apply(connection, decisions, outcome)
    except psycopg.IntegrityError as error:
        said = (error.diag.message_primary or str(error)).splitlines()[0]
        raise GovernanceError(f"the database refused the decisions, nothing was changed: {said}") from error
    except psycopg.errors.LockNotAvailable as error:
        raise GovernanceError(
            "somebody else is changing accounts, roles or keys, and nothing was changed: run the same command again"
        ) from error
    return outcome


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise GovernanceError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise GovernanceError(f"{path} can't be read as CSV in UTF-8: {reason(error)}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=True)
    try:
        header = list(reader.fieldnames or ())
        if missing := [name for name in _NEEDED if name not in header]:
            raise GovernanceError(
                f"{path} has no column {missing[0]}: fill in the access_review.csv of a report, and keep its columns"
            )
        for row in reader:
            if None in row or None in row.values():
                raise GovernanceError(f"line {reader.line_num} of {path} has other columns than the header")
            yield reader.line_num, row
    except csv.Error as error:
        raise GovernanceError(f"{path} can't be read as CSV: line {reader.line_num}: {error}") from error


def _faults(said: Mapping[str, str]) -> Iterator[str]:
    if said["kind"].lower() not in _RECORD:
        yield f"there is no kind {said['kind'] or 'without a name'}: it is role or key, as the report wrote it"
    try:
        UUID(said["item_id"])
    except ValueError:
        yield f"item_id {said['item_id'] or 'is empty and'} is no id: leave it as the report wrote it"
    if not said["decision"]:
        yield "there is a reviewer or a day, and no decision: write keep or revoke"
    elif said["decision"].lower() not in ("keep", "revoke"):
        yield f"decision {said['decision']} is neither keep nor revoke"
    if not said["reviewer"]:
        yield "reviewer is empty: write the address of who decided"
    try:
        date.fromisoformat(said["decided_on"])
    except ValueError:
        yield f"decided_on is {said['decided_on'] or 'empty'}: write the day of the decision as 2026-11-28"


def _apply(connection: Connection, decisions: Sequence[Decision], outcome: Outcome) -> None:
    [(zone, today)] = connection.execute(
        "select value, (now() at time zone value)::date from internal.settings where name = 'reporting_timezone'"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_ITEMS, {"ids": [each.item for each in decisions], "zone": zone}).fetchall()
        items = {row["id"]: row for row in found}
        found = cursor.execute(_REVIEWERS, [[each.reviewer for each in decisions]]).fetchall()
        reviewers = {row["email"]: row for row in found}
    _refuse([f"line {each.line}: {fault}" for each in decisions for fault in _unfit(each, items, reviewers, today)])
    _refuse(list(_contradictions(decisions)))
    before = _administrators(connection)
    by_reviewer: dict[str, list[Decision]] = defaultdict(list)
    for each in decisions:
        by_reviewer[each.reviewer].append(each)
    for reviewer, of_reviewer in by_reviewer.items():
        who = reviewers[reviewer]["id"]
        _configure(connection, actor_id=str(who), actor_type="user", actor_label=reviewer)
        for each in of_reviewer:
            _carry_out(connection, each, items[each.item], who, outcome)
    if before and not _administrators(connection):
        raise GovernanceError(
            "nobody would be left who is super-admin everywhere, and nothing was changed: keep one, or grant it first"
        )


def _carry_out(
    connection: Connection, decision: Decision, item: Mapping[str, Any], reviewer: UUID, outcome: Outcome
) -> None:
    recorded = connection.execute(
        _RECORD[decision.kind],
        [decision.item, item["user_id"], decision.decision, reviewer, decision.decided_on, outcome.request],
    )
    if not recorded.rowcount:
        outcome.known += 1
        return
    outcome.recorded += 1
    if decision.decision == "keep":
        outcome.kept += 1
        return
    revoked = connection.execute(_REVOKE[decision.kind], [decision.item]).rowcount
    outcome.ended_before += not revoked
    if decision.kind == "role":
        outcome.roles_revoked += revoked
    else:
        outcome.keys_revoked += revoked


def _unfit(
    decision: Decision, items: Mapping[Any, Mapping[str, Any]], reviewers: Mapping[Any, Mapping[str, Any]], today: date
) -> Iterator[str]:
    """What speaks against a decision."""
    item, reviewer = items.get(decision.item), reviewers.get(decision.reviewer)
    if item is None or item["kind"] != decision.kind:
        yield f"there is no {decision.kind} {decision.item}: leave kind and item_id as the report wrote them"
        return
    if decision.email != (item["email"] or ""):
        yield (
            f"it names {decision.email or 'nobody'}, and {item['item']} is of {item['email'] or 'nobody'}: the lines "
            "were mixed up, for instance by sorting some columns"
        )
    if reviewer is None:
        yield f"nobody has the address {decision.reviewer}, who is said to be the reviewer"
    elif reviewer["status"] != "active":
        yield f"the reviewer {decision.reviewer} is {reviewer['status']}: only an active account can decide"
    elif reviewer["id"] == item["user_id"]:
        yield f"{decision.reviewer} reviews their own access: somebody else has to decide"
    if decision.decided_on > today:
        yield f"decided_on is {decision.decided_on}, a day that is still to come"
    elif decision.decided_on < item["began_on"]:
        yield f"decided_on is {decision.decided_on}, before it began on {item['began_on']}"


def _contradictions(decisions: Sequence[Decision]) -> Iterator[str]:
    """Of several lines about one item."""
    known: dict[UUID, Decision] = {}
    for each in decisions:
        first = known.setdefault(each.item, each)
        if first.decision != each.decision:
            yield f"lines {first.line} and {each.line}: one keeps and one revokes the same {each.kind}"


def _administrators(connection: Connection) -> int:
    [(number,)] = connection.execute(_ADMINISTRATORS)
    return int(number)


def _configure(connection: Connection, **values: str) -> None:
    """For this transaction; what isn't of PostgreSQL itself is ours."""
    for name, value in values.items():
        setting = name if name == "lock_timeout" else f"governance.{name}"
        connection.execute("select set_config(%s, %s, true)", [setting, value])


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        more = f"\n  and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise GovernanceError("nothing was changed:\n  " + "\n  ".join(wrong[:_NAMED]) + more)
