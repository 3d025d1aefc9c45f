"""Carries out a plan in the caller's transaction; the triggers of the tables write it to the audit trail."""

import json
from collections.abc import Mapping, Sequence
from typing import LiteralString
from uuid import UUID, uuid4

from psycopg import sql

from orchestration.lib.database.connection import Connection
from orchestration.lib.organisation.known import Known
from orchestration.lib.organisation.plan import Act, Plan

_METADATA = "metadata."
# one statement, at whose end the tree is judged: in the middle of it there could be a cycle
_TEAMS = """
    with made as (
        insert into core.teams (
            id, slug, name, description, parent_team_id, owner_id, budget_amount, budget_period, currency, cost_center,
            deleted_at
        )
        select *
        from unnest(
            %s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::numeric[], %s::text[],
            %s::text[], %s::text[], %s::timestamptz[]
        )
    )
    update core.teams set parent_team_id = moved.parent_id
    from unnest(%s::uuid[], %s::uuid[]) as moved (id, parent_id)
    where teams.id = moved.id
"""
# someone who was there before joins anew when that ended
_JOIN = """
    insert into core.team_members (user_id, team_id, member_role, joined_at)
    values (%(user)s, %(team)s, %(role)s, greatest(%(since)s, (
        select max(left_at) from core.team_members where user_id = %(user)s and team_id = %(team)s
    )))
"""
# how each kind ends; what a person who goes loses are acts of their own
_ENDS: Mapping[str, LiteralString] = {
    # who moved a while ago was not in both teams since
    "memberships": "update core.team_members set left_at = case"
    " when joined_at <= %(since)s then %(since)s else greatest(joined_at, %(now)s) end where id = %(id)s",
    "roles": "update core.user_roles set revoked_at = greatest(granted_at, %(now)s) where id = %(id)s",
    "people": "update core.users set status = 'deactivated', deleted_at = %(now)s where id = %(id)s",
    "keys": "update core.api_keys set revoked_at = greatest(created_at, %(now)s) where id = %(id)s",
}


def carry_out(connection: Connection, plan: Plan, known: Known) -> None:
    """Does all acts of the plan, at the moment of which `known` is."""
    _Carrier(connection, plan, known).carry_out()


