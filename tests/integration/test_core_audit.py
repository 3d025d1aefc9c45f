"""The audit trail: append-only, checksums anybody can recompute, and who changed what without secrets."""

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from audit_entries import stored
from core_rows import add, refused, value
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege

from orchestration.lib.database.connection import Connection, connect

# version 1 of the canonical form; a change of this list is a new version
FIELDS = (
    "checksum_version", "id", "epoch", "xid", "recorded_at", "occurred_at", "db_user", "actor_type", "actor_id",
    "actor_label", "action", "resource_type", "resource_id", "before", "after", "outcome", "ip_address", "user_agent",
    "request_id", "metadata",
)  # fmt: skip


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_json(field: Any) -> str:
    """A value as PostgreSQL writes it in jsonb: keys by length and bytes, no escapes beyond JSON's own."""
    if isinstance(field, dict):
        keys = sorted(field, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{as_json(key)}: {as_json(field[key])}" for key in keys) + "}"
    if isinstance(field, list):
        return "[" + ", ".join(map(as_json, field)) + "]"
    if isinstance(field, Decimal):
        return format(field, "f")
    return json.dumps(field, ensure_ascii=False)


def checksum(entry: dict[str, Any]) -> bytes:
    """The checksum of an entry, times as datetimes, computed from the written definition alone."""
    canonical = []
    for name in FIELDS:
        field = entry[name]
        if isinstance(field, datetime):
            field = (field - EPOCH) // timedelta(microseconds=1)
        if name == "xid" or isinstance(field, UUID):
            field = str(field)
        canonical.append(field)
    return hashlib.sha256(bytes([entry["checksum_version"]]) + as_json(canonical).encode()).digest()


PLAIN: dict[str, Any] = {
    "checksum_version": 1,
    "id": UUID("11111111-1111-4111-8111-111111111111"),
    "epoch": 1,
    "xid": 4711,
    "recorded_at": datetime(2025, 3, 30, 1, 0, 0, 1, tzinfo=UTC),
    "occurred_at": datetime(2025, 3, 30, 0, 59, 59, 999999, tzinfo=UTC),
    "db_user": "governance_app",
    "actor_type": "user",
    "actor_id": UUID("22222222-2222-4222-8222-222222222222"),
    "actor_label": "someone@example.com",
    "action": "users.update",
    "resource_type": "users",
    "resource_id": UUID("33333333-3333-4333-8333-333333333333"),
    "before": {"status": "invited"},
    "after": {"status": "active"},
    "outcome": "success",
    "ip_address": "192.0.2.7",
    "user_agent": "curl/8",
    "request_id": "r-1",
    "metadata": {"changed": ["status"]},
}


NULLS = PLAIN | dict.fromkeys(
    ("actor_id", "actor_label", "resource_id", "before", "after", "ip_address", "user_agent", "request_id"), None
)


ODD = PLAIN | {
    "epoch": 2**62,
    "xid": 2**63,
    "recorded_at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "actor_label": 'Zoë "Z" \\ \t\n\x1f\x7f 🦉 ﷺ',
    "before": {"bb": Decimal("1.50"), "a": [None, True, {}], "é": Decimal("-0.000001"), "": "", "z" * 3: 10**30},
    "after": {},
    "ip_address": "2001:db8::1",
    "metadata": {"nested": {"list": [[], [Decimal("100.00")]]}},
}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (PLAIN, "0217cccf6fecc9b795b75a2868bc289c21f82abcfd4edf248900a8b7391e5466"),
        (NULLS, "419e217cc8e5d3e7da2544609b1226d5004233ce87906f4dee082c3650ca2db3"),
        (ODD, "2b963f2dc6576bd32d5ba90e4bac568e4ed9a1f37792fdeb2e4d77b9383e4c8a"),
    ],
)
def test_golden_vectors(connection: Connection, entry: dict[str, Any], expected: str) -> None:
    assert checksum(entry).hex() == expected
    arguments = [as_json(v) if isinstance(v, dict) else v for v in (entry[name] for name in FIELDS)]
    query = """
        select core.generate_audit_checksum(
            %s::smallint, %s, %s, %s::text::xid8, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s,
            %s::inet, %s, %s, %s::jsonb
        )
    """
    assert value(connection, query, *arguments).hex() == expected


def add_entry(connection: Connection, **values: Any) -> UUID:
    return add(
        connection,
        "audit_logs",
        **{"actor_type": "service", "action": "report.export", "resource_type": "report"} | values,
    )


def test_a_written_entry_has_the_checksum_of_what_is_stored(connection: Connection) -> None:
    entry = add_entry(
        connection,
        occurred_at=datetime(2025, 1, 1, tzinfo=UTC),
        actor_id=UUID(int=7),
        actor_label="Zoë",
        before={"amount": 1.5, "b": None},
        after={"amount": 2, "a": "ü"},
        ip_address="2001:db8::1",
        user_agent="",
        outcome="denied",
        metadata={"x": [1, 2]},
    )
    row = stored(connection, entry)
    assert row["checksum"] == checksum(row)


