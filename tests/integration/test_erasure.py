"""Erasing a person: no text of the database names them any more; money, counts and the audit trail are as before."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import shared_fixtures
from account_people import KEYS, acts, person
from core_rows import add, add_team, refused, value
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue

from orchestration.lib import accounts
from orchestration.lib.accounts import Actor, SignedIn
from orchestration.lib.audit import export, seal, sign, verify_offline
from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.warehouse.refresh import refresh

EMAIL, FORMER = "ann.o'lee+work@acme.example", "ann.born@acme.example"
NAME, EXTERNAL = 'Ann "Q" Ó Lee', "okta-00u1abcd"
IDENTIFIERS = (EMAIL, FORMER, NAME, EXTERNAL)
# somebody whose address ends in the same words, and a name that begins so
OTHERS = {"jo" + EMAIL: "Joann", "bob@acme.example": NAME + "son"}
DAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=20)


open_connection = shared_fixtures.open_connection


def places(connection: Connection, text: str) -> dict[str, int]:
    """Rows by column of every table and materialized text in which a text stands, whatever its case."""
    columns = connection.execute(
        """
        select c.oid::regclass::text, a.attname
        from pg_class c
        inner join pg_attribute a on a.attrelid = c.oid
        inner join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
            and n.nspname !~ '^(pg_|information_schema|_timescaledb_(config|cache))'
            and a.atttypid in (
                'text'::regtype, 'varchar'::regtype, 'name'::regtype, 'text[]'::regtype, 'jsonb'::regtype,
                'json'::regtype
            )
        """
    ).fetchall()
    found = {}
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for relation, column in columns:
        query = sql.SQL(
            "select count(*) from {} where position(lower(%s) in lower({c}::text)) > 0"
            " or position(lower(%s) in lower({c}::text)) > 0"
        ).format(sql.SQL(relation), c=sql.Identifier(column))
        if rows := value(connection, query.as_string(connection), text, escaped):
            found[f"{relation}.{column}"] = rows
    return found


def live(connection: Connection) -> UUID:
    """A person who has left traces everywhere."""
    ann = person(connection, "developer", email=FORMER, display_name="Ann Born Before")
    for email, name in OTHERS.items():
        person(connection, email=email, display_name=name, metadata={"manager": EMAIL, "friends": [NAME, 1, None]})
    connection.execute(
        "update core.users set email = %s, display_name = %s, metadata = %s where id = %s",
        [EMAIL, NAME, json.dumps({"external_id": EXTERNAL, "title": "Engineer"}), ann],
    )
    key = accounts.create_key(connection, f"{NAME}'s laptop", user=ann, actor=Actor(ann, EMAIL))
    accounts.issue_session(connection, SignedIn(ann, EMAIL, False, False), user_agent="browser")
    accounts.enrol_mfa(connection, ann, KEYS)
    add(connection, "source_identities", source="gateway", kind="user", external_id=EXTERNAL, user_id=ann,
        decided_by=EMAIL)  # fmt: skip
    add(connection, "alert_subscriptions", user_id=ann, alert_type="budget", channel="email", target=EMAIL)
    add(connection, "alerts", alert_type="failed_logins", severity="low", title=f"Logins of {NAME}",
        details={"email": EMAIL}, dedupe_key=f"logins {EMAIL}", user_id=ann)  # fmt: skip
    with connection.transaction():
        connection.execute("select set_config('governance.actor_id', %s, true)", [str(ann)])
        connection.execute("select set_config('governance.actor_label', %s, true)", [EMAIL])
        team = add_team(connection, slug="anns", name="Hers", budget_amount=100)
        add(connection, "audit_logs", actor_type="user", actor_id=ann, actor_label=NAME, action="report.export",
            resource_type="report")  # fmt: skip
    for row in range(30):
        tags = {"customer": EMAIL if row % 2 else "team", "project": "x", "joann": "jo" + EMAIL}
        said = {"user": EXTERNAL, "note": f'from "{NAME}"\n{EMAIL.title()}', EMAIL: [row]}
        connection.execute(
            "insert into core.llm_metrics (time, request_id, user_id, team_id, api_key_id, provider, model,"
            " application, input_tokens, cost_amount, cost_source, tags, metadata)"
            " values (%s, %s, %s, %s, %s, 'openai', 'gpt-4o', %s, 10, 0.01, 'provider', %s, %s)",
            [
                DAY + timedelta(minutes=row), f"erase-{row}", ann if row < 20 else None, team, key.id,
                f"{NAME} app" if row % 3 else "chat", json.dumps(tags), json.dumps(said),
            ],
        )  # fmt: skip
    connection.execute(
        "insert into internal.quarantine (source, line, reasons, row_data, row_hash)"
        " values (%s, 1, array[%s], %s, sha256('x'))",
        [f"usage of {EMAIL}, May.csv", f"nobody is called {EXTERNAL!r}", json.dumps({"user": EXTERNAL, "by": NAME})],
    )
    connection.execute(
        "insert into internal.changed_requests (decision, source, line, request_id, time, ingested_at, stored, said)"
        " values ('kept', 'f', 1, 'erase-1', %s, now(), %s, %s)",
        [DAY, json.dumps({"tags": {"owner": EMAIL}}), json.dumps({"tags": {"owner": NAME}})],
    )
    return ann


def counts(connection: Connection, ann: UUID) -> list[Any]:
    """What must be the same after it."""
    queries = (
        "select count(*), sum(cost_amount), sum(input_tokens), count(distinct user_id) from core.llm_metrics",
        "select sum(requests), sum(cost), sum(total_tokens) from reporting.cost_summary_view",
        "select sum(request_count), sum(cost_amount) from rollups.llm_tag_daily",
    )
    rows = [connection.execute(query.encode()).fetchone() for query in queries]
    mine = "select count(*), sum(cost_amount) from core.llm_metrics where user_id = %s"
    return [*rows, connection.execute(mine, [ann]).fetchone()]


@pytest.mark.engines("postgres", "timescaledb")
def test_nothing_names_an_erased_person_and_everything_else_is_as_it_was(
    database: str, open_connection: Connection, tmp_path: Path
) -> None:
    connection = open_connection
    administrator, bystander = acts(connection, "super-admin"), acts(connection, "admin")
    ann = live(connection)
    connection.execute(
        "with run as (insert into internal.verification_runs (started_at, program, answered, not_run)"
        " values (now(), 'test', '{unresolved_owners}', '{}') returning id)"
        " insert into internal.verification_findings (run, rule, subject, severity, message, fix, is_resolved)"
        " select id, 'unresolved_owners', %s, 'warn', 'message', 'fix', false from run",
        [f"user of gateway: {EMAIL}"],
    )
    refresh(database)
    if value(connection, "select count(*) from pg_extension where extname = 'timescaledb'"):
        compressed = "select count(public.compress_chunk(c, true)) from public.show_chunks('core.llm_metrics') c"
        assert value(connection, compressed) > 0
    for text in IDENTIFIERS:
        assert places(connection, text)
    trail = "select count(*), string_agg(checksum, '' order by id) from core.audit_logs where id = any(%s)"
    entries = [row[0] for row in connection.execute("select id from core.audit_logs").fetchall()]
    before, trail_before = counts(connection, ann), connection.execute(trail, [entries]).fetchone()
    seal.seal(database)
    key, anchor = tmp_path / "key.pem", tmp_path / "anchor"
    sign.create_key(key, "test")
    sign.sign(database, key, [anchor])
    with pytest.raises(GovernanceError, match="users:erase"):
        accounts.erase_user(connection, ann, actor=bystander)

    erased = accounts.erase_user(connection, ann, actor=administrator)

    # names of others that only contain hers stay
    for email, name in OTHERS.items():
        assert connection.execute("select display_name from core.users where email = %s", [email]).fetchone() == (name,)
    connection.execute("update core.users set display_name = 'Bob' where email = 'bob@acme.example'")
    connection.execute("update core.users set email = 'joann@acme.example' where display_name = 'Joann'")
    connection.execute("update core.llm_metrics set tags = tags - 'joann'")
    connection.execute("delete from internal.personal_values where person_id <> %s and content like 'jo%%'", [ann])
    connection.execute("delete from internal.personal_values where person_id <> %s and content like '%%son'", [ann])
    for text in IDENTIFIERS:
        assert places(connection, text) == {}
    assert places(connection, "Ann Born Before") == {}
    assert (erased.left_in_rows, erased.left_in_trail) == ({}, 0)
    # a finding about the account goes on under its new name
    now = value(connection, "select email from core.users where id = %s", ann)
    subjects = connection.execute("select subject from internal.verification_findings").fetchall()
    assert subjects == [(f"user of gateway: {now}",)]
    # nobody else changes evidence, nor says later that it is for this erasure
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('governance.erasing', %s, true)", [str(ann)])
        with refused(connection, InsufficientPrivilege, "append-only"):
            connection.execute("update internal.verification_findings set message = 'nothing'")
    assert counts(connection, ann) == before
    assert connection.execute(trail, [entries]).fetchone() == trail_before
    assert value(connection, "select metadata ->> 'title' is null from core.users where id = %s", ann)

    # its labels read as erased, those of others as ever
    label = "select distinct internal.audit_text(actor_label) from core.audit_logs where actor_id = %s"
    assert connection.execute(label, [ann]).fetchall() == [("[erased]",)]
    assert connection.execute(label, [administrator.id]).fetchall() == [(administrator.email,)]
    entry = connection.execute(
        "select actor_id, outcome, metadata -> 'left_in_trail' from core.audit_logs where action = 'users.erase'"
    ).fetchall()
    assert entry == [(administrator.id, "success", 0)]

    # one row of a tag stays one row, and is the same once it is computed anew
    seal.seal(database)
    sign.sign(database, key, [anchor])
    kept = verify_offline.read_checkpoints([anchor], sign.public_keys(key))
    with export.snapshot(database) as snapshot:
        assert export.verify(snapshot, kept).verdict.name == "OK"
    refresh(database)
    assert counts(connection, ann) == before
    assert [places(connection, text) for text in IDENTIFIERS] == [{}] * 4

    for again in (
        lambda: accounts.erase_user(connection, ann, actor=administrator),
        lambda: accounts.set_password(connection, ann, "a new good password"),
        lambda: accounts.grant_role(connection, ann, "viewer"),
    ):
        with pytest.raises(GovernanceError, match="erased"):
            again()
    # the address is free again, for somebody else
    assert accounts.create_user(connection, EMAIL, NAME) != ann


@pytest.mark.engines("postgres")
def test_what_an_application_wrote_into_the_trail_itself_is_counted(open_connection: Connection) -> None:
    connection = open_connection
    cy = person(connection, email="cy@acme.example", display_name="Cy Green")
    add(connection, "audit_logs", actor_type="system", action="mail.send", resource_type="mail",
        after={"to": "cy@acme.example"})  # fmt: skip
    team = add_team(connection, description="Ask CY@acme.example, or mercy@acme.example.")
    erased = accounts.erase_user(connection, cy)
    assert erased.left_in_trail == 2
    times = (
        "select recorded_at from core.audit_logs where resource_id = %s or action = 'mail.send' order by recorded_at"
    )
    # the third is the entry of the erasure itself
    mail, made, _ = [row[0] for row in connection.execute(times, [team]).fetchall()]
    assert (erased.left_since, erased.left_until) == (mail, made)
    said = value(connection, "select description from core.teams where id = %s", team)
    assert re.fullmatch("Ask erased-[0-9a-f]{12}@erased.invalid, or mercy@acme.example.", said)
    # the entry of that very change names nobody
    last = (
        "select before ->> 'description' from core.audit_logs where resource_id = %s order by recorded_at desc limit 1"
    )
    assert value(connection, last, team).startswith("personal:")


@pytest.mark.engines("postgres")
def test_an_erasure_that_fails_changes_nothing(open_connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = open_connection
    dee = person(connection, email="dee@acme.example", display_name="Dee Grey")
    monkeypatch.setattr("orchestration.lib.identity.erasure.note", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        accounts.erase_user(connection, dee)
    assert value(connection, "select email from core.users where id = %s", dee) == "dee@acme.example"
    read = "select internal.audit_row(after) ->> 'email' from core.audit_logs where resource_id = %s limit 1"
    assert value(connection, read, dee) == "dee@acme.example"


@pytest.mark.engines("postgres")
def test_a_value_that_was_altered_reads_so(connection: Connection) -> None:
    eve = person(connection, email="eve@acme.example", display_name="Eve Blue")
    read = "select internal.audit_row(after) -> 'email' from core.audit_logs where resource_id = %s limit 1"
    assert value(connection, read, eve) == "eve@acme.example"
    raw = value(connection, "select after ->> 'email' from core.audit_logs where resource_id = %s limit 1", eve)
    assert raw.startswith("personal:")
    connection.execute(
        "update internal.personal_values set content = 'mallory@acme.example' where person_id = %s", [eve]
    )
    assert value(connection, read, eve) == "[altered]"


@pytest.mark.engines("postgres")
def test_only_an_erasure_hides_what_was(connection: Connection) -> None:
    team = add_team(connection)
    connection.execute("select set_config('governance.erasing', %s, true)", [str(person(connection))])
    with refused(connection, InvalidParameterValue, "is no erased user"):
        connection.execute("update core.teams set name = 'Other' where id = %s", [team])