class _Carrier:
    def __init__(self, connection: Connection, plan: Plan, known: Known) -> None:
        self._connection, self._plan, self._known, self._now = connection, plan, known, known.now
        self._people = {email: row.id for email, row in known.people.items()}
        self._teams = {slug: row.id for slug, row in known.teams.items()}
        self._people |= {str(act.key[0]): uuid4() for act in plan.of("people", "create")}
        self._teams |= {str(act.key[0]): uuid4() for act in plan.of("teams", "create")}

    def carry_out(self) -> None:
        """In an order in which each row finds those it names, and nothing overlaps."""
        for kind in ("memberships", "roles"):
            self._end(kind)
        self._write_people()
        self._write_teams()
        self._write_memberships()
        self._write_roles()
        self._write_keys()
        self._end("keys")

    def _end(self, kind: str) -> None:
        since = self._plan.options.since
        self._each(
            _ENDS[kind],
            [
                {"id": act.row, "now": self._now, "since": since if act.why == "missing" else None}
                for act in self._plan.of(kind, "end")
            ],
        )

    def _each(self, statement: LiteralString, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            with self._connection.cursor() as cursor:
                cursor.executemany(statement, rows)

    def _update(self, table: str, row: UUID | None, columns: Mapping[str, object]) -> None:
        if columns:
            self._connection.execute(
                sql.SQL("update core.{} set {} where id = {}").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns),
                    sql.Placeholder(),
                ),
                [*columns.values(), row],
            )

    def _deleted_at(self, values: Mapping[str, object]) -> object:
        return self._now if values["status"] == "deactivated" else None

    def _write_people(self) -> None:
        made = []
        for act in self._plan.of("people", "create"):
            values = {"id": self._people[str(act.key[0])], "deleted_at": self._deleted_at(act.values)}
            made.append(act.values | values | {"metadata": json.dumps(_metadata(act))})
        self._each(
            "insert into core.users (id, email, display_name, status, metadata, deleted_at)"
            " values (%(id)s, %(email)s, %(display_name)s, %(status)s, %(metadata)s, %(deleted_at)s)",
            made,
        )
        for act in self._plan.of("people", "change"):
            values = act.values
            columns = {name: values[name] for name in ("email", "display_name", "status") if name in values}
            if "status" in values:
                columns["deleted_at"] = self._deleted_at(values)
            self._update("users", act.row, columns)
            if said := _metadata(act):
                self._connection.execute(
                    "update core.users set metadata = (metadata || %s::jsonb) - %s::text[] where id = %s",
                    [json.dumps(said), [name for name, value in said.items() if value is None], act.row],
                )
        self._end("people")
        gone = [act.row for act in self._plan.of("people", "change", "end") if act.deactivates]
        self._connection.execute(
            "update core.sessions set revoked_at = greatest(created_at, %s), revoked_reason = 'account deactivated'"
            " where user_id = any(%s) and revoked_at is null and expires_at > %s",
            [self._now, gone, self._now],
        )

    def _write_teams(self) -> None:
        made: list[tuple[object, ...]] = []
        moved: list[tuple[object, ...]] = []
        for act in self._plan.of("teams", "create", "change"):
            values = act.values
            parent, owner = self._teams.get(str(values.get("parent"))), self._people.get(str(values.get("owner")))
            if act.what == "create":
                given = [values.get(name) for name in ("budget_amount", "budget_period", "currency", "cost_center")]
                texts = (act.key[0], values["name"], values.get("description"))
                made.append((self._teams[str(act.key[0])], *texts, parent, owner, *given, self._deleted_at(values)))
                continue
            if "parent" in values:
                moved.append((act.row, parent))
            columns = {name: value for name, value in values.items() if name not in ("parent", "owner", "status")}
            if "owner" in values:
                columns["owner_id"] = owner
            if "status" in values:
                columns["deleted_at"] = self._deleted_at(values)
            self._update("teams", act.row, columns)
        if made or moved:
            self._connection.execute(_TEAMS, [*_arrays(made, 11), *_arrays(moved, 2)])

    def _write_memberships(self) -> None:
        self._each(
            _JOIN,
            [
                {**self._member(act), "role": act.values["role"], "since": self._plan.options.since or self._now}
                for act in self._plan.of("memberships", "create")
            ],
        )
        for act in self._plan.of("memberships", "change"):
            self._update("team_members", act.row, {"member_role": act.values["role"]})

    def _member(self, act: Act) -> dict[str, object]:
        email, team = act.key
        return {"user": self._people[str(email)], "team": self._teams[str(team)]}

    def _write_roles(self) -> None:
        granted = []
        for act in self._plan.of("roles", "create"):
            email, role, team = act.key
            ids = {"user": self._people[str(email)], "role": self._known.roles[str(role)]}
            granted.append({**ids, "team": self._teams[team] if team else None, "now": self._now})
        self._each(
            "insert into core.user_roles (user_id, role_id, team_id, granted_at)"
            " values (%(user)s, %(role)s, %(team)s, %(now)s)",
            granted,
        )

    def _write_keys(self) -> None:
        made = []
        for act in self._plan.of("keys", "create", "change"):
            values = act.values
            columns = {name: value for name, value in values.items() if name not in ("key_hash", "user", "team")}
            for name, ids in (("user", self._people), ("team", self._teams)):
                if name in values or act.what == "create":
                    columns[f"{name}_id"] = ids.get(str(values.get(name)))
            if act.what == "change":
                self._update("api_keys", act.row, columns)
            else:
                made.append({"expires_at": None, **columns, "key_hash": bytes.fromhex(str(act.key[0]))})
        self._each(
            "insert into core.api_keys (key_hash, key_prefix, name, user_id, team_id, expires_at) values"
            " (%(key_hash)s, %(key_prefix)s, %(name)s, %(user_id)s, %(team_id)s, %(expires_at)s)",
            made,
        )


def _metadata(act: Act) -> dict[str, object]:
    return {name.removeprefix(_METADATA): value for name, value in act.values.items() if name.startswith(_METADATA)}


def _arrays(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as columns."""
    return [[row[place] for row in rows] for place in range(width)]
