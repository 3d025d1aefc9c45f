"""Who is meant by the names of sources: what the table refuses, what a load makes of them, what deciding one moves."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import shared_fixtures
from core_rows import add, refused
from owner_rows import AT, OWNERS, Run, request
from psycopg.errors import CheckViolation, ExclusionViolation
from usage_loads import Load, counts, query

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.usefixtures("undecided")

run = shared_fixtures.run_identities


# what the table refuses


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ({}, {}, False),
        ({}, {"valid_from": AT}, False),
        ({"valid_to": AT}, {"valid_from": AT}, True),
        ({"valid_to": AT}, {"valid_from": AT - timedelta(seconds=1)}, False),
        ({}, {"source": "otlp"}, True),
        ({}, {"kind": "end_user"}, True),
        ({}, {"external_id": "U-1"}, True),
    ],
)
def test_a_name_has_one_meaning_at_a_time(
    connection: Connection, people: dict[str, UUID], first: dict[str, Any], second: dict[str, Any], is_taken: bool
) -> None:
    named = {"source": "litellm", "kind": "user", "external_id": "u-1", "user_id": people["ann"]}
    add(connection, "source_identities", **named | first)
    if is_taken:
        add(connection, "source_identities", **named | second)
        return
    with refused(connection, ExclusionViolation, "source_identities_validity_excl"):
        add(connection, "source_identities", **named | second)


@pytest.mark.parametrize(
    ("changed", "constraint"),
    [
        ({"user_id": None}, "source_identities_owner_check"),
        ({"kind": "person"}, "source_identities_kind_check"),
        ({"external_id": ""}, "source_identities_external_id_check"),
        ({"valid_from": AT, "valid_to": AT}, "source_identities_valid_to_check"),
        ({"valid_to": "infinity"}, "source_identities_valid_to_check"),
        ({"valid_from": "-infinity"}, "source_identities_valid_from_check"),
        ({"source": " "}, "source_identities.source is blank"),
    ],
)
def test_an_identity_that_says_nothing_is_refused(
    connection: Connection, people: dict[str, UUID], changed: dict[str, Any], constraint: str
) -> None:
    named = {"source": "litellm", "kind": "user", "external_id": "u-1", "user_id": people["ann"]}
    with refused(connection, CheckViolation, constraint):
        add(connection, "source_identities", **named | changed)


# what a load makes of names


def test_a_load_finds_owners_and_says_whom_it_does_not(database: str, load_json: Load, run: Run) -> None:
    lines = [
        request(0, user="u-1", user_email="Ann@Example.com"),
        request(1, user="u-2", team="Sales"),
        request(2, user="bob@example.com"),
        request(3),
        request(4, None, user="u-2", key="k-9"),
    ]
    report = load_json(lines)
    assert counts(report) == (5, 0, 0)
    assert (report.unresolved, report.notes) == (3, {})
    assert query(database, OWNERS) == [
        ("r0", "ann@example.com", "chat", None),
        ("r1", None, "sales", {"user": ["u-2", "unknown"]}),
        ("r2", "bob@example.com", None, {"user": ["bob@example.com", "in no team"]}),
        ("r3", None, None, None),
        ("r4", None, None, {"user": ["u-2", "unknown"], "key": ["k-9", "unknown"]}),
    ]
    # what the source said is as it was, and a row that names nobody has nothing more
    assert query(database, "select metadata from core.llm_metrics where request_id in ('r0', 'r3') order by time") == [
        ({"source_owner": {"user": "u-1", "user_email": "Ann@Example.com"}},),
        (None,),
    ]
    refresh(database)
    listed = [line.split() for line in run("list").stdout.splitlines()]
    assert [row[:6] for row in listed[1:]] == [
        ["litellm", "user", "u-2", "unknown", "2", "0.25"],
        ["litellm", "key", "k-9", "unknown", "1", "unknown"],
        ["litellm", "user", "bob@example.com", "in", "no", "team"],
    ]
    found = query(database, "select subject, message from verification.unresolved_owners order by 1")
    assert found[-1] == (
        "user of litellm: u-2",
        "2 requests of the last 30 days, 0.25 USD, lack an owner: the user is known to nobody.",
    )
    again = load_json(lines)
    assert (counts(again), again.changed, again.unresolved) == ((0, 5, 0), 0, 0)


def test_a_csv_with_names_in_the_place_of_ids(database: str, load_csv: Load, people: dict[str, UUID]) -> None:
    with connect(database) as connection:
        add(
            connection,
            "source_identities",
            source="ingest",
            kind="team",
            external_id="Team 7",
            team_id=people["sales"],
        )
    at = AT.isoformat()
    load_csv(
        [
            "time,request_id,provider,model,user_id,team_id",
            f"{at},a,p,m,ANN@example.com,",
            f"{at},b,p,m,{people['bob']},Team 7",
            f"{at},c,p,m,{people['bob']},{people['chat']}",
        ]
    )
    assert query(database, OWNERS) == [
        ("a", "ann@example.com", "chat", None),
        ("b", "bob@example.com", "sales", None),
        ("c", "bob@example.com", "chat", None),
    ]
    assert query(database, "select metadata from core.llm_metrics order by request_id") == [
        ({"source_values": {"user_id": "ANN@example.com"}},),
        # what the source knew itself is noted, so that it stays when others are attributed anew
        ({"source_values": {"team_id": "Team 7"}, "given_owner": ["user_id"]},),
        (None,),
    ]
