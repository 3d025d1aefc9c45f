"""Each role of the database may what docs/threat-model.md says and is refused everything else, tried as each."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from core_rows import add, add_team, add_user
from database_roles import PASSWORD, drop_roles, log_in
from definer_functions import definer_functions
from engines import Engine
from psycopg import sql
from psycopg.conninfo import make_conninfo
from reporting_rows import add_request, noon, running_hour

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.verification.role_probes import ROLE_PROBES, ROLES, as_table, probe_roles, refusals, try_as_roles
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain
from orchestration.lib.warehouse.roles import apply_roles

# what readers of views call by them, and what reads nothing
FOR_EVERYBODY = {"rollup_watermark", "function_answers"}


@pytest.fixture(scope="module")
def warehouse(engine: Engine) -> Iterator[str]:
    with engine.database("database_roles") as url:
        applied = apply_roles(url)
        assert applied.impossible == []
        assert applied.statements
        try:
            yield url
        finally:
            drop_roles(url)


@pytest.fixture
def connection(warehouse: str) -> Iterator[Connection]:
    with connect(warehouse, autocommit=False) as made:
        yield made
        made.rollback()


# first, while the server has none of the roles
@pytest.mark.engines("postgres")
def test_on_a_managed_server_it_does_what_it_may_and_says_what_it_may_not(engine: Engine) -> None:
    with engine.empty("managed") as url:
        with connect(url) as connection:
            connection.execute("create role managed login password 'm'")
            connection.execute(
                sql.SQL("grant create on database {} to managed").format(sql.Identifier(connection.info.dbname))
            )
        theirs = f"postgresql://managed:m@{url.rpartition('@')[2]}"
        try:
            applied = apply_roles(theirs)
            assert applied.statements == []
            assert (
                "role governance_reader is not there and managed may not create roles: let an administrator run "
                "`governance roles apply`, or `create role governance_reader`"
            ) in applied.impossible
            assert len(applied.impossible) == len(ROLES)
            with connect(url) as connection:
                connection.execute("alter role managed createrole")
            with connect(theirs) as connection:
                connection.execute("create schema reporting; create view reporting.of_before as select 1 as one")
            applied = apply_roles(theirs)
            assert "alter view reporting.of_before owner to governance_owner" in applied.statements
            assert "grant select on table reporting.of_before to governance_reader" in applied.statements
            assert all("is postgres's" in each for each in applied.impossible), applied.impossible
            assert apply_roles(theirs).statements == []
            with connect(theirs) as connection:
                connection.execute("set role governance_owner; select from reporting.of_before")
        finally:
            drop_roles(url)
            with connect(url) as connection:
                connection.execute("drop owned by managed; drop role managed")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_table_says_and_nothing_else(warehouse: str, role: str) -> None:
    with connect(warehouse) as connection:
        found = {each.name: refused for each, refused in refusals(connection, ROLE_PROBES, role)}
    assert found == {each.name: role not in each.allowed for each in ROLE_PROBES}


def test_verification_tries_it_and_finds_nothing(warehouse: str) -> None:
    verification = probe_roles(warehouse)
    assert verification.violations == []
    assert verification.not_run == {}
    assert len(verification.rules) == 1


def test_a_right_too_many_and_one_too_few_are_found(connection: Connection) -> None:
    connection.execute(
        "grant usage on schema core to governance_reader; grant select on core.users to governance_reader"
    )
    connection.execute("revoke insert on core.llm_metrics from governance_app")
    found = {each.subject: each.message for each in try_as_roles(connection, ROLE_PROBES).violations}
    assert found == {
        "governance_reader: read_people": "Reading people was not refused.",
        "governance_reader: read_password_hashes": "Reading hashes of passwords was not refused.",
        "governance_app: add_request": "Adding a request was refused, though its work needs it.",
    }


def test_the_threat_model_shows_the_table() -> None:
    assert len(ROLE_PROBES) >= 20
    assert as_table() in (project_dir() / "docs" / "threat-model.md").read_text()


@pytest.mark.not_on_pglite("a build of its own has more connections")
def test_applied_again_it_changes_nothing_and_puts_right_what_was_changed(warehouse: str) -> None:
    assert apply_roles(warehouse).statements == []
    with connect(warehouse) as connection:
        connection.execute("grant select on core.audit_logs to governance_reader")
    plan = apply_roles(warehouse, plan=True)
    assert plan.statements == ["would run revoke select on table core.audit_logs from governance_reader"]
    assert apply_roles(warehouse).statements == ["revoke select on table core.audit_logs from governance_reader"]


@pytest.mark.not_on_pglite("a build of its own has more connections")
def test_a_build_gives_rights_on_what_it_makes(warehouse: str) -> None:
    with connect(warehouse) as connection:
        connection.execute("drop view reporting.cost_basis")
        run_dbt(["run", "--select", "cost_basis"], warehouse, quiet=True)
        connection.execute("set role governance_reader")
        connection.execute("select from reporting.cost_basis")
        connection.execute("reset role")
    assert apply_roles(warehouse).statements == []


@pytest.mark.engines("timescaledb")
def test_a_build_of_the_owner_makes_aggregates_that_the_runtime_can_refresh(connection: Connection) -> None:
    """Nobody but a superuser can give one away, so it is made as whose it shall be."""
    maker = "select set_config('role', internal.maker_of_aggregates(), true)"
    assert connection.execute(maker.encode()).fetchone() == ("none",)
    connection.execute("revoke all on schema core, rollups from governance_dbt")
    connection.execute("revoke all on core.llm_metrics from governance_dbt")
    connection.execute("set local role governance_owner")
    assert connection.execute(maker.encode()).fetchone() == ("governance_dbt",)
    connection.execute(
        "create materialized view rollups.trial with (timescaledb.continuous) as"
        " select public.time_bucket('1 hour', time) as bucket, count(*) from core.llm_metrics group by 1 with no data"
    )
    connection.execute("reset role")
    connection.execute("select internal.take_back_triggers()")
    query = "select has_table_privilege('governance_dbt', 'core.llm_metrics', 'trigger')"
    assert connection.execute(query.encode()).fetchone() == (False,)
    query = "select view_owner from timescaledb_information.continuous_aggregates where view_name = 'trial'"
    assert connection.execute(query.encode()).fetchone() == ("governance_dbt",)


@pytest.mark.not_on_pglite("roles that log in")
def test_a_reader_reads_every_report_and_nothing_else(warehouse: str) -> None:
    with connect(warehouse) as owner:
        relations = owner.execute(
            "select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
            " where n.nspname in ('core', 'internal', 'reporting', 'rollups', 'seeds', 'verification')"
            " and c.relkind in ('r', 'p', 'v', 'm')"
        ).fetchall()
    with connect(log_in(warehouse, "reader")) as reader:
        for schema, name in relations:
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
            if schema == "reporting":
                reader.execute(query)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(query)
        for role in set(ROLES) - {"reader"}:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"set role governance_{role}".encode())
    assert len(relations) > 100


@pytest.mark.not_on_pglite("roles that log in")
def test_the_runtime_runs_the_warehouse(warehouse: str, tmp_path: Path) -> None:
    url = log_in(warehouse, "dbt")
    usage = tmp_path / "usage.csv"
    usage.write_text(f"time,request_id,provider,model,input_tokens\n{noon(1):%Y-%m-%dT%H:%M:%SZ},r-1,openai,gpt-4o,5\n")
    assert ingest_files(url, [str(usage)]).loaded == 1
    assert len(refresh(url)) > 5
    assert retain(url) == []
    assert verify(url).not_run == {}
    # tables, seeds, rollups, reports and rules: it finds them as they should be
    nodes = ["system_roles", "roles", "team_budgets", "llm_metrics", "llm_spend_daily", "spend_by_team_view"]
    run_dbt(["build", "--select", *nodes, "rows_in_default_partition"], url, quiet=True)
    with connect(url) as connection:
        for forbidden in ("set role governance_owner", "select key_hash from core.api_keys"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden.encode())
        assert connection.execute("select internal.seal_audit_trail()").fetchone() is not None


@pytest.mark.not_on_pglite("roles that log in")
@pytest.mark.parametrize(
    ("older", "newer", "says"),
    [
        (
            "update internal.schema_changes set state = 'started' where id = 1",
            "update internal.schema_changes set state = 'done' where id = 1",
            "run `governance migrate` as governance_owner, then build again",
        ),
        (
            "update internal.schema_objects set checksum = '-' || checksum where name like 'function %.validate_email'",
            "update internal.schema_objects set checksum = substr(checksum, 2) where name like '% %.validate_email'",
            "internal is not that of this release or of these vars, and this role may not change it: "
            "run `governance build` as governance_owner, then build again",
        ),
        (
            "update internal.schema_objects set checksum = '-' || checksum where name = 'core.teams'",
            "update internal.schema_objects set checksum = substr(checksum, 2) where name = 'core.teams'",
            "core.teams is not that of this release",
        ),
        (
            "update core.roles set name = 'Another' where slug = 'viewer'",
            "update core.roles set name = 'Viewer' where slug = 'viewer'",
            "core.roles lacks rows of this release",
        ),
    ],
)
def test_a_runtime_build_of_another_release_says_what_to_run(warehouse: str, older: str, newer: str, says: str) -> None:
    url = log_in(warehouse, "dbt")
    with connect(warehouse) as connection:
        connection.execute("set governance.managing_rows = 'on'")
        connection.execute(older.encode())
        try:
            with pytest.raises(GovernanceError, match=re.escape(says)):
                run_dbt(["run", "--select", "teams", "roles"], url, quiet=True)
        finally:
            connection.execute(newer.encode())


def test_functions_with_the_owners_rights_are_pinned_and_not_everybodys(connection: Connection) -> None:
    rows = connection.execute(
        "select p.proname, coalesce(p.proconfig, '{}'), has_function_privilege('public', p.oid, 'execute')"
        " from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace"
        " where p.prosecdef and n.nspname in ('core', 'internal', 'rollups', 'reporting', 'verification', 'seeds')"
    ).fetchall()
    assert len(rows) > 8
    assert [name for name, settings, _ in rows if "search_path=pg_catalog, pg_temp" not in settings] == []
    assert {name for name, _, is_everybodys in rows if is_everybodys} <= FOR_EVERYBODY


def test_lint_reads_each_function_with_the_owners_rights(engine: Engine, connection: Connection) -> None:
    rows = connection.execute(
        "select format('%I.%I', n.nspname, p.proname) from pg_proc as p"
        " join pg_namespace as n on n.oid = p.pronamespace"
        " where p.prosecdef and n.nspname in ('core', 'internal', 'rollups', 'reporting', 'verification', 'seeds')"
    ).fetchall()
    rendered = definer_functions(engine.name)
    # one text for each time series
    assert {name.replace("system_metrics", "llm_metrics") for (name,) in rows} == rendered.keys()


def test_what_the_trail_redacts_the_runtime_may_not_read() -> None:
    macros = project_dir() / "macros"
    redacted = (macros / "bootstrap/functions/create_function_audit_row_change.sql").read_text()
    hidden = (macros / "security/rights.sql").read_text().split("macro secret_columns()")[1]
    found = [
        re.findall(r"'(\w+)'", text.split("[", 1)[1].split("]")[0])
        for text in (redacted.split("secrets constant")[1].split("array", 1)[1], hidden)
    ]
    # it compares bcrypt hashes with well-known passwords
    assert set(found[0]) - {"password_hash"} == set(found[1])


def test_a_manager_sees_own_teams_and_a_leaky_function_no_others(connection: Connection) -> None:
    above, below, other = add_team(connection), add_team(connection), add_team(connection)
    connection.execute("update core.teams set parent_team_id = %s where id = %s", [above, below])
    manager, visitor = add_user(connection, status="active"), add_user(connection, status="active")
    (role,) = connection.execute("select id from core.roles where slug = 'team-manager'").fetchone() or (None,)
    add(connection, "user_roles", user_id=manager, role_id=role, team_id=above)
    for team in (above, below, other):
        add_request(connection, running_hour(), team_id=team, cost_amount=1, currency="USD")
        add(connection, "team_members", team_id=team, user_id=visitor)
    connection.execute(
        "create table public.seen (team uuid); grant insert, select on public.seen to governance_app;"
        "create function public.leak(team uuid) returns boolean language plpgsql cost 0.0001 as"
        " 'begin insert into public.seen values (team); return true; end'"
    )
    connection.execute("set local role governance_app")

    def seen(view: str, actor: object) -> set[object]:
        connection.execute("select set_config('governance.actor_id', %s, true)", [str(actor or "")])
        query = sql.SQL("select team_id from reporting.{} where public.leak(team_id)").format(sql.Identifier(view))
        return {row[0] for row in connection.execute(query).fetchall()}

    for view in ("my_team_spend", "my_team_members"):
        assert seen(view, manager) == {above, below}
        assert seen(view, visitor) == set()
        assert seen(view, None) == set()
    assert {row[0] for row in connection.execute("select distinct team from public.seen").fetchall()} == {above, below}
    connection.execute("reset role")
    # who may read costs is what the report on permissions says
    granted = connection.execute(
        "select team_id from reporting.user_permissions_view where user_id = %s"
        " and resource = 'costs' and action = 'read'",
        [manager],
    ).fetchall()
    assert granted == [(above,)]


@pytest.mark.not_on_pglite("roles that log in")
def test_a_manager_who_logs_in_is_nobody_else_and_learns_sizes_at_most(warehouse: str) -> None:
    """With a login that reads the views of their teams, whatever they say, search for or put in the way."""
    login = "ann@teams.example"
    with connect(warehouse) as owner:
        mine, other = add_team(owner), add_team(owner)
        ann = add_user(owner, email="Ann@teams.example", status="active")
        bob = add_user(owner, email="bob@teams.example", status="active")
        (role,) = owner.execute("select id from core.roles where slug = 'team-manager'").fetchone() or (None,)
        for user, team in ((ann, mine), (bob, other)):
            add(owner, "user_roles", user_id=user, role_id=role, team_id=team)
            add(owner, "team_members", team_id=team, user_id=user)
            add_request(owner, running_hour(), team_id=team, cost_amount=41 if team == mine else 4711, currency="USD")
        name = sql.Identifier(login)
        owner.execute(sql.SQL("create role {} login password {}").format(name, PASSWORD))
        try:
            owner.execute(sql.SQL("grant usage on schema reporting to {}").format(name))
            owner.execute(
                sql.SQL("grant select on reporting.my_team_spend, reporting.my_team_members to {}").format(name)
            )
            with connect(make_conninfo(warehouse, user=login, password=PASSWORD)) as manager:
                _attack_as(manager, ann, bob, mine)
            owner.execute("update core.users set status = 'deactivated' where id = %s", [ann])
            with connect(make_conninfo(warehouse, user=login, password=PASSWORD)) as manager:
                assert manager.execute("select team_id from reporting.my_team_spend").fetchall() == []
        finally:
            owner.execute(sql.SQL("drop owned by {}").format(name))
            owner.execute(sql.SQL("drop role {}").format(name))


def _attack_as(manager: Connection, ann: object, bob: object, mine: object) -> None:
    for said in (ann, bob, "", "no id"):
        manager.execute("select set_config('governance.actor_id', %s, false)", [str(said)])
        assert manager.execute("select team_id, cost from reporting.my_team_spend").fetchall() == [(mine, 41)]
        assert manager.execute("select user_id from reporting.my_team_members").fetchall() == [(ann,)]
    # what the names in a view mean was settled when it was made
    manager.execute("create temporary table users as select %s::uuid as id, 'x' as email, 'active' as status", [bob])
    manager.execute("create temporary table user_roles (user_id uuid, role_id uuid, team_id uuid)")
    manager.execute("set search_path = pg_temp, core, reporting")
    assert manager.execute("select team_id from reporting.my_team_spend").fetchall() == [(mine,)]
    # an error, which would tell a value, is raised for rows of others only if these come before the barrier
    query = (
        "select team_id from reporting.my_team_spend where 1 / (cost - 4711) < 1 and (team_name || cost)::text <> ''"
    )
    assert manager.execute(query.encode()).fetchall() == [(mine,)]
    # nor do the planner's statistics, or plans, hold values of others
    assert manager.execute("select from pg_stats where schemaname in ('core', 'rollups', 'reporting')").fetchall() == []
    plan = manager.execute("explain (analyze, verbose) select * from reporting.my_team_spend where cost > 0").fetchall()
    assert "4711" not in str(plan)
    leaked: list[str] = []
    manager.add_notice_handler(lambda notice: leaked.append(str(notice.message_primary)))
    manager.execute(
        "create function pg_temp.leak(numeric) returns boolean language plpgsql cost 0.0001 as"
        " 'begin raise notice ''%'', $1; return true; end'"
    )
    query = "select team_id from reporting.my_team_spend where pg_temp.leak(cost)"
    assert manager.execute(query.encode()).fetchall() == [(mine,)]
    assert [Decimal(each) for each in leaked] == [Decimal(41)]
    for forbidden in (
        "select * from reporting.spend_by_team_view",
        "select * from rollups.llm_spend_daily",
        "create view public.all_teams as select * from reporting.my_team_spend",
        "set session authorization governance_app",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            manager.execute(forbidden.encode())
