"""Random work that the audit trail records, and what may happen to its server, for test_audit_endurance.py."""

import contextlib
import random
import threading
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
from audit_trails import ADD, Trail
from core_rows import add, add_role, add_team, add_user
from psycopg import sql

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.erasure import erase_user

LEVELS = ("read committed", "repeatable read", "serializable")
# the function of a release before, to compare what it wrote
OLD_TRIGGER = """
create or replace function core.audit_log_trigger() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
begin
    new.recorded_at := clock_timestamp();
    new.occurred_at := coalesce(new.occurred_at, new.recorded_at);
    new.xid := pg_current_xact_id();
    new.epoch := (select epoch from internal.audit_epoch);
    new.db_user := session_user;
    new.checksum_version := 1;
    new.checksum := core.generate_audit_checksum(
        new.checksum_version, new.id, new.epoch, new.xid, new.recorded_at, new.occurred_at, new.db_user,
        new.actor_type, new.actor_id, new.actor_label, new.action, new.resource_type, new.resource_id,
        new.before, new.after, new.outcome, new.ip_address, new.user_agent, new.request_id, new.metadata
    );
    return new;
end $f$
"""


def work(connection: Connection, draw: random.Random) -> None:
    """One or several transactions of a kind that is drawn, on a connection without autocommit."""
    kind = draw.choice([_entries, _entries, _levels, _savepoints, _people, _copied, _session, _nothing])
    kind(connection, draw)
    if draw.random() < 0.1:
        connection.rollback()
    else:
        connection.commit()


def _entries(connection: Connection, draw: random.Random) -> None:
    for _ in range(draw.randint(1, 3)):
        connection.execute(ADD, [draw.choice([1, 1, 2, 7, 30])])
        if draw.random() < 0.5:
            connection.commit()


def _levels(connection: Connection, draw: random.Random) -> None:
    connection.execute(f"set transaction isolation level {draw.choice(LEVELS)}".encode())
    connection.execute("select count(*) from core.audit_logs")
    connection.execute(ADD, [draw.randint(1, 5)])


def _savepoints(connection: Connection, draw: random.Random) -> None:
    """Some of its parts are rolled back."""
    for _ in range(draw.randint(1, 4)):
        with contextlib.suppress(ZeroDivisionError), connection.transaction():
            connection.execute(ADD, [draw.randint(1, 3)])
            if draw.random() < 0.4:
                raise ZeroDivisionError


def _people(connection: Connection, draw: random.Random) -> None:
    """What triggers record of people, teams and roles, with a reference for each name."""
    user = add_user(connection, display_name=draw.choice(["Zoë", "\\N", "Ann B.", '"', "Ann"]), status="active")
    connection.execute("select set_config('governance.actor_id', %s, true)", [str(user)])
    team = add_team(connection, owner_id=user)
    add(connection, "team_members", team_id=team, user_id=user)
    add(connection, "user_roles", user_id=user, role_id=add_role(connection))
    connection.execute("update core.users set status = 'deactivated' where id = %s", [user])
    connection.execute("update core.teams set name = name || '!' where id = any(%s)", [[team]])
    if draw.random() < 0.2:
        connection.commit()
        connection.autocommit = True
        try:
            erase_user(connection, user)
        finally:
            connection.autocommit = False


def _copied(connection: Connection, draw: random.Random) -> None:
    columns = "(actor_type, action, resource_type, occurred_at, ip_address)"
    with connection.cursor().copy(f"copy core.audit_logs {columns} from stdin".encode()) as copy:
        for number in range(draw.randint(0, 20)):
            copy.write_row(("service", "report.export", "report", f"2020-01-01 00:00:{number:02d}+03", "2001:db8::1"))


def _session(connection: Connection, draw: random.Random) -> None:
    for setting in draw.sample(
        ["timezone = 'Asia/Kolkata'", "datestyle = 'SQL, DMY'", "bytea_output = escape", "extra_float_digits = -15",
         "standard_conforming_strings = off", "synchronous_commit = off", "search_path = pg_temp"], 3
    ):  # fmt: skip
        connection.execute(f"set local {setting}".encode())
    connection.execute(
        "insert into core.audit_logs (actor_type, actor_label, action, resource_type, after)"
        " values ('api_key', 'é\t''', 'key.use', 'key', '{\"cost\": 0.10, \"é\": [null, 1e3]}')"
    )


def _nothing(connection: Connection, draw: random.Random) -> None:
    connection.execute("select pg_current_xact_id(), %s", [draw.random()])


class Writer(threading.Thread):
    """Writes without an end, also through crashes, and knows what was acknowledged and what was only tried."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self.url, self.draw = url, random.Random(seed)
        self.ended = threading.Event()
        self.acknowledged: list[UUID] = []
        self.tried: list[UUID] = []
        self.people: list[UUID] = []
        self.lost_connections = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                # a server that is away, that recovers, or whose process was killed
                with contextlib.suppress(psycopg.OperationalError, GovernanceError):
                    with connect(self.url, autocommit=False) as connection:
                        while not self.ended.is_set():
                            self._write(connection)
                    return
                self.lost_connections += 1
                self.ended.wait(0.02)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            self.failure = error

    def _write(self, connection: Connection) -> None:
        ids = [uuid4() for _ in range(self.draw.choice([1, 1, 2, 10]))]
        self.tried += ids
        query = (
            "insert into core.audit_logs (id, actor_type, action, resource_type)"
            " select id, 'service', 'report.export', 'report' from unnest(%s::uuid[]) as id"
        )
        connection.execute(query, [ids])
        person = add_user(connection) if self.draw.random() < 0.2 else None
        if self.draw.random() < 0.1:
            connection.rollback()
            return
        connection.commit()
        self.acknowledged += ids
        self.people += [person] if person else []


@contextlib.contextmanager
def writing(url: str, count: int, seed: int) -> Iterator[list[Writer]]:
    """So many writers while the block runs."""
    writers = [Writer(url, seed * 100 + number) for number in range(count)]
    for each in writers:
        each.start()
    try:
        yield writers
    finally:
        for each in writers:
            each.ended.set()
        for each in writers:
            each.join()
    assert [each.failure for each in writers if each.failure] == []


@contextlib.contextmanager
def sealing(trail: Trail) -> Iterator[None]:
    """Seals and signs all the time while the block runs, also through crashes."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def go_on() -> None:
        while not ended.is_set():
            try:
                trail.seal_and_sign()
            except (psycopg.OperationalError, GovernanceError) as error:
                if "not signed" in str(error):
                    failures.append(error)
                ended.wait(0.02)
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)
                return

    sealer = threading.Thread(target=go_on)
    sealer.start()
    try:
        yield
    finally:
        ended.set()
        sealer.join()
    assert failures == []


def drop_database(server: str, name: str) -> None:
    with connect(server) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
