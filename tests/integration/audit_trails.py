"""A warehouse with its key and its two anchors, as tests of the audit trail have it."""

from pathlib import Path

from orchestration.lib.audit import export, sign, verify_offline
from orchestration.lib.audit.seal import seal
from orchestration.lib.audit.verify_offline import Checkpoint, Report
from orchestration.lib.database.connection import Connection, connect

ADD = """
    insert into core.audit_logs (actor_type, actor_label, action, resource_type, before, metadata)
    select 'system', 'é "ø" ' || n, 'report.export', 'report', '{"n": 1.10}', jsonb_build_object('n', n)
    from generate_series(1, %s) as n
"""


class Trail:
    """The trail of a database, which may become another one's by a restore."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.key = folder / "key.pem"
        self.anchors = (folder / "here", folder / "there")
        self.public = sign.create_key(self.key, "test")
        # also those of the keys before it
        self.publics = [self.public]

    def succeed(self) -> None:
        """Another key takes the place of this one."""
        before, self.key = self.key, self.key.with_name(f"key-{len(self.publics)}.pem")
        self.public = sign.create_key(self.key, "test", succeeds=str(before))
        self.publics.insert(0, self.public)

    def add(self, *entries: int) -> None:
        """A transaction of so many entries each."""
        with connect(self.url) as connection:
            for count in entries:
                connection.execute(ADD, [count])

    def seal_and_sign(self, *, accepts_recovery: bool = False) -> Checkpoint:
        seal(self.url)
        return sign.sign(self.url, self.key, self.anchors, accepts_recovery=accepts_recovery).checkpoint

    def checkpoints(self) -> list[Checkpoint]:
        """The latest of both anchors."""
        return verify_offline.read_checkpoints(self.anchors, self.publics)

    def given_up(self) -> list[Checkpoint]:
        """What the recovery of a restore names."""
        return sign.last_checkpoints(self.publics, self.anchors, self.key)

    def verify(self, connection: "Connection | None" = None) -> Report:
        if connection is not None:
            return export.verify(connection, export.read_checkpoints(connection, self.anchors, self.publics))
        return export.verified(self.url, self.anchors, self.publics)

    def verify_export(self, folder: Path) -> Report:
        """As verify.py does."""
        seals = sum(1 for _ in (folder / "seals.jsonl").open("rb"))
        kept = verify_offline.read_checkpoints(self.anchors, self.publics, seals)
        return verify_offline.verify(verify_offline.read_entries(folder), verify_offline.read_seals(folder), kept)


def past_the_triggers(connection: Connection, state: str = "disable") -> None:
    """As the owner of the database may change what nobody else can."""
    for table in ("core.audit_logs", "internal.audit_seals"):
        connection.execute(f"alter table {table} {state} trigger user".encode())