def test_a_checksum_does_not_depend_on_the_session(connection: Connection, database: str) -> None:
    sessions = [
        {},
        {"timezone": "Asia/Kolkata", "datestyle": "SQL, DMY", "intervalstyle": "iso_8601"},
        {"timezone": "America/St_Johns", "extra_float_digits": "-15", "bytea_output": "escape"},
        {"standard_conforming_strings": "off", "backslash_quote": "on"},
        {"search_path": "pg_temp", "quote_all_identifiers": "on", "xmlbinary": "hex"},
    ]
    recompute = sql.SQL(
        "select bool_and(checksum = core.generate_audit_checksum({})), count(*) from core.audit_logs where id = any(%s)"
    ).format(sql.SQL(", ").join(map(sql.Identifier, FIELDS)))
    entries = []
    with connect(database) as other:
        for settings in sessions:
            for name, setting in settings.items():
                other.execute(sql.SQL("set {} = {}").format(sql.Identifier(name), sql.Literal(setting)))
            entries.append(add_entry(other, actor_label="Zoë", after={"cost": 0.1}, occurred_at="2025-03-30 01:30+00"))
            assert other.execute(recompute, [entries]).fetchone() == (True, len(entries)), settings
            other.execute("reset all")
    assert connection.execute(recompute, [entries]).fetchone() == (True, len(entries))
    for entry in entries:
        row = stored(connection, entry)
        assert row["checksum"] == checksum(row)


@pytest.mark.not_on_pglite("it speaks no encoding but UTF8")
def test_a_checksum_does_not_depend_on_the_encoding_of_the_client(connection: Connection) -> None:
    connection.execute("set local client_encoding = 'LATIN1'")
    row = stored(connection, add_entry(connection, actor_label="Zoë"))
    assert row["checksum"] == checksum(row)


def test_what_only_the_server_knows_is_not_taken_from_anybody(connection: Connection) -> None:
    entry = add_entry(
        connection,
        recorded_at="2001-01-01",
        epoch=99,
        xid="1",
        db_user="somebody",
        checksum=b"\0" * 32,
        checksum_version=7,
    )
    row = stored(connection, entry)
    assert datetime.now(UTC) - row["recorded_at"] < timedelta(minutes=1)
    assert row["occurred_at"] == row["recorded_at"]
    assert row["epoch"] == value(connection, "select epoch from internal.audit_epoch") == 1
    assert row["xid"] == value(connection, "select pg_current_xact_id()::text")
    assert row["db_user"] == value(connection, "select session_user::text")
    assert (row["checksum_version"], row["checksum"]) == (1, checksum(row))


def test_the_epoch_is_the_one_in_force(connection: Connection) -> None:
    connection.execute("update internal.audit_epoch set epoch = 2")
    assert stored(connection, add_entry(connection))["epoch"] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "update core.audit_logs set action = 'other' where id = %s",
        "update core.audit_logs set action = action where id = %s",
        "delete from core.audit_logs where id = %s",
        "delete from core.audit_logs where false and id = %s",
        "insert into core.audit_logs (id, actor_type, action, resource_type) values (%s, 'user', 'x', 'x')"
        " on conflict (id) do update set action = 'other'",
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica", "local"])
def test_the_trail_is_append_only(connection: Connection, role: str, statement: str) -> None:
    entry = add_entry(connection)
    connection.execute(f"set local session_replication_role = {role}".encode())
    with refused(connection, InsufficientPrivilege, "audit_logs is append-only: (UPDATE|DELETE) is refused"):
        connection.execute(statement.encode(), [entry])
    assert stored(connection, entry)["action"] == "report.export"


@pytest.mark.parametrize("role", ["origin", "replica", "local"])
@pytest.mark.parametrize("statement", ["truncate core.audit_logs", "truncate core.alerts, core.audit_logs cascade"])
def test_the_trail_is_not_emptied(connection: Connection, role: str, statement: str) -> None:
    connection.execute(f"set local session_replication_role = {role}".encode())
    with refused(connection, InsufficientPrivilege, "audit_logs is append-only: TRUNCATE is refused"):
        connection.execute(statement.encode())


def test_a_pretended_replica_still_gets_a_checksum(connection: Connection) -> None:
    connection.execute("set local session_replication_role = replica")
    row = stored(connection, add_entry(connection))
    assert row["checksum"] == checksum(row)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"actor_type": "robot"}, "audit_logs_actor_type_check"),
        ({"action": "Export"}, "audit_logs_action_check"),
        ({"action": "export."}, "audit_logs_action_check"),
        ({"resource_type": ""}, "audit_logs_resource_type_check"),
        ({"outcome": "maybe"}, "audit_logs_outcome_check"),
        ({"before": "[]"}, "audit_logs_before_check"),
        ({"after": '"x"'}, "audit_logs_after_check"),
        ({"metadata": "null"}, "audit_logs_metadata_check"),
        # host() would drop the mask, and with it part of what the checksum covers
        ({"ip_address": "192.0.2.0/24"}, "audit_logs_ip_address_check"),
        ({"ip_address": "2001:db8::/64"}, "audit_logs_ip_address_check"),
        ({"occurred_at": "infinity"}, "occurred_at is infinity, which is no time"),
    ],
)
def test_entries_that_are_refused(connection: Connection, values: dict[str, Any], message: str) -> None:
    with refused(connection, CheckViolation, message):
        add_entry(connection, **values)


def test_random_entries_have_the_checksum_of_the_definition(connection: Connection) -> None:
    noise = "".join(chr(c) for c in range(1, 0x180)) + "\u2028\ufeff𝄞"
    for n in range(20):
        text = noise[n * 19 :] + os.urandom(4).hex()
        entry = add_entry(
            connection, actor_label=text, user_agent=text[::-1], after={text: text, text[:3]: [n, n / 8], "n": None}
        )
        row = stored(connection, entry)
        assert row["checksum"] == checksum(row)
