"""`governance demo` itself: its steps, what it prints, odd sizes."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from psycopg import sql

from orchestration.cli.answers import WIDTH, print_summary
from orchestration.cli.main import main
from orchestration.demo import run as run_module
from orchestration.demo.summary import answers
from orchestration.lib.database.connection import connect
from orchestration.lib.identity.accounts import ADMIN_EMAIL, DEFAULT_ADMIN_PASSWORD, verify_password

VIEWS = 12


@pytest.fixture
def dbt_calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The database is built already; what dbt would have been asked to do."""
    calls: list[list[str]] = []
    monkeypatch.setattr(run_module, "run_dbt", lambda args, url, **options: calls.append(args))
    return calls


def invoke(database: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str, str]:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    result = CliRunner().invoke(main, ["demo", *options])
    return result.exit_code, result.stdout, result.stderr


def test_the_smallest_demo(database: str, monkeypatch: pytest.MonkeyPatch, dbt_calls: list[list[str]]) -> None:
    exit_code, output, messages = invoke(database, monkeypatch, "--people", "5", "--days", "1", "--default-password")
    assert exit_code == 0, messages
    assert dbt_calls == [["build", "--resource-type", "seed", "model"], ["test", "--exclude", "well_known_passwords"]]
    assert output.startswith("Northwind, 5 people made up from seed 1")
    assert [f"{number}. " in output for number in range(1, VIEWS + 1)] == [True] * VIEWS
    assert output.count("_view\n") == VIEWS - 5
    assert "has all of it come?  usage_sources" in output
    assert "Look further" in output
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= WIDTH
    assert [step for step in ("build:", "load:", "refresh:", "test:", "pages:") if step in messages] == [
        "build:",
        "load:",
        "refresh:",
        "test:",
        "pages:",
    ]
    written = output.split("Open in a browser\n")[1].splitlines()
    assert [Path(line).is_file() for line in (written[0], written[2])] == [True, True]
    with connect(database) as connection:
        people = connection.execute("select count(*) from core.users").fetchone()
        admin = connection.execute("select password_hash from core.users where email = %s", [ADMIN_EMAIL]).fetchone()
    assert people == (6,)
    assert admin is not None
    assert verify_password(DEFAULT_ADMIN_PASSWORD, admin[0])


def test_nothing_has_happened_in_the_future(database: str) -> None:
    # prices that providers have announced
    ahead = ["expires_at", "effective_to", "locked_until", "valid_from", "valid_to"]
    with connect(database) as connection:
        columns = connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'core' and data_type = 'timestamp with time zone' and column_name <> all (%s)",
            [ahead],
        ).fetchall()
        assert ("llm_metrics", "time") in columns
        for table, column in columns:
            query = sql.SQL("select coalesce(max({}) <= clock_timestamp(), true) from core.{}")
            names = sql.Identifier(column), sql.Identifier(table)
            assert connection.execute(query.format(*names)).fetchone() == (True,), (table, column)


def test_again_says_that_nothing_is_added(
    database: str, monkeypatch: pytest.MonkeyPatch, dbt_calls: list[list[str]]
) -> None:
    exit_code, output, messages = invoke(database, monkeypatch)
    assert exit_code == 0
    assert "nothing to add" in messages
    assert "First password" not in messages
    assert "Northwind, 5 people" in output


def test_other_parameters_are_refused_before_anything_is_built(
    database: str, monkeypatch: pytest.MonkeyPatch, dbt_calls: list[list[str]]
) -> None:
    exit_code, output, messages = invoke(database, monkeypatch, "--people", "50")
    assert exit_code == 1
    assert output == ""
    assert messages.count("error: ") == 1
    assert "this database holds the demo of --seed 1 --people 5 --days 1" in messages
    assert dbt_calls == []


@pytest.mark.parametrize("options", [("--people", "4"), ("--days", "0"), ("--days", "366"), ("--seed", "-1")])
def test_impossible_sizes_are_usage_errors(
    database: str, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]
) -> None:
    exit_code, _, messages = invoke(database, monkeypatch, *options)
    assert exit_code == 2
    assert options[0] in messages


def test_the_summary_of_a_warehouse_without_any_usage(database: str) -> None:
    with connect(database) as connection:
        for table in ("llm_metrics", "alerts", "sessions"):
            connection.execute(f"delete from core.{table}".encode())
        connection.execute("call internal.refresh_rollups()")
    given = answers(database)
    assert len(given) == VIEWS
    sentences = {answer.view: answer.sentence for answer in given}
    assert sentences["cost_summary_view"] == "There were no requests."
    assert sentences["active_sessions_view"] == "Nobody is signed in."
    assert sentences["alert_summary_view"] == "There were no alerts."
    file = io.StringIO()
    print_summary("Nothing", given, [], file=file)
    assert "There were no requests." in file.getvalue()
