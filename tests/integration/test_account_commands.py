"""The commands of accounts, and acts of two sessions at once."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import shared_fixtures
from account_people import PASSWORD, person, unique
from click.testing import CliRunner, Result
from core_rows import add_team, value

from orchestration.cli.main import main
from orchestration.lib import accounts
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.totp import SECONDS, code_at, read_keys

pytestmark = pytest.mark.engines("postgres")

Run = Callable[..., Result]


open_connection = shared_fixtures.open_connection


@pytest.fixture
def run(database: str, tmp_path: Path) -> Run:
    """Runs `governance` with lines of standard input; a result of 0 unless told otherwise."""

    def run(*arguments: str, lines: tuple[str, ...] = (), code: int = 0, actor: str = "") -> Result:
        environment = {
            "GOVERNANCE_DATABASE_URL": database,
            "GOVERNANCE_MFA_KEYS": str(tmp_path / "keys"),
            "GOVERNANCE_ACTOR": actor,
        }
        text = "".join(f"{line}\n" for line in lines)
        result = CliRunner().invoke(main, arguments, input=text, env=environment)
        assert result.exit_code == code, result.output
        return result

    return run


def test_an_account_from_its_making_to_its_end(run: Run, open_connection: Connection, tmp_path: Path) -> None:
    connection = open_connection
    boss = person(connection, "super-admin")
    by = str(value(connection, "select email from core.users where id = %s", boss))
    email, team = f"{unique('zoë')}@acme.example", unique("t")
    add_team(connection, slug=team)
    result = run("user", "create", email, "--name", "Zoë", "--password", "--as", by, lines=(PASSWORD,))
    user = UUID(result.stdout.strip())
    made = "select actor_id from core.audit_logs where resource_id = %s and action = 'users.insert'"
    assert value(connection, made, user) == boss

    run("role", "grant", email, "developer", "--team", team, actor=by)
    key = run("key", "create", "Laptop", "--user", email, "--scope", "metrics:write", "--scope", "metrics:read").stdout
    prefix = key[:12]
    scopes = value(connection, "select scopes from core.api_keys where key_prefix = %s", prefix)
    assert scopes == {"metrics": ["write", "read"]}
    newer = run("key", "rotate", prefix, "--overlap", "1").stdout
    assert newer != key
    run("key", "revoke", newer[:12])

    run("user", "mfa-key", str(tmp_path / "keys"))
    url = run("user", "enrol-mfa", email).stdout
    assert re.fullmatch(r"otpauth://totp/\S+secret=[A-Z2-7]{32}&\S+\n", url)
    sealed = value(connection, "select secret_ciphertext from core.mfa_secrets where user_id = %s", user)
    keys = read_keys(tmp_path / "keys")
    code = code_at(keys.open(user, sealed, keys.current), int(time.time()) // SECONDS)
    codes = run("user", "confirm-mfa", email, lines=(code,)).stdout.split()
    assert len(codes) == 10
    token = run("session", "issue", email, "--code", lines=(PASSWORD, codes[0])).stdout.strip()
    found = accounts.find_session(connection, token)
    assert found is not None
    assert (found.user_id, found.mfa_verified) == (user, True)
    run("session", "revoke", str(found.id))
    assert run("session", "revoke", email).stdout == "0 sessions revoked\n"
    run("user", "mfa-key", str(tmp_path / "keys"))
    assert run("user", "rotate-mfa").stdout == "1 secret encrypted anew\n"
    run("user", "set-password", email, lines=("another good one",))
    assert "the address, the password" in run("session", "issue", email, lines=(PASSWORD,), code=1).stderr
    run("user", "reset-mfa", email)
    run("role", "revoke", email, "developer", "--team", team)
    assert "0 roles, 0 memberships, 1 key, 0 sessions" in run("user", "deactivate", email).stdout
    for answer in (("n",), ()):
        assert "nothing is changed: it wasn't confirmed" in run("user", "erase", email, lines=answer, code=1).stderr
    assert str(user) in run("user", "erase", email, "--yes", "--as", by).stdout
    assert "there is no user" in run("user", "deactivate", email, code=1).stderr

    everything = "select string_agg(concat(before, after, metadata, actor_label), ' ') from core.audit_logs"
    written = str(value(connection, everything))
    for secret in (PASSWORD, key.strip(), newer.strip(), token, *codes, "another good one", email):
        assert secret not in written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user", "set-password", "nobody@acme.example"), "standard input has no line for the password"),
        (("key", "create", "Key"), "whose key is it"),
        (("user", "create", "nobody", "--name", "No"), "that is no address; write one such as ann@example.com"),
        (("key", "revoke", "x" * 40), "never by the key itself"),
        (("session", "revoke", "x"), "neither the id of a session nor an address"),
        (("role", "grant", "nobody@acme.example", "viewer"), "there is no user nobody@acme.example"),
        (("user", "erase", "nobody@acme.example", "--yes", "--as", "who@acme.example"), "there is no user who@"),
        (
            (
                "user",
                "rotate-mfa",
            ),
            "there is no file",
        ),
    ],
    ids=["input", "owner", "address", "key", "session", "user", "actor", "keys"],
)
def test_what_is_wrong_is_said_in_a_sentence(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments, code=1)
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_of_two_administrators_who_go_at_once_one_stays(open_connection: Connection, database: str) -> None:
    connection = open_connection
    connection.execute(
        "update core.user_roles set revoked_at = greatest(granted_at, now())"
        " from core.roles where roles.id = role_id and slug = 'super-admin'"
    )
    acts = (
        accounts.deactivate_user,
        lambda connection, user: accounts.revoke_role(connection, user, "super-admin"),
        accounts.erase_user,
    )
    for first, second in ((0, 0), (0, 1), (1, 2), (2, 2)):
        # the one who was left over is not among them
        connection.execute(
            "update core.user_roles set revoked_at = greatest(granted_at, now()) where revoked_at is null"
        )
        pair = [person(connection, "super-admin") for _ in range(2)]
        refusals: list[str] = []
        ready = threading.Barrier(2)

        def go(user: UUID, act: Callable[..., object], ready: threading.Barrier, refusals: list[str]) -> None:
            with connect(database) as own:
                ready.wait()
                try:
                    act(own, user)
                except GovernanceError as error:
                    refusals.append(str(error))

        threads = [
            threading.Thread(target=go, args=[user, acts[number], ready, refusals])
            for user, number in zip(pair, (first, second), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refusals) == 1
        assert "last active administrator" in refusals[0]


def test_who_is_deactivated_meanwhile_gets_no_role(open_connection: Connection, database: str) -> None:
    user = person(open_connection)
    refusals: list[str] = []

    def grant() -> None:
        with connect(database) as own:
            try:
                accounts.grant_role(own, user, "viewer")
            except GovernanceError as error:
                refusals.append(str(error))

    with open_connection.transaction():
        accounts.deactivate_user(open_connection, user)
        thread = threading.Thread(target=grant)
        thread.start()
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        with connect(database) as watcher:
            while value(watcher, waits) == 0:
                assert thread.is_alive()
    thread.join()
    assert "is deactivated and gets no role" in refusals[0]
