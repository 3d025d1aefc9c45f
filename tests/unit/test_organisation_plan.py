"""What an import would do, computed from what files state and what is known: no database here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from known_organisation import END, HASHES, KNOWN, MISSING, NOW, key, person, team

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.known import Known
from orchestration.lib.organisation.plan import Act, Options, Plan
from orchestration.lib.organisation.planner import make_plan
from orchestration.lib.organisation.run import read_files

Plans = Callable[..., Plan]


@pytest.fixture
def plan(write_tables: Callable[..., list[str]]) -> Plans:
    """The plan for files given by name, their lines as a list, against KNOWN with what is given as `known`."""

    def plan(options: Options = Options(), known: dict[str, Any] | None = None, **files: list[str]) -> Plan:  # noqa: B008
        stated = read_files(write_tables(**files))
        return make_plan(stated, Known(NOW, "USD", "organization", **KNOWN | (known or {})), options)

    return plan


def shown(acts: list[Act]) -> list[str]:
    """Each act in a line: what, name, fields with their values."""
    said = []
    for act in acts:
        fields = [f"{each.field}={each.before}>{each.after}" for each in act.changes]
        said.append(" ".join([act.what, act.name, *fields, *([f"({act.why})"] if act.why else [])]))
    return said


def test_who_is_new_changed_and_unchanged_field_by_field(plan: Plans) -> None:
    found = plan(
        people=[
            "email,display_name,metadata.title",
            "ANN@acme.example,Ann,",
            "bob@acme.example,Bob,Lead",
            "new@acme.example,New,",
        ]
    )
    assert shown(found.acts) == [
        "change bob@acme.example display_name=Someone>Bob metadata.title=None>Lead",
        "create new@acme.example email=None>new@acme.example display_name=None>New status=None>active",
    ]
    assert found.unchanged["people"] == 1
    assert found.missing == {"people": ["admin@acme.example"]}


def test_teams_get_defaults_and_go_below_the_one_above_all(plan: Plans) -> None:
    found = plan(
        teams=[
            "slug,name,parent,owner,budget_amount",
            "platform,Team,,,100.50",
            "below,Team,new,,",
            "new,New,platform,bob@acme.example,",
        ]
    )
    assert shown(found.acts) == [
        "change platform budget_amount=None>100.50",
        "change below parent=platform>new",
        "create new slug=None>new name=None>New parent=None>platform owner=None>bob@acme.example"
        " budget_period=None>month currency=None>USD status=None>active",
    ]
    (only,) = plan(teams=["slug,name", "top,Top"]).acts
    assert only.values["parent"] == "organization"


def test_memberships_and_roles_begin_change_and_end_only_when_told(plan: Plans) -> None:
    people = ["email,teams,roles", "ann@acme.example,below,viewer", "bob@acme.example,platform:viewer,"]
    begin = [
        "create ann@acme.example in below role=None>member",
        "create bob@acme.example in platform role=None>viewer",
    ]
    found = plan(people=people)
    assert shown(found.acts) == [*begin, "create ann@acme.example viewer"]
    assert found.missing["memberships"] == ["ann@acme.example in platform"]
    assert found.missing["roles"] == ["ann@acme.example viewer on platform"]
    assert shown(plan(END, people=people).acts) == [
        *begin,
        "end ann@acme.example in platform (missing)",
        "create ann@acme.example viewer",
        "end ann@acme.example viewer on platform (missing)",
    ]


def test_a_role_in_a_team_that_is_not_said_stays(plan: Plans) -> None:
    assert plan(people=["email,teams", "ann@acme.example,platform"]).acts == []
    assert shown(plan(people=["email,teams", "ann@acme.example,platform:member"]).acts) == [
        "change ann@acme.example in platform role=manager>member"
    ]


def test_members_of_a_directory_are_known_by_their_id_from_an_earlier_import(plan: Plans, tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text('[{"displayName": "Below", "members": [{"value": "1"}]}]')
    known = Known(NOW, "USD", "organization", **KNOWN)
    found = make_plan(read_files([str(path)]), known, Options())
    assert shown(found.acts) == [
        "change below name=Team>Below",
        "create ann@acme.example in below role=None>member",
    ]
    path.write_text('[{"displayName": "Below", "members": [{"value": "9"}]}]')
    with pytest.raises(GovernanceError, match="groups.json resource 1: member 9 of below is no user of these files"):
        make_plan(read_files([str(path)]), known, Options())


def test_who_has_another_address_is_the_same_person(plan: Plans, tmp_path: Path) -> None:
    people = ["email,former_email,teams", "ann.lee@acme.example,Ann@acme.example,platform", "bob@acme.example,,"]
    found = plan(
        END,
        people=people,
        teams=["slug,owner", "below,ann.lee@acme.example"],
        keys=["key_prefix,user", "sk-b,", "sk-a,ann.lee@acme.example"],
    )
    assert shown(found.acts) == [
        "change ann.lee@acme.example email=ann@acme.example>ann.lee@acme.example",
        "change below owner=None>ann.lee@acme.example",
    ]
    assert found.unchanged == {"people": 1, "memberships": 1, "keys": 2}
    # what was done is not done again
    assert plan(people=["email,former_email", "bob@acme.example,robert@acme.example"]).acts == []
    path = tmp_path / "users.json"
    path.write_text('[{"userName": "ann.lee@acme.example", "id": "1"}]')
    found = make_plan(read_files([str(path)]), Known(NOW, "USD", "organization", **KNOWN), Options())
    assert shown(found.acts) == ["change ann.lee@acme.example email=ann@acme.example>ann.lee@acme.example"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["ann@acme.example,bob@acme.example"],
            "people.csv line 2: ann@acme.example and bob@acme.example are both known; leave former_email out",
        ),
        (
            ["new@acme.example,bob@acme.example", "bob@acme.example,"],
            "people.csv line 2: bob@acme.example became new@acme.example and has a row too; leave one of the two out",
        ),
        (
            ["new@acme.example,bob@acme.example", "newer@acme.example,bob@acme.example"],
            "people.csv line 3: bob@acme.example became new@acme.example already; leave one of the two out",
        ),
    ],
)
def test_a_new_address_is_one_persons(plan: Plans, rows: list[str], message: str) -> None:
    with pytest.raises(GovernanceError, match=re.escape(message)):
        plan(people=["email,former_email", *rows])


def test_a_directory_lifts_no_suspension_and_brings_back_who_left(plan: Plans, tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(
        '[{"userName": "bob@acme.example", "active": true}, {"userName": "carl@acme.example", "active": true}]'
    )
    people = KNOWN["people"] | {"bob@acme.example": person("bob@acme.example", status="suspended")}
    known = Known(NOW, "USD", "organization", **KNOWN | {"people": people})
    found = make_plan(read_files([str(path)]), known, Options())
    assert shown(found.acts) == ["change carl@acme.example status=deactivated>active"]


def test_who_is_deactivated_stays_so_unless_the_file_says_otherwise(plan: Plans) -> None:
    found = plan(people=["email,teams", "carl@acme.example,platform"])
    assert found.acts == []
    assert found.notes == [
        "people.csv line 2: carl@acme.example stays deactivated; status active brings them back",
    ]
    assert shown(plan(people=["email,status,teams", "carl@acme.example,active,platform"]).acts) == [
        "change carl@acme.example status=deactivated>active",
        "create carl@acme.example in platform role=None>member",
    ]


ANN_GOES = [
    "end ann@acme.example in platform (ann@acme.example is deactivated)",
    "end ann@acme.example viewer on platform (ann@acme.example is deactivated)",
    "end sk-a (Key) (ann@acme.example is deactivated)",
]


def test_who_is_deactivated_leaves_and_loses_roles_and_keys(plan: Plans) -> None:
    found = plan(people=["email,status", "ann@acme.example,deactivated"])
    assert shown(found.acts) == ["change ann@acme.example status=active>deactivated", *ANN_GOES]
    stay = ["email", "admin@acme.example", "bob@acme.example"]
    assert shown(plan(MISSING, people=stay).acts) == ["end ann@acme.example (missing)", *ANN_GOES]
    assert plan(people=stay).acts == []
    # what others get isn't lost
    given = ["key_prefix,user", "sk-a,bob@acme.example"]
    assert shown(plan(MISSING, people=stay, keys=[*given, "sk-b,"]).acts)[-3:] == [
        "change sk-a (Key) user=ann@acme.example>bob@acme.example",
        *ANN_GOES[:2],
    ]


def test_a_deactivated_team_loses_its_members(plan: Plans) -> None:
    found = plan(teams=["slug,status,parent", "platform,deactivated,", "below,active,"])
    assert shown(found.acts) == [
        "change platform status=active>deactivated",
        "change below parent=platform>organization",
        "end ann@acme.example in platform (platform is deactivated)",
    ]


def test_keys_are_found_by_hash_or_prefix_and_never_come_back(plan: Plans) -> None:
    found = plan(
        keys=[
            "key_hash,key_prefix,name,team",
            f"{HASHES['a']},sk-a,Laptop,platform",
            ",sk-b,Key,below",
            ",sk-c,Other,platform",
            f"{9:064x},sk-a,New,below",
        ]
    )
    assert shown(found.acts) == [
        "change sk-a (Laptop) name=Key>Laptop",
        "change sk-b (Key) team=platform>below",
        f"create sk-a (New) key_hash=None>{9:064x} key_prefix=None>sk-a name=None>New team=None>below",
    ]
    assert found.notes == ["keys.csv line 4: key sk-c (Key) is revoked and stays so"]


def test_keys_that_are_missing_are_revoked_only_when_told(plan: Plans) -> None:
    keys = ["key_prefix", "sk-a"]
    assert plan(keys=keys).missing == {"keys": ["sk-b (Key)"]}
    assert shown(plan(MISSING, keys=keys).acts) == ["end sk-b (Key) (missing)"]


def test_a_kind_without_a_file_misses_nobody(plan: Plans) -> None:
    assert plan(MISSING, teams=["slug", "platform", "below"]).acts == []


def test_most_may_go_when_that_is_meant(plan: Plans) -> None:
    forced = Options(deactivates_missing=True, forced=True)
    assert [act.name for act in plan(forced, people=["email", "admin@acme.example"]).of("people")] == [
        "ann@acme.example",
        "bob@acme.example",
    ]
    assert len(list(plan(forced, keys=["key_hash,key_prefix,name,team", f"{9:064x},sk-x,X,platform"]).of("keys"))) == 3


def test_an_administrator_may_go_when_another_one_comes(plan: Plans) -> None:
    found = plan(MISSING, people=["email,roles", "ann@acme.example,super-admin viewer@platform", "bob@acme.example,"])
    assert shown(found.acts) == [
        "end admin@acme.example (missing)",
        "create ann@acme.example super-admin",
        "end admin@acme.example super-admin (admin@acme.example is deactivated)",
    ]


def test_what_is_broken_already_is_not_held_against_a_file(plan: Plans) -> None:
    """A live team below a deleted one is for `governance verify` to say."""
    teams = KNOWN["teams"] | {"orphan": team("orphan", parent="old")}
    assert plan(known={"teams": teams}, teams=["slug,name", "orphan,Team"]).acts == []


def test_several_keys_of_one_prefix_are_told_apart_by_hash_only(plan: Plans) -> None:
    keys = KNOWN["keys"] | {f"{8:064x}": key("a", key_hash=f"{8:064x}")}
    with pytest.raises(GovernanceError, match="keys.csv line 2: 2 keys begin with sk-a; give its key_hash"):
        plan(known={"keys": keys}, keys=["key_prefix,name", "sk-a,X"])
