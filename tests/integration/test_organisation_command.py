"""What `governance organisation import` shows, asks and says."""

import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from core_rows import value
from engines import Engine
from psycopg import sql

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect

pytestmark = pytest.mark.engines("postgres")

HASH = "ab" * 32
Write = Callable[..., list[str]]


@pytest.fixture
def command(database: str) -> Iterator[Callable[..., Result]]:
    """Runs `governance organisation import`; what it leaves is taken away after the test."""

    def command(*arguments: str, answer: str | bytes = "") -> Result:
        environment = {"GOVERNANCE_DATABASE_URL": database}
        return CliRunner(env=environment).invoke(main, ["organisation", "import", *arguments], input=answer)

    yield command
    with connect(database) as connection, connection.transaction():
        connection.execute("set local governance.managing_rows = 'on'")
        for table in ("api_keys", "user_roles", "team_members", "teams", "users"):
            kept = " where slug <> 'organization'" if table == "teams" else ""
            connection.execute(sql.SQL("delete from core.{}{}").format(sql.Identifier(table), sql.SQL(kept)))


def count(url: str) -> int:
    with connect(url) as connection:
        return int(value(connection, "select count(*) from core.teams where slug = 'platform'"))


TEAM = ["slug,name", "platform,Platform"]
SHOWN = (
    "teams: 1 new\n  + platform: name Platform, parent organization, budget_period month, currency USD, status active\n"
)


def test_the_differences_are_shown_and_asked_about(
    database: str, command: Callable[..., Result], write_tables: Write
) -> None:
    paths = write_tables(teams=TEAM)
    tried = command("--dry-run", *paths)
    assert (tried.exit_code, tried.stdout) == (0, f"{SHOWN}nothing was written\n")
    refused = command(*paths, answer="n\n")
    assert (refused.exit_code, refused.stdout) == (1, SHOWN)
    unconfirmed = "error: nothing is changed: it wasn't confirmed (--yes does without the question)\n"
    assert refused.stderr == f"write 1 change? [y/N]: n\n{unconfirmed}"
    unanswered = command(*paths)
    assert unanswered.exit_code == 1
    assert unanswered.stderr.endswith(unconfirmed)
    assert count(database) == 0
    done = command(*paths, answer="y\n")
    assert (done.exit_code, done.stdout) == (0, f"{SHOWN}imported: 1 change\n")
    assert re.search(r"request_id organisation-import-[0-9a-f-]{36}$", done.stderr)
    assert count(database) == 1
    again = command("--yes", *paths)
    assert (again.exit_code, again.stdout) == (0, "teams: 1 unchanged\nnothing is to be changed\n")


def test_changes_and_what_is_missing_are_shown_field_by_field(
    command: Callable[..., Result], write_tables: Write
) -> None:
    people = ["email,display_name,teams", "ann@acme.example,Ann,platform", "bob@acme.example,Bob,platform"]
    assert command("--yes", *write_tables(teams=[*TEAM, "old,Old"], people=people)).exit_code == 0
    shown = command(
        "--dry-run",
        *write_tables(
            teams=["slug,budget_amount", "platform,10.50"],
            people=["email,display_name,teams", "ann@acme.example,Ann Lee,"],
            keys=["key_hash,key_prefix,name,user", f"{HASH},sk-a,Laptop,ann@acme.example"],
        ),
    )
    assert shown.stdout.splitlines() == [
        "people: 1 changed, 1 in no file",
        '  ~ ann@acme.example: display_name Ann → "Ann Lee"',
        "  ? bob@acme.example is in no file and stays",
        "  --deactivate-missing deactivates them",
        "teams: 1 changed, 1 in no file",
        "  ~ platform: budget_amount none → 10.50",
        "  ? old is in no file and stays",
        "  give a row with status deactivated to end one",
        "memberships: 1 in no file",
        "  ? ann@acme.example in platform is in no file and stays",
        "  --end-memberships ends them",
        "API keys: 1 new",
        "  + sk-a (Laptop): user ann@acme.example",
        "nothing was written",
    ]


def test_many_differences_are_cut_unless_all_are_asked_for(command: Callable[..., Result], write_tables: Write) -> None:
    paths = write_tables(teams=["slug,name", *(f"t{number},T" for number in range(30))])
    shown = command("--dry-run", *paths).stdout
    assert shown.count("  + ") == 20
    assert "  and 10 more; --all shows them\n" in shown
    assert command("--dry-run", "--all", *paths).stdout.count("  + ") == 30


def test_standard_input_is_a_file_that_asks_nothing(database: str, command: Callable[..., Result]) -> None:
    content = "\n".join(TEAM)
    assert "add --yes or --dry-run" in command("-", answer=content).stderr
    assert command("-", "--yes", answer=content).exit_code == 0
    assert count(database) == 1


def test_what_can_not_be_is_one_sentence(command: Callable[..., Result], write_tables: Write) -> None:
    assert "give the files to import" in command().stderr
    assert command("nowhere.csv").stderr == "error: there is no file nowhere.csv\n"
    wrong = command("--dry-run", *write_tables(teams=["slug,name,budget_amount", 'x,X,"1.234,56"']))
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith('error: teams.csv line 2: budget_amount is "1.234,56"; write digits')
    assert "has no zone" in command("--since", "2026-01-01", *write_tables(teams=TEAM)).stderr


def test_before_a_build_the_command_says_so(engine: Engine, write_tables: Write) -> None:
    with engine.empty("organisation_empty") as url:
        environment = {"GOVERNANCE_DATABASE_URL": url}
        result = CliRunner(env=environment).invoke(main, ["organisation", "import", "--yes", *write_tables(teams=TEAM)])
    assert result.exit_code == 1
    assert "run `governance build` first" in result.stderr
    assert result.stderr.count("\n") == 1
