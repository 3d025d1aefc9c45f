"""Text that can be told from other text, and times, amounts and lists that are of this world."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_policy, add_role, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, UniqueViolation

from orchestration.lib.database.connection import Connection

NOW = datetime.now(UTC)


def add_key(connection: Connection, **values: Any) -> UUID:
    key = {"user_id": add_user(connection), "name": "key", "key_prefix": "sk_abcd", "key_hash": b"k" * 32}
    return add(connection, "api_keys", **key | values)


def add_session(connection: Connection, **values: Any) -> UUID:
    session = {"user_id": add_user(connection), "token_hash": b"t" * 32, "expires_at": NOW.replace(year=NOW.year + 1)}
    return add(connection, "sessions", **session | values)


def add_alert(connection: Connection, **values: Any) -> UUID:
    return add(connection, "alerts", **{"alert_type": "budget", "severity": "high", "title": "Over"} | values)


def add_subscription(connection: Connection, **values: Any) -> UUID:
    target = {"alert_type": "*", "channel": "slack", "target": "#alerts"}
    return add(connection, "alert_subscriptions", **{"user_id": add_user(connection)} | target | values)


def add_secret(connection: Connection, **values: Any) -> UUID:
    secret = {"secret_ciphertext": bytes(range(60)), "encryption_key_id": "k1"}
    return add(connection, "mfa_secrets", **{"user_id": add_user(connection)} | secret | values)


def add_grant(connection: Connection, **values: Any) -> UUID:
    return add(connection, "user_roles", **{"user_id": add_user(connection), "role_id": add_role(connection)} | values)


def add_member(connection: Connection, **values: Any) -> UUID:
    return add(connection, "team_members", user_id=add_user(connection), team_id=add_team(connection), **values)


def add_assignment(connection: Connection, **values: Any) -> UUID:
    return add(
        connection, "policy_assignments", policy_id=add_policy(connection), team_id=add_team(connection), **values
    )


ADD = {
    "users": add_user,
    "teams": add_team,
    "roles": add_role,
    "policies": add_policy,
    "api_keys": add_key,
    "sessions": add_session,
    "alerts": add_alert,
    "alert_subscriptions": add_subscription,
    "mfa_secrets": add_secret,
    "user_roles": add_grant,
    "team_members": add_member,
    "policy_assignments": add_assignment,
}
# each text that people see with the most characters it may have
TEXTS = {
    "users.display_name": 200,
    "teams.name": 200,
    "teams.description": 2000,
    "teams.cost_center": 100,
    "roles.name": 200,
    "roles.description": 2000,
    "policies.name": 200,
    "policies.description": 2000,
    "api_keys.name": 200,
    "sessions.user_agent": 2000,
    "alerts.title": 300,
    "alerts.dedupe_key": 500,
    "mfa_secrets.encryption_key_id": 200,
}


@pytest.mark.parametrize("column", TEXTS)
def test_a_text_that_people_see_is_seen_and_has_an_end(connection: Connection, column: str) -> None:
    table, _, name = column.partition(".")
    longest = TEXTS[column]
    ADD[table](connection, **{name: "x" * longest})
    for text, message in {
        "x" * (longest + 1): f"{column} has {longest + 1} characters; at most {longest} are allowed",
        " \u00a0\u3000\u2007": f"{column} is blank",
        "\u200b\u2060": f"{column} is blank",
        "abc\x1b[31m": rf"{column} has the character U\+001B at place 4",
    }.items():
        with refused(connection, CheckViolation, message):
            ADD[table](connection, **{name: text})


@pytest.mark.parametrize(
    ("name", "character"),
    [
        ("Zo\u00eb \u010capek", None),
        ("\u0417\u043e\u044f", None),
        ("\u674e\u5c0f\u9f99", None),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", None),
        ("Ops \U0001f469\u200d\U0001f4bb", None),
        ("O'Neill-Smith (ext.)", None),
        ("ad\u200dmin", "U+200D at place 3"),
        ("admin\u200c", "U+200C at place 6"),
        ("\u202enimda", "U+202E at place 1"),
        ("ad\u00admin", "U+00AD at place 3"),
        ("admin\ufeff", "U+FEFF at place 6"),
        ("ad\u2066min", "U+2066 at place 3"),
        ("ad\nmin", "U+000A at place 3"),
        ("ad\u0085min", "U+0085 at place 3"),
        ("admin\u3164", "U+3164 at place 6"),
        ("admin\U000e0041", "U+E0041 at place 6"),
    ],
)
def test_names_of_all_scripts_but_nothing_unseen(connection: Connection, name: str, character: str | None) -> None:
    if character is None:
        user = add_user(connection, display_name=name)
        assert value(connection, "select display_name from core.users where id = %s", user) == name
    else:
        message = rf"users.display_name has the character {character.replace('+', '[+]')}, which cannot be seen"
        with refused(connection, CheckViolation, message):
            add_user(connection, display_name=name)


def test_a_description_may_have_lines(connection: Connection) -> None:
    add_team(connection, description="What for.\r\n\tAnd since when.")
    with refused(connection, CheckViolation, "teams.description has the character U[+]202E at place 11"):
        add_team(connection, description="What for.\n\u202e")


def test_a_browser_that_says_nothing_of_itself_may_sign_in(connection: Connection) -> None:
    for user_agent in ("", None):
        add_session(connection, user_agent=user_agent, token_hash=str(user_agent).ljust(32).encode())


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("zo\u00eb@example.com", None),
        ("\u0438\u0432\u0430\u043d@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", None),
        ("\u0438\u0432\u0430\u043d.smith@example.com", None),
        ("\u674e@\u4f8b\u3048.jp", None),
        ("someone@xn--mnchen-3ya.example", None),
        ("zoe\u0308@example.com", "not in Unicode's normal form NFKC"),
        ("\uff41dmin@example.com", "not in Unicode's normal form NFKC"),
        ("ad\u200bmin@example.com", "U[+]200B at place 3"),
        ("\u202eadmin@example.com", "U[+]202E at place 1"),
        ("admin\x1b@example.com", "U[+]001B at place 6"),
        ("ad\ufe0fmin@example.com", "has a character that cannot be seen"),
        ("\u0438\u200d\u0432@example.com", "cannot be seen"),
        ("\u0430dmin@example.com", "letters of several scripts in "),
        ("admin@ex\u0430mple.com", "letters of several scripts in "),
        ("admin@ex\u03b1mple.com", "letters of several scripts in "),
    ],
)
def test_an_address_is_written_in_one_way(connection: Connection, email: str, message: str | None) -> None:
    if message is None:
        add_user(connection, email=email)
        with refused(connection, UniqueViolation, "users_email_key"):
            add_user(connection, email=email)
    else:
        with refused(connection, CheckViolation, f"users.email .*{message}"):
            add_user(connection, email=email)


@pytest.mark.parametrize("table", ["teams", "roles", "policies"])
def test_a_slug_has_an_end(connection: Connection, table: str) -> None:
    ADD[table](connection, slug="x" * 100)
    with refused(connection, CheckViolation, f"{table}_slug_check"):
        ADD[table](connection, slug="x" * 101)


@pytest.mark.parametrize(
    "column",
    [
        "users.created_at", "users.deleted_at", "users.password_changed_at", "mfa_secrets.confirmed_at",
        "mfa_secrets.last_used_at", "sessions.revoked_at", "api_keys.created_at", "api_keys.last_used_at",
        "api_keys.expires_at", "api_keys.revoked_at", "roles.created_at", "user_roles.granted_at",
        "user_roles.expires_at", "user_roles.revoked_at", "teams.created_at", "teams.deleted_at",
        "team_members.joined_at", "team_members.left_at", "policies.effective_from", "policies.effective_to",
        "policies.published_at", "policy_assignments.effective_from", "policy_assignments.expires_at",
    ],
)  # fmt: skip
def test_a_time_is_a_time(connection: Connection, column: str) -> None:
    table, _, name = column.partition(".")
    also = {"status": "deactivated"} if column == "users.deleted_at" else {}
    for endless in ("infinity", "-infinity"):
        with refused(connection, CheckViolation, f"{table}_{name}_check"):
            ADD[table](connection, **{name: endless}, **also)


def test_an_account_may_be_locked_until_somebody_unlocks_it(connection: Connection) -> None:
    add_user(connection, locked_until="infinity")
    with refused(connection, CheckViolation, "users_locked_until_check"):
        add_user(connection, locked_until="-infinity")


@pytest.mark.parametrize("column", ["users.metadata", "alerts.details"])
def test_notes_have_an_end(connection: Connection, column: str) -> None:
    table, _, name = column.partition(".")
    ADD[table](connection, **{name: {"note": "x" * 60_000}})
    with refused(connection, CheckViolation, f"{table}_{name}_check"):
        ADD[table](connection, **{name: {"note": "x" * 70_000}})


@pytest.mark.parametrize(("table", "column"), [("roles", "permissions"), ("api_keys", "scopes")])
def test_permissions_have_an_end(connection: Connection, table: str, column: str) -> None:
    ADD[table](connection, **{column: {f"r{n}": [f"a{m}" for m in range(100)] for n in range(10)}})
    many = {f"r{n}": ["read"] for n in range(1001)}
    with refused(connection, CheckViolation, r'key "r\d+" 1001 actions are named, and at most 1000'):
        ADD[table](connection, **{column: many})
    with refused(connection, CheckViolation, 'key "teams" 200000 actions are named'):
        ADD[table](connection, **{column: {"teams": [f"a{n}" for n in range(200_000)]}})
    for wrong in ({"r" * 64: ["read"]}, {"teams": ["a" * 64]}):
        with refused(connection, CheckViolation, "which is no action|is no resource"):
            ADD[table](connection, **{column: wrong})


def test_a_budget_of_the_largest_amount_is_kept_exactly(connection: Connection) -> None:
    team = add_team(connection, budget_amount=Decimal("999999999999999.9999999999"))
    assert value(connection, "select budget_amount from core.teams where id = %s", team) == Decimal(
        "999999999999999.9999999999"
    )
