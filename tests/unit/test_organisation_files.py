"""Files of an organisation as they are read: what each states, and a sentence with its place for what is wrong."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.run import read_files
from orchestration.lib.organisation.scim import slug_of
from orchestration.lib.organisation.stated import Stated
from orchestration.lib.organisation.tables import KINDS
from orchestration.lib.settings import project_dir

EXAMPLES = project_dir() / "docs" / "examples" / "organisation"
HASH = "ab" * 32
CLEAR = "sk-proj-8Jq2mPz7Xv4Lw9Rt6Yb3"
Read = Callable[..., Stated]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads files given as name=content with _ for the dot, lists as JSON; options begin with with_."""

    def read(**files: Any) -> Stated:
        options = {name.removeprefix("with_"): files.pop(name) for name in list(files) if name.startswith("with_")}
        paths = []
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            text = json.dumps(content) if isinstance(content, list | dict) else content
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            paths.append(str(path))
        return read_files(paths, **options)

    return read


def user(**said: Any) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], **said}


def group(name: str, *members: str, **said: Any) -> dict[str, Any]:
    values = [{"value": member} for member in members]
    return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": values, **said}


def test_people_say_who_they_are_where_and_what_they_may(read: Read) -> None:
    stated = read(
        people_csv="email,Display Name,Teams,roles,metadata.department\n"
        "Ann@Acme.example,Ann,platform research:manager,viewer team-manager@platform,R&D\n"
        '"bob@acme.example","Bob\nthe second",,,\n'
    )
    ann, bob = stated.people["ann@acme.example"], stated.people["bob@acme.example"]
    assert ann.said == {"email": "Ann@Acme.example", "display_name": "Ann", "metadata.department": "R&D"}
    assert bob.said == {"email": "bob@acme.example", "display_name": "Bob\nthe second", "metadata.department": None}
    assert str(bob.place) == "people.csv line 3"
    assert {key: role for key, (role, _) in stated.memberships.items()} == {
        ("ann@acme.example", "platform"): None,
        ("ann@acme.example", "research"): "manager",
    }
    assert set(stated.grants) == {
        ("ann@acme.example", "viewer", None),
        ("ann@acme.example", "team-manager", "platform"),
    }
    # a blank cell says that there are none
    assert stated.all_teams_of == stated.all_roles_of == {"ann@acme.example", "bob@acme.example"}


def test_a_column_that_is_not_there_says_nothing_and_a_blank_cell_that_there_is_none(read: Read) -> None:
    stated = read(teams_csv="slug,name,owner,budget_amount\nplatform,Platform,,\nresearch,,ann@acme.example,0.10\n")
    assert stated.teams["platform"].said == {
        "slug": "platform",
        "name": "Platform",
        "owner": None,
        "budget_amount": None,
    }
    # a name can't be emptied
    assert stated.teams["research"].said == {
        "slug": "research",
        "owner": "ann@acme.example",
        "budget_amount": Decimal("0.10"),
    }


def test_keys_are_known_by_hash_else_by_prefix(read: Read) -> None:
    stated = read(
        keys_csv=f"key_hash,key_prefix,name,user,expires_at\nSHA256:{HASH.upper()},sk-a,One,A@b.example,\n"
        ",sk-b,Two,,2027-01-31T01:00:00+01:00\n"
    )
    assert stated.keys[HASH].said["user"] == "a@b.example"
    assert stated.keys["sk-b"].said["expires_at"] == datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_write_is_read(read: Read, delimiter: str, begin: bytes, end: str) -> None:
    lines = [delimiter.join(row) for row in (["email", "display_name"], ["ann@acme.example", '"Zoë, Ann"'], ["", ""])]
    stated = read(people_csv=begin + end.join([*lines, ""]).encode())
    assert {email: entry.said["display_name"] for email, entry in stated.people.items()} == {
        "ann@acme.example": "Zoë, Ann"
    }


def test_two_files_complete_each_other(read: Read) -> None:
    stated = read(a_csv="email,display_name\nann@acme.example,Ann\n", b_csv="email,status\nANN@acme.example,active\n")
    assert stated.people["ann@acme.example"].said == {
        "email": "ann@acme.example",
        "display_name": "Ann",
        "status": "active",
    }


def test_a_file_is_what_the_options_say(read: Read, tmp_path: Path) -> None:
    header = "slug,email,name\nplatform,x@y.example,Platform\n"
    with pytest.raises(GovernanceError, match="could be of people, teams: .* say what it is with --people FILE"):
        read(odd_csv=header)
    stated = read(odd_csv=header, with_kinds={str(tmp_path / "odd.csv"): "teams"}, with_ignored=["email"])
    assert list(stated.teams) == ["platform"]


