"""Erasing a person: name, addresses and external ids become pseudonyms everywhere; money, counts and the trail stay.

The id of the user stays in usage and reports, and belongs to nobody who can be named. Of the audit trail no entry is
touched: where it names people it holds references, whose values are deleted (internal.personal_values).
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import errors, sql

from orchestration.lib.database.connection import Connection, has_relation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.acting import (
    SYSTEM,
    Actor,
    Person,
    acting,
    find_leaving,
    note,
    refuse_on_superior,
    require,
)
from orchestration.lib.identity.people import leave

# shorter external ids, such as 42, may mean something else elsewhere: they go where the row is the person's;
# longer ones without a digit, such as robots, where they are all of a text
_DISTINCT = 6
# attributes of a person alone; a department's id is shared
_ID = re.compile(r"(?i)(scim_?|external_?|employee_?|user_?)id|employee_?number|user_?name|login|upn|.*mail")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_IDENTIFIERS = """
    select field, content from internal.personal_values where person_id = %(person)s
    union
    select 'users.email', email from core.users where id = %(person)s
    union
    select 'users.display_name', display_name from core.users where id = %(person)s
    union
    select 'users.metadata', metadata::text from core.users where id = %(person)s
    union
    select 'source_identities.external_id', external_id from core.source_identities
    where user_id = %(person)s and kind in ('user', 'end_user', 'key')
"""
# tables whose rows never change, or that say nothing of people
_LEFT_ALONE = ("core.audit_logs", "internal.audit_seals", "internal.personal_values", "internal.schema_objects")
# texts that identify somebody else, and are this person's only in this person's row
_OWN = {"core.users": ("email", "display_name")}
_COLUMNS = """
    select c.oid::regclass::text, format('%%s.%%s', n.nspname, c.relname), a.attname, a.atttypid::regtype::text
    from pg_class c
    inner join pg_namespace n on n.oid = c.relnamespace
    inner join pg_attribute a on a.attrelid = c.oid
    where (n.nspname in ('core', 'rollups', 'internal', 'verification') {and_materialized})
        and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and a.atttypid in ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype)
        and not format('%%s.%%s', n.nspname, c.relname) = any (%(left_alone)s)
    order by c.oid, a.attnum
"""
# what continuous aggregates store
_MATERIALIZED = """or (n.nspname, c.relname) in (
    select materialization_hypertable_schema, materialization_hypertable_name
    from timescaledb_information.continuous_aggregates
)"""
# of the person, and what the trail keeps of others that names this person: a manager in somebody's attributes
_PERSONAL = """
    from internal.personal_values
    where person_id = %(person)s
        or content ilike any (%(like)s) and field <> 'users.display_name'
            and internal.pseudonymised_text(content, %(patterns)s, '{}', %(salt)s) <> content
"""
_TRAIL = """
    select count(*), min(recorded_at), max(recorded_at) from core.audit_logs
    where concat_ws(' ', before, after, metadata, actor_label, request_id, user_agent, db_user) ilike any (%(like)s)
        and exists (
            select
            from unnest(array[
                before, after, metadata, to_jsonb(actor_label), to_jsonb(request_id), to_jsonb(user_agent),
                to_jsonb(db_user)
            ]) as said (part)
            where internal.pseudonymised(said.part, %(patterns)s, %(wholes)s, %(salt)s) is distinct from said.part
        )
