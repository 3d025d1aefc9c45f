"""Compares what files state with what is known, kind by kind."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.hierarchy import check_tree
from orchestration.lib.organisation.known import ADMINISTRATORS, Known, Row
from orchestration.lib.organisation.plan import Act, Change, Options, Plan
from orchestration.lib.organisation.renames import with_new_addresses
from orchestration.lib.organisation.stated import Entry, Place, Problems, Stated, listed

_END = "deactivated"


def make_plan(stated: Stated, known: Known, options: Options) -> Plan:
    """What an import would do. Raises GovernanceError with all that is wrong."""
    problems = Problems()
    planner = _Planner(stated, with_new_addresses(known, stated, problems), options, problems)
    planner.people()
    planner.teams()
    planner.memberships()
    planner.roles()
    planner.keys()
    planner.consequences()
    problems.refuse()
    planner.guard()
    return planner.plan


class _Planner:
    def __init__(self, stated: Stated, known: Known, options: Options, problems: Problems) -> None:
        self._stated, self._known, self._options, self._problems = stated, known, options, problems
        self.plan = Plan(options)
        # as they would be afterwards
        self._status = {email: str(row.fields["status"]) for email, row in known.people.items()}
        self._team_status = {slug: str(row.fields["status"]) for slug, row in known.teams.items()}

    def people(self) -> None:
        """Who is new, changed or missing."""
        for email, entry in self._stated.people.items():
            known = self._known.people.get(email)
            wanted = dict(entry.said)
            wanted.pop("former_email", None)
            if known is not None and str(known.fields["email"]).lower() == email:
                # written differently it is the same address
                del wanted["email"]
            if known is None and wanted.get("display_name") is None:
                self._problems.add(entry.place, f"{email} is new and has no display_name; fill it in")
            is_active = wanted.pop("is_active", None)
            if is_active is False:
                wanted.setdefault("status", _END)
            elif known is None or (is_active and known.fields["status"] == _END):
                wanted.setdefault("status", "active")
            self._status[email] = str(wanted.get("status", self._status.get(email)))
            if known is not None and "status" not in wanted and self._status[email] == _END:
                self.plan.notes.append(f"{entry.place}: {email} stays deactivated; status active brings them back")
            self.plan.merge("people", entry.place, (email,), email, known, wanted)
        if "people" in self._stated.kinds:
            for email, row in self._known.people.items():
                if email not in self._stated.people and row.fields["status"] != _END:
                    self._miss(Act("people", "end", (email,), email, (), row.id, "missing"))
                    if self._options.deactivates_missing:
                        self._status[email] = _END

    def _miss(self, act: Act, *, ends: bool | None = None) -> None:
        """What is in no file is ended where the options say so."""
        if self._options.deactivates_missing if ends is None else ends:
            self.plan.acts.append(act)
        else:
            self.plan.miss(act.kind, act.name)

    def teams(self) -> None:
        """Which teams are new, changed or missing, and whether they make a tree."""
        for slug, entry in self._stated.teams.items():
            status = entry.said.get("status")
            self._team_status[slug] = str(status or self._team_status.get(slug, "active"))
        parents = {slug: row.fields["parent"] for slug, row in self._known.teams.items()}
        places = {}
        for slug, entry in self._stated.teams.items():
            known = self._known.teams.get(slug)
            wanted = {"slug": slug, **entry.said}
            if known is None and wanted.get("name") is None:
                self._problems.add(entry.place, f"team {slug} is new and has no name; fill it in")
            if known is None:
                new = {"parent": None, "budget_period": "month", "currency": self._known.currency, "status": "active"}
                wanted |= {name: value for name, value in new.items() if name not in wanted}
            if "parent" in wanted:
                wanted["parent"] = self._parent(slug, wanted["parent"])
                parents[slug] = wanted["parent"]
                places[slug] = entry.place_of("parent")
            before = known.fields if known else {}
            if wanted.get("owner", before.get("owner")) != before.get("owner"):
                self._require_person(entry.place_of("owner"), "owner", wanted["owner"])
            self.plan.merge("teams", entry.place, (slug,), slug, known, wanted)
        if "teams" in self._stated.kinds:
            for slug, row in self._known.teams.items():
                if slug not in self._stated.teams and row.fields["status"] != _END and slug != self._known.root:
                    self.plan.miss("teams", slug)
        self._check_parents({slug: str(above) if above else None for slug, above in parents.items()}, places)

    def _parent(self, slug: str, said: object) -> object:
        """Without a parent a team is directly below the one above all, if that is there."""
        root = self._known.root
        return root if said is None and slug != root and root and self._team_status[root] != _END else said

    def _check_parents(self, parents: Mapping[str, str | None], places: Mapping[str, Place]) -> None:
        is_whole = True
        for slug, place in places.items():
            above = parents[slug]
            if above is not None and above not in self._team_status:
                is_whole = False
                self._problems.add(
                    place, f"parent {above} of team {slug} is no team; correct it, or add a row for {above}"
                )
        for slug, above in parents.items():
            entry = self._stated.teams.get(slug) or self._stated.teams.get(above or "")
            if entry and above and self._is_orphan(slug, above) and not self._was_orphan(slug, above):
                self._problems.add(entry.place, f"team {slug} is active below {above}, which is deactivated; move it")
        if is_whole:
            check_tree(parents, places, self._problems)

    def _is_orphan(self, slug: str, above: str) -> bool:
        return self._team_status[slug] != _END and self._team_status.get(above) == _END

    def _was_orphan(self, slug: str, above: str) -> bool:
        """Whether it is so already, which is for `governance verify` to say."""
        known, parent = self._known.teams.get(slug), self._known.teams.get(above)
        return (
            known is not None
            and parent is not None
            and known.fields["parent"] == above
            and known.fields["status"] != _END
            and parent.fields["status"] == _END
        )

    def _require_person(self, place: Place, field: str, email: object) -> None:
        if email is None:
            return
        status = self._status.get(str(email))
        if status is None:
            self._problems.add(place, f"{field} {email} is nobody known; correct it, or add a row for them")
        elif status == _END:
            self._problems.add(place, f"{field} {email} is deactivated; name somebody else")

    def _require_team(self, place: Place, field: str, slug: str) -> bool:
        status = self._team_status.get(slug)
        if status is None:
            self._problems.add(place, f"{field} {slug} is no team; correct it, or add a row for it to a file of teams")
        elif status == _END:
            self._problems.add(place, f"{field} {slug} is deactivated; leave it out, or give it status active")
        return status is not None and status != _END

    def memberships(self) -> None:
        """Who joins a team, has another role there, or is no longer said to be in it."""
        wanted = dict(self._stated.memberships)
        for (member, team), place in self._stated.members.items():
            email = self._stated.directory_ids.get(member) or self._known.directory_ids.get(member)
            if email is None:
                self._problems.add(
                    place, f"member {member} of {team} is no user of these files; import the users with their groups"
                )
            else:
                wanted.setdefault((email, team), (None, place))
        for (email, team), (role, place) in wanted.items():
            found = self._known.memberships.get((email, team))
            name = f"{email} in {team}"
            if self._status.get(email) == _END or not self._require_team(place, "team", team):
                continue
            if found is None:
                changes = (Change("role", None, role or "member"),)
                self.plan.acts.append(Act("memberships", "create", (email, team), name, changes, place=place))
            elif role is not None and role != found[1]:
                changes = (Change("role", found[1], role),)
                self.plan.acts.append(Act("memberships", "change", (email, team), name, changes, found[0], place=place))
            else:
                self.plan.unchanged["memberships"] += 1
        ends = self._options.ends_memberships or self._options.deactivates_missing
        for (email, team), (row, _) in self._known.memberships.items():
            is_stated = email in self._stated.all_teams_of or team in self._stated.all_members_of
            if is_stated and (email, team) not in wanted and self._status[email] != _END:
                act = Act("memberships", "end", (email, team), f"{email} in {team}", (), row, "missing")
                self._miss(act, ends=ends)

    def roles(self) -> None:
        """Which roles are granted, or no longer said."""
        for (email, role, team), place in self._stated.grants.items():
            if role not in self._known.roles:
                has = ", ".join(self._known.roles)
                self._problems.add(place, f"{role} is no role; there are {has}")
            elif self._status[email] == _END:
                continue
            elif (email, role, team) in self._known.grants:
                self.plan.unchanged["roles"] += 1
            elif team is None or self._require_team(place, "team", team):
                key = (email, role, team)
                self.plan.acts.append(Act("roles", "create", key, _grant(*key), place=place))
        ends = self._options.ends_memberships or self._options.deactivates_missing
        for key, row in self._known.grants.items():
            if key[0] in self._stated.all_roles_of and key not in self._stated.grants and self._status[key[0]] != _END:
                self._miss(Act("roles", "end", key, _grant(*key), (), row, "missing"), ends=ends)

    def keys(self) -> None:
        """Which keys are new, changed or missing. A revoked one stays revoked."""
        by_prefix: dict[object, list[str]] = defaultdict(list)
        for known_digest, row in self._known.keys.items():
            by_prefix[row.fields["key_prefix"]].append(known_digest)
        seen: dict[str, Place] = {}
        for entry in self._stated.keys.values():
            digest = self._digest(entry, by_prefix)
            if digest is None:
                continue
            if digest in seen:
                self._problems.add(entry.place, f"this key is that of {seen[digest]} too; leave one of the two out")
                continue
            seen[digest] = entry.place
            known = self._known.keys.get(digest)
            if known is not None and known.revoked_at is not None:
                self.plan.notes.append(f"{entry.place}: key {_key(known.fields)} is revoked and stays so")
                self.plan.unchanged["keys"] += 1
            elif self._is_sound(entry, known):
                fields = {**(known.fields if known else {}), **entry.said}
                self.plan.merge("keys", entry.place, (digest,), _key(fields), known, entry.said)
        if "keys" in self._stated.kinds:
            for known_digest, row in self._known.keys.items():
                if known_digest not in seen and self._is_live(row):
                    self._miss(Act("keys", "end", (known_digest,), _key(row.fields), (), row.id, "missing"))

    def _digest(self, entry: Entry, by_prefix: Mapping[object, list[str]]) -> str | None:
        """The hash of the key that a row is about."""
        if entry.said.get("key_hash"):
            return str(entry.said["key_hash"])
        prefix = entry.said["key_prefix"]
        found = by_prefix.get(prefix, [])
        live = [digest for digest in found if self._known.keys[digest].revoked_at is None] or found
        if len(live) == 1:
            return live[0]
        several = f"{len(live)} keys begin with {prefix}" if live else f"no key that is known begins with {prefix}"
        self._problems.add(entry.place, f"{several}; give its key_hash")
        return None

    def _is_sound(self, entry: Entry, known: Row | None) -> bool:
        before: Mapping[str, object] = known.fields if known else {}
        fields = {**before, **entry.said}
        for name in ("key_prefix", "name"):
            if fields.get(name) is None:
                self._problems.add(entry.place, f"the key is new and has no {name}; fill it in")
        if fields.get("user") is None and fields.get("team") is None:
            self._problems.add(entry.place, "the key has neither user nor team; give it one of them")
        if fields.get("user") != before.get("user"):
            self._require_person(entry.place, "user", fields["user"])
        team = fields.get("team")
        if team is not None and team != before.get("team"):
            self._require_team(entry.place, "team", str(team))
        expires = fields.get("expires_at")
        since = known.created_at if known else self._known.now
        if isinstance(expires, datetime) and expires != before.get("expires_at") and expires <= since:
            what = "when the key was made" if known else "now"
            self._problems.add(entry.place, f"expires_at {expires:%Y-%m-%d %H:%M %Z} is not after {what}; correct it")
        return True

    def _is_live(self, row: Row) -> bool:
        expires = row.fields["expires_at"]
        return row.revoked_at is None and not (isinstance(expires, datetime) and expires <= self._known.now)

    def consequences(self) -> None:
        """Who is deactivated leaves the teams and loses roles and keys; a deactivated team loses its members."""
        gone = set(self._left("people"))
        ended = {(act.kind, act.key) for act in self.plan.acts if act.what == "end"}
        closed = set(self._left("teams"))
        for membership, (row, _) in self._known.memberships.items():
            email, team = membership
            if (email in gone or team in closed) and ("memberships", membership) not in ended:
                why = email if email in gone else team
                act = Act("memberships", "end", membership, f"{email} in {team}", (), row, f"{why} is deactivated")
                self.plan.acts.append(act)
        for key, row in self._known.grants.items():
            if key[0] in gone and ("roles", key) not in ended:
                self.plan.acts.append(Act("roles", "end", key, _grant(*key), (), row, f"{key[0]} is deactivated"))
        given = {act.key[0]: act.values["user"] for act in self.plan.of("keys", "change") if "user" in act.values}
        for digest, known in self._known.keys.items():
            owner = given.get(digest, known.fields["user"])
            if owner in gone and self._is_live(known) and ("keys", (digest,)) not in ended:
                act = Act("keys", "end", (digest,), _key(known.fields), (), known.id, f"{owner} is deactivated")
                self.plan.acts.append(act)

    def _left(self, kind: str) -> Iterator[str]:
        """Whom this import deactivates."""
        return (str(act.key[0]) for act in self.plan.of(kind) if act.deactivates)

    def guard(self) -> None:
        """Refuses what nobody could undo, or can hardly be meant."""
        holders = {key[0] for key in self._known.grants if key[1:] == (ADMINISTRATORS, None)}
        administrators = {email for email in holders if self._known.people[email].fields["status"] == "active"}
        granted = {act.key[0] for act in self.plan.of("roles", "create") if act.key[1:] == (ADMINISTRATORS, None)}
        revoked = {act.key[0] for act in self.plan.of("roles", "end") if act.key[1:] == (ADMINISTRATORS, None)}
        left = {email for email in (holders - revoked) | granted if self._status[str(email)] == "active"}
        if administrators and not left:
            raise GovernanceError(
                f"{listed(administrators)} would be the last administrator to go: add "
                f"them to the file of people, or give somebody there the role {ADMINISTRATORS}; nothing was changed"
            )
        if self._options.forced:
            return
        people = sum(row.fields["status"] != _END for row in self._known.people.values())
        _refuse_most("people", "deactivated", len(set(self._left("people"))), people)
        lost = sum(act.why == "missing" for act in self.plan.of("keys", "end"))
        _refuse_most("keys", "revoked", lost, sum(map(self._is_live, self._known.keys.values())))


def _refuse_most(kind: str, what: str, number: int, live: int) -> None:
    """Refuses to end more than half of what is there, as a wrong file or half of one would."""
    if number > 1 and 2 * number > live:
        raise GovernanceError(
            f"{number:,} of {live:,} {kind} would be {what}, so the file may be the wrong one or only a part: add "
            "--force if that is meant; nothing was changed"
        )


def _grant(email: str, role: str, team: str | None) -> str:
    return f"{email} {role}" + (f" on {team}" if team else "")


def _key(fields: Mapping[str, object]) -> str:
    return f"{fields.get('key_prefix')} ({fields.get('name')})"
