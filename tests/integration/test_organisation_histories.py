"""Random histories of imports leave what a small oracle says; each import done again changes nothing."""

import csv
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from core_rows import add_user, value
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st
from organisation_oracle import ADMIN, ROOT, Oracle, RefusedError, Rows

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.plan import Options
from orchestration.lib.organisation.run import carry_out_import, compare, read_files

pytestmark = pytest.mark.engines("postgres")

# the variables of make equality
EXAMPLES = int(os.environ.get("GOVERNANCE_EQUALITY_EXAMPLES") or 25)
PHASES = (Phase.explicit, Phase.generate, *([Phase.shrink] if "GOVERNANCE_EQUALITY_SHRINK" in os.environ else []))
PEOPLE = [f"{name}@acme.example" for name in ("ann", "bob", "cem")]
TEAMS = ["a", "b", "c"]
KEYS = {f"{number:064x}": f"sk-{number}" for number in range(1, 4)}
STATUSES = ("", "", "active", "suspended", "deactivated")


def column(*cells: str) -> st.SearchStrategy[str]:
    return st.sampled_from(cells)


def several(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=2, unique_by=lambda part: part.split(":")[0]).map(" ".join)


ROLES = several("viewer", "developer")


@st.composite
def files(draw: st.DrawFn) -> dict[str, Rows]:
    """Files of any kinds, their columns the same in each row."""
    cells: dict[str, dict[str, st.SearchStrategy[str]]] = {
        "people": {
            "display_name": column("Ann", "Bob", ""),
            "status": column(*STATUSES),
            "teams": several("a", "b", "c", "a:manager", "b:viewer"),
            "roles": several("viewer", "developer", "viewer@a"),
        },
        "teams": {
            "parent": column("", "", "", "a", "b", ROOT),
            "owner": column("", "", *PEOPLE[:2]),
            "budget_amount": column("", "10.00", "0.1"),
            "status": column("", "active", "deactivated"),
        },
        "keys": {"user": column("", *PEOPLE), "team": column("", "a", "b")},
    }
    found: dict[str, Rows] = {}
    for kind in draw(st.lists(st.sampled_from(list(cells)), min_size=1, unique=True)):
        columns = {name: cells[kind][name] for name in draw(st.lists(st.sampled_from(list(cells[kind])), unique=True))}
        keys = {"people": PEOPLE, "teams": TEAMS, "keys": list(KEYS)}[kind]
        rows: Rows = []
        for each in draw(st.lists(st.sampled_from(keys), min_size=1, unique=True)):
            row = {name: draw(cell) for name, cell in columns.items()}
            if kind == "people":
                rows.append({"email": draw(column(each, each.upper())), **row})
            elif kind == "teams":
                rows.append({"slug": each, "name": draw(column("Team", "Team", "Other", "")), **row})
            else:
                rows.append({"key_hash": each, "key_prefix": KEYS[each], "name": draw(column("Key", "Other")), **row})
        if kind == "people" and draw(st.integers(0, 4)):
            said = {"display_name": "Admin", "roles": "super-admin"}
            rows.append({"email": ADMIN, **{name: said.get(name, "") for name in columns}})
        found[kind] = rows
    return found


@st.composite
def beginnings(draw: st.DrawFn) -> dict[str, Rows]:
    """Files that nothing is wrong with, of some of the people, teams and keys."""
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=2, unique=True))
    teams = draw(st.lists(st.sampled_from(TEAMS), min_size=2, unique=True))
    keys = draw(st.lists(st.sampled_from(list(KEYS)), unique=True))
    parts = several(*teams, f"{teams[0]}:manager")
    return {
        "people": [
            {"email": ADMIN, "display_name": "Admin", "teams": "", "roles": "super-admin"},
            *({"email": each, "display_name": "A", "teams": draw(parts), "roles": draw(ROLES)} for each in people),
        ],
        "teams": [
            {"slug": each, "name": "Team", "parent": draw(column("", *teams[:place]))}
            for place, each in enumerate(teams)
        ],
        **(
            {
                "keys": [
                    {"key_hash": each, "key_prefix": KEYS[each], "name": "Key", "user": draw(column(*people))}
                    for each in keys
                ]
            }
            if keys
            else {}
        ),
    }


