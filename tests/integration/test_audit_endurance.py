"""The audit trail through long work and every accident: no false alarm, nothing acknowledged lost, all sealed once.

A run of the suite does little of each; `make endurance` does as much as one likes.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from audit_trails import ADD, Trail
from conftest import TEMPLATE
from core_rows import value
from embedded_homes import kill, postmaster, running
from trail_work import LEVELS, OLD_TRIGGER, Writer, drop_database, sealing, work, writing

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.prune import prune
from orchestration.lib.audit.recover import note_of, whole_until
from orchestration.lib.audit.seal import begin_epoch, seal
from orchestration.lib.audit.verify_offline import Report, Verdict
from orchestration.lib.backup.backup import backup
from orchestration.lib.backup.restore import restore
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer

pytestmark = pytest.mark.not_on_pglite("it has one session at a time")
# read here, for no test sees the variables of the shell
CYCLES = int(os.environ.get("GOVERNANCE_ENDURANCE_CYCLES") or 10)
KILLS = int(os.environ.get("GOVERNANCE_ENDURANCE_KILLS") or 2)
ENTRIES = int(os.environ.get("GOVERNANCE_ENDURANCE_ENTRIES") or 2_000)
SEED = int(os.environ.get("GOVERNANCE_ENDURANCE_SEED") or 20261128)
# of so many cycles each has one of these accidents, and the others none
ACCIDENTS = ("crash", "backup", "restore", "upgrade", "prune", "many writers", "move", "new key")
BETWEEN = 10 if CYCLES <= 10 else 40
WRITERS, SEALERS = 32, 2


def assert_ok(report: Report, *where: object) -> None:
    assert report.verdict == Verdict.OK, (*where, verify_offline.as_text(report))


class Cycles:
    """Work, seal, sign, export, verify, over and over, with accidents in between."""

    def __init__(self, server: EmbeddedServer, url: str, folder: Path, draw: random.Random) -> None:
        self.server, self.folder, self.draw = server, folder, draw
        self.trail = Trail(url, folder)
        self.backups: list[Path] = []
        self.moments: list[datetime] = []
        self.accepts_recovery = False
        self.databases = 0

    def cycle(self, number: int, accident: str | None) -> Report:
        trail = self.trail
        with connect(trail.url, autocommit=False) as open_one, connect(trail.url, autocommit=False) as connection:
            self.moments.append(value(connection, "select clock_timestamp()"))
            connection.commit()
            if self.draw.random() < 0.3:
                # what it writes is sealed in a later cycle
                open_one.execute(ADD, [2])
            for _ in range(self.draw.randint(1, 4)):
                work(connection, self.draw)
            with connect(trail.url) as sealer:
                sealer.execute("select internal.seal_audit_trail(%s)", [self.draw.choice([1, 5, 50, 10_000])])
            if self.draw.random() < 0.5:
                open_one.commit()
        if accident:
            getattr(self, accident.replace(" ", "_"))()
        trail.seal_and_sign(accepts_recovery=self.accepts_recovery)
        self.accepts_recovery = False
        # something is written after the signature
        trail.add(1)
        exported = export.export(trail.url, self.folder / f"export-{number}")
        assert_ok(trail.verify_export(exported), number, accident, "exported")
        for path in exported.iterdir():
            path.unlink()
        exported.rmdir()
        report = trail.verify()
        assert_ok(report, number, accident)
        return report

    def crash(self) -> None:
        with writing(self.trail.url, 2, self.draw.randrange(1000)) as writers:
            wait_for(lambda: all(each.acknowledged for each in writers))
            kill(self.server)
            self.server.up()

    def backup(self) -> None:
        self.backups.append(backup(self.trail.url, self.folder / "backups")[0])

    def restore(self) -> None:
        """Of any backup so far, also one from before another restore."""
        old, place = self.trail.url, running(self.server, "postgres")
        self.databases += 1
        name = f"restored_{self.databases}"
        ensure_database(place, name)
        self.trail.url = with_database(place, name)
        restore(self.draw.choice(self.backups), self.trail.url, given_up=self.trail.given_up())
        self.accepts_recovery = True
        drop_database(place, old.rpartition("/")[2])

    def upgrade(self) -> None:
        """Entries of a release before, then its functions are replaced while others write."""
        with connect(self.trail.url) as connection:
            connection.execute(OLD_TRIGGER)
            connection.execute("update internal.schema_objects set checksum = 'older'")
        self.trail.add(3)
        seal(self.trail.url)
        with writing(self.trail.url, 2, self.draw.randrange(1000)):
            run_dbt(["run", "--select", "audit_logs"], self.trail.url, quiet=True)
        with connect(self.trail.url) as connection:
            source = "select prosrc from pg_proc where proname = 'audit_log_trigger'"
            assert "generate_audit_checksum(" not in value(connection, source)

    def prune(self) -> None:
        """Entries of before one of the last cycles."""
        trail = self.trail
        sign.sign(trail.url, trail.key, trail.anchors)
        prune(trail.url, self.draw.choice(self.moments[-5:]), "as agreed", trail.key, trail.anchors)

    def move(self) -> None:
        """To another server, with all that is there."""
        trail = self.trail
        note = note_of("moved", trail.given_up(), whole=whole_until(trail.url, trail.anchors, trail.publics))
        begin_epoch(trail.url, reason=note)
        self.accepts_recovery = True

    def new_key(self) -> None:
        self.trail.succeed()

    def many_writers(self) -> None:
        with writing(self.trail.url, 4, self.draw.randrange(1000)) as writers:
            for _ in range(5):
                seal(self.trail.url)
                self.trail.seal_and_sign()
                assert_ok(self.trail.verify(), "while others write")
            wait_for(lambda: all(each.acknowledged for each in writers))


def wait_for(is_so: Callable[[], bool], what: Callable[[], object] = str, seconds: float = 60) -> None:
    """`what` says what is the matter where it is not so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what()
        time.sleep(0.005)


