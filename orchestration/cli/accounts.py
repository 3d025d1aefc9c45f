"""The commands of accounts: people, API keys, roles and sessions, by the rules of orchestration.lib.accounts."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import click

from orchestration.cli.groups import Group
from orchestration.cli.options import moment
from orchestration.cli.terminal import confirm, tell, visible
from orchestration.lib.database.connection import Connection
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import settings
from orchestration.lib.words import counted

if TYPE_CHECKING:
    from orchestration.lib.identity.acting import Actor

_F = TypeVar("_F", bound=Callable[..., object])


def _as(command: _F) -> _F:
    return click.option(
        "--as", "acts_as", metavar="EMAIL", help="Who acts; $GOVERNANCE_ACTOR, else the database role, unless given."
    )(command)


@contextmanager
def _acting(acts_as: str | None) -> "Iterator[tuple[Connection, Actor]]":
    """A connection, and who acts."""
    from orchestration.lib.accounts import SYSTEM, actor_called
    from orchestration.lib.database.connection import connect

    who = acts_as or settings().actor
    with connect(database_url(), application="governance accounts") as connection:
        yield connection, actor_called(connection, who) if who else SYSTEM


def _secret(what: str, *, twice: bool = False) -> str:
    """Asked for unseen, or the next line of standard input: never an argument, which others can read."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
    line = sys.stdin.readline()
    if not line.strip("\r\n"):
        raise GovernanceError(f"standard input has no line for the {what}; give each secret on a line of its own")
    return line.rstrip("\r\n")


@click.group(cls=Group)
def user() -> None:
    """Create, deactivate and erase people, and set their passwords and second factors."""


@user.command()
@click.argument("email")
@click.option("--name", required=True, help="Name that is shown.")
@click.option(
    "--password", "asks_password", is_flag=True, help="Ask for a first password; without it they are invited."
)
@_as
def create(email: str, name: str, asks_password: bool, acts_as: str | None) -> None:
    """Make an account and print its id.

    \b
    governance user create zoe@acme.example --name 'Zoë Müller'
    governance user create zoe@acme.example --name 'Zoë Müller' --password < password.txt
    """
    from orchestration.lib.accounts import create_user

    password = _secret("password", twice=True) if asks_password else None
    with _acting(acts_as) as (connection, actor):
        click.echo(create_user(connection, email, name, password=password, actor=actor))


@user.command()
@click.argument("email")
@_as
def deactivate(email: str, acts_as: str | None) -> None:
    """End an account with its roles, memberships, keys and sessions. Spend stays theirs."""
    from orchestration.lib.accounts import deactivate_user

    with _acting(acts_as) as (connection, actor):
        ended = deactivate_user(connection, email, actor=actor)
    parts = ", ".join(counted(number, name.removesuffix("s")) for name, number in ended.items())
    click.echo(f"deactivated {visible(email, keep='')}: {parts}")


@user.command()
@click.argument("email")
@click.option("--yes", is_flag=True, help="Don't ask.")
@_as
def erase(email: str, yes: bool, acts_as: str | None) -> None:
    """Replace a person's name, addresses and external ids by a pseudonym everywhere, for good.

    Money, counts and the audit trail stay whole. It can't be undone. docs/accounts.md says what it reaches.
    """
    from orchestration.lib.accounts import erase_user

    with _acting(acts_as) as (connection, actor):
        confirm(f"Erase {visible(email, keep='')} for good?", yes=yes)
        erased = erase_user(connection, email, actor=actor)
    for table, rows in sorted(erased.rows.items()):
        tell(f"  {table}: {counted(rows, 'row')}")
    for table, rows in sorted(erased.left_in_rows.items()):
        still = counted(rows, f"row of {table} names", f"rows of {table} name")
        tell(f"note: {still} the person still, for nothing in them may be changed")
    if erased.left_since and erased.left_until:
        since, until = (f"{moment.astimezone(UTC):%Y-%m-%d}" for moment in (erased.left_since, erased.left_until))
        tell(
            f"note: {counted(erased.left_in_trail, 'entry', 'entries')} of the audit trail, recorded from {since} to "
            f"{until}, can't be changed and name the person still; docs/accounts.md#entries-that-still-name-a-person "
            "says why and what to do"
        )
    click.echo(f"erased: user {erased.user_id} is {erased.pseudonym}")


@user.command("set-password")
@click.argument("email")
@_as
def set_password(email: str, acts_as: str | None) -> None:
    """Set a password, asked for or read from standard input; unlocks the account and ends its sessions.

    It must be changed at the next sign-in, unless --as names the account itself.
    """
    from orchestration.lib import accounts

    password = _secret("password", twice=True)
    with _acting(acts_as) as (connection, actor):
        accounts.set_password(connection, email, password, actor=actor)
    click.echo("the password is set")


