"""`governance verify`: what it shows, its exit codes, and that it needs no more than the right to read one schema."""

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from core_rows import add_user
from database_roles import as_user
from engines import Engine
from psycopg import sql

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect, ensure_database, with_database
from orchestration.lib.identity import passwords
from orchestration.lib.identity.accounts import hash_password
from orchestration.lib.identity.passwords import PASSWORDS
from orchestration.lib.verification.run import verify

READER, READERS_PASSWORD = "test_verification_reader", "reads"
FUTURE = """
    insert into core.llm_metrics (time, request_id, provider, model, source)
    values (now() + interval '1 hour', {}, 'p', 'm', 'edge')
"""
GRANT = "grant usage on schema verification to {0}; grant select on all tables in schema verification to {0}"


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("verify") as url:
        yield url


def run(url: str, *arguments: str) -> Result:
    return CliRunner(env={"GOVERNANCE_DATABASE_URL": url}).invoke(main, ["verify", *arguments])


def execute(url: str, query: str) -> None:
    with connect(url) as connection:
        connection.execute(query.encode())


def test_a_clean_database_passes(warehouse: str) -> None:
    result = run(warehouse)
    assert result.exit_code == 0, result.output
    assert "error, 0 warn" in result.output.splitlines()[-1]


def test_a_warning_is_shown_with_what_to_do_and_an_error_fails(warehouse: str) -> None:
    execute(warehouse, FUTURE.format("'a'"))
    result = run(warehouse, "--select", "clock_skew")
    assert result.exit_code == 0
    (head, line, *_) = result.output.splitlines()
    assert head.split() == ["severity", "rule", "subject", "what", "is", "wrong", "what", "to", "do"]
    assert line.split()[:3] == ["warn", "clock_skew", "edge"]
    assert "Set the clock" in line
    execute(warehouse, "alter table core.teams disable trigger teams_hierarchy")
    assert run(warehouse).exit_code == 1
    shown = json.loads(run(warehouse, "--json", "-s", "disabled_*", "-s", "clock_skew").stdout)
    assert shown["summary"] == {"error": 1, "warn": 1, "info": 0, "accepted": 0, "new": 0, "resolved": 0, "rules": 2}
    assert [(each["rule"], each["severity"], each["subject"]) for each in shown["violations"]] == [
        ("disabled_triggers", "error", "teams_hierarchy on core.teams"),
        ("clock_skew", "warn", "edge"),
    ]
    assert shown["not_run"] == {}
    assert shown["violations"][0]["fix"].startswith("Run `alter table core.teams enable trigger")


def test_an_exception_excuses_its_violation_until_its_day(warehouse: str) -> None:
    execute(warehouse, FUTURE.format("'a'"))
    accept = "insert into seeds.verification_exceptions values ('clock_skew', 'edge', 'known', current_date + {})"
    execute(warehouse, accept.format(-1))
    assert verify(warehouse, ["clock_skew"]).count("warn") == 1
    execute(warehouse, "delete from seeds.verification_exceptions;" + accept.format(1))
    verification = verify(warehouse, ["clock_skew"])
    assert (verification.count("warn"), len(verification.excused)) == (0, 1)
    assert run(warehouse, "-s", "usage").output.splitlines()[-2].endswith("1 accepted by exceptions")


def test_what_could_not_be_asked_is_never_ok(warehouse: str) -> None:
    execute(warehouse, "drop view verification.clock_skew")
    result = run(warehouse, "-s", "usage")
    assert result.exit_code == 2
    assert 'clock_skew could not run: relation "verification.clock_skew" does not exist' in result.output
    typo = run(warehouse, "-s", "clock_skwe")
    assert typo.stderr.startswith(
        "error: no rule and no family of rules is called clock_skwe: did you mean clock_skew? "
    )
    nothing = run(warehouse, "-s", "clock_*", "-s", "no such rule")
    assert nothing.exit_code == 2
    assert nothing.stderr.startswith(
        "error: no rule and no family of rules is called no such rule: the families are audit"
    )