SCIM_USERS = [
    user(
        id="1",
        userName="ann",
        displayName="Ann",
        active=True,
        emails=[{"value": "private@mail.example"}, {"value": "Ann@acme.example", "primary": True}],
        title="Lead",
    ),
    user(id="2", userName="bob@acme.example", name={"givenName": "Bob", "familyName": "Lee"}, active=False),
]


@pytest.mark.parametrize("wrap", ["pages", "array", "lines", "indented"])
def test_scim_is_read_as_directories_export_it(read: Read, wrap: str) -> None:
    resources = [*SCIM_USERS, group("Data & Science", "1", "2", id="g1"), group("Éclair GmbH", "g1", id="g2")]
    pages = [{"totalResults": 4, "Resources": resources[:3]}, {"totalResults": 4, "Resources": resources[3:]}]
    content = {
        "pages": "\n".join(map(json.dumps, pages)),
        "array": json.dumps(resources),
        "lines": "\n".join(map(json.dumps, resources)),
        "indented": json.dumps(pages, indent=2),
    }[wrap]
    stated = read(directory_json=content)
    assert stated.people["ann@acme.example"].said == {
        "email": "Ann@acme.example",
        "display_name": "Ann",
        "is_active": True,
        "metadata.scim_id": "1",
        "metadata.title": "Lead",
    }
    assert stated.people["bob@acme.example"].said["display_name"] == "Bob Lee"
    assert stated.people["bob@acme.example"].said["is_active"] is False
    assert stated.teams["data-science"].said == {
        "slug": "data-science",
        "name": "Data & Science",
        "parent": "eclair-gmbh",
    }
    assert set(stated.members) == {("1", "data-science"), ("2", "data-science")}
    assert stated.all_members_of == {"data-science", "eclair-gmbh"}
    assert stated.directory_ids == {"1": "ann@acme.example", "2": "bob@acme.example"}


def test_only_the_groups_asked_for_are_teams(read: Read) -> None:
    groups = [group("Everyone", "1", id="e"), group("LLM Platform", "1", id="p"), group("LLM All", "e", "p", id="a")]
    stated = read(directory_json=[*SCIM_USERS, *groups], with_groups=["LLM *"])
    assert set(stated.teams) == {"llm-platform", "llm-all"}
    assert stated.teams["llm-platform"].said["parent"] == "llm-all"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Data Science", "data-science"),
        ("  R&D / Ärzte, Straße  ", "r-d-arzte-strasse"),
        ("Łódź (EU)", "lodz-eu"),
        ("Отдел", ""),
        ("研究", ""),
        ("!!", ""),
    ],
)
def test_slugs_of_names(name: str, slug: str) -> None:
    assert slug_of(name) == slug


