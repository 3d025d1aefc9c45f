"""What somebody with all rights in the database could do to a sealed audit trail, and what must be said of it.

Its statements run past the triggers; `$id` is an entry drawn at random, `$other` another one.
"""

from dataclasses import dataclass

CHECKSUM = """core.generate_audit_checksum(
    checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label, action,
    resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
)"""
COLUMNS = (
    "id, recorded_at, occurred_at, epoch, xid, db_user, actor_type, actor_id, actor_label, action, resource_type,"
    " resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata, checksum_version, checksum"
)
# a seal made anew from the entries as they are, and the chain from it on
RESEAL = """
do $$
declare
    seal internal.audit_seals;
    previous bytea;
    total bigint := 0;
begin
    previous := decode(repeat('00', 32), 'hex');
    for seal in select * from internal.audit_seals order by sequence loop
        select
            coalesce(array_agg(id order by xid, id), '{}'),
            coalesce(array_agg(internal.audit_leaf(internal.audit_canonical(
                checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label,
                action, resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
            )) order by xid, id), '{}')
        into seal.entry_ids, seal.leaves
        from core.audit_logs where epoch = seal.epoch and xid >= seal.low and xid < seal.high;
        total := total + cardinality(seal.entry_ids);
        update internal.audit_seals as s
        set entry_ids = seal.entry_ids, leaves = seal.leaves, entry_count = cardinality(seal.entry_ids),
            total_count = total, root = internal.merkle_root(seal.leaves), previous_hash = previous
        where s.sequence = seal.sequence;
        update internal.audit_seals as s
        set seal_hash = internal.audit_leaf(internal.audit_seal_text(
            s.sequence, s.kind, s.epoch, s.low, s.high, s.entry_count, s.total_count, s.root, s.previous_hash,
            s.sealed_at, s.note
        ))
        where s.sequence = seal.sequence
        returning s.seal_hash into previous;
    end loop;
end $$
"""


@dataclass(frozen=True)
class Attack:
    """Its verdict, and the statements."""

    verdict: str
    statements: tuple[str, ...]


def _change(assignment: str, *, recomputed: bool = False) -> Attack:
    statements = [f"update core.audit_logs set {assignment} where id = $id"]
    if recomputed:
        statements.append(f"update core.audit_logs set checksum = {CHECKSUM} where id = $id")
    return Attack("MODIFIED", tuple(statements))


# each column that an entry has
CHANGES = {
    "recorded_at": "recorded_at = recorded_at - interval '1 microsecond'",
    "occurred_at": "occurred_at = occurred_at + interval '1 day'",
    "epoch": "epoch = epoch + 1",
    "xid": "xid = (xid::text::bigint + 1)::text::xid8",
    "db_user": "db_user = db_user || 'x'",
    "actor_type": "actor_type = case actor_type when 'system' then 'service' else 'system' end",
    "actor_id": "actor_id = gen_random_uuid()",
    "actor_label": "actor_label = coalesce(actor_label, '') || '.'",
    "action": "action = action || '2'",
    "resource_type": "resource_type = resource_type || 's'",
    "resource_id": "resource_id = case when resource_id is null then gen_random_uuid() end",
    "before": "before = case when before is null then '{}'::jsonb end",
    "after": "after = coalesce(after, '{}'::jsonb) || '{\"forged\": true}'",
    "outcome": "outcome = case outcome when 'success' then 'denied' else 'success' end",
    "ip_address": "ip_address = case when ip_address is null then '10.0.0.1'::inet end",
    "user_agent": "user_agent = coalesce(user_agent, '') || '!'",
    "request_id": "request_id = coalesce(request_id, '') || '0'",
    "metadata": "metadata = metadata || '{\"forged\": true}'",
}
_COPY = "insert into {into} ({columns}) select gen_random_uuid(), {rest} from core.audit_logs where id = $id"
_REST = COLUMNS.removeprefix("id, ")
_CHILD = "create table internal.forged () inherits (core.audit_logs)"