@pytest.fixture
def own_url(durable_server: EmbeddedServer) -> Iterator[str]:
    """A complete build on a server that may be killed."""
    place = running(durable_server, "postgres")
    ensure_database(place, "endurance", template=TEMPLATE)
    yield with_database(place, "endurance")
    drop_database(running(durable_server, "postgres"), "endurance")


def accidents(draw: random.Random) -> Iterator[str | None]:
    """For each of BETWEEN cycles, over and over; a backup comes before what restores it."""
    while True:
        places = draw.sample(range(BETWEEN), len(ACCIDENTS))
        of = dict(zip(places, draw.sample(ACCIDENTS, len(ACCIDENTS)), strict=True))
        saved = min(place for place, what in of.items() if what in ("backup", "restore"))
        lost = max(place for place, what in of.items() if what in ("backup", "restore"))
        of |= {saved: "backup", lost: "restore"}
        yield from map(of.get, range(BETWEEN))


@pytest.mark.engines("postgres")
def test_cycles_of_work_and_accidents_raise_no_alarm(
    own_url: str, durable_server: EmbeddedServer, tmp_path: Path, say: Callable[[str], None]
) -> None:
    draw = random.Random(SEED)
    cycles, planned, entries, seals = Cycles(durable_server, own_url, tmp_path, draw), accidents(draw), 0, 0
    for number in range(CYCLES):
        report = cycles.cycle(number, next(planned))
        entries, seals = max(entries, report.entries + report.pruned), max(seals, report.seals)
        if (number + 1) % 100 == 0:
            say(f"{number + 1:,} cycles without an alarm so far, {report.entries:,} entries in {report.seals:,} seals")
    drop_database(running(durable_server, "postgres"), cycles.trail.url.rpartition("/")[2])
    say(f"{CYCLES} cycles without an alarm: up to {entries:,} entries in {seals:,} seals")


def acknowledged(writers: list[Writer]) -> int:
    return sum(len(each.acknowledged) for each in writers)


def at_work(server: EmbeddedServer, writers: list[Writer], killed: str) -> str:
    """What each writer has met, and what the server does: of one that waits for ever the reason."""
    met = [(len(each.acknowledged), each.lost_connections, each.failure, each.is_alive()) for each in writers]
    with connect(running(server, "postgres")) as connection:
        sessions = connection.execute(
            "select pid, application_name, backend_start, state, wait_event, left(query, 60) from pg_stat_activity"
            " where backend_type = 'client backend'"
        ).fetchall()
    return (
        f"after a kill of {killed}, of each writer what was acknowledged, lost connections, failures: {met}; {sessions}"
    )


def kill_one(server: EmbeddedServer, draw: random.Random) -> str:
    """The server's first process, all at once, or any other, after which it begins anew by itself; says which."""
    what = draw.choice(["first", "all", "writer", "sealer", "other"])
    first = postmaster(server)
    with connect(running(server, "postgres")) as connection:
        rows = connection.execute(
            "select pid, case when application_name = 'governance audit seal' then 'sealer'"
            " when backend_type = 'client backend' then 'writer' else 'other' end"
            " from pg_stat_activity where pid <> pg_backend_pid()"
        ).fetchall()
    others = [pid for pid, kind in rows if kind == what]
    for pid in [first, *(pid for pid, _ in rows)] if what == "all" else draw.sample(others, len(others)):
        # one that has just ended is no victim
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            if what != "all":
                return what
    if what != "all":
        os.kill(first, signal.SIGKILL)
        what = "first"
    wait_for(lambda: not server.status().running)
    return what