@pytest.mark.not_on_pglite("has no timeouts")
def test_a_slow_rule_could_not_run(warehouse: str) -> None:
    slow = "select 'a'::text as subject, 'b'::text as message, 'c'::text as fix from pg_sleep(30)"
    execute(warehouse, f"create or replace view verification.clock_skew as {slow}")
    started = time.monotonic()
    result = run(warehouse, "-s", "clock_skew", "-s", "late_usage", "--timeout", "0.5")
    assert time.monotonic() - started < 10
    assert result.exit_code == 2
    assert result.output.splitlines()[-2:] == [
        "clock_skew could not run: it took longer than 0.5 s",
        "2 rules: 0 error, 0 warn, 0 info",
    ]


def test_without_rules_or_database_a_sentence_says_so(
    server_url: str, dbt_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_database(server_url, "test_verify_empty")
    empty = run(with_database(server_url, "test_verify_empty"))
    assert empty.exit_code == 2
    assert "yet; run `governance build` first" in empty.stderr
    with connect(server_url) as admin:
        admin.execute("drop database test_verify_empty with (force)")
    absent = run(with_database(server_url, "test_verify_empty"))
    assert absent.exit_code == 2
    assert absent.stderr.startswith("error: cannot connect to")
    assert absent.stderr.count("\n") == 1


def test_a_reader_of_the_schema_sees_what_the_owner_sees_and_no_secret(engine: Engine, warehouse: str) -> None:
    """As the role in one session, for the WebAssembly engines have one user."""
    with connect(warehouse) as connection:
        password_hash = hash_password("Admin123!", allow_weak=True)
        add_user(connection, email="kim@example.com", status="active", password_hash=password_hash)
        connection.execute(FUTURE.format("'a'").encode())
        connection.execute("alter table core.teams disable trigger teams_hierarchy")
        if engine.name == "timescaledb":
            connection.execute("select remove_retention_policy('core.llm_metrics')")
    PASSWORDS.run(warehouse, seconds=0.1)
    owners = verify(warehouse)
    assert {"well_known_passwords", "clock_skew", "disabled_triggers"} <= {each.rule for each in owners.violations}
    with connect(warehouse, autocommit=False) as connection:
        connection.execute(sql.SQL("create role {}").format(sql.Identifier(READER)))
        connection.execute(sql.SQL(GRANT + "; set local role {0}").format(sql.Identifier(READER)))
        for rule in owners.rules:
            query = sql.SQL("select subject, message, fix from verification.{}").format(sql.Identifier(rule.rule))
            seen = sorted(connection.execute(query).fetchall())
            shown = [(each.subject, each.message, each.fix) for each in owners.violations if each.rule == rule.rule]
            assert seen == sorted(shown), rule.rule
            assert "$2" not in str(seen)
        connection.rollback()


@pytest.mark.not_on_pglite("has one user")
def test_the_command_works_for_a_reader_and_names_what_is_missing(warehouse: str) -> None:
    reader = sql.Identifier(READER)
    as_reader = as_user(warehouse, f"{READER}:{READERS_PASSWORD}")
    with connect(warehouse) as connection:
        add_user(connection, status="active", password_hash=hash_password("Admin123!", allow_weak=True))
        connection.execute(sql.SQL("create role {} login password {}").format(reader, sql.Literal(READERS_PASSWORD)))
        try:
            refused = run(as_reader)
            assert refused.exit_code == 2
            assert refused.stderr == (
                f"error: {READER} may not read the rules; grant it usage on schema verification and select on all "
                "tables in it\n"
            )
            connection.execute(sql.SQL(GRANT).format(reader))
            verification = verify(as_reader)
            assert verification.not_run == {}
            # a reader compares no passwords, and is told that it wasn't done
            assert "unjudged_passwords" in {each.rule for each in verification.violations}
            assert run(as_reader).exit_code == 1, "nobody is Super Admin"
        finally:
            connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(reader))


