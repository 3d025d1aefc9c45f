"""Whom a policy covers, compared with an oracle over random organisations."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core_rows import add, add_policy, add_team, add_user, value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reporting_rows import only, report

from orchestration.lib.database.connection import Connection

# days from now: it holds between them, from the first on and up to the second, which may be open
SPANS: dict[str, tuple[int, int | None]] = {
    "open": (-9, None),
    "closes later": (-9, 9),
    "begins now": (0, None),
    "ends now": (-9, 0),
    "over": (-9, -1),
    "later": (1, None),
}
HOLDS = ("open", "closes later", "begins now")
spans = st.sampled_from([*SPANS, "open", "open", "open"])


@dataclass
class Organisation:
    """Teams by their parents (each before those below it), what is deleted, people by their status."""

    parents: list[int | None]
    deleted: list[bool]
    statuses: list[str]
    members: dict[tuple[int, int], str]
    # of two policies, to teams and to people
    to_teams: dict[tuple[int, int], str]
    to_people: dict[tuple[int, int], str]

    def chain(self, team: int) -> list[int]:
        parent = self.parents[team]
        return [team, *([] if parent is None else self.chain(parent))]

    def reach(self, policy: int) -> list[int]:
        """Teams and people it is assigned to, teams and people it covers."""
        live = {team for team, is_deleted in enumerate(self.deleted) if not is_deleted}
        people = {person for person, status in enumerate(self.statuses) if status != "deactivated"}
        # a deleted team passes on nothing of its own; what is above it reaches through it
        assigned = {t for (p, t), span in self.to_teams.items() if p == policy and span in HOLDS and t in live}
        teams = {team for team in live if assigned.intersection(self.chain(team))}
        directly = {u for (p, u), span in self.to_people.items() if p == policy and span in HOLDS and u in people}
        through = {u for (t, u), span in self.members.items() if t in teams and span in HOLDS and u in people}
        return [len(assigned), len(directly), len(teams), len(directly | through)]


@st.composite
def organisations(draw: st.DrawFn) -> Organisation:
    teams, people = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    parents = [draw(st.none() | st.integers(0, team - 1)) if team else None for team in range(teams)]

    def pairs(first: int, second: int) -> dict[tuple[int, int], str]:
        keys = st.tuples(st.integers(0, first - 1), st.integers(0, second - 1))
        return draw(st.dictionaries(keys, spans, max_size=14))

    return Organisation(
        parents,
        [draw(st.sampled_from([False, False, False, True])) for _ in range(teams)],
        [draw(st.sampled_from(["active", "active", "invited", "suspended", "deactivated"])) for _ in range(people)],
        pairs(teams, people),
        pairs(2, teams),
        pairs(2, people),
    )


def write(connection: Connection, organisation: Organisation) -> list[Any]:
    """The ids of the two policies."""
    now = value(connection, "select now()")

    def span(name: str, begins: str, ends: str) -> dict[str, Any]:
        first, last = SPANS[name]
        return {begins: now + timedelta(days=first), ends: None if last is None else now + timedelta(days=last)}

    teams: list[Any] = []
    for parent in organisation.parents:
        teams.append(add_team(connection, parent_team_id=None if parent is None else teams[parent]))
    people = [add_user(connection, status=status) for status in organisation.statuses]
    policies = [add_policy(connection, is_active=True) for _ in range(2)]
    for (team, person), name in organisation.members.items():
        times = span(name, "joined_at", "left_at")
        add(connection, "team_members", team_id=teams[team], user_id=people[person], **times)
    for (policy, team), name in organisation.to_teams.items():
        times = span(name, "effective_from", "expires_at")
        add(connection, "policy_assignments", policy_id=policies[policy], team_id=teams[team], **times)
    for (policy, person), name in organisation.to_people.items():
        times = span(name, "effective_from", "expires_at")
        add(connection, "policy_assignments", policy_id=policies[policy], user_id=people[person], **times)
    for team, is_deleted in enumerate(organisation.deleted):
        if is_deleted:
            connection.execute("update core.teams set deleted_at = now() where id = %s", [teams[team]])
    return policies


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(organisation=organisations())
def test_a_policy_covers_what_the_oracle_says(connection: Connection, organisation: Organisation) -> None:
    with connection.transaction(force_rollback=True):
        policies = write(connection, organisation)
        teams = value(connection, "select count(*) from core.teams where deleted_at is null")
        people = value(connection, "select count(*) from core.users where status <> 'deactivated'")
        for number, policy in enumerate(policies):
            row = only(report(connection, "policy_compliance_view", policy_id=policy))
            # the share of no teams at all is unknown
            covered = [round((row["team_coverage"] or 0) * teams), round((row["user_coverage"] or 0) * people)]
            assert [row["assigned_teams"], row["assigned_users"], *covered] == organisation.reach(number)