@pytest.mark.engines("postgres")
def test_a_killed_server_loses_nothing_it_acknowledged(
    own_url: str, durable_server: EmbeddedServer, tmp_path: Path, say: Callable[[str], None]
) -> None:
    draw, trail = random.Random(SEED), Trail(own_url, tmp_path)
    entries = people = 0
    killed: dict[str, int] = {}
    for number in range(KILLS):
        with sealing(trail), writing(own_url, 6, number) as writers:
            wait_for(lambda: all(each.acknowledged for each in writers))
            time.sleep(draw.uniform(0, 0.4))
            what = kill_one(durable_server, draw)
            durable_server.up()
            told = partial(at_work, durable_server, writers, what)
            wait_for(lambda: all(each.lost_connections or each.failure for each in writers), told)
            before = acknowledged(writers)
            # it takes connections again
            wait_for(lambda: acknowledged(writers) > before + 20, told)  # noqa: B023
        killed[what] = killed.get(what, 0) + 1
        ids = [identifier for each in writers for identifier in each.acknowledged]
        names = [identifier for each in writers for identifier in each.people]
        with connect(own_url) as connection:
            for acknowledged_ids, query in (
                (ids, "select id from core.audit_logs"),
                (names, "select id from core.users"),
                (names, "select resource_id from core.audit_logs where action = 'users.insert'"),
            ):
                lost = connection.execute(
                    f"select unnest(%s::uuid[]) except {query}".encode(), [acknowledged_ids]
                ).fetchall()
                assert lost == [], (number, what, query)
        entries, people = entries + len(ids), people + len(names)
        trail.seal_and_sign()
        assert_ok(trail.verify(), number, what)
    say(f"{KILLS} kills ({killed}): {entries:,} acknowledged entries and {people:,} people, none lost")


def test_each_entry_of_many_writers_is_sealed_once(database: str, tmp_path: Path, say: Callable[[str], None]) -> None:
    trail = Trail(database, tmp_path)
    failures: list[BaseException] = []
    committed = dict.fromkeys(LEVELS, 0)
    rolled_back = 0
    lock = threading.Lock()

    def write(number: int) -> None:
        nonlocal rolled_back
        draw, left = random.Random(SEED + number), ENTRIES // WRITERS
        try:
            with connect(database, autocommit=False) as connection:
                while left > 0:
                    level = draw.choice(LEVELS)
                    count = min(left, draw.choice([1, 3, 10, 100 if ENTRIES > 100_000 else 4]))
                    connection.execute(f"set transaction isolation level {level}".encode())
                    connection.execute(ADD, [count])
                    if draw.random() < 0.1:
                        connection.rollback()
                        with lock:
                            rolled_back += count
                        continue
                    connection.commit()
                    left -= count
                    with lock:
                        committed[level] += count
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)

    def seal_on(number: int) -> None:
        draw = random.Random(number)
        try:
            with connect(database) as connection:
                while any(writer.is_alive() for writer in writers):
                    connection.execute("select internal.seal_audit_trail(%s)", [draw.choice([10, 1_000, 10_000])])
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)

    with connect(database) as connection:
        before = value(connection, "select count(*) from core.audit_logs")
    writers = [threading.Thread(target=write, args=[number]) for number in range(WRITERS)]
    sealers = [threading.Thread(target=seal_on, args=[number]) for number in range(SEALERS)]
    for each in [*writers, *sealers]:
        each.start()
    for each in [*writers, *sealers]:
        each.join()
    assert failures == []
    trail.seal_and_sign()
    with connect(database) as connection:
        assert value(connection, "select count(*) from core.audit_logs") == before + sum(committed.values())
        sealed = "select id from internal.audit_seals cross join unnest(entry_ids) as each (id)"
        assert value(connection, f"select count(*) from (select id from core.audit_logs except {sealed}) as x") == 0
        assert value(connection, f"select count(*) from ({sealed} except select id from core.audit_logs) as x") == 0
        assert value(connection, f"select count(*) - count(distinct id) from ({sealed}) as x") == 0
        seals = value(connection, "select count(*) from internal.audit_seals")
    assert_ok(trail.verify())
    exported = export.export(database, tmp_path / "trail")
    assert_ok(trail.verify_export(exported))
    say(f"{committed} entries by {WRITERS} writers, {rolled_back:,} rolled back: each sealed once, in {seals:,} seals")