PEOPLE, TEAMS, KEYS = "email,display_name\n", "slug,name,budget_amount\n", "key_hash,key_prefix,name,team,expires_at\n"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"people_csv": ""}, "people.csv is empty: a CSV file begins with a line of column names"),
    "UTF-16": ({"people_csv": PEOPLE.encode("utf-16")}, "people.csv is UTF-16 text: save it as CSV in UTF-8"),
    "a spreadsheet": ({"people_xlsx": b"PK\x03\x04..."}, "people.xlsx is a spreadsheet or an archive: save it as CSV"),
    "gzip": ({"people_csv": b"\x1f\x8b\x08"}, "people.csv is compressed: unpack it"),
    "Latin-1": (
        {"people_csv": f"{PEOPLE}a@b.example,A\nz@b.example,Zoë\n".encode("latin-1")},
        "people.csv line 3 isn't UTF-8 text (byte 0xeb): save it as CSV in UTF-8",
    ),
    "NUL": ({"people_csv": f"{PEOPLE}a@b.example,A\0\n"}, "people.csv line 2 has a NUL character"),
    "no header": ({"x_csv": "ann@acme.example,Ann\n"}, "the header of x.csv tells no kind: it needs email for people;"),
    "a column twice": (
        {"p_csv": "email,Display Name,display_name\n"},
        "p.csv line 1: the column display_name is there",
    ),
    "a column without a name": ({"p_csv": "email,\n"}, "p.csv line 1: column 2 has no name; name it, or leave it out"),
    "a column nobody knows": (
        {"p_csv": "email,dispaly_name\n"},
        "p.csv line 1: people have no column dispaly_name; did you mean display_name, or leave it aside with --ignore",
    ),
    "a person twice": (
        {"p_csv": f"{PEOPLE}a@b.example,A\nA@B.example,A\n"},
        "p.csv line 3: a@b.example is there already, in line 2; leave one of the two out",
    ),
    "two files that contradict": (
        {"p_csv": f"{PEOPLE}a@b.example,A\n", "q_csv": f"{PEOPLE}a@b.example,B\n"},
        "q.csv line 2: display_name is not what p.csv line 2 says; make both the same, or leave one out",
    ),
    "a team twice": ({"t_csv": f"{TEAMS}a,A,\na,A,\n"}, "t.csv line 3: a is there already, in line 2"),
    "a key twice": (
        {"k_csv": f"{KEYS}{HASH},sk-a,A,a,\n{HASH.upper()},sk-a,A,a,\n"},
        "k.csv line 3: this key is there already, in line 2",
    ),
    "no address": ({"p_csv": f"{PEOPLE},Ann\n"}, "p.csv line 2: it has no email; fill it in, or leave the row out"),
    "an address of no width": ({"p_csv": f"{PEOPLE}\u200b\ufeff,Ann\n"}, "p.csv line 2: it has no email;"),
    "a malformed address": (
        {"p_csv": f"{PEOPLE}ann at acme.example,Ann\n"},
        'p.csv line 2: email is "ann at acme.example", which is no address such as ann@example.com',
    ),
    "a field too many": ({"p_csv": f"{PEOPLE}a@b.example,A,B\n"}, "p.csv line 2: the record has 3 fields, the header"),
    "a quote that never ends": ({"p_csv": f'{PEOPLE}a@b.example,"A\n'}, "p.csv line 2: the line can't be read as CSV"),
    "a status": (
        {"p_csv": "email,status\na@b.example,gone\n"},
        'p.csv line 2: status is "gone"; write one of active, deactivated, invited, suspended',
    ),
    "a slug": (
        {"t_csv": f"{TEAMS}Data Science,A,\n"},
        't.csv line 2: slug is "Data Science"; write lower-case letters',
    ),
    "a currency": ({"t_csv": "slug,currency\na,$\n"}, 't.csv line 2: currency is "$"; write three capital letters'),
    "a period": (
        {"t_csv": "slug,budget_period\na,weekly\n"},
        't.csv line 2: budget_period is "weekly"; write one of day',
    ),
    "a team named twice": (
        {"p_csv": "email,teams\na@b.example,x y:manager x:viewer\n"},
        "p.csv line 2: teams names x twice",
    ),
    "a role in a team": (
        {"p_csv": "email,teams\na@b.example,x:boss\n"},
        'p.csv line 2: teams is "x:boss"; after the colon write one of manager, member, viewer',
    ),
    "a role twice": ({"p_csv": "email,roles\na@b.example,viewer viewer\n"}, "p.csv line 2: roles names viewer twice"),
    "a time without a zone": (
        {"k_csv": f"{KEYS}{HASH},sk-a,A,a,2027-01-31\n"},
        'k.csv line 2: expires_at is "2027-01-31", which has no zone; write 2027-01-31T00:00:00Z for UTC',
    ),
    "no time": ({"k_csv": f"{KEYS}{HASH},sk-a,A,a,soon\n"}, 'k.csv line 2: expires_at is "soon"; write a time such as'),
    "a time out of range": (
        {"k_csv": f"{KEYS}{HASH},sk-a,A,a,9999-12-31T23:59:59-14:00\n"},
        "k.csv line 2: expires_at is .* out of range",
    ),
    "neither user nor group": (
        {"d_json": [{"schemas": ["x"], "displayName": "X"}]},
        "d.json resource 1: it is neither",
    ),
    "no object": ({"d_json": [1]}, "d.json resource 1: it is a number in the place of a JSON object"),
    "half a file": (
        {"d_json": '{"Resources": [{"userName": "a@b.ex'},
        "d.json resource 1: the file can't be read as JSON",
    ),
    "a user without address": ({"d_json": [user(displayName="X")]}, 'd.json resource 1: "X" has no address in emails'),
    "a user with a name for address": ({"d_json": [user(userName="ann")]}, 'd.json resource 1: its address is "ann"'),
    "active is a text": ({"d_json": [user(userName="a@b.example", active="True")]}, "active of a@b.example is neither"),
    "a user twice": (
        {"d_json": [user(userName="a@b.example"), user(userName="A@b.example")]},
        "d.json resource 2: a@b.example is there already, as resource 1",
    ),
    "an id twice": (
        {"d_json": [user(id="1", userName="a@b.example"), user(id="1", userName="b@b.example")]},
        "d.json resource 2: the id of b@b.example is that of another user too",
    ),
    "a group without name": ({"d_json": [group("")]}, "d.json resource 1: it has no displayName; add one"),
    "a group without letters": (
        {"d_json": [group("研究")]},
        'resource 1: group "研究" has no letters a slug can be made of',
    ),
    "two groups of one slug": (
        {"d_json": [group("Data Science"), group("data-science")]},
        'd.json resource 2: group "data-science" and "Data Science" are both data-science as a slug; rename one',
    ),
    "a group in two": (
        {"d_json": [group("A", id="a"), group("B", "a", id="b"), group("C", "a", id="c")]},
        "d.json resource 3: a is in c and in b; a team is below one: leave it out of one",
    ),
    "a member without id": ({"d_json": [{**group("A"), "members": [{"display": "X"}]}]}, "a member of a has no value"),
    "an empty page": ({"d_json": {"totalResults": 0}}, "the files have no people, teams or keys; give at least one"),
    "nothing": ({"d_json": []}, "the files have no people, teams or keys; give at least one that has"),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_in_a_sentence_with_its_place(read: Read, files: dict[str, Any], message: str) -> None:
    with pytest.raises(GovernanceError, match=message if ".*" in message else re.escape(message)) as error:
        read(**files)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "amount", ["1.234,56", "1,234.56", "$5", "1e3", "-1", "NaN", "١٢", "1 000", "9" * 16, ".5", "5."]
)
def test_an_amount_is_written_in_one_way(read: Read, amount: str) -> None:
    with pytest.raises(GovernanceError, match='t.csv line 2: budget_amount is ".*; write digits with a point'):
        read(t_csv=f'{TEAMS}a,A,"{amount}"\n')


