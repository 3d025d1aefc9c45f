"""What a database, a role or a session sets by default changes no answer: every command pins what it relies on."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from engines import Engine
from odd_settings import ODD_SETTINGS, give_odd_settings, plain_session

from orchestration.cli.main import main
from orchestration.lib.database.connection import SESSION_SETTINGS, Connection, connect
from orchestration.lib.dbt.runner import run_dbt

# the last hour of a day of UTC, and its first: in Lord Howe (UTC+10:30, in summer +11) both are of the next day
DAYS = [(datetime.now(UTC) - timedelta(days=days)).date() for days in (40, 9, 3)]
# reports of days, times and money
WITH_DAYS = ("cost_summary_view", "days", "focus_cost_and_usage", "month_to_date", "period_totals")
WRITES = """
    insert into core.teams (name, slug, description, budget_amount, currency)
    values ('Odd "team" \\\\ü', 'odd-{n}', '{n}' || chr(9), 0.1000000000000000055511151231257827, 'EUR');
    update core.teams set description = E'l1\\nl2\\\\' where slug = 'odd-{n}';
    update core.teams set deleted_at = '2026-01-01 01:30:00-05' where slug = 'odd-{n}';
    insert into core.mfa_secrets (user_id, secret_ciphertext, encryption_key_id, backup_code_hashes)
    select id, decode(repeat('5c00ff', 20), 'hex'), 'k{n}', array[decode(repeat('5c', 32), 'hex')] from added
"""
SESSIONS: list[dict[str, str]] = [
    {},
    {"datestyle": "German", "timezone": "Asia/Kolkata", "search_path": "pg_temp"},
    {"datestyle": "Postgres, DMY", "intervalstyle": "sql_standard", "timezone": "America/New_York"},
    {"lc_numeric": "C", "extra_float_digits": "-15", "xmlbinary": "hex", "array_nulls": "off"},
]


@pytest.fixture(scope="module")
def warehouse(database: str) -> str:
    with connect(database) as connection:
        give_odd_settings(connection, connection.info.dbname)
    with plain_session(database) as other:
        assert other.execute("show timezone").fetchone() == (ODD_SETTINGS["timezone"],)
    return database


def run(database: str, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, env={"GOVERNANCE_DATABASE_URL": database}, catch_exceptions=False)
    return result.exit_code, result.output


def test_every_session_of_ours_has_our_settings(warehouse: str) -> None:
    with connect(warehouse) as connection:
        for name, value in (SESSION_SETTINGS | {"jit": "off"}).items():
            assert connection.execute("select current_setting(%s)", [name]).fetchone() == (value,)


def test_commands_say_and_do_what_they_do_elsewhere(
    engine: Engine, warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "usage.csv"
    file.write_text(
        "time,request_id,provider,model,cost_amount,latency_ms\n"
        + "".join(
            f"{day}T23:59:00,late{day},openai,m,1.5,10\n{day}T00:00:00Z,early{day},openai,m,1,10\n" for day in DAYS
        )
    )
    run_dbt(["run", "--select", "llm_metrics_daily", "missing_settings"], warehouse, quiet=True)
    code, output = run(warehouse, "ingest", str(file))
    assert (code, "loaded 6" in output) == (0, True), output
    code, output = run(warehouse, "refresh")
    assert code == 0, output
    assert f"llm_metrics_daily: stored before {datetime.now(UTC):%Y-%m-%d} 00:00 UTC" in output
    code, output = run(warehouse, "retain")
    assert (code, output) == (0, "nothing is older than its retention\n")
    _, output = run(warehouse, "verify", "--probe", "--json")
    verification = json.loads(output)
    assert verification["not_run"] == {}
    wrong = {each["rule"] for each in verification["violations"] if each["severity"] == "error"}
    assert wrong == {"missing_administrator"}, "nobody was made here"
    # a unit test asks about rows that it is given, with the settings of dbt's session, whatever the extension
    given = [f"{view},test_type:unit" for view in WITH_DAYS] if engine.name == "postgres" else []
    asked = ["--select", "test_type:data", *given, "--exclude", "missing_administrator"]
    monkeypatch.setenv("DBT_EXCLUDE_RESOURCE_TYPES", "exposure")
    run_dbt(["test", *asked], warehouse, quiet=True)


def test_days_are_those_of_the_reporting_zone_for_every_reader(warehouse: str) -> None:
    days: dict[date, object] = dict.fromkeys(DAYS, 2)
    query = (
        "select (bucket at time zone 'UTC')::date::text, sum(request_count) from rollups.llm_metrics_daily group by 1"
    )
    for session in (connect, plain_session):
        with session(warehouse) as connection:
            connection.execute("set datestyle = iso")
            found = {date.fromisoformat(day): number for day, number in connection.execute(query).fetchall()}
        assert found == days


@pytest.mark.parametrize("settings", SESSIONS, ids=lambda settings: " ".join(settings) or "of the database")
def test_what_odd_sessions_write_verifies_for_everybody(warehouse: str, settings: dict[str, str]) -> None:
    number = SESSIONS.index(settings)
    with plain_session(warehouse) as writer:
        for name, value in settings.items():
            writer.execute("select set_config(%s, %s, false)", [name, value])
        # the text of a literal is the session's matter: here a backslash is one, whatever it thinks of them
        writer.execute("set standard_conforming_strings = on")
        statements = WRITES.replace("{n}", str(number)).split(";\n")
        for statement in statements[:3]:
            writer.execute(statement.encode())
        writer.execute(
            "with added as (insert into core.users (email, display_name) values (%s, 'Odd') returning id) "
            + statements[3].strip(),
            [f"odd{number}@example.com"],
        )
    check = """
        select count(*), bool_and(checksum = core.generate_audit_checksum(
            checksum_version, id, epoch, xid, recorded_at, occurred_at, db_user, actor_type, actor_id, actor_label,
            action, resource_type, resource_id, before, after, outcome, ip_address, user_agent, request_id, metadata
        ))
        from core.audit_logs
    """
    with connect(warehouse) as reader:
        [(written, right)] = reader.execute(check.encode())
        assert (written > 0, right) == (True, True)
        assert as_written(reader, number) == as_written(reader, 0)
    for reader_settings in SESSIONS:
        with plain_session(warehouse) as reader:
            for name, value in reader_settings.items():
                reader.execute("select set_config(%s, %s, false)", [name, value])
            assert reader.execute(check.encode()).fetchone() == (written, True)


def as_written(reader: Connection, number: int) -> list[object]:
    """The entries of one session's rows, without what each row has of its own."""
    rows = reader.execute(
        "select action, internal.audit_row(after)"
        " - array['id', 'slug', 'created_at', 'updated_at', 'user_id', 'email', 'description', 'encryption_key_id']"
        " from core.audit_logs"
        " where after ->> 'slug' = %(slug)s or internal.audit_row(after) ->> 'email' = %(email)s"
        " or after ->> 'encryption_key_id' = %(key)s",
        {"slug": f"odd-{number}", "email": f"odd{number}@example.com", "key": f"k{number}"},
    ).fetchall()
    assert len(rows) == 5
    # two entries may be of one instant where the clock is coarse
    return sorted((tuple(row) for row in rows), key=repr)