@pytest.fixture
def few_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a quarter of a second an account."""
    monkeypatch.setattr(passwords, "COMMON", ("admin", "changeme"))


@pytest.mark.usefixtures("few_guesses")
def test_a_password_is_compared_once_and_found(warehouse: str) -> None:
    with connect(warehouse) as connection:
        for address, password in {
            "first@example.com": "Admin123!",
            "common@example.com": "changeme",
            "myself@example.com": "myself",
            "good@example.com": "correct horse battery staple",
        }.items():
            password_hash = hash_password(password, allow_weak=True)
            add_user(connection, email=address, status="active", password_hash=password_hash)
        assert verify(warehouse, ["unjudged_passwords"]).violations[0].message.startswith("4 of 4 passwords")
        judgement = PASSWORDS.run(warehouse, seconds=300)
        assert (judgement.looked_at, judgement.wrong, judgement.left) == (4, 3, 0)
        assert PASSWORDS.run(warehouse, seconds=300).looked_at == 0
        found = [each.subject for each in verify(warehouse, ["well_known_passwords"]).violations]
        assert found == ["common@example.com", "first@example.com", "myself@example.com"]
        connection.execute(
            "update core.users set password_hash = %s where email = 'first@example.com'",
            [hash_password("another good password")],
        )
        # asked for other rules, nothing is compared
        assert verify(warehouse, ["unjudged_passwords"]).violations[0].message.startswith("1 of 4 passwords")
        assert [each.subject for each in verify(warehouse, ["well_known*"]).violations] == found[:1] + found[2:]
        assert verify(warehouse, ["unjudged_passwords"]).violations == [], "the owner's verify has compared it"


def test_a_hash_that_cannot_be_compared_is_told_and_stops_nobody(warehouse: str) -> None:
    shape = "$2b${cost}$" + "a" * 53
    with connect(warehouse) as connection:
        add_user(connection, email="none@example.com", status="active", password_hash=shape.format(cost=12))
        add_user(connection, email="costly@example.com", status="active", password_hash=shape.format(cost=31))
        password_hash = hash_password("Admin123!", allow_weak=True)
        add_user(connection, email="first@example.com", status="active", password_hash=password_hash)
    judgement = PASSWORDS.run(warehouse, seconds=300)
    assert (judgement.looked_at, judgement.wrong, judgement.left) == (3, 1, 0)
    found = verify(warehouse, ["well_known_passwords", "unjudged_passwords", "passwords_not_comparable"])
    assert {(each.rule, each.subject) for each in found.violations} == {
        ("well_known_passwords", "first@example.com"),
        ("passwords_not_comparable", "none@example.com"),
        ("passwords_not_comparable", "costly@example.com"),
    }
    assert run(warehouse, "--select", "identity").exit_code == 1


@pytest.mark.usefixtures("few_guesses")
def test_passwords_that_could_not_be_compared_leave_the_other_rules_their_answers(warehouse: str) -> None:
    with connect(warehouse) as connection:
        add_user(connection, status="active", password_hash=hash_password("changeme", allow_weak=True))
        connection.execute("alter table internal.password_findings add constraint broken check (false) not valid")
    verification = verify(warehouse, ["well_known_passwords", "missing_administrator"])
    (reason,) = verification.not_run.values()
    assert reason.startswith("it could not look: new row for relation")
    assert [each.rule for each in verification.violations] == ["missing_administrator"]
    assert verification.exit_code == 2


def test_comparing_stops_when_its_time_is_up(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(warehouse) as connection:
        password_hash = hash_password("Admin123!", allow_weak=True)
        for number in range(40):
            add_user(connection, email=f"u{number}@example.com", status="active", password_hash=password_hash)
    # on a busy machine the time may be up before the first one is compared
    clock = SimpleNamespace(monotonic=iter([0, 0.05, 0.2]).__next__)
    monkeypatch.setattr("orchestration.lib.identity.passwords.time", clock)
    judgement = PASSWORDS.run(warehouse, seconds=0.1)
    assert 0 < judgement.looked_at < 40
    assert judgement.looked_at + judgement.left == 40