@user.command("mfa-key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def mfa_key(file: Path) -> None:
    """Make a key that encrypts the secrets of second factors the current one of FILE, and print its id.

    Set GOVERNANCE_MFA_KEYS to FILE. Older keys stay in it until `governance user rotate-mfa` was run.
    """
    from orchestration.lib.identity.totp import add_key

    click.echo(add_key(file).current)
    tell(f"keep {visible(str(file))} out of the database and its backups: who has both has the secrets")


@user.command("enrol-mfa")
@click.argument("email")
@_as
def enrol_mfa(email: str, acts_as: str | None) -> None:
    """Begin a second factor: print the address for an authenticator, then take a code of it and print backup codes.

    The code is asked for or read from standard input. Address and backup codes are shown this once.
    """
    from orchestration.lib import accounts

    keys = accounts.read_keys(settings().mfa_keys)
    with _acting(acts_as) as (connection, actor):
        enrolment = accounts.enrol_mfa(connection, email, keys, actor=actor)
        click.echo(enrolment.url)
        sys.stdout.flush()
        tell("put this into the authenticator; `governance user confirm-mfa` takes a code later, too")
        if sys.stdin.isatty():
            _confirm(connection, email, actor)


@user.command("confirm-mfa")
@click.argument("email")
@_as
def confirm_mfa(email: str, acts_as: str | None) -> None:
    """Take a code of a second factor that was begun, and print the backup codes, this once."""
    with _acting(acts_as) as (connection, actor):
        _confirm(connection, email, actor)


def _confirm(connection: Connection, email: str, actor: "Actor") -> None:
    from orchestration.lib import accounts

    keys = accounts.read_keys(settings().mfa_keys)
    for code in accounts.confirm_mfa(connection, email, _secret("code"), keys, actor=actor):
        click.echo(code)
    tell("each backup code opens once where the authenticator is lost; they are not shown again")


@user.command("reset-mfa")
@click.argument("email")
@_as
def reset_mfa(email: str, acts_as: str | None) -> None:
    """Take a second factor and its backup codes away, for who lost them."""
    from orchestration.lib import accounts

    with _acting(acts_as) as (connection, actor):
        was_there = accounts.reset_mfa(connection, email, actor=actor)
    click.echo("the second factor is gone" if was_there else "there was no second factor")


@user.command("rotate-mfa")
@_as
def rotate_mfa(acts_as: str | None) -> None:
    """Encrypt every secret of second factors with the current key of $GOVERNANCE_MFA_KEYS."""
    from orchestration.lib import accounts

    keys = accounts.read_keys(settings().mfa_keys)
    with _acting(acts_as) as (connection, actor):
        click.echo(f"{counted(accounts.rotate_mfa_keys(connection, keys, actor=actor), 'secret')} encrypted anew")


@click.group(cls=Group)
def key() -> None:
    """Create, rotate and revoke API keys."""


_EXPIRES = click.option(
    "--expires-at", callback=moment, metavar="TIME", help="When it ends, with its zone: 2027-12-31T23:00:00Z."
)


@key.command("create")
@click.argument("name")
@click.option("--user", "owner", metavar="EMAIL", help="Whose key it is.")
@click.option("--team", metavar="SLUG", help="The team it belongs to.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="RESOURCE:ACTION",
    help="What it may do, such as metrics:write; may be repeated.",
)
@_EXPIRES
@_as
def create_key(
    name: str,
    owner: str | None,
    team: str | None,
    scopes: tuple[str, ...],
    expires_at: datetime | None,
    acts_as: str | None,
) -> None:
    """Make a key of a user, a team or both, and print it, this once.

    \b
    governance key create 'Nightly evaluation' --user zoe@acme.example --scope metrics:write
    """
    from orchestration.lib import accounts

    given: dict[str, list[str]] = {}
    for each in scopes:
        resource, colon, action = each.partition(":")
        if not colon:
            raise click.UsageError(f"a scope is written RESOURCE:ACTION, such as metrics:write, not {each}")
        given.setdefault(resource, []).append(action)
    with _acting(acts_as) as (connection, actor):
        made = accounts.create_key(
            connection, name, user=owner, team=team, scopes=given, expires_at=expires_at, actor=actor
        )
    _show_key(made.prefix, made.key)


@key.command()
@click.argument("key", metavar="PREFIX|ID")
@click.option(
    "--overlap", type=click.FloatRange(0), default=0, metavar="HOURS", help="How long the old one still works."
)
@_as
def rotate(key: str, overlap: float, acts_as: str | None) -> None:
    """Make a key that takes the place of one, and print it, this once; the old one is revoked.

    \b
    governance key rotate gov_1a2b3c4d --overlap 24
    """
    from orchestration.lib.accounts import rotate_key

    with _acting(acts_as) as (connection, actor):
        made = rotate_key(connection, key, overlap=timedelta(hours=overlap), actor=actor)
    _show_key(made.prefix, made.key)


@key.command("revoke")
@click.argument("key", metavar="PREFIX|ID")
@_as
def revoke_key(key: str, acts_as: str | None) -> None:
    """End a key."""
    from orchestration.lib import accounts

    with _acting(acts_as) as (connection, actor):
        click.echo(f"revoked {accounts.revoke_key(connection, key, actor=actor)}")


def _show_key(prefix: str, made: str) -> None:
    click.echo(made)
    tell(f"the key is shown this once; its prefix {prefix} tells it from others")


@click.group(cls=Group)
def role() -> None:
    """Grant and revoke roles of people."""


@role.command()
@click.argument("email")
@click.argument("role")
@click.option("--team", metavar="SLUG", help="Only on this team and those below it.")
@_EXPIRES
@click.option("--allow-self", is_flag=True, help="Let who acts give the role to themselves; else that is refused.")
@_as
def grant(
    email: str, role: str, team: str | None, expires_at: datetime | None, allow_self: bool, acts_as: str | None
) -> None:
    """Give EMAIL a role, everywhere or on a team; prints the id of the grant.

    \b
    governance role grant zoe@acme.example developer --team platform
    governance role grant zoe@acme.example auditor --expires-at 2027-01-31T23:00:00Z
    """
    from orchestration.lib.accounts import grant_role

    with _acting(acts_as) as (connection, actor):
        click.echo(
            grant_role(connection, email, role, team=team, expires_at=expires_at, allows_self=allow_self, actor=actor)
        )


@role.command("revoke")
@click.argument("email")
@click.argument("role")
@click.option("--team", metavar="SLUG", help="The grant on this team; without it the one everywhere.")
@_as
def revoke_role(email: str, role: str, team: str | None, acts_as: str | None) -> None:
    """Take a role away from EMAIL; prints the id of the grant.

    \b
    governance role revoke zoe@acme.example developer --team platform
    """
    from orchestration.lib import accounts

    with _acting(acts_as) as (connection, actor):
        click.echo(accounts.revoke_role(connection, email, role, team=team, actor=actor))


@click.group(cls=Group)
def session() -> None:
    """Issue and revoke sessions of people."""


@session.command()
@click.argument("email")
@click.option(
    "--hours", type=click.FloatRange(0, 720, min_open=True), default=12, show_default=True, help="How long it lasts."
)
@click.option("--code", "asks_code", is_flag=True, help="Ask for a code of the second factor, too.")
def issue(email: str, hours: float, asks_code: bool) -> None:
    """Sign in with a password, asked for or read from standard input, and print a session's token, this once.

    \b
    governance session issue zoe@acme.example --hours 8 --code
    """
    from orchestration.lib.accounts import authenticate, issue_session, read_keys

    password = _secret("password")
    code = _secret("code") if asks_code else None
    keys = read_keys(settings().mfa_keys) if asks_code else None
    with _acting(None) as (connection, _):
        signed_in = authenticate(connection, email, password, code=code, keys=keys)
        made = issue_session(connection, signed_in, lasts=timedelta(hours=hours))
    click.echo(made.token)
    tell(f"session {made.id} until {made.expires_at:%Y-%m-%d %H:%M:%S %Z}")
    if signed_in.must_change_password:
        tell("note: the password was set by somebody else; change it")


@session.command("revoke")
@click.argument("session", metavar="ID|EMAIL")
@click.option("--reason", default="revoked by command", show_default=True, help="Kept with the session.")
@_as
def revoke_session(session: str, reason: str, acts_as: str | None) -> None:
    """End a session by its id, or all of a person."""
    from orchestration.lib import accounts

    with _acting(acts_as) as (connection, actor):
        if "@" in session:
            ended = accounts.revoke_sessions(connection, session, actor=actor, reason=reason)
        else:
            try:
                identifier = UUID(session)
            except ValueError:
                raise GovernanceError(f"{session} is neither the id of a session nor an address") from None
            accounts.revoke_session(connection, identifier, actor=actor, reason=reason)
            ended = 1
    click.echo(f"{counted(ended, 'session')} revoked")
