"""What an import writes, what it leaves alone, and what the command says."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user, value

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.plan import Options, Plan
from orchestration.lib.organisation.run import carry_out_import, compare, read_files
from orchestration.lib.settings import project_dir

pytestmark = pytest.mark.engines("postgres")

EXAMPLES = project_dir() / "docs" / "examples" / "organisation"
HASH = "ab" * 32
Import = Callable[..., Plan]
Write = Callable[..., list[str]]


@pytest.fixture
def run(connection: Connection, write_tables: Write) -> Import:
    """Imports files into the transaction of the test."""

    def run(options: Options = Options(), paths: list[str] | None = None, **files: list[str]) -> Plan:  # noqa: B008
        paths = paths or write_tables(**files)
        stated = read_files(paths)
        plan = compare(connection, stated, options)
        carry_out_import(connection, stated, plan, [Path(path).name for path in paths])
        return plan

    return run


def rows(connection: Connection, query: str, *parameters: Any) -> list[Any]:
    return connection.execute(query.encode(), parameters).fetchall()


def test_the_examples_of_the_documentation_are_imported_and_a_second_time_change_nothing(
    connection: Connection, run: Import
) -> None:
    paths = [str(EXAMPLES / f"{name}.csv") for name in ("people", "teams", "keys")]
    plan = run(paths=paths)
    assert {
        kind: len(list(plan.of(kind, "create"))) for kind in ("people", "teams", "memberships", "roles", "keys")
    } == {
        "people": 5,
        "teams": 4,
        "memberships": 7,
        "roles": 6,
        "keys": 3,
    }
    assert rows(
        connection,
        "select t.slug, p.slug, u.email, t.budget_amount::text, t.budget_period, t.currency, t.cost_center"
        " from core.teams t left join core.teams p on p.id = t.parent_team_id"
        " left join core.users u on u.id = t.owner_id where t.slug <> 'organization' order by 1",
    ) == [
        ("data-science", "engineering", "chen@acme.example", "2500.50", "month", "EUR", "CC-120"),
        ("engineering", "organization", "grace@acme.example", "12000.00", "quarter", "USD", "CC-100"),
        ("platform", "engineering", "grace@acme.example", "3000.00", "month", "USD", "CC-110"),
        ("support", "organization", "olu@acme.example", None, "month", "USD", "CC-200"),
    ]
    assert rows(
        connection,
        "select k.key_prefix, k.name, u.email, t.slug, k.expires_at from core.api_keys k"
        " left join core.users u on u.id = k.user_id left join core.teams t on t.id = k.team_id order by 1",
    ) == [
        ("sk-chat-9b2c", "Support chat bot", None, "support", None),
        (
            "sk-eval-77d0",
            "Nightly evaluation",
            "chen@acme.example",
            "data-science",
            datetime(2028, 6, 29, 22, tzinfo=UTC),
        ),
        ("sk-zoe-4f1a", "Zoë's laptop", "zoe@acme.example", "platform", datetime(2027, 12, 31, 23, tzinfo=UTC)),
    ]
    assert rows(
        connection,
        "select u.email, r.slug, t.slug from core.user_roles g join core.users u on u.id = g.user_id"
        " join core.roles r on r.id = g.role_id left join core.teams t on t.id = g.team_id"
        " where u.email like 'chen@%%' or u.email like 'zoe@%%' order by 1, 2",
    ) == [
        ("chen@acme.example", "developer", None),
        ("chen@acme.example", "team-manager", "data-science"),
        ("zoe@acme.example", "developer", "platform"),
    ]
    assert value(connection, "select metadata from core.users where email = 'olu@acme.example'") == {
        "department": "Customer Care"
    }
    entries = value(connection, "select count(*) from core.audit_logs")
    again = run(paths=paths)
    assert again.acts == []
    assert sum(again.unchanged.values()) == 25
    assert value(connection, "select count(*) from core.audit_logs") == entries


def test_a_directory_is_imported(connection: Connection, run: Import) -> None:
    paths = [str(EXAMPLES / name) for name in ("scim-users.json", "scim-groups.json")]
    run(paths=paths)
    assert rows(
        connection,
        "select u.email, u.status, u.metadata ->> 'department', array_agg(t.slug order by t.slug) from core.users u"
        " left join core.team_members m on m.user_id = u.id left join core.teams t on t.id = m.team_id"
        " where u.metadata ? 'scim_id' group by u.id order by 1",
    ) == [
        ("grace@acme.example", "active", "Engineering", ["engineering", "platform"]),
        ("hugo@acme.example", "deactivated", None, [None]),
        ("zoe@acme.example", "active", None, ["platform"]),
    ]
    assert run(paths=paths).acts == []
    # groups alone, later: their members are known
    assert run(paths=paths[1:]).acts == []


def test_each_change_is_in_the_trail_with_the_import_as_its_actor(connection: Connection, write_tables: Write) -> None:
    paths = write_tables(
        teams=["slug,name", "platform,Platform"],
        keys=["key_hash,key_prefix,name,team", f"{HASH},sk-a,Key,platform"],
    )
    stated = read_files(paths)
    request = carry_out_import(connection, stated, compare(connection, stated, Options()), ["teams.csv", "keys.csv"])
    assert rows(
        connection,
        "select action, actor_type, actor_label, after ->> 'slug', after ->> 'key_hash' from core.audit_logs"
        " where request_id = %s order by recorded_at",
        request,
    ) == [
        ("teams.insert", "service", "organisation import of teams.csv, keys.csv", "platform", None),
        ("api_keys.insert", "service", "organisation import of teams.csv, keys.csv", None, "[redacted]"),
    ]


def test_a_tree_can_be_turned_round_and_grown_in_one_import(connection: Connection, run: Import) -> None:
    header = "slug,name,parent"
    run(
        teams=[
            header,
            "a,A,",
            "b,B,a",
            "c,C,b",
            *(f"d{level},D,{f'd{level - 1}' if level else 'c'}" for level in range(6)),
        ]
    )
    run(teams=[header, "c,C,", "b,B,c", "a,A,new", "new,New,b", "d0,D,"])
    assert rows(
        connection,
        "select t.slug, p.slug from core.teams t join core.teams p on p.id = t.parent_team_id"
        " where t.slug in ('a', 'b', 'c', 'new', 'd0') order by 1",
    ) == [("a", "new"), ("b", "c"), ("c", "organization"), ("d0", "organization"), ("new", "b")]


@pytest.fixture
def ann(connection: Connection, run: Import) -> UUID:
    """A person in a team, with a role, a key and a session."""
    run(
        people=["email,display_name,teams,roles", "ann@acme.example,Ann,platform,viewer", "bob@acme.example,Bob,,"],
        teams=["slug,name", "platform,Platform", "other,Other"],
        keys=["key_hash,key_prefix,name,user", f"{HASH},sk-a,Key,ann@acme.example"],
    )
    person = value(connection, "select id from core.users where email = 'ann@acme.example'")
    assert isinstance(person, UUID)
    hour = timedelta(hours=1)
    add(connection, "sessions", user_id=person, token_hash=b"x" * 32, expires_at=datetime.now(UTC) + hour)
    return person


def test_who_goes_leaves_nothing_that_works(connection: Connection, run: Import, ann: UUID) -> None:
    run(Options(deactivates_missing=True), people=["email", "bob@acme.example"])
    assert rows(
        connection,
        """
        select
            (select status || ' ' || (deleted_at is not null) from core.users where id = %(ann)s),
            (select count(*) from core.team_members where user_id = %(ann)s and left_at is null),
            (select count(*) from core.user_roles where user_id = %(ann)s and revoked_at is null),
            (select count(*) from core.api_keys where user_id = %(ann)s and revoked_at is null),
            (select revoked_reason from core.sessions where user_id = %(ann)s)
        """.replace("%(ann)s", f"'{ann}'"),
    ) == [("deactivated true", 0, 0, 0, "account deactivated")]
    run(people=["email,status,teams", "ann@acme.example,active,platform"])
    assert rows(connection, "select status, deleted_at from core.users where id = %s", ann) == [("active", None)]
    assert value(connection, "select count(*) from core.team_members where user_id = %s", ann) == 2
    assert value(connection, "select count(*) from core.api_keys where user_id = %s and revoked_at is null", ann) == 0


def test_a_membership_that_ended_and_one_that_begins_do_not_overlap(
    connection: Connection, run: Import, ann: UUID
) -> None:
    year = Options(ends_memberships=True, since=datetime(2026, 1, 1, tzinfo=UTC))
    run(year, people=["email,teams", "ann@acme.example,other"])
    run(year, people=["email,teams", "ann@acme.example,platform"])
    found = rows(
        connection,
        "select t.slug, m.joined_at, m.left_at from core.team_members m join core.teams t on t.id = m.team_id"
        " where user_id = %s order by m.joined_at, t.slug",
        ann,
    )
    assert [slug for slug, *_ in found] == ["other", "platform", "platform"]
    (_, other_from, other_to), (_, _, first_to), (_, second_from, second_to) = found
    # nobody was in other before: since then; in platform, since that ended
    assert other_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert second_from == first_to
    assert other_to is not None
    assert second_to is None


def test_who_moved_a_while_ago_was_in_one_team_at_a_time(connection: Connection, run: Import) -> None:
    """Else usage of the time between would belong to neither."""
    began, moved = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 10, 12, tzinfo=UTC)
    teams = ["slug,name", "platform,Platform", "other,Other"]
    run(Options(since=began), people=["email,display_name,teams", "ann@acme.example,Ann,platform"], teams=teams)
    run(Options(ends_memberships=True, since=moved), people=["email,teams", "ann@acme.example,other"])
    assert rows(
        connection,
        "select t.slug, m.joined_at, m.left_at from core.team_members m join core.teams t on t.id = m.team_id"
        " join core.users u on u.id = m.user_id where u.email = 'ann@acme.example' order by m.joined_at",
    ) == [("platform", began, moved), ("other", moved, None)]


def test_who_has_another_address_stays_who_they_are(connection: Connection, run: Import, ann: UUID) -> None:
    people = ["email,former_email,teams", "ann.lee@acme.example,ann@acme.example,platform"]
    assert len(run(people=people).acts) == 1
    assert value(connection, "select email from core.users where id = %s", ann) == "ann.lee@acme.example"
    assert run(people=people).acts == []


def test_metadata_of_others_stays(connection: Connection, run: Import, ann: UUID) -> None:
    connection.execute('update core.users set metadata = \'{"a": 1.50, "b": "x", "c": "y"}\' where id = %s', [ann])
    run(people=["email,metadata.b,metadata.c", "ann@acme.example,z,"])
    assert value(connection, "select metadata::text from core.users where id = %s", ann) == '{"a": 1.50, "b": "z"}'


def test_an_address_stays_as_it_is_spelled(connection: Connection, run: Import, ann: UUID) -> None:
    assert run(people=["email,display_name", "ANN@acme.example,Ann"]).acts == []
    assert value(connection, "select email from core.users where id = %s", ann) == "ann@acme.example"


def test_a_budget_is_the_same_however_many_zeros_it_has(connection: Connection, run: Import) -> None:
    run(teams=["slug,name,budget_amount", "platform,Platform,100"])
    assert run(teams=["slug,budget_amount", "platform,100.000"]).acts == []


LONG = "x" * 201
REFUSED = {
    "an unseen character": (
        "people",
        "email,display_name",
        "x@acme.example,An\u200bn",
        "display_name has the character U+200B",
    ),
    "a turned direction": (
        "people",
        "email,display_name",
        "x@acme.example,\u202eAnn",
        "display_name has the character U+202E",
    ),
    "too long": (
        "people",
        "email,display_name",
        f"x@acme.example,{LONG}",
        "display_name has 201 characters; at most 200",
    ),
    "a name of two scripts": (
        "people",
        "email,display_name",
        "x@acme.example,P\u0430ul Smith",
        'display_name has letters of several scripts in "P\u0430ul"',
    ),
    "an address of two scripts": (
        "people",
        "email,display_name",
        "p\u0430ul@acme.example,Paul",
        "email has letters of several scripts",
    ),
    "an address of no normal form": (
        "people",
        "email,display_name",
        "\uff41nn@acme.example,Ann",
        "is not in Unicode's normal",
    ),
    "a team of two scripts": ("teams", "slug,name", "x,Fin\u0430nce", "name has letters of several scripts"),
    "a cost center": ("teams", "slug,name,cost_center", "x,X,C\u200b1", "cost_center has the character U+200B"),
    "a name of a key": (
        "keys",
        "key_hash,key_prefix,name,team",
        f"{HASH},sk-a,K\u200by,organization",
        "name has the character",
    ),
}


@pytest.mark.parametrize(("kind", "header", "row", "message"), REFUSED.values(), ids=REFUSED)
def test_texts_that_mislead_are_refused_with_their_line(
    run: Import, kind: str, header: str, row: str, message: str
) -> None:
    with pytest.raises(GovernanceError, match=re.escape(f"{kind}.csv line 2: ") + ".*" + re.escape(message)) as error:
        run(**{kind: [header, row]})
    assert str(error.value).endswith("nothing was changed")


@pytest.mark.parametrize(
    "name", ["Анна", "José Łukasz", "李雷", "Владимир / Vladimir", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"]
)
def test_names_of_any_script_are_taken(connection: Connection, run: Import, name: str) -> None:
    run(people=["email,display_name", f"x@acme.example,{name}"])
    assert value(connection, "select display_name from core.users where email = 'x@acme.example'") == name


def test_an_address_that_looks_like_another_is_noted(connection: Connection, run: Import) -> None:
    add_user(connection, email="cope@acme.example")
    plan = run(
        people=[
            "email,display_name",
            "\u0441\u043e\u0440\u0435@acme.example,C",
            "c0pe@acme.example,C",
            "dope@acme.example,D",
        ]
    )
    assert plan.notes == [
        f"people.csv line {line}: {one}@acme.example looks like {other}@acme.example; see that it is somebody else's"
        for line, one, other in ((2, "\u0441\u043e\u0440\u0435", "c0pe"), (3, "c0pe", "cope"))
    ]


def test_what_was_shown_is_done_or_nothing(connection: Connection, write_tables: Write) -> None:
    stated = read_files(write_tables(teams=["slug,name", "platform,Platform"]))
    plan = compare(connection, stated, Options())
    team = add_team(connection, slug="platform", name="Of somebody else")
    with pytest.raises(GovernanceError, match="was changed by somebody else since the differences were shown"):
        carry_out_import(connection, stated, plan, [])
    assert value(connection, "select name from core.teams where id = %s", team) == "Of somebody else"


def test_nothing_is_half_done(connection: Connection, run: Import) -> None:
    connection.execute("alter table core.api_keys add constraint no_such_keys check (name <> 'Bad')")
    with pytest.raises(GovernanceError, match="the database refused the import, nothing was changed: .*no_such_keys"):
        run(
            teams=["slug,name", "platform,Platform"],
            keys=["key_hash,key_prefix,name,team", f"{HASH},sk-a,Bad,platform"],
        )
    assert value(connection, "select count(*) from core.teams where slug = 'platform'") == 0
