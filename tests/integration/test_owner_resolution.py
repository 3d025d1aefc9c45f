"""Whose a request is, as of its time: small cases by hand, and random worlds against an oracle of a page of Python."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from owner_oracle import Identity, Key, Membership, Request, Team, User, World, overlap, write
from psycopg.types.json import Jsonb

from orchestration.lib.database.connection import Connection
from orchestration.lib.owners.resolution import KINDS, resolution

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
ANN, BOB = User(UUID(int=11), "Ann@example.com"), User(UUID(int=12), "bob@example.com")
CHAT = Team(UUID(int=21), "chat", "Assistants")
OLD = Team(UUID(int=22), "search-2", "Search", deleted_at=6)
SEARCH = Team(UUID(int=23), "search", "Search")
ANNS = Key(UUID(int=31), "sk-ann", "secret-ann", ANN.id, None)
SHARED = Key(UUID(int=32), "sk-chat", "secret-chat", None, CHAT.id)
BOBS = Key(UUID(int=33), "sk-ann", "secret-bob", BOB.id, None, revoked_at=4)
NOBODY = World([ANN, BOB], [CHAT, OLD, SEARCH], [ANNS, SHARED, BOBS], [], [])


def at(hour: int | None) -> datetime | None:
    return None if hour is None else BEGIN + timedelta(hours=hour)


def resolved(connection: Connection, world: World, requests: Sequence[Request]) -> list[tuple[Any, ...]]:
    """What the SQL says of each request; the world is gone afterwards."""
    with connection.transaction(force_rollback=True):
        write(connection, world, at)
        connection.execute(
            "create temporary table asked (line bigint, time timestamptz, source text, owner jsonb, user_id uuid,"
            " team_id uuid, api_key_id uuid)"
        )
        for line, each in enumerate(requests):
            connection.execute(
                "insert into asked values (%s, %s, %s, %s, %s, %s, %s)",
                [line, at(each.hour), each.source, Jsonb(each.owner), each.user, each.team, each.key],
            )
        query = resolution("select * from asked", "line")
        return [row[2:] for row in connection.execute(f"select * from ({query}) as o order by line".encode())]


# rule 2: spend belongs to the team, user and key of the moment of the request


def test_who_moves_to_another_team_leaves_what_was_spent_before(connection: Connection) -> None:
    world = replace(NOBODY, memberships=[Membership(ANN.id, CHAT.id, 0, 5), Membership(ANN.id, SEARCH.id, 5)])
    requests = [Request(hour, "litellm", {"user": "ann@example.com"}) for hour in (0, 4, 5, 9)]
    assert resolved(connection, world, requests) == [
        (ANN.id, CHAT.id, None, None),
        (ANN.id, CHAT.id, None, None),
        (ANN.id, SEARCH.id, None, None),
        (ANN.id, SEARCH.id, None, None),
    ]


def test_a_name_means_somebody_from_a_moment_to_another(connection: Connection) -> None:
    identities = [
        Identity("litellm", "user", "u-1", user=ANN.id, valid_to=5),
        Identity("litellm", "user", "u-1", user=BOB.id, team=CHAT.id, valid_from=5, valid_to=8),
    ]
    requests = [Request(hour, "litellm", {"user": "u-1", "team": "chat"}) for hour in (4, 5, 7, 8)]
    requests.append(Request(4, "otlp", {"user": "u-1", "team": "chat"}))
    assert resolved(connection, replace(NOBODY, identities=identities), requests) == [
        (ANN.id, CHAT.id, None, None),
        (BOB.id, CHAT.id, None, None),
        (BOB.id, CHAT.id, None, None),
        (None, CHAT.id, None, {"user": ["u-1", "unknown"]}),
        # another source means somebody else by it
        (None, CHAT.id, None, {"user": ["u-1", "unknown"]}),
    ]


def test_the_team_of_somebody_in_several_is_the_one_the_source_names(connection: Connection) -> None:
    world = replace(NOBODY, memberships=[Membership(ANN.id, CHAT.id, 0), Membership(ANN.id, SEARCH.id, 3, 6)])
    said = [
        Request(2, "otlp", {"user": "ann@example.com"}),
        Request(3, "otlp", {"user": "ann@example.com"}),
        Request(3, "otlp", {"user": "ann@example.com", "team": "search"}),
        Request(3, "otlp", {"user": "ann@example.com", "team": "sales"}),
        Request(3, "otlp", {"user": "bob@example.com"}),
        Request(6, "otlp", {"user": "ann@example.com"}),
    ]
    assert resolved(connection, world, said) == [
        (ANN.id, CHAT.id, None, None),
        (ANN.id, None, None, {"user": ["ann@example.com", "in several teams"]}),
        (ANN.id, SEARCH.id, None, None),
        # a team is named: no other stands in for it
        (ANN.id, None, None, {"team": ["sales", "unknown"]}),
        (BOB.id, None, None, {"user": ["bob@example.com", "in no team"]}),
        (ANN.id, CHAT.id, None, None),
    ]


# rule 3: deleted or renamed owners keep their spend, two teams of one name stay two


def test_two_teams_of_one_name_stay_two(connection: Connection) -> None:
    said = [
        Request(5, "otlp", {"team": "Search"}),
        Request(6, "otlp", {"team": "Search"}),
        Request(5, "otlp", {"team": "search-2"}),
        Request(7, "otlp", {"team": "search-2"}),
        Request(5, "otlp", {"team": str(OLD.id)}),
        Request(5, "otlp", {"team": "assistants"}),
    ]
    # `search` is the slug of one of them, which goes before the name of both
    assert resolved(connection, NOBODY, said) == [
        (None, SEARCH.id, None, None),
        (None, SEARCH.id, None, None),
        (None, OLD.id, None, None),
        (None, OLD.id, None, None),
        (None, OLD.id, None, None),
        (None, CHAT.id, None, None),
    ]
    twins = replace(NOBODY, teams=[OLD, replace(SEARCH, slug="search-3")])
    assert resolved(connection, replace(twins, keys=[]), said[:2]) == [
        (None, None, None, {"team": ["Search", "ambiguous"]}),
        (None, SEARCH.id, None, None),
    ]


def test_a_key_says_whose_it_is(connection: Connection) -> None:
    said = [
        Request(1, "litellm", {"key": ANNS.hash}),
        Request(1, "litellm", {"key": "sk-chat"}),
        # one prefix, two keys, until one of them is revoked
        Request(3, "litellm", {"key": "sk-ann"}),
        Request(4, "litellm", {"key": "sk-ann"}),
        Request(4, "litellm", {"key": "none", "user": "bob@example.com", "team": "chat"}),
        # the source names the user: the key's doesn't stand in
        Request(4, "litellm", {"key": ANNS.hash, "user": "u-9", "team": "chat"}),
    ]
    world = replace(NOBODY, memberships=[Membership(ANN.id, SEARCH.id, 0)])
    assert resolved(connection, world, said) == [
        (ANN.id, SEARCH.id, ANNS.id, None),
        (None, CHAT.id, SHARED.id, None),
        (None, None, None, {"key": ["sk-ann", "ambiguous"]}),
        (ANN.id, SEARCH.id, ANNS.id, None),
        (BOB.id, CHAT.id, None, {"key": ["none", "unknown"]}),
        (None, CHAT.id, ANNS.id, {"user": ["u-9", "unknown"]}),
    ]


def test_projects_and_end_users_are_asked_for_only_where_nothing_else_says_it(connection: Connection) -> None:
    world = replace(NOBODY, identities=[Identity("openai", "project", "proj_1", team=CHAT.id)])
    said = [
        Request(1, "openai", {"project": "proj_1"}),
        Request(1, "openai", {"project": "proj_2"}),
        Request(1, "openai", {"project": "proj_2", "key": "sk-chat"}),
        Request(1, "openai", {"end_user": "customer 7"}),
        Request(1, "openai", {"end_user": "customer 7", "key": "sk-chat"}),
        Request(1, "openai", {"end_user": "bob@example.com", "project": "proj_1"}),
        Request(1, "openai", {"organization": "org-1"}),
    ]
    assert resolved(connection, world, said) == [
        (None, CHAT.id, None, None),
        (None, None, None, {"project": ["proj_2", "unknown"]}),
        (None, CHAT.id, SHARED.id, None),
        (None, None, None, {"end_user": ["customer 7", "unknown"]}),
        (None, CHAT.id, SHARED.id, None),
        (BOB.id, CHAT.id, None, None),
        (None, None, None, None),
    ]


def test_an_id_that_the_source_gives_stays(connection: Connection) -> None:
    other = UUID(int=99)
    said = [Request(1, "otlp", {"user": "ann@example.com", "team": "sales"}, user=other, team=other, key=other)]
    assert resolved(connection, NOBODY, said) == [(other, other, other, None)]


HOURS = st.integers(0, 5)
ENDS = st.none() | HOURS
SOURCES = st.sampled_from(["a", "b"])
WORDS = ["u-1", "chat", "Search", "sk-ann", "sk-chat", "ann@example.com", "BOB@example.com", ANNS.hash, str(BOB.id)]
OPTIONAL_USER = st.sampled_from([None, ANN.id, BOB.id])
OPTIONAL_TEAM = st.sampled_from([None, CHAT.id, OLD.id])
OPTIONAL_KEY = st.sampled_from([None, ANNS.id, SHARED.id])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    teams = [
        replace(team, deleted_at=draw(ENDS), name=draw(st.sampled_from(["Search", "Chat"])))
        for team in (CHAT, OLD, SEARCH)
    ]
    keys = [
        replace(key, revoked_at=draw(ENDS), user=draw(OPTIONAL_USER), team=draw(OPTIONAL_TEAM))
        for key in (ANNS, SHARED, BOBS)
    ]
    keys = [key if key.user or key.team else replace(key, user=ANN.id) for key in keys]
    memberships = []
    for user in (ANN, BOB):
        for team in teams:
            if draw(st.booleans()):
                joined = draw(HOURS)
                left = draw(st.none() | st.integers(joined, 6))
                memberships.append(Membership(user.id, team.id, joined, left))
    identities: list[Identity] = []
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(ENDS)
        each = Identity(
            draw(SOURCES),
            draw(st.sampled_from(KINDS)),
            draw(st.sampled_from(WORDS)),
            draw(OPTIONAL_USER),
            draw(OPTIONAL_TEAM),
            draw(OPTIONAL_KEY),
            begin,
            draw(st.none() | st.integers((begin or 0) + 1, 7)),
        )
        if (each.user or each.team or each.key) and not any(overlap(each, other) for other in identities):
            identities.append(each)
    return World([ANN, BOB], teams, keys, memberships, identities)


REQUESTS = st.builds(
    Request,
    HOURS,
    SOURCES,
    st.dictionaries(
        st.sampled_from(
            ["user", "user_email", "user_id", "team", "team_name", "key", "key_name", "project", "end_user", "other"]
        ),
        st.sampled_from(WORDS),
        max_size=4,
    ),
    st.sampled_from([None, None, None, ANN.id]),
    st.sampled_from([None, None, None, CHAT.id]),
    st.sampled_from([None, None, None, SHARED.id]),
)


@pytest.mark.engines("postgres")
def test_random_worlds_agree_with_the_oracle(database: str, connection: Connection) -> None:
    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(worlds(), st.lists(REQUESTS, min_size=10, max_size=40))
    def agree(world: World, requests: list[Request]) -> None:
        assert resolved(connection, world, requests) == [world.owners(request) for request in requests]

    agree()
