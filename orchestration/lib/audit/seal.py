"""Seals the audit trail, so that not only a changed entry is found, also one that is missing or was added later."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.rights import needs_role
from orchestration.lib.errors import GovernanceError

# as many entries a seal, where transactions are not larger
MOST = 10_000
_PATIENCE = "30s"


@dataclass(frozen=True)
class Status:
    """How far the trail is sealed, of the entries that are there.

    `unsealed_since` is when the oldest entry without a seal was recorded.
    """

    epoch: int
    entries: int
    sealed_entries: int
    seals: int
    last_sealed_at: datetime | None
    unsealed_since: datetime | None


def seal(url: str) -> int:
    """Seal every entry whose transaction has ended; returns how many."""
    with connect(url, application="governance audit seal") as connection:
        return _seal(connection)


def seal_if_allowed(url: str) -> bool:
    """Seal as `seal` where this role may, and the database can be written to; returns whether it was."""
    with connect(url, application="governance audit seal") as connection:
        row = connection.execute(
            "select current_setting('transaction_read_only') = 'off' and has_schema_privilege(oid, 'usage')"
            " and has_function_privilege('internal.seal_audit_trail(bigint)', 'execute')"
            " from pg_namespace where nspname = 'internal'"
        ).fetchone()
        if row == (True,):
            _seal(connection)
        return row == (True,)


def watch(url: str, *, seconds: float) -> Iterator[int]:
    """Seal again and again, so many seconds apart, until it is interrupted; yields how many entries each time."""
    with connect(url, application="governance audit seal") as connection:
        while True:
            began = time.monotonic()
            yield _seal(connection)
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))


def _seal(connection: Connection) -> int:
    # anybody can take the lock that one sealer at a time has, and would stop sealing without a word
    connection.execute(f"set lock_timeout = '{_PATIENCE}'")
    with needs_role("sealing the trail", "governance_sealer"):
        [(sealed,)] = connection.execute("select internal.seal_audit_trail(%s)", [MOST])
    return int(sealed)


def status(url: str) -> Status:
    """How far the trail is sealed."""
    with (
        needs_role("the state of the trail", "governance_auditor"),
        connect(url, application="governance audit status") as connection,
    ):
        [row] = connection.execute(
            """
            select
                (select epoch from internal.audit_epoch),
                (select count(*) from core.audit_logs),
                coalesce(last.total_count, 0) - (
                    select coalesce(sum((note::jsonb ->> 'entries')::bigint), 0)
                    from internal.audit_seals where kind = 'tombstone'
                )::bigint,
                coalesce(last.sequence, 0),
                last.sealed_at,
                (
                    select min(entries.recorded_at)
                    from core.audit_logs as entries
                    where (entries.epoch, entries.xid) >= (
                        coalesce(last.epoch + (last.kind = 'recovery')::integer, 0),
                        case when last.kind <> 'recovery' then last.high else '0' end
                    )
                )
            from (select true) as one
            left join lateral (select * from internal.audit_seals order by sequence desc limit 1) as last on true
            """
        )
    return Status(*row)


def begin_epoch(url: str, *, reason: str) -> int:
    """Begin a new epoch, after a restore or a move to another server; returns its number.

    The seal of the recovery keeps `reason`. Raises GovernanceError where there is none.
    """
    if not reason.strip():
        raise GovernanceError(
            "a new epoch needs a reason, such as the backup that was restored: it is kept in the trail"
        )
    with connect(url, application="governance audit recover") as connection:
        [(epoch,)] = connection.execute("select internal.begin_audit_epoch(%s)", [reason.strip()])
    return int(epoch)
