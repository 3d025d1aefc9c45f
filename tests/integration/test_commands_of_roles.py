"""Commands as the roles that read: an auditor makes his own report, a reader is told what he lacks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from core_rows import add, add_team, add_user, value
from database_roles import drop_roles, log_in
from engines import Engine
from reporting_rows import add_request, noon

from orchestration.cli.main import main
from orchestration.lib.audit import sign, verify_offline
from orchestration.lib.audit.seal import seal
from orchestration.lib.database.connection import connect
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.roles import apply_roles

pytestmark = pytest.mark.not_on_pglite("roles that log in")


@pytest.fixture(scope="module")
def warehouse(engine: Engine) -> Iterator[str]:
    """With something for each part of a report, which the owner verified once."""
    with engine.database("commands_of_roles") as url:
        apply_roles(url)
        try:
            with connect(url) as connection:
                ann = add_user(connection, email="ann@example.com", status="active")
                team = add_team(connection, budget_amount=5, budget_period="month")
                (role,) = connection.execute("select id from core.roles where slug = 'team-manager'").fetchone() or ()
                add(connection, "user_roles", user_id=ann, role_id=role, team_id=team)
                connection.execute("select set_config('governance.actor_id', %s, false)", [str(ann)])
                connection.execute("update core.teams set name = 'Search' where id = %s", [team])
                add(connection, "alerts", alert_type="budget", severity="high", title="Over", team_id=team)
                add(connection, "audit_logs", actor_type="user", actor_label="bob@example.com", action="auth.login",
                    resource_type="session", outcome="failure")  # fmt: skip
                for day in range(3):
                    add_request(connection, noon(day), team_id=team, user_id=ann, cost_amount=2, currency="USD")
            refresh(url)
            seal(url)
            verify(url)
            yield url
        finally:
            drop_roles(url)


@pytest.fixture(scope="module")
def logins(warehouse: str) -> dict[str, str]:
    return {role: log_in(warehouse, role) for role in ("auditor", "reader", "sealer", "dbt")} | {"owner": warehouse}


@pytest.fixture
def run(logins: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    """Runs `governance` as a role."""

    def run(role: str, *arguments: str | Path) -> Result:
        environment = {"GOVERNANCE_DATABASE_URL": logins[role], "GOVERNANCE_HOME": str(tmp_path / role)}
        return CliRunner().invoke(main, [str(each) for each in arguments], env=environment)

    return run


def runs_of_verification(warehouse: str) -> int:
    with connect(warehouse) as connection:
        return int(value(connection, "select count(*) from internal.verification_runs"))


def test_the_report_of_an_auditor_is_that_of_the_owner(run: Callable[..., Result], tmp_path: Path) -> None:
    period = f"{noon(0):%Y}"
    folders = []
    for role in ("owner", "auditor", "dbt"):
        done = run(role, "report", "--period", period, "--output", tmp_path / f"reports-{role}")
        assert done.exit_code == 0, done.output
        folders.append(Path(done.output.splitlines()[-1]))
    owners, *others = [
        # what is expected of a budget depends on the second
        {path.name: path.read_bytes() for path in folder.glob("*.csv") if path.name != "budget.csv"}
        for folder in folders
    ]
    assert len(owners) > 20
    for other in others:
        assert {name for name in owners | other if owners.get(name) != other.get(name)} == set()
    assert b"ann@example.com,user,teams,teams.update,1" in owners["audit_changes.csv"]
    assert b"bob@example.com,auth.login,failure,1" in owners["refusals.csv"]
    assert b"Over" in owners["alerts.csv"]
    assert json.loads((folders[1] / "integrity.json").read_text())["rows_in_the_trail"] > 5


def test_the_pages_of_an_auditor_are_those_of_the_owner(run: Callable[..., Result], tmp_path: Path) -> None:
    names = []
    for role in ("owner", "auditor"):
        done = run(role, "site", "--output", tmp_path / f"site-{role}")
        assert done.exit_code == 0, done.output
        names.append({path.name for path in (tmp_path / f"site-{role}").rglob("*")})
    assert names[0] == names[1]
    assert len(names[0]) > 20


def test_an_auditor_verifies_and_leaves_no_trace(run: Callable[..., Result], warehouse: str) -> None:
    before = runs_of_verification(warehouse)
    done = run("auditor", "verify", "--json")
    assert done.exit_code in (0, 1), done.output
    said = json.loads(done.stdout)
    assert said["not_run"] == {}
    assert said["summary"]["rules"] > 50
    assert runs_of_verification(warehouse) == before


def test_an_auditor_verifies_exports_and_signs_the_trail(
    run: Callable[..., Result], logins: dict[str, str], tmp_path: Path
) -> None:
    key, anchor = tmp_path / "key", tmp_path / "anchor"
    public = str(sign.create_key(key, "auditor"))
    done = run("auditor", "audit", "sign", "--key", key, "--anchor", anchor)
    assert done.exit_code == 0, done.output
    assert "this role may not seal" in done.stderr
    done = run("auditor", "audit", "verify", "--public-key", public, "--checkpoint", anchor)
    assert (done.exit_code, done.stdout[:3]) == (0, "OK:"), done.output
    assert run("auditor", "audit", "status").exit_code == 0
    done = run("auditor", "audit", "export", "--output", tmp_path / "export")
    assert done.exit_code == 0, done.output
    assert "this role may not seal" in done.stderr
    assert verify_offline.main([str(tmp_path / "export"), "--key", public, "--checkpoint", str(anchor)]) == 0
    with connect(logins["auditor"]) as connection:
        query = "select distinct actor from verification.named_entries where actor_id is not null"
        assert connection.execute(query).fetchall() == [("ann@example.com",)]


@pytest.mark.parametrize(
    ("role", "arguments", "says"),
    [
        ("reader", ["report", "--period", "last-month"], "a report needs the rights of governance_auditor"),
        ("reader", ["site"], "the site needs the rights of governance_auditor"),
        ("reader", ["audit", "status"], "the state of the trail needs the rights of governance_auditor"),
        ("reader", ["audit", "seal"], "sealing the trail needs the rights of governance_sealer"),
        ("auditor", ["audit", "seal"], "sealing the trail needs the rights of governance_sealer"),
        ("reader", ["audit", "export", "--output", "a"], "reading the trail needs the rights of governance_auditor"),
        ("sealer", ["audit", "export", "--output", "a"], "reading the trail needs the rights of governance_auditor"),
        ("reader", ["verify"], "may not read the rules"),
        ("reader", ["reconcile", "provider", "--period", "2026-10"], "no cost report and no invoice"),
        ("auditor", ["verify", "--probe"], "they need the owner: connect as"),
        ("auditor", ["backup"], "a backup needs the rights of governance_owner"),
        ("dbt", ["backup"], "a backup needs the rights of governance_owner"),
        ("dbt", ["drill"], "a backup needs the rights of governance_owner"),
    ],
)  # fmt: skip
def test_who_may_not_is_told_whose_rights_it_takes(
    run: Callable[..., Result], role: str, arguments: list[str], says: str
) -> None:
    done = run(role, *arguments)
    assert done.exit_code in (1, 2), done.output
    assert says in done.stderr
    assert done.stderr.count("error: ") == 1


def test_a_reader_sees_sources_and_exports_costs(run: Callable[..., Result], tmp_path: Path) -> None:
    done = run("reader", "sources")
    assert done.exit_code == 0, done.output
    assert "no source" in done.output
    done = run("reader", "export", "focus", "--period", f"{noon(0):%Y-%m}", "--output", tmp_path / "focus")
    assert done.exit_code == 0, done.output


def test_the_runtime_knows_keys_by_their_hashes_and_reads_none(
    run: Callable[..., Result], warehouse: str, logins: dict[str, str], tmp_path: Path
) -> None:
    digest = "5e" * 32
    with connect(warehouse) as connection:
        owner = add_user(connection, status="active")
        key = add(connection, "api_keys", name="ci", key_prefix="sk-ci", key_hash=bytes.fromhex(digest), user_id=owner)
    usage = tmp_path / "usage.jsonl"
    said = {"request_id": "of-a-key", "startTime": noon(1).isoformat(), "model": "gpt-4o", "api_key": digest,
            "custom_llm_provider": "openai", "prompt_tokens": 1, "completion_tokens": 1, "spend": 0.1}  # fmt: skip
    usage.write_text(json.dumps(said))
    done = run("dbt", "ingest", "--source", "litellm", usage)
    assert done.exit_code == 0, done.output
    with connect(warehouse) as connection:
        found = "select api_key_id from core.llm_metrics where request_id = 'of-a-key'"
        assert value(connection, found) == key
    with connect(logins["reader"]) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select internal.key_of_hash('')")
