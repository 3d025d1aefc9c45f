"""How the database in use is named: no server is asked here."""

import os
import shlex
import subprocess

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect, with_database, without_password
from orchestration.lib.database.in_use import database_url
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir

# what our sessions rely on, as libpq's options
PINNED = (
    r"-c search_path=core,\ rollups,\ reporting,\ public -c timezone=UTC -c datestyle=ISO,\ MDY"
    r" -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1 -c standard_conforming_strings=on"
    r" -c quote_all_identifiers=off -c transform_null_equals=off -c default_transaction_isolation=read\ committed"
    r" -c client_encoding=UTF8"
)
DIFFICULT = "p@ss:w/o%r?d#&='\" \\ü$(x)`y`"
PARAMETERS = [
    {"host": "db.example", "port": "6432", "user": "app", "password": DIFFICULT, "dbname": "gov"},
    {"host": "::1", "port": "5432", "user": "ü@b", "password": "x", "dbname": "a/b c"},
    {"host": "db.example", "user": 'O\'Brien "DBA" 100% {{ x }}', "password": "%41", "dbname": "Own \"50%\" 'Ü' код"},
    {"host": "/var/run/postgresql", "user": "app", "dbname": "gov"},
    {"host": "one,two", "port": "5432,5433", "user": "app", "dbname": "gov", "target_session_attrs": "read-write"},
    {"host": "db.example", "user": "app", "dbname": "gov", "sslmode": "verify-full", "sslrootcert": "/etc/our ca.pem"},
    {"service": "governance"},
    {"host": "db.example"},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=lambda parameters: " ".join(parameters))
