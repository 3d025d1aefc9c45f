"""What imports of an organisation should leave behind, in the plainest way there is."""

from copy import deepcopy
from dataclasses import dataclass, field

ADMIN, ROOT = "admin@acme.example", "organization"
GONE = "deactivated"
# a file: its rows, each with all of its columns; what isn't said is blank
Rows = list[dict[str, str]]


class RefusedError(Exception):
    """The import must be refused, and nothing may change."""


@dataclass
class Oracle:
    """People with name and status, teams with name, parent, owner, budget and status.

    Keys with prefix, name, user, team and whether they are revoked; who is in which team as what, who has which role.
    """

    people: dict[str, list[str]] = field(default_factory=lambda: {ADMIN: ["Admin", "active"]})
    teams: dict[str, list[str]] = field(default_factory=lambda: {ROOT: ["Organization", "", "", "100000.00", "active"]})
    keys: dict[str, list[str]] = field(default_factory=dict)
    members: dict[tuple[str, str], str] = field(default_factory=dict)
    grants: set[tuple[str, str, str]] = field(default_factory=lambda: {(ADMIN, "super-admin", "")})

    def after(self, files: dict[str, Rows], *, ends: bool, deactivates: bool, forced: bool) -> "Oracle":
        """As it is after an import; raises RefusedError."""
        new = deepcopy(self)
        people, teams, keys = (files.get(kind, []) for kind in ("people", "teams", "keys"))
        for row in people:
            name, status = new.people.setdefault(row["email"].lower(), ["", "active"])
            new.people[row["email"].lower()] = [row.get("display_name") or name, row.get("status") or status]
        require(all(name for name, _ in new.people.values()))
        if deactivates and "people" in files:
            for email in new.people.keys() - {row["email"].lower() for row in people}:
                new.people[email][1] = GONE
        new._put_teams(teams)
        new._put_memberships(people, ends=ends or deactivates)
        new._put_keys(keys)
        if deactivates and "keys" in files:
            self._revoke_missing(new, keys, forced=forced)
        new._clear()
        gone = {email for email, (_, status) in self.people.items() if status != GONE == new.people[email][1]}
        live = {email for email, (_, status) in self.people.items() if status != GONE}
        require(new.people[ADMIN][1] == "active" and (ADMIN, "super-admin", "") in new.grants)
        require(forced or len(gone) < 2 or 2 * len(gone) <= len(live))
        return new

    def _put_teams(self, rows: Rows) -> None:
        said = {row["slug"]: row for row in rows}
        for slug, row in said.items():
            name, parent, owner, budget, status = self.teams.get(slug, ["", ROOT, "", "", "active"])
            name, status = row["name"] or name, row.get("status") or status
            parent = row.get("parent", parent) or (ROOT if slug != ROOT else "")
            if row.get("owner", owner) != owner and row["owner"]:
                require(self.people.get(row["owner"], ["", GONE])[1] != GONE)
            self.teams[slug] = [name, parent, row.get("owner", owner), row.get("budget_amount", budget), status]
        for slug, (name, parent, _, _, status) in self.teams.items():
            require(bool(name) and (slug == ROOT) == (not parent))
            require(not parent or parent in self.teams)
            require(not parent or status == GONE or self.teams[parent][4] != GONE)
            above = slug
            for _ in self.teams:
                above = self.teams[above][1] if above else ""
            require(not above)

    def _put_memberships(self, rows: Rows, *, ends: bool) -> None:
        for row in rows:
            email = row["email"].lower()
            if self.people[email][1] == GONE:
                continue
            if "teams" in row:
                said = {team: role for team, _, role in (part.partition(":") for part in row["teams"].split())}
                for team, role in said.items():
                    require(self.teams.get(team, [GONE])[-1] != GONE)
                    self.members[email, team] = role or self.members.get((email, team), "member")
                if ends:
                    self.members = {
                        key: role for key, role in self.members.items() if key[0] != email or key[1] in said
                    }
            if "roles" in row:
                granted = {
                    (email, role, team) for role, _, team in (part.partition("@") for part in row["roles"].split())
                }
                for grant in granted - self.grants:
                    require(not grant[2] or self.teams.get(grant[2], [GONE])[-1] != GONE)
                self.grants |= granted
                if ends:
                    self.grants = {grant for grant in self.grants if grant[0] != email or grant in granted}

    def _put_keys(self, rows: Rows) -> None:
        for row in rows:
            digest = row["key_hash"]
            prefix, name, user, team, revoked = self.keys.get(digest, ["", "", "", "", ""])
            if revoked:
                continue
            if row.get("user", user) not in ("", user):
                require(self.people.get(row["user"], ["", GONE])[1] != GONE)
            if row.get("team", team) not in ("", team):
                require(self.teams.get(row["team"], [GONE])[-1] != GONE)
            key = [row["key_prefix"] or prefix, row["name"] or name, row.get("user", user), row.get("team", team), ""]
            require(bool(key[0] and key[1] and (key[2] or key[3])))
            self.keys[digest] = key

    def _revoke_missing(self, new: "Oracle", rows: Rows, *, forced: bool) -> None:
        live = {digest for digest, key in self.keys.items() if not key[4]}
        missing = live - {row["key_hash"] for row in rows}
        require(forced or len(missing) < 2 or 2 * len(missing) <= len(live))
        for digest in missing:
            new.keys[digest][4] = "revoked"

    def _clear(self) -> None:
        """Who is gone is in no team and has no roles and keys; who is in a team that is gone is not any more."""
        gone = {email for email, (_, status) in self.people.items() if status == GONE}
        self.members = {
            (email, team): role
            for (email, team), role in self.members.items()
            if email not in gone and self.teams[team][4] != GONE
        }
        self.grants = {grant for grant in self.grants if grant[0] not in gone}
        for key in self.keys.values():
            if key[2] in gone:
                key[4] = "revoked"


def require(is_right: bool) -> None:
    """Refuses the import unless it is so."""
    if not is_right:
        raise RefusedError
