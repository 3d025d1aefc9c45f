"""Who is meant by the names of sources: what the table refuses, what a load makes of them, what deciding one moves."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner, Result
from core_rows import Connection, add, add_team, add_user, refused
from psycopg.errors import CheckViolation, ExclusionViolation
from usage_loads import Load, counts, query

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.owners import attribution
from orchestration.lib.owners.given import identity
from orchestration.lib.owners.identities import Plan, decide
from orchestration.lib.usage.ledger import undo
from orchestration.lib.warehouse.refresh import refresh

# the middle of an hour of a day that is closed
AT = datetime.now(UTC).replace(hour=12, minute=30, second=0, microsecond=0) - timedelta(days=3)
OWNERS = """
    select m.request_id, u.email, t.slug, m.metadata -> 'unresolved_owner'
    from core.llm_metrics as m
    left join core.users as u on u.id = m.user_id
    left join core.teams as t on t.id = m.team_id
    order by m.request_id
"""
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def people(database: str) -> dict[str, UUID]:
    """Ann is in the team chat, Bob in no team; of a third team there is the name only."""
    with connect(database) as connection:
        ann = add_user(connection, email="ann@example.com")
        bob = add_user(connection, email="bob@example.com")
        chat = add_team(connection, slug="chat", name="Chat")
        sales = add_team(connection, slug="sales", name="Sales")
        add(connection, "team_members", user_id=ann, team_id=chat, joined_at=AT - timedelta(days=30))
        return {"ann": ann, "bob": bob, "chat": chat, "sales": sales}


@pytest.fixture(autouse=True)
def undecided(database: str, people: dict[str, UUID], emptied: None) -> Iterator[None]:
    yield
    with connect(database) as connection:
        connection.execute("delete from core.source_identities")


def request(number: int, cost: str | None = "0.25", **owner: str) -> dict[str, object]:
    """A request an hour after the one before, of a source that names its owner."""
    return {
        "time": (AT + timedelta(hours=number)).isoformat(),
        "request_id": f"r{number}",
        "provider": "p",
        "model": "m",
        "source": "litellm",
        **({"cost_amount": cost} if cost else {}),
        **({"metadata": {"source_owner": owner}} if owner else {}),
    }


@pytest.fixture
def run(database: str) -> Run:
    def run(*arguments: str, answer: str | None = None) -> Result:
        environment = {"GOVERNANCE_DATABASE_URL": database}
        return CliRunner().invoke(main, ["identities", *arguments], input=answer, env=environment)

    return run


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
    assert (counts(again), again.differing, again.unresolved) == ((0, 5, 0), 0, 0)


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


# what deciding moves


@pytest.fixture
def loaded(load_json: Load) -> None:
    """Ann's are 1.75 USD in all; two are Bob's."""
    load_json(
        [
            request(0, "0.25", user="u-1"),
            request(1, "0.5", user="u-1"),
            request(2, None, user="u-1"),
            request(3, "1", user="u-1"),
            request(4, "2", user="bob@example.com", team="sales"),
            request(5, "4", user="bob@example.com", team="x-7"),
        ]
    )


def test_a_decision_says_what_it_moves_and_asks(database: str, run: Run, loaded: None) -> None:
    before = query(database, OWNERS)
    decision = ("resolve", "litellm", "user", "u-1", "--user", "ann@example.com")
    refused = run(*decision, answer="n\n")
    assert refused.exit_code == 1
    assert "would move 4 requests, 1.75 USD, 1 without a price" in refused.stderr
    assert "nothing is changed: it wasn't confirmed" in refused.stderr
    assert query(database, OWNERS) == before
    assert query(database, "select count(*) from core.source_identities") == [(0,)]
    done = run(*decision, "--by", "Eve", answer="y\n")
    assert (done.exit_code, done.stdout) == (0, "moved 4 requests, 1.75 USD, 1 without a price\n")
    assert query(database, OWNERS)[:4] == [(f"r{n}", "ann@example.com", "chat", None) for n in range(4)]
    assert query(
        database, "select decided_by, decided_at > now() - interval '1 minute' from core.source_identities"
    ) == [("Eve", True)]
    # reports have it
    spent = "select sum(requests), sum(cost) from reporting.spend_by_user_view where user_email = 'ann@example.com'"
    assert query(database, spent) == [(4, Decimal("1.75"))]
    assert query(database, "select kind, external_id, requests from reporting.unresolved_owners_view") == [
        ("team", "x-7", 1)
    ]
    again = run(*decision, "--yes")
    assert (again.exit_code, again.stdout[:13]) == (0, "nothing to do")


def test_only_requests_of_the_time_of_a_decision_move(database: str, run: Run, loaded: None) -> None:
    begin, end = (f"{AT + timedelta(hours=n):%Y-%m-%dT%H:%MZ}" for n in (1, 3))
    run("resolve", "litellm", "user", "u-1", "--user", "ann@example.com", "--from", begin, "--to", end, "--yes")
    unknown = {"user": ["u-1", "unknown"]}
    assert query(database, OWNERS)[:4] == [
        ("r0", None, None, unknown),
        ("r1", "ann@example.com", "chat", None),
        ("r2", "ann@example.com", "chat", None),
        ("r3", None, None, unknown),
    ]


def test_what_was_attributed_stays_unless_it_is_asked_for(database: str, run: Run, loaded: None) -> None:
    run("resolve", "litellm", "user", "u-1", "--user", "ann@example.com", "--yes", "--no-refresh")
    before = query(database, OWNERS)
    other = (
        "resolve",
        "litellm",
        "user",
        "u-1",
        "--user",
        "bob@example.com",
        "--team",
        "sales",
        "--yes",
        "--no-refresh",
    )
    refused = run(*other)
    assert refused.exit_code == 1
    assert "user u-1 of litellm means ann@example.com already: give --replace" in refused.stderr
    later = ("--replace", "--from", f"{AT + timedelta(hours=2):%Y-%m-%dT%H:%MZ}")
    kept = run(*other, *later)
    assert "  2 requests have another owner and keep it, unless --reattribute is given" in kept.stderr
    assert kept.stdout == "moved 0 requests, no money\n"
    assert query(database, OWNERS) == before
    means = "select u.email, valid_from, valid_to from core.source_identities join core.users as u on u.id = user_id"
    turn = AT + timedelta(hours=2)
    assert query(database, f"{means} order by 1") == [("ann@example.com", None, turn), ("bob@example.com", turn, None)]
    # the decision is there already, and now the requests are asked for
    moved = run(*other[:-1], "--from", later[2], "--reattribute")
    assert "  2 of them have another owner now" in moved.stderr
    assert moved.stdout == "moved 2 requests, 1 USD, 1 without a price\n"
    assert query(database, OWNERS)[:4] == [
        ("r0", "ann@example.com", "chat", None),
        ("r1", "ann@example.com", "chat", None),
        ("r2", "bob@example.com", "sales", None),
        ("r3", "bob@example.com", "sales", None),
    ]


def test_who_becomes_known_otherwise_gets_what_lacked_an_owner(
    database: str, run: Run, load_json: Load, people: dict[str, UUID]
) -> None:
    load_json([request(0, "3", user="carl@example.com", team="Research"), request(1, "5", user="ann@example.com")])
    with connect(database) as connection:
        carl = add_user(connection, email="carl@example.com")
        research = add_team(connection, slug="research", name="Research")
    try:
        assert run("resolve", "--yes", "--no-refresh").stdout == "moved 1 request, 3 USD\n"
        assert query(database, OWNERS)[0] == ("r0", "carl@example.com", "research", None)
        assert run("resolve", "--yes").stdout.startswith("nothing to do")
    finally:
        with connect(database) as connection:
            connection.execute("set governance.managing_rows = 'on'")
            connection.execute("delete from core.users where id = %s", [carl])
            connection.execute("delete from core.teams where id = %s", [research])


def test_ids_that_the_source_gave_are_never_moved(
    database: str, run: Run, load_json: Load, people: dict[str, UUID]
) -> None:
    load_json([{**request(0, user="u-1"), "user_id": str(people["bob"])}])
    run("resolve", "litellm", "user", "u-1", "--user", "ann@example.com", "--reattribute", "--yes", "--no-refresh")
    assert query(database, "select user_id from core.llm_metrics") == [(people["bob"],)]


@pytest.mark.not_on_pglite("it has one session, which is not to be ended")
def test_a_decision_that_breaks_off_changes_nothing_and_can_be_made_again(
    database: str, loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = query(database, OWNERS)
    real = attribution.move

    def killed(connection: "psycopg.Connection[Any]", moves: attribution.Move) -> None:
        real(connection, moves)
        connection.execute("select pg_terminate_backend(pg_backend_pid())")

    said = {"source": "litellm", "kind": "user", "external_id": "u-1", "user": "ann@example.com"}

    def act() -> Plan:
        return decide(database, lambda connection: [identity(connection, said)], lambda plan: True)

    monkeypatch.setattr("orchestration.lib.owners.identities.move", killed)
    with pytest.raises(GovernanceError, match="the database went away"):
        act()
    assert query(database, OWNERS) == before
    assert query(database, "select count(*) from core.source_identities") == [(0,)]
    monkeypatch.undo()
    assert (act().moves.requests, act().done) == (4, False)
    assert query(database, "select count(*) from core.source_identities") == [(1,)]


def test_a_load_of_which_owners_were_decided_since_is_taken_back(database: str, run: Run, loaded: None) -> None:
    run("resolve", "litellm", "user", "u-1", "--user", "ann@example.com", "--yes", "--no-refresh")
    ((name,),) = query(database, "select source from internal.loads")
    assert undo(database, name).rows == 6
    assert query(database, OWNERS) == []


@pytest.mark.engines("timescaledb")
def test_requests_in_compressed_chunks_move_too(
    database: str, run: Run, load_json: Load, people: dict[str, UUID]
) -> None:
    """Many in one chunk, which is decompressed for it, and few in another."""
    weeks = [(AT - timedelta(days=30), 400), (AT - timedelta(days=60), 5)]
    load_json(
        [
            {
                **request(0, "0.5", user="u-1" if n % 5 else "u-2"),
                "request_id": f"{begin:%d}-{n}",
                "time": (begin + timedelta(minutes=n)).isoformat(),
            }
            for begin, number in weeks
            for n in range(number)
        ]
    )
    compressed = (
        "select count(*) filter (where is_compressed), count(*) from timescaledb_information.chunks"
        " where hypertable_name = 'llm_metrics' and range_end < now() - interval '20 days'"
    )
    query(database, "select public.compress_chunk(c, true) from public.show_chunks('core.llm_metrics') as s (c)")
    before = query(database, compressed)
    done = run("resolve", "litellm", "user", "u-1", "--user", "ann@example.com", "--yes")
    assert done.stdout == "moved 324 requests, 162 USD\n"
    assert query(database, compressed) == before
    assert query(database, "select user_email, requests from reporting.spend_by_user_view order by 1, 2") == [
        ("ann@example.com", 4),
        ("ann@example.com", 320),
        (None, 1),
        (None, 80),
    ]
    assert query(database, "select sum(requests), min(external_id) from reporting.unresolved_owners_view") == [
        (81, "u-2")
    ]


# import, and what is said of bad input

HEADER = "source,kind,external_id,user,team,key,valid_from,valid_to\n"


def test_a_file_is_imported_once_and_no_more(database: str, run: Run, tmp_path: Path, loaded: None) -> None:
    path = tmp_path / "identities.csv"
    path.write_text("\ufeff" + HEADER + "litellm,user,u-1,ann@example.com,,,,\nlitellm,team,x-7,,sales,,2020-01-01,\n")
    first = run("import", str(path), "--yes", "--no-refresh")
    assert first.stdout == "moved 5 requests, 5.75 USD, 1 without a price\n"
    assert "2 new identities\n" in first.stderr
    assert run("import", str(path), "--yes").stdout.startswith("nothing to do")
    listed = [re.split(" {2,}", line)[:4] for line in run("list", "--decided").stdout.splitlines()[1:]]
    assert listed == [
        ["litellm", "team", "x-7", "sales from 2020-01-01 00:00 UTC"],
        ["litellm", "user", "u-1", "ann@example.com"],
    ]
    refresh(database)
    assert run("list").stderr == "every owner that a source names is known\n"


def test_a_file_with_a_bad_line_is_not_imported(database: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "identities.csv"
    path.write_text(
        HEADER
        + "litellm,user,u-1,ann@example.com,,,,\n"
        + "litellm,user,u-2,anne@example.com,,,,\n"
        + "litellm,person,u-3,ann@example.com,,,,\n"
        + "litellm,user,u-4,,,,,\n"
        + "litellm,user\n"
    )
    refused = run("import", str(path), "--yes")
    assert refused.exit_code == 1
    for sentence in (
        f"nothing of {path} is imported",
        "line 3: there is no user anne@example.com: did you mean ann@example.com?",
        "line 4: there is no kind person: the kinds are user, end_user, team, key, project",
        "line 5: nobody is said to be meant by u-4",
        "line 6: it has other columns than the header",
    ):
        assert sentence in refused.stderr
    assert query(database, "select count(*) from core.source_identities") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["resolve", "litellm"], 2, "give a source, a kind and a name, or none of them"),
        (["resolve", "litellm", "user", "u"], 1, "nobody is said to be meant by u: give a user, a team or a key"),
        (["resolve", "litellm", "person", "u", "--team", "chat"], 1, "there is no kind person"),
        (["resolve", "litellm", "user", "u", "--team", "chats"], 1, "there is no team chats: did you mean chat?"),
        (["resolve", "litellm", "key", "u", "--key", "zz"], 1, "there is no key zz: a key is named by its prefix"),
        (
            ["resolve", "litellm", "user", "u", "--team", "chat", "--from", "March"],
            1,
            "valid_from is March, which is no date or time such as 2026-03-01",
        ),
        (
            ["resolve", "litellm", "user", "u", "--team", "chat", "--from", "2026-03-01", "--to", "2026-03-01"],
            1,
            "valid_to is not after valid_from",
        ),
        (["resolve", "litellm", "user", "x" * 501, "--team", "chat"], 1, "external_id is longer than 500 characters"),
        (["resolve", "litellm", "user", "a\0b", "--team", "chat"], 1, "external_id has a character that no text"),
        (["import", "absent.csv"], 1, "there is no file absent.csv"),
        (["import", "other.csv"], 1, "other.csv has no column kind: its columns are source, kind, external_id, user"),
        (["import", "empty.csv"], 1, "empty.csv has no line below its header"),
        (["import", "bytes.csv"], 1, "bytes.csv can't be read as CSV in UTF-8"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("source,user\na,b\n")
    Path("empty.csv").write_text(HEADER)
    Path("bytes.csv").write_bytes(b"source\xff")
    result = run(*arguments, "--yes") if arguments[0] != "list" else run(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 or code == 2
