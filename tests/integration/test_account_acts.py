"""What may be done with people, keys, roles and sessions, what is refused, and that the trail says who did it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from account_people import PASSWORD, acts, person, unique
from core_rows import add_team, value

from orchestration.lib import accounts
from orchestration.lib.accounts import SYSTEM, Actor, SignedIn
from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import verify_password

pytestmark = pytest.mark.engines("postgres")


@pytest.fixture
def administrator(connection: Connection) -> Actor:
    """Somebody who may everything."""
    return acts(connection, "super-admin")


def status(connection: Connection, user: UUID) -> str:
    return str(value(connection, "select status from core.users where id = %s", user))


def last_entry(connection: Connection, row: UUID) -> tuple[Any, ...]:
    [found] = connection.execute(
        "select action, actor_id, internal.audit_text(actor_label) from core.audit_logs where resource_id = %s"
        " order by recorded_at desc limit 1",
        [row],
    )
    return found


def test_an_account_is_made_with_a_password_that_must_be_changed(connection: Connection, administrator: Actor) -> None:
    email = f"{unique('Zoë')}@example.com"
    made = accounts.create_user(connection, f" {email} ", "Zoë", password=PASSWORD, actor=administrator)
    [row] = connection.execute(
        "select email, status, must_change_password, password_hash from core.users where id = %s", [made]
    )
    assert row[:3] == (email, "active", True)
    assert verify_password(PASSWORD, row[3])
    assert last_entry(connection, made) == ("users.insert", administrator.id, administrator.email)
    invited = accounts.create_user(connection, f"{unique('bo')}@example.com", "Bo")
    assert status(connection, invited) == "invited"
    assert last_entry(connection, invited) == ("users.insert", None, value(connection, "select session_user::text"))


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "5 characters"),
        ("ä" * 37, "74 bytes; choose one of at most 72"),
        ("ababababababab", "repeats 2 characters"),
        ("Changeme", "everybody tries first"),
    ],
    ids=["short", "long", "repeated", "known"],
)
def test_a_bad_password_makes_no_account(connection: Connection, password: str, said: str) -> None:
    email = f"{unique('no')}@example.com"
    with pytest.raises(GovernanceError, match=said):
        accounts.create_user(connection, email, "No", password=password)
    assert value(connection, "select count(*) from core.users where email = %s", email) == 0


def test_a_name_that_is_taken_and_one_that_is_none_are_refused(connection: Connection) -> None:
    email = f"{unique('taken')}@example.com"
    accounts.create_user(connection, email, "First")
    with pytest.raises(GovernanceError, match="already; choose another"):
        accounts.create_user(connection, email.upper(), "Second")
    with pytest.raises(GovernanceError, match="nothing was changed: that is no address; write one such as ann@"):
        accounts.create_user(connection, "no address", "Third")


def test_who_is_deactivated_keeps_nothing_and_gets_nothing(connection: Connection, administrator: Actor) -> None:
    team = unique("t")
    add_team(connection, slug=team)
    user = person(connection, "developer", team)
    key = accounts.create_key(connection, "Key", user=user)
    session = accounts.issue_session(connection, SignedIn(user, "", False, False))
    assert accounts.deactivate_user(connection, user, actor=administrator) == {
        "roles": 1, "memberships": 0, "keys": 1, "sessions": 1,
    }  # fmt: skip
    assert value(connection, "select revoked_at is not null from core.api_keys where id = %s", key.id)
    assert accounts.find_session(connection, session.token) is None
    refusals: list[Callable[[], object]] = [
        lambda: accounts.deactivate_user(connection, user),
        lambda: accounts.set_password(connection, user, PASSWORD),
        lambda: accounts.grant_role(connection, user, "viewer"),
        lambda: accounts.create_key(connection, "Key", user=user),
        lambda: accounts.issue_session(connection, SignedIn(user, "", False, False)),
        lambda: accounts.enrol_mfa(connection, user, accounts.MfaKeys([b"k" * 32])),
        lambda: accounts.actor_called(connection, user),
        lambda: accounts.create_user(connection, "new@example.com", "New", actor=Actor(user)),
    ]
    for refused in refusals:
        with pytest.raises(GovernanceError, match="deactivated"):
            refused()


def test_a_password_of_ones_own_is_final_and_one_of_somebody_else_is_not(
    connection: Connection, administrator: Actor
) -> None:
    user = person(connection, failed_login_count=3, locked_until="infinity")
    session = accounts.issue_session(connection, SignedIn(user, "", False, False))
    accounts.set_password(connection, user, "another good one", actor=Actor(user))
    row = "select must_change_password, failed_login_count, locked_until from core.users where id = %s"
    assert connection.execute(row, [user]).fetchone() == (False, 0, None)
    assert accounts.find_session(connection, session.token) is None
    accounts.set_password(connection, user, "a third good one", actor=administrator)
    assert connection.execute(row, [user]).fetchone() == (True, 0, None)
    with pytest.raises(GovernanceError, match="users:update"):
        accounts.set_password(connection, user, "a fourth good one", actor=acts(connection, "developer"))
    # who could set it would be the administrator
    with pytest.raises(GovernanceError, match="only an administrator"):
        accounts.set_password(connection, administrator.id or "", "a fifth good one", actor=acts(connection, "admin"))


def test_a_key_is_shown_once_and_found_by_its_prefix(connection: Connection) -> None:
    owner = acts(connection, "developer")
    made = accounts.create_key(
        connection, "Mine", user=owner.id, scopes={"metrics": ["write"]}, actor=owner,
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )  # fmt: skip
    assert made.key.startswith(made.prefix)
    assert made.key not in repr(made)
    stored = "select key_prefix, key_hash, created_by from core.api_keys where id = %s"
    assert connection.execute(stored, [made.id]).fetchone() == (
        made.prefix, hashlib.sha256(made.key.encode()).digest(), owner.id,
    )  # fmt: skip
    rotated = accounts.rotate_key(connection, made.prefix, actor=owner)
    columns = "select user_id, team_id, name, scopes, expires_at from core.api_keys where id = %s"
    assert connection.execute(columns, [made.id]).fetchone() == connection.execute(columns, [rotated.id]).fetchone()
    with pytest.raises(GovernanceError, match="revoked already"):
        accounts.revoke_key(connection, made.prefix, actor=owner)
    overlapping = accounts.rotate_key(connection, str(rotated.id), overlap=timedelta(hours=1), actor=owner)
    left = value(connection, "select expires_at - now() from core.api_keys where id = %s", rotated.id)
    assert timedelta(minutes=59) < left <= timedelta(hours=1, minutes=1)
    assert accounts.revoke_key(connection, overlapping.prefix, actor=owner) == overlapping.id
    assert last_entry(connection, overlapping.id) == ("api_keys.update", owner.id, owner.email)
    with pytest.raises(GovernanceError, match="never by the key itself") as error:
        accounts.revoke_key(connection, made.key)
    assert made.key not in str(error.value)
    with pytest.raises(GovernanceError, match="there is no key gov_none"):
        accounts.revoke_key(connection, "gov_none")


def test_keys_of_others_and_of_unknown_teams_are_refused(connection: Connection) -> None:
    theirs = accounts.create_key(connection, "Theirs", user=person(connection))
    me = acts(connection, "developer")
    for refused in (accounts.revoke_key, accounts.rotate_key):
        with pytest.raises(GovernanceError, match="the key is one of .*api_keys:"):
            refused(connection, theirs.prefix, actor=me)
    with pytest.raises(GovernanceError, match="api_keys:create"):
        accounts.create_key(connection, "For others", user=person(connection), actor=me)
    with pytest.raises(GovernanceError, match="there is no team nowhere"):
        accounts.create_key(connection, "Key", team="nowhere")
    ended = unique("ended")
    add_team(connection, slug=ended, deleted_at=datetime.now(UTC))
    with pytest.raises(GovernanceError, match="is deactivated; name one that is live"):
        accounts.create_key(connection, "Key", team=ended)
    with pytest.raises(GovernanceError, match="whose key"):
        accounts.create_key(connection, "Key")
    with pytest.raises(GovernanceError, match="nothing was changed"):
        accounts.create_key(connection, "Key", user=me.id, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    # a manager of the team ends what is the team's
    team, below = unique("t"), unique("b")
    above = add_team(connection, slug=team)
    add_team(connection, slug=below, parent_team_id=above)
    manager = acts(connection, "team-manager", team)
    of_team = accounts.create_key(connection, "Team's", team=below)
    assert accounts.revoke_key(connection, of_team.prefix, actor=manager) == of_team.id


def test_roles_are_granted_and_revoked_by_who_may(connection: Connection, administrator: Actor) -> None:
    team = unique("t")
    add_team(connection, slug=team)
    user = person(connection)
    grant = accounts.grant_role(connection, user, "developer", team=team, actor=administrator)
    assert value(connection, "select granted_by from core.user_roles where id = %s", grant) == administrator.id
    with pytest.raises(GovernanceError, match="has the role developer there already"):
        accounts.grant_role(connection, user, "developer", team=team)
    with pytest.raises(GovernanceError, match="doesn't have the role developer everywhere"):
        accounts.revoke_role(connection, user, "developer")
    assert accounts.revoke_role(connection, user, "developer", team=team, actor=administrator) == grant
    again = accounts.grant_role(connection, user, "developer", team=team)
    assert again != grant
    soon = datetime.now(UTC) + timedelta(hours=1)
    passing = accounts.grant_role(connection, user, "viewer", expires_at=soon)
    connection.execute(
        "update core.user_roles set granted_at = now() - interval '2 h', expires_at = now() - interval '1 h'"
        " where id = %s",
        [passing],
    )
    with pytest.raises(GovernanceError, match="has expired already"):
        accounts.revoke_role(connection, user, "viewer")
    accounts.grant_role(connection, user, "viewer")
    refusals: list[tuple[str, Callable[[], object]]] = [
        ("expired already", lambda: accounts.grant_role(connection, user, "viewer", expires_at=datetime.now(UTC))),
        ("there is no role boss; the roles are .*viewer", lambda: accounts.grant_role(connection, user, "boss")),
        ("there is no team nowhere", lambda: accounts.grant_role(connection, user, "viewer", team="nowhere")),
        ("there is no user nobody@", lambda: accounts.grant_role(connection, "nobody@example.com", "viewer")),
    ]
    for said, refused in refusals:
        with pytest.raises(GovernanceError, match=said):
            refused()


def test_nobody_grants_to_themselves_or_more_than_they_have(connection: Connection, administrator: Actor) -> None:
    assert administrator.id
    with pytest.raises(GovernanceError, match="to themselves"):
        accounts.grant_role(connection, administrator.id, "viewer", actor=administrator)
    accounts.grant_role(connection, administrator.id, "viewer", allows_self=True, actor=administrator)
    admin, user = acts(connection, "admin"), person(connection)
    with pytest.raises(GovernanceError, match="super-admin can more than"):
        accounts.grant_role(connection, user, "super-admin", actor=admin)
    with pytest.raises(GovernanceError, match="super-admin can more than"):
        accounts.grant_role(connection, admin.id or "", "super-admin", allows_self=True, actor=admin)
    accounts.grant_role(connection, user, "developer", actor=admin)
    with pytest.raises(GovernanceError, match="roles:revoke"):
        accounts.revoke_role(connection, user, "developer", actor=Actor(user))
    acts(connection, "super-admin")
    with pytest.raises(GovernanceError, match="only an administrator"):
        accounts.revoke_role(connection, administrator.id, "super-admin", actor=admin)


def test_the_last_administrator_stays(connection: Connection) -> None:
    connection.execute(
        "update core.user_roles set revoked_at = greatest(granted_at, now())"
        " from core.roles where roles.id = role_id and slug = 'super-admin'"
    )
    last = person(connection, "super-admin")
    for act in (
        lambda: accounts.deactivate_user(connection, last),
        lambda: accounts.erase_user(connection, last),
        lambda: accounts.revoke_role(connection, last, "super-admin"),
    ):
        with pytest.raises(GovernanceError, match="last active administrator"):
            act()
    assert status(connection, last) == "active"
    # a role on a team makes no administrator, nor does one of somebody suspended
    team = unique("t")
    add_team(connection, slug=team)
    person(connection, "super-admin", team)
    suspended = person(connection, "super-admin")
    connection.execute("update core.users set status = 'suspended' where id = %s", [suspended])
    with pytest.raises(GovernanceError, match="last active administrator"):
        accounts.deactivate_user(connection, last)
    other = person(connection, "super-admin")
    accounts.deactivate_user(connection, last)
    with pytest.raises(GovernanceError, match="last active administrator"):
        accounts.revoke_role(connection, other, "super-admin")


def test_sessions_are_issued_found_and_revoked(connection: Connection, administrator: Actor) -> None:
    user = person(connection)
    signed_in = SignedIn(user, "", False, False)
    made = accounts.issue_session(connection, signed_in, ip_address="192.0.2.1", user_agent="browser")
    assert made.token not in repr(made)
    found = accounts.find_session(connection, made.token)
    assert found is not None
    assert (found.id, found.user_id, found.mfa_verified) == (made.id, user, False)
    assert accounts.find_session(connection, made.token + "x") is None
    with pytest.raises(GovernanceError, match="sessions:revoke"):
        accounts.revoke_session(connection, made.id, actor=acts(connection, "developer"), reason="no")
    accounts.revoke_session(connection, made.id, actor=Actor(user), reason="signed out")
    assert accounts.find_session(connection, made.token) is None
    with pytest.raises(GovernanceError, match="ended already"):
        accounts.revoke_session(connection, made.id, actor=Actor(user), reason="again")
    with pytest.raises(GovernanceError, match="there is no session"):
        accounts.revoke_session(connection, uuid4(), actor=SYSTEM, reason="none")
    accounts.issue_session(connection, signed_in)
    accounts.issue_session(connection, signed_in)
    assert accounts.revoke_sessions(connection, user, actor=administrator, reason="lost laptop") == 2
    with pytest.raises(GovernanceError, match="30 days"):
        accounts.issue_session(connection, signed_in, lasts=timedelta(days=31))
    connection.execute("update core.users set mfa_enabled = true where id = %s", [user])
    with pytest.raises(GovernanceError, match="which was not given"):
        accounts.issue_session(connection, signed_in)


def test_a_backends_transaction_keeps_who_acted_before(connection: Connection, administrator: Actor) -> None:
    connection.execute("select set_config('governance.actor_label', 'backend', true)")
    accounts.create_user(connection, f"{unique('x')}@example.com", "X", actor=administrator)
    assert value(connection, "select current_setting('governance.actor_label')") == "backend"
    assert value(connection, "select coalesce(current_setting('governance.actor_id', true), '')") == ""