@pytest.mark.parametrize(
    "row",
    [
        {"key_hash": CLEAR},
        {"key_hash": "8Jq2mPz7Xv4Lw9Rt6Yb38Jq2mPz7Xv4Lw9Rt6Yb3"},
        {"key_prefix": CLEAR},
        {"key_prefix": CLEAR, "key_hash": HASH},
        {"name": CLEAR, "key_hash": HASH},
    ],
)
def test_a_clear_key_is_refused_and_not_repeated(read: Read, row: dict[str, str]) -> None:
    cells = {"key_hash": "", "key_prefix": "sk-a", "name": "A", "team": "a", "expires_at": ""} | row
    with pytest.raises(GovernanceError, match=r"k.csv line 2: \w+ .*clear key") as error:
        read(k_csv=KEYS + ",".join(cells.values()) + "\n")
    assert CLEAR not in str(error.value)
    assert row.get("key_hash", CLEAR) == HASH or row.get("key_hash", CLEAR) not in str(error.value)


@pytest.mark.parametrize("column", ["key", "API Key", "token", "secret"])
def test_a_column_of_clear_keys_is_refused(read: Read, column: str) -> None:
    with pytest.raises(GovernanceError, match=r"k.csv line 1: column \w+ could hold clear keys"):
        read(k_csv=f"key_prefix,{column}\nsk-a,{CLEAR}\n")


def test_a_name_that_only_begins_like_a_key_is_one(read: Read) -> None:
    stated = read(k_csv=f"{KEYS}{HASH},sk-prod,sk-production-gateway-berlin,a,\n")
    assert stated.keys[HASH].said["name"] == "sk-production-gateway-berlin"


def test_all_that_is_wrong_is_said_at_once(read: Read) -> None:
    with pytest.raises(GovernanceError) as error:
        read(p_csv=PEOPLE + "".join(f"wrong{number},A\n" for number in range(30)))
    lines = str(error.value).splitlines()
    assert lines[0] == "30 problems, nothing was changed"
    assert lines[1].strip().startswith("p.csv line 2: email is")
    assert lines[-1].strip() == "and 10 more"
    assert len(lines) == 22


def test_the_examples_are_read() -> None:
    stated = read_files([str(path) for path in sorted(EXAMPLES.iterdir()) if path.suffix == ".csv"])
    assert (len(stated.people), len(stated.teams), len(stated.keys)) == (5, 4, 3)
    stated = read_files([str(path) for path in sorted(EXAMPLES.iterdir()) if path.suffix == ".json"])
    assert (len(stated.people), len(stated.teams), len(stated.members)) == (3, 2, 3)


def test_the_documentation_has_every_column() -> None:
    page = (project_dir() / "docs" / "organisation.md").read_text()
    for kind in KINDS.values():
        for name, column in kind.columns.items():
            assert re.search(rf"^\| `{name}` \|.*{re.escape(column.meaning)}", page, re.MULTILINE), name