def test_key_value_form_becomes_an_equal_url(parameters: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", f"  {make_conninfo('', **parameters)}\n")
    url = database_url()
    assert url.startswith("postgresql://")
    assert conninfo_to_dict(url) == parameters
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", url)
    assert database_url() == url


@pytest.mark.parametrize("parameters", PARAMETERS, ids=lambda parameters: " ".join(parameters))
def test_another_database_and_no_password_change_nothing_else(parameters: dict[str, str]) -> None:
    url = make_conninfo("", **parameters)
    assert conninfo_to_dict(with_database(url, "o'ther/ü")) == parameters | {"dbname": "o'ther/ü"}
    shown = {name: value for name, value in parameters.items() if name != "password"}
    assert conninfo_to_dict(without_password(url)) == shown


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_stays_as_it_was_given(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = f"{scheme}://app:a%40b@db.example/gov?sslmode=require"
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", given)
    assert database_url() == given


@pytest.mark.parametrize(
    "given", ["tiger", "postgresql://app:tiger%zz@h/gov", "host=h tiger", "mysql://app:tiger@h/gov"]
)
def test_an_invalid_url_is_refused_without_showing_the_password(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", given)
    with pytest.raises(GovernanceError, match="the database URL isn't valid: write postgresql://user") as error:
        database_url()
    assert "tiger" not in str(error.value)


def test_no_database_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOVERNANCE_DATABASE_URL", raising=False)
    with pytest.raises(GovernanceError, match=r"`governance up`, or set GOVERNANCE_DATABASE_URL"):
        database_url()


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(GovernanceError) as error:
        connect("postgresql://app:tiger@127.0.0.1:1/gov")
    assert str(error.value) == (
        "cannot connect to postgresql://app@127.0.0.1:1/gov: no server listens there; start it, or correct the URL"
    )


def test_dbt_gets_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    # the last two are set for the session by the tests that build
    for name in ("GOVERNANCE_DATABASE_URL", "GOVERNANCE_TARGET", "PGOPTIONS", "DBT_TARGET_PATH", "DBT_LOG_PATH"):
        monkeypatch.delenv(name, raising=False)
    url = make_conninfo("", **PARAMETERS[0])
    assert dbt_environment(url) == {
        "GOVERNANCE_DB_HOST": "db.example",
        "GOVERNANCE_DB_PORT": "6432",
        "GOVERNANCE_DB_USER": "app",
        "GOVERNANCE_DB_PASSWORD": DIFFICULT,
        "GOVERNANCE_DB_NAME": "gov",
        "GOVERNANCE_DB_SSLMODE": "prefer",
        "GOVERNANCE_DB_APPLICATION_NAME": "governance dbt",
        "GOVERNANCE_TARGET": "embedded",
        "PGOPTIONS": f"-c jit=off -c statement_timeout=1h {PINNED}",
        "DBT_PROFILES_DIR": str(project_dir()),
        "DBT_PROJECT_DIR": str(project_dir()),
        "DBT_EXCLUDE_RESOURCE_TYPES": "exposure",
        "DBT_CACHE_SELECTED_ONLY": "true",
    }
    assert dbt_environment(url, unit_tests=False)["DBT_EXCLUDE_RESOURCE_TYPES"] == "exposure unit_test"
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", url)
    assert dbt_environment(url)["GOVERNANCE_TARGET"] == "prod"
    monkeypatch.setenv("GOVERNANCE_TARGET", "compose")
    assert dbt_environment(url)["GOVERNANCE_TARGET"] == "compose"


def test_a_plain_url_is_read_as_libpq_reads_it() -> None:
    """The short cut for our own URLs."""
    plain = dbt_environment("postgresql://app:tiger-1_2@127.0.0.1:5432/gov")
    assert plain == dbt_environment("host=127.0.0.1 port=5432 user=app password=tiger-1_2 dbname=gov")


def test_what_the_profile_has_no_variable_for_reaches_libpq() -> None:
    environment = dbt_environment("postgresql://app:x@h/gov?sslmode=verify-full&sslrootcert=/ca.pem&options=-cjit%3Don")
    assert environment["GOVERNANCE_DB_SSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"] == "/ca.pem"
    assert environment["PGOPTIONS"] == f"-cjit=on -c statement_timeout=1h {PINNED}"


def test_another_statement_timeout_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://app:x@h/gov"
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=5min")
    options = dbt_environment(url)["PGOPTIONS"]
    assert options == f"-c jit=off -c statement_timeout=5min {PINNED}"
    other = dbt_environment(f"{url}?options=-cstatement_timeout%3D9")["PGOPTIONS"]
    assert other == f"-c jit=off -cstatement_timeout=9 {PINNED}"
    # as by `eval "$(governance env)"` before
    monkeypatch.setenv("PGOPTIONS", options)
    assert dbt_environment(url)["PGOPTIONS"] == options


@pytest.mark.parametrize("name", ["it's", 'a"b', " a", "a ", "a\nb"])
def test_a_name_that_dbt_cannot_bear_is_refused_at_once(name: str) -> None:
    with pytest.raises(GovernanceError, match="dbt can't work in a database whose name holds"):
        dbt_environment(make_conninfo("", host="db.example", user="app", dbname=name))


@pytest.mark.parametrize("name", ["50% %s {{ x }}", "Ü код a/b?c=d#e$$", "back\\slash", "2024"])
def test_every_other_name_reaches_dbt_as_it_is(name: str) -> None:
    environment = dbt_environment(make_conninfo("", host="db.example", user='O\'Brien "DBA" 100%', dbname=name))
    assert environment["GOVERNANCE_DB_NAME"] == name
    assert environment["GOVERNANCE_DB_USER"] == 'O\'Brien "DBA" 100%'


def test_what_a_connection_adds_to_its_url_is_not_shown() -> None:
    url = make_conninfo("postgresql://app@db.example/gov", options=PINNED, application_name="x", keepalives_idle="60")
    assert without_password(url) == "postgresql://app@db.example/gov"


def test_defaults_are_those_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "app")
    monkeypatch.setenv("PGPASSWORD", "tiger")
    monkeypatch.setenv("PGSSLMODE", "require")
    environment = dbt_environment("postgresql://db.example")
    values = [environment[f"GOVERNANCE_DB_{name}"] for name in ("PORT", "USER", "PASSWORD", "NAME", "SSLMODE")]
    assert values == ["5432", "app", "tiger", "app", "require"]


@pytest.mark.parametrize("url", ["dbname=gov user=app", "host=one,two dbname=gov user=app"])
def test_dbt_needs_one_host(url: str) -> None:
    with pytest.raises(GovernanceError, match="dbt needs exactly one host"):
        dbt_environment(url)


def test_exports_survive_the_shell() -> None:
    url = make_conninfo("", **PARAMETERS[0])
    result = CliRunner().invoke(main, ["env"], env={"GOVERNANCE_DATABASE_URL": url})
    assert result.exit_code == 0
    shell = subprocess.run(
        ["/bin/sh", "-c", f'eval {shlex.quote(result.stdout)}; printf %s "$GOVERNANCE_DB_PASSWORD"'],
        capture_output=True,
        check=True,
        env={"PATH": os.defpath},
    )
    assert shell.stdout.decode() == DIFFICULT


def test_status_of_a_server_elsewhere_that_does_not_answer() -> None:
    url = "postgresql://app:tiger@127.0.0.1:1/gov"
    result = CliRunner().invoke(main, ["status"], env={"GOVERNANCE_DATABASE_URL": url})
    assert result.exit_code == 3
    assert "not available" in result.output
    assert "tiger" not in result.output
