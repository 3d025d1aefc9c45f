"""Decisions of reviews of access: carried out as a whole or refused, told in the audit trail and in the next report."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from core_rows import add, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, IntegrityError, RaiseException

from orchestration.lib.compliance.decisions import carry_out, read_decisions
from orchestration.lib.compliance.report import write_report
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError

pytestmark = pytest.mark.engines("postgres")

NOW = datetime.now(UTC)
TODAY = f"{NOW:%Y-%m-%d}"
Row = dict[str, str]


@pytest.fixture(scope="module")
def people(database: str) -> dict[str, UUID]:
    """Ann and Bob, each with a role and a key; Cid reviews, and is super-admin."""
    found: dict[str, UUID] = {}
    with connect(database) as connection:
        team = add_team(connection)
        roles: dict[str, UUID] = dict(connection.execute("select slug, id from core.roles").fetchall())
        began = NOW - timedelta(days=30)
        for name, role in (("ann", "developer"), ("bob", "viewer"), ("cid", "super-admin")):
            user = add_user(connection, email=f"{name}@example.com", status="active", created_at=began)
            found[name] = user
            found[f"{name} role"] = add(
                connection, "user_roles", user_id=user, role_id=roles[role], granted_at=began, granted_by=user
            )
            found[f"{name} key"] = add(
                connection, "api_keys", user_id=user, name=name, key_prefix=f"sk-{name}", created_at=began,
                key_hash=name.encode().ljust(32, b"-"),
            )  # fmt: skip
        found["team key"] = add(
            connection,
            "api_keys",
            team_id=team,
            name="=team",
            key_prefix="sk-team",
            key_hash=b"t" * 32,
            created_at=began,
        )
    return found


@pytest.fixture(scope="module")
def asked() -> dict[int, list[Row]]:
    """What reports asked, after so many decisions."""
    return {}


@pytest.fixture
def rows(database: str, people: dict[str, UUID], asked: dict[int, list[Row]], tmp_path: Path) -> list[Row]:
    """What a report asks reviewers; it takes a second, so there is one until something is decided."""
    with connect(database) as connection:
        decisions: int = value(connection, "select count(*) from core.access_reviews")
    if decisions not in asked:
        folder, _ = write_report(database, "last-month", tmp_path / "asked")
        with (folder / "access_review.csv").open(encoding="utf-8", newline="") as file:
            asked[decisions] = list(csv.DictReader(file))
    return asked[decisions]


@pytest.fixture
def write(tmp_path: Path, rows: list[Row], people: dict[str, UUID]) -> Callable[..., Path]:
    """Fills in the file for the items that are named, each with its decision and whatever else it should say."""

    def write(*, delimiter: str = ",", **said: Row) -> Path:
        ids = {str(people[name.replace("_", " ")]): filled for name, filled in said.items()}
        filled = [row | {"reviewer": "cid@example.com", "decided_on": TODAY} | ids[row["item_id"]]
                  if row["item_id"] in ids else row for row in rows]  # fmt: skip
        path = tmp_path / "review.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(filled)
        return path

    return write


def test_what_is_to_be_decided_is_each_role_and_key_with_empty_columns(
    rows: list[Row], people: dict[str, UUID]
) -> None:
    found = {row["item_id"]: row for row in rows}
    assert {str(people[name]) for name in ("ann role", "ann key", "bob role", "bob key", "team key")} <= set(found)
    assert all((row["decision"], row["reviewer"], row["decided_on"]) == ("", "", "") for row in rows)
    assert "granted by the account itself" in found[str(people["ann role"])]["issues"]
    # a name that a spreadsheet would run isn't one any more
    assert found[str(people["team key"])]["item"].startswith("'=team")


def test_decisions_are_carried_out_once_in_the_name_of_the_reviewer(
    database: str, people: dict[str, UUID], write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write(
        delimiter=";", ann_role={"decision": "revoke"}, bob_role={"decision": "Keep"}, team_key={"decision": "revoke"}
    )
    decisions, undecided = read_decisions(path)
    assert len(decisions) == 3
    assert undecided > 0
    dry = carry_out(database, decisions, dry_run=True)
    with connect(database) as connection:
        assert value(connection, "select count(*) from core.access_reviews") == 0
    done = carry_out(database, decisions)
    assert (done.recorded, done.kept, done.roles_revoked, done.keys_revoked) == (3, 1, 1, 1)
    assert (dry.recorded, dry.roles_revoked, dry.keys_revoked) == (3, 1, 1)
    again = carry_out(database, decisions)
    assert (again.recorded, again.known, again.roles_revoked) == (0, 3, 0)
    with connect(database) as connection:
        trail = connection.execute(
            "select actor_id, actor_type, action from core.audit_logs where request_id = %s order by action",
            [done.request],
        ).fetchall()
        assert {(str(actor), kind) for actor, kind, _ in trail} == {(str(people["cid"]), "user")}
        assert [action for *_, action in trail] == [
            *["access_reviews.insert"] * 3, "api_keys.update", "user_roles.update",
        ]  # fmt: skip
        # somebody gives it back
        role = value(connection, "select role_id from core.user_roles where id = %s", people["ann role"])
        _, contents = write_report(database, f"{NOW:%Y-%m}", tmp_path / "carried-out")
        outcomes = {row["outcome"] for row in contents.tables["decisions"].dicts()}
        assert outcomes == {"kept", "carried out"}
        assert {verdict.subject: verdict.state for verdict in contents.verdicts}["Decisions"] == "ok"
        add(connection, "user_roles", user_id=people["ann"], role_id=role)
    _, contents = write_report(database, f"{NOW:%Y-%m}", tmp_path / "undone")
    assert {row["outcome"] for row in contents.tables["decisions"].dicts()} == {"kept", "carried out", "granted again"}
    assert {verdict.subject: verdict.state for verdict in contents.verdicts}["Decisions"] == "problem"
    assert "report_decisions" in {row["rule"] for row in contents.tables["findings"].dicts()}


WRONG = [
    ({"cid_key": {"decision": "revoke"}}, "line .*: cid@example.com reviews their own access"),
    ({"bob_key": {"decision": "maybe"}}, "line .*: decision maybe is neither keep nor revoke"),
    ({"bob_key": {"decision": ""}}, "line .*: there is a reviewer or a day, and no decision"),
    ({"bob_key": {"decision": "keep", "reviewer": "nobody@example.com"}}, "nobody has the address nobody@example.com"),
    ({"bob_key": {"decision": "keep", "decided_on": "28.11.2026"}}, "decided_on is 28.11.2026: write the day"),
    ({"bob_key": {"decision": "keep", "decided_on": "2999-01-01"}}, "a day that is still to come"),
    ({"bob_key": {"decision": "keep", "decided_on": "2001-01-01"}}, "before it began on"),
    ({"bob_key": {"decision": "revoke", "email": "ann@example.com"}}, "and bob is of bob@example.com"),
    ({"bob_key": {"decision": "revoke", "kind": "role"}}, "there is no role .*: leave kind and item_id"),
    ({"bob_key": {"decision": "revoke", "item_id": "7"}}, "item_id 7 is no id"),
    ({"bob_key": {"decision": "revoke", "item_id": "00000000-0000-4000-8000-000000000000"}}, "there is no key 0000"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_line_that_is_wrong_stops_all_of_them(
    database: str, people: dict[str, UUID], write: Callable[..., Path], said: dict[str, Row], sentence: str
) -> None:
    path = write(**said, bob_role={"decision": "revoke"})
    with pytest.raises(GovernanceError, match=sentence) as refusal:
        carry_out(database, read_decisions(path)[0])
    assert str(refusal.value).startswith("nothing was changed:")
    with connect(database) as connection:
        query = "select revoked_at from core.user_roles where id = %s"
        assert value(connection, query, people["bob role"]) is None


def test_a_contradiction_a_missing_column_and_the_last_administrator_are_refused(
    database: str, people: dict[str, UUID], write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write(bob_key={"decision": "keep"})
    decisions, _ = read_decisions(path)
    other = [*decisions, *read_decisions(write(bob_key={"decision": "revoke"}))[0]]
    with pytest.raises(GovernanceError, match="one keeps and one revokes the same key"):
        carry_out(database, other)
    short = tmp_path / "short.csv"
    short.write_text("kind,item_id,decision\n")
    with pytest.raises(GovernanceError, match="has no column reviewer"):
        read_decisions(short)
    with pytest.raises(GovernanceError, match="there is no file"):
        read_decisions(tmp_path / "none.csv")
    with connect(database) as connection:
        connection.execute(
            "update core.user_roles set revoked_at = now() where user_id in"
            " (select id from core.users where email = 'admin@llmgovernance.local')"
        )
    last = write(cid_role={"decision": "revoke", "reviewer": "bob@example.com"})
    with pytest.raises(GovernanceError, match="nobody would be left who is super-admin"):
        carry_out(database, read_decisions(last)[0])


def test_a_decision_is_never_changed_nor_about_oneself(connection: Connection) -> None:
    user, reviewer = add_user(connection), add_user(connection)
    role = value(connection, "select id from core.roles where slug = 'viewer'")
    grant = add(connection, "user_roles", user_id=user, role_id=role)
    decision = {"user_role_id": grant, "user_id": user, "decision": "keep", "decided_on": TODAY, "request_id": "x"}
    with refused(connection, CheckViolation, "access_reviews_reviewer_check"):
        add(connection, "access_reviews", **decision, reviewer_id=user)
    made = add(connection, "access_reviews", **decision, reviewer_id=reviewer)
    with refused(connection, IntegrityError, "a later decision is another row"):
        connection.execute("update core.access_reviews set decision = 'revoke' where id = %s", [made])
    with refused(connection, IntegrityError, "a decision is evidence"):
        connection.execute("delete from core.access_reviews where id = %s", [made])
    with refused(connection, (IntegrityError, RaiseException), "a decision is evidence"):  # type: ignore[arg-type]
        connection.execute("truncate core.access_reviews")
    with refused(connection, CheckViolation, "access_reviews_item_check"):
        add(
            connection,
            "access_reviews",
            user_id=user,
            reviewer_id=reviewer,
            decision="keep",
            decided_on=TODAY,
            request_id="x",
        )