def written(content: dict[str, Rows], folder: Path) -> list[str]:
    paths = []
    for kind, rows in content.items():
        path = folder / f"{kind}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        paths.append(str(path))
    return paths


def stored(connection: Connection) -> Oracle:
    """The organisation as SQL tells it."""

    def rows(query: str) -> list[Any]:
        return connection.execute(query.encode()).fetchall()

    budget = "coalesce(t.budget_amount::text, '')"
    return Oracle(
        people={
            email: [*others] for email, *others in rows("select lower(email), display_name, status from core.users")
        },
        teams={
            slug: [*others]
            for slug, *others in rows(
                f"select t.slug, t.name, coalesce(p.slug, ''), coalesce(u.email, ''), {budget},"
                " case when t.deleted_at is null then 'active' else 'deactivated' end from core.teams t"
                " left join core.teams p on p.id = t.parent_team_id left join core.users u on u.id = t.owner_id"
            )
        },
        keys={
            digest: [*others]
            for digest, *others in rows(
                "select encode(key_hash, 'hex'), key_prefix, name, coalesce((select lower(email) from core.users u"
                " where u.id = k.user_id), ''), coalesce((select slug from core.teams t where t.id = k.team_id), ''),"
                " case when revoked_at is null then '' else 'revoked' end from core.api_keys k"
            )
        },
        members={
            (email, team): role
            for email, team, role in rows(
                "select lower(email), slug, member_role from core.team_members m join core.users u on u.id = m.user_id"
                " join core.teams t on t.id = m.team_id where left_at is null"
            )
        },
        grants=set(
            rows(
                "select lower(email), r.slug, coalesce(t.slug, '') from core.user_roles g"
                " join core.users u on u.id = g.user_id join core.roles r on r.id = g.role_id"
                " left join core.teams t on t.id = g.team_id where revoked_at is null"
            )
        ),
    )


def without_spelling(oracle: Oracle) -> Oracle:
    """Addresses in lower case, budgets as numbers."""
    for team in oracle.teams.values():
        team[2], team[3] = team[2].lower(), str(Decimal(team[3]).normalize()) if team[3] else ""
    return oracle


STEP = st.tuples(files(), st.booleans(), st.sampled_from([False, False, True]), st.booleans())
HISTORY = st.tuples(beginnings(), st.lists(STEP, max_size=5)).map(
    lambda drawn: [(drawn[0], False, False, False), *drawn[1]],
)


@pytest.fixture
def trail(database: str) -> Callable[[Connection], int]:
    return lambda connection: int(value(connection, "select count(*) from core.audit_logs"))


@settings(
    max_examples=EXAMPLES,
    phases=PHASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=HISTORY)
def test_imports_leave_what_the_oracle_says(
    database: str, tmp_path: Path, trail: Callable[[Connection], int], history: list[Any]
) -> None:
    oracle = Oracle()
    with connect(database, autocommit=False) as connection:
        admin = add_user(connection, email=ADMIN, display_name="Admin", status="active")
        connection.execute(
            "insert into core.user_roles (user_id, role_id) select %s, id from core.roles where slug = 'super-admin'",
            [admin],
        )
        for content, ends, deactivates, forced in history:
            note(f"{content} ends={ends} deactivates={deactivates} forced={forced}")
            paths, options = written(content, tmp_path), Options(ends, deactivates, forced)
            before = trail(connection)
            try:
                oracle = oracle.after(content, ends=ends, deactivates=deactivates, forced=forced)
            except RefusedError:
                event("refused")
                with pytest.raises(GovernanceError, match="nothing was changed"):
                    compare(connection, read_files(paths), options)
                assert trail(connection) == before
                continue
            event(f"imported {' and '.join(sorted(content))}")
            stated = read_files(paths)
            plan = compare(connection, stated, options)
            carry_out_import(connection, stated, plan, paths)
            assert without_spelling(stored(connection)) == without_spelling(oracle)
            assert bool(plan.acts) == (trail(connection) > before)
            again = compare(connection, read_files(paths), options)
            assert again.acts == []
        connection.rollback()