"""


@dataclass(frozen=True)
class Erased:
    """What was done: rows by table in which the person stood, and how much of that could not be changed.

    `left_in_trail` counts entries of the audit trail that name the person in words of an application's own, or were
    written before the trail held references, `left_since` and `left_until` are when the first and last of them were
    recorded; `left_in_rows` counts rows by table whose triggers let nothing change.
    """

    user_id: UUID
    pseudonym: str
    rows: dict[str, int] = field(default_factory=dict)
    left_in_rows: dict[str, int] = field(default_factory=dict)
    left_in_trail: int = 0
    left_since: datetime | None = None
    left_until: datetime | None = None


@dataclass(frozen=True)
class _Needles:
    """What is looked for: patterns of texts that may stand inside others, texts that must be whole, in lower case."""

    inside: Sequence[str]
    wholes: Sequence[str]
    own_wholes: Sequence[str]
    salt: bytes

    @property
    def patterns(self) -> list[str]:
        """The texts as regular expressions of PostgreSQL."""
        return ["".join(c if c.isalnum() else f"\\{c}" for c in each) for each in self.inside]

    def given(self, person: Person, wholes: Sequence[str]) -> dict[str, object]:
        """The parameters of statements."""
        return {
            "person": person.id,
            "patterns": self.patterns,
            "wholes": list(wholes),
            "salt": self.salt,
            "like": self.like(wholes),
        }

    def like(self, wholes: Sequence[str]) -> list[str]:
        """Patterns of ILIKE that every text and every JSON that holds one of them fits."""
        spelled = {form for each in self.inside for form in (each, json.dumps(each, ensure_ascii=False)[1:-1])}
        quoted = {json.dumps(each, ensure_ascii=False) for each in wholes}
        contained = [f"%{_escaped(each)}%" for each in sorted(spelled | quoted)]
        return [*(_escaped(each) for each in wholes), *contained]


def erase_user(connection: Connection, who: UUID | str, *, actor: Actor = SYSTEM) -> Erased:
    """Erase a person, for good. One who is not deactivated yet is deactivated.

    Reads every text of every table once, usage too, so it may take minutes. Needs the rights of the owner of the
    schemas. Raises GovernanceError for who is erased already, the last administrator, or where the actor may not.
    """
    with acting(connection, actor):
        require(connection, actor, "users", "erase")
        person = find_leaving(connection, who, "erased", lock="erases")
        refuse_on_superior(connection, actor, person)
        if person.is_erased:
            raise GovernanceError(f"{person.email} was erased already")
        if person.status != "deactivated":
            leave(connection, person)
        needles = _needles(connection, person)
        # as where the address stands elsewhere: a finding about the account goes on
        [(pseudonym,)] = connection.execute("select internal.pseudonym(%s, %s)", [person.email, needles.salt])
        connection.execute(
            "update core.users set email = %s, display_name = %s, password_hash = null, metadata = '{}',"
            " must_change_password = false, mfa_enabled = false, failed_login_count = 0, locked_until = null,"
            " deleted_at = coalesce(deleted_at, now()), erased_at = now() where id = %s",
            [pseudonym, "Erased person", person.id],
        )
        connection.execute("select set_config('governance.erasing', %s, true)", [str(person.id)])
        erased = Erased(person.id, pseudonym)
        _remove(connection, person, erased)
        _rename(connection, person, needles, erased)
        [(number, since, until)] = connection.execute(_TRAIL, needles.given(person, needles.wholes))
        erased = replace(erased, left_in_trail=number, left_since=since, left_until=until)
        given = needles.given(person, ())
        # without their salts they say nothing; which ones an erasure deleted tells those that somebody else did
        rows = connection.execute(f"select encode(reference, 'hex') {_PERSONAL} order by 1".encode(), given).fetchall()
        references = [reference for (reference,) in rows]
        note(
            connection,
            "users.erase",
            person.id,
            metadata={
                "rows": erased.rows,
                "left": erased.left_in_rows,
                "left_in_trail": erased.left_in_trail,
                "references": references,
            },
            actor=actor,
        )
        connection.execute("select set_config('governance.erasing', '', true)")
        connection.execute(f"delete {_PERSONAL}".encode(), given)
    return erased


def _needles(connection: Connection, person: Person) -> _Needles:
    """Present and former names, addresses and external ids."""
    inside: set[str] = set()
    wholes: set[str] = set()
    short: set[str] = set()
    external: set[str] = set()
    for named, content in connection.execute(_IDENTIFIERS, {"person": person.id}).fetchall():
        if named == "users.metadata":
            external.update(_external_ids(json.loads(content)))
        elif _ADDRESS.fullmatch(content):
            inside.add(content)
        elif named == "users.display_name":
            # a name of one word, such as Ann, may be a part of anything
            if len(content.split()) > 1:
                inside.add(content)
            else:
                short.add(content.lower())
        elif named == "source_identities.external_id":
            external.add(content)
    for each in external:
        if len(each) < _DISTINCT:
            short.add(each.lower())
        elif re.search(r"\d", each):
            inside.add(each)
        else:
            wholes.add(each.lower())
    longest_first = sorted(inside, key=lambda text: (-len(text), text))
    return _Needles(longest_first, sorted(wholes), sorted(wholes | short), secrets.token_bytes(32))


def _external_ids(metadata: dict[str, Any]) -> list[str]:
    """Values of attributes that directories know the person by."""
    return [str(value) for name, value in metadata.items() if _ID.fullmatch(name) and str(value or "").strip()]


def _remove(connection: Connection, person: Person, erased: Erased) -> None:
    """What nothing refers to and nobody needs any more; and names of keys, which people call after themselves."""
    for table in ("core.sessions", "core.mfa_secrets", "core.alert_subscriptions", "internal.password_findings"):
        statement = sql.SQL("delete from {} where user_id = %s").format(sql.Identifier(*table.split(".")))
        if rows := connection.execute(statement, [person.id]).rowcount:
            erased.rows[table] = rows
    keys = connection.execute("update core.api_keys set name = 'key ' || key_prefix where user_id = %s", [person.id])
    if keys.rowcount:
        erased.rows["core.api_keys"] = keys.rowcount


def _rename(connection: Connection, person: Person, needles: _Needles, erased: Erased) -> None:
    has_timescaledb = has_relation(connection, "timescaledb_information.continuous_aggregates")
    query = _COLUMNS.replace("{and_materialized}", _MATERIALIZED if has_timescaledb else "")
    tables: dict[tuple[str, str], dict[str, str]] = {}
    found = connection.execute(query.encode(), {"left_alone": list(_LEFT_ALONE)}).fetchall()
    for relation, name, column, kind in found:
        if column not in _OWN.get(name, ()):
            tables.setdefault((relation, name), {})[column] = kind
    users = {
        row[0]
        for row in connection.execute(
            "select attrelid::regclass::text from pg_attribute where attname = 'user_id' and atttypid = 'uuid'::regtype"
        )
    }
    for (relation, name), columns in tables.items():
        owned = "user_id = %(person)s" if relation in users else None
        try:
            with connection.transaction():
                rows = _renamed(connection, relation, columns, person, needles, needles.wholes, None)
                if owned and name != "core.users":
                    rows += _renamed(connection, relation, columns, person, needles, needles.own_wholes, owned)
        except (errors.RestrictViolation, errors.InsufficientPrivilege):
            # rows that say what was, such as adjustments of costs, refuse to be changed
            rows = _matching(connection, relation, columns, needles)
            if rows:
                erased.left_in_rows[name] = rows
            continue
        if rows:
            erased.rows[name] = erased.rows.get(name, 0) + rows


def _renamed(
    connection: Connection,
    relation: str,
    columns: dict[str, str],
    person: Person,
    needles: _Needles,
    wholes: Sequence[str],
    condition: str | None,
) -> int:
    """Rows of a table in which the person was renamed, all columns at once: the trail keeps no half of it."""
    given = needles.given(person, wholes)
    renamed = {
        "text": "internal.pseudonymised_text({0}, %(patterns)s, %(wholes)s, %(salt)s)",
        "jsonb": "internal.pseudonymised({0}, %(patterns)s, %(wholes)s, %(salt)s)",
        "text[]": "array(select internal.pseudonymised_text(each, %(patterns)s, %(wholes)s, %(salt)s)"
        " from unnest({0}) with ordinality as each (each, place) order by place)",
    }
    quoted = {column: sql.Identifier(column).as_string(connection) for column in columns}
    settings = ", ".join(
        f"{quoted[column]} = case when {quoted[column]} is not null then {renamed[kind].format(quoted[column])} end"
        for column, kind in columns.items()
    )
    changed = " or ".join(
        f"({quoted[column]}::text ilike any (%(like)s)"
        f" and {quoted[column]} is distinct from {renamed[kind].format(quoted[column])})"
        for column, kind in columns.items()
    )
    statement = f"update {relation} set {settings} where ({changed})" + (f" and {condition}" if condition else "")  # noqa: S608
    return connection.execute(statement.encode(), given).rowcount


def _matching(connection: Connection, relation: str, columns: dict[str, str], needles: _Needles) -> int:
    conditions = " or ".join(
        f"{sql.Identifier(column).as_string(connection)}::text ilike any (%(like)s)" for column in columns
    )
    query = f"select count(*) from {relation} where {conditions}"  # noqa: S608
    [(rows,)] = connection.execute(query.encode(), {"like": needles.like(needles.wholes)})
    return int(rows)


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
