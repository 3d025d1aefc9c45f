"""Deciding whom a source names: what it moves, and what it leaves as it is; files of decisions, and bad input."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import shared_fixtures
from core_rows import add_team, add_user
from owner_rows import AT, OWNERS, Run, request
from usage_loads import Load, query

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.owners import attribution
from orchestration.lib.owners.given import identity
from orchestration.lib.owners.identities import Plan, decide
from orchestration.lib.usage.ledger import undo
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.usefixtures("undecided")

run = shared_fixtures.run_identities


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

    def killed(connection: Connection, moves: attribution.Move) -> None:
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
    # as a spreadsheet saves it
    path.write_text(path.read_text().replace(",", ";") + ";;;;;;;\n")
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