ATTACKS: dict[str, Attack] = {
    **{f"{column} changed": _change(change) for column, change in CHANGES.items()},
    **{f"{column} changed with a new checksum": _change(change, recomputed=True) for column, change in CHANGES.items()},
    "checksum changed": _change("checksum = sha256('x')"),
    "an endless time": _change("recorded_at = 'infinity'"),
    "two entries swapped": Attack(
        "MODIFIED",
        (
            "update core.audit_logs as a set action = b.action, after = b.after from core.audit_logs as b"
            " where a.id = $id and b.id = $other",
            f"update core.audit_logs set metadata = '{{\"swapped\": 1}}', checksum = {CHECKSUM} where id = $id",
        ),
    ),
    "an entry deleted": Attack("MISSING", ("delete from core.audit_logs where id = $id",)),
    "many deleted": Attack("MISSING", ("delete from core.audit_logs where id < $id or id = $id",)),
    "all deleted": Attack("MISSING", ("delete from core.audit_logs",)),
    "truncated": Attack("MISSING", ("truncate core.audit_logs",)),
    "its id changed": Attack("MISSING", ("update core.audit_logs set id = gen_random_uuid() where id = $id",)),
    "one added with an old transaction": Attack(
        "EXTRA", (_COPY.format(into="core.audit_logs", columns=COLUMNS, rest=_REST),)
    ),
    "one added with a right checksum": Attack(
        "EXTRA",
        (
            _COPY.format(into="core.audit_logs", columns=COLUMNS, rest=_REST),
            f"update core.audit_logs set checksum = {CHECKSUM}",
        ),
    ),
    "one added in a child table": Attack(
        "EXTRA", (_CHILD, _COPY.format(into="internal.forged", columns=COLUMNS, rest=_REST))
    ),
    "an entry twice, by a child table": Attack(
        "EXTRA",
        (_CHILD, f"insert into internal.forged ({COLUMNS}) select {COLUMNS} from core.audit_logs where id = $id"),
    ),
    "the last seal deleted": Attack(
        "TAIL_TRUNCATED",
        ("delete from internal.audit_seals where sequence = (select max(sequence) from internal.audit_seals)",),
    ),
    "all seals deleted": Attack("TAIL_TRUNCATED", ("delete from internal.audit_seals",)),
    "the tail cut with its entries": Attack(
        "TAIL_TRUNCATED",
        (
            "delete from core.audit_logs"
            " where xid >= (select low from internal.audit_seals order by sequence desc limit 1)",
            "delete from internal.audit_seals where sequence = (select max(sequence) from internal.audit_seals)",
        ),
    ),
    "a seal in the middle deleted": Attack("SEAL_BROKEN", ("delete from internal.audit_seals where sequence = 2",)),
    "a root changed": Attack("SEAL_BROKEN", ("update internal.audit_seals set root = sha256('x') where sequence = 1",)),
    "a leaf changed": Attack(
        "SEAL_BROKEN", ("update internal.audit_seals set leaves[1] = sha256('x') where sequence = 2",)
    ),
    "a span changed": Attack(
        "SEAL_BROKEN", ("update internal.audit_seals set high = (high::text::bigint + 1)::text::xid8",)
    ),
    "two seals swapped": Attack(
        "SEAL_BROKEN",
        (
            "update internal.audit_seals set sequence = sequence + 100",
            "update internal.audit_seals set sequence = 104 - sequence",
        ),
    ),
    "an id in a seal changed": Attack(
        "SEAL_BROKEN", ("update internal.audit_seals set entry_ids[1] = gen_random_uuid() where sequence = 1",)
    ),
    "its time changed": Attack(
        "SEAL_BROKEN", ("update internal.audit_seals set sealed_at = sealed_at - interval '1 day'",)
    ),
    "an entry changed and all sealed anew": Attack(
        "REWRITTEN",
        (
            "update core.audit_logs set action = 'nothing.happened' where id = $id",
            f"update core.audit_logs set checksum = {CHECKSUM}",
            RESEAL,
        ),
    ),
    "an entry deleted and all sealed anew": Attack("REWRITTEN", ("delete from core.audit_logs where id = $id", RESEAL)),
    "one added and all sealed anew": Attack(
        "REWRITTEN",
        (
            _COPY.format(into="core.audit_logs", columns=COLUMNS, rest=_REST),
            f"update core.audit_logs set checksum = {CHECKSUM}",
            RESEAL,
        ),
    ),
}
