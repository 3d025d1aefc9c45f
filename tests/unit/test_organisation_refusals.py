"""What an import refuses to do, each in a sentence with its place."""

import re
from collections.abc import Callable

import pytest
from known_organisation import END, HASHES, KNOWN, MISSING, NOW

from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.known import Known
from orchestration.lib.organisation.plan import Options
from orchestration.lib.organisation.planner import make_plan
from orchestration.lib.organisation.run import read_files

CHAIN = [f"t{level},T,{f't{level - 1}' if level > 2 else ''}" for level in range(2, 12)]
REFUSED: dict[str, tuple[Options, dict[str, list[str]], str]] = {
    "a new person without a name": (
        Options(),
        {"people": ["email", "x@y.example"]},
        "people.csv line 2: x@y.example is",
    ),
    "a new team without a name": (
        Options(),
        {"teams": ["slug,name", "x,"]},
        "teams.csv line 2: team x is new and has no",
    ),
    "a parent nobody knows": (
        Options(),
        {"teams": ["slug,name,parent", "x,X,nowhere"]},
        "teams.csv line 2: parent nowhere of team x is no team; correct it, or add a row for nowhere",
    ),
    "an owner nobody knows": (
        Options(),
        {"teams": ["slug,owner", "platform,x@y.example"]},
        "teams.csv line 2: owner x@y.example is nobody known; correct it, or add a row for them",
    ),
    "an owner who left": (
        Options(),
        {"teams": ["slug,owner", "platform,carl@acme.example"]},
        "teams.csv line 2: owner carl@acme.example is deactivated; name somebody else",
    ),
    "a cycle": (
        Options(),
        {"teams": ["slug,parent", "platform,below"]},
        "teams.csv line 2: below, platform are below one another in a circle; give it another parent",
    ),
    "a team below itself": (
        Options(),
        {"teams": ["slug,name,parent", "x,X,x"]},
        "teams.csv line 2: x is below itself; give it another parent",
    ),
    "eleven levels": (
        Options(),
        {"teams": ["slug,name,parent", *CHAIN]},
        "teams.csv line 11: team t11 would be on level 11; 10 are allowed: put it further up",
    ),
    "eleven levels by a move": (
        Options(),
        {"teams": ["slug,name,parent", *CHAIN[:-1], "platform,P,t9"]},
        "teams.csv line 11: team below would be on level 11; 10 are allowed",
    ),
    "active below one that is not": (
        Options(),
        {"teams": ["slug,status", "platform,deactivated"]},
        "teams.csv line 2: team below is active below platform, which is deactivated; move it",
    ),
    "a membership of a team nobody knows": (
        Options(),
        {"people": ["email,teams", "ann@acme.example,nowhere"]},
        "people.csv line 2: team nowhere is no team; correct it, or add a row for it to a file of teams",
    ),
    "a membership of a team that is gone": (
        Options(),
        {"people": ["email,teams", "ann@acme.example,old"]},
        "people.csv line 2: team old is deactivated; leave it out, or give it status active",
    ),
    "a role nobody knows": (
        Options(),
        {"people": ["email,roles", "ann@acme.example,boss"]},
        "people.csv line 2: boss is no role; there are super-admin, viewer",
    ),
    "a role on a team nobody knows": (
        Options(),
        {"people": ["email,roles", "ann@acme.example,viewer@nowhere"]},
        "people.csv line 2: team nowhere is no team",
    ),
    "an unknown prefix": (
        Options(),
        {"keys": ["key_prefix,name", "sk-x,X"]},
        "keys.csv line 2: no key that is known begins with sk-x; give its key_hash",
    ),
    "a key twice": (
        Options(),
        {"keys": ["key_hash,key_prefix", f"{HASHES['a']},sk-a", ",sk-a"]},
        "keys.csv line 3: this key is that of keys.csv line 2 too; leave one of the two out",
    ),
    "a new key without prefix": (
        Options(),
        {"keys": ["key_hash,name,team", f"{9:064x},K,platform"]},
        "keys.csv line 2: the key is new and has no key_prefix; fill it in",
    ),
    "a key of nobody": (
        Options(),
        {"keys": ["key_prefix,team", "sk-b,"]},
        "keys.csv line 2: the key has neither user nor team; give it one of them",
    ),
    "a key of somebody who left": (
        Options(),
        {"keys": ["key_prefix,user", "sk-b,carl@acme.example"]},
        "keys.csv line 2: user carl@acme.example is deactivated; name somebody else",
    ),
    "a new key that has ended": (
        Options(),
        {"keys": ["key_hash,key_prefix,name,team,expires_at", f"{9:064x},sk-x,X,platform,2026-01-01T00:00:00Z"]},
        "keys.csv line 2: expires_at 2026-01-01 00:00 UTC is not after now; correct it",
    ),
    "the last administrator": (
        MISSING,
        {"people": ["email", "ann@acme.example", "bob@acme.example"]},
        "admin@acme.example would be the last administrator to go: add them to the file of people, or give somebody",
    ),
    "the last administrator, by status": (
        Options(),
        {"people": ["email,status", "admin@acme.example,suspended"]},
        "admin@acme.example would be the last administrator to go",
    ),
    "the last administrator, by role": (
        END,
        {"people": ["email,roles", "admin@acme.example,viewer"]},
        "admin@acme.example would be the last administrator to go",
    ),
    "most people": (
        MISSING,
        {"people": ["email", "admin@acme.example"]},
        "2 of 3 people would be deactivated, so the file may be the wrong one or only a part: add --force",
    ),
    "most keys": (
        MISSING,
        {"keys": ["key_hash,key_prefix,name,team", f"{9:064x},sk-x,X,platform"]},
        "2 of 2 keys would be revoked, so the file may be the wrong one or only a part: add --force if that is meant",
    ),
}


@pytest.mark.parametrize(("options", "files", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    write_tables: Callable[..., list[str]], options: Options, files: dict[str, list[str]], message: str
) -> None:
    stated = read_files(write_tables(**files))
    with pytest.raises(GovernanceError, match=re.escape(message)) as error:
        make_plan(stated, Known(NOW, "USD", "organization", **KNOWN), options)
    assert str(error.value).endswith("nothing was changed")
    assert "\n" not in str(error.value)
