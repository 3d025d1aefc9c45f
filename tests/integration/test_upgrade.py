"""A database of the first release becomes one of this release: the same catalog as a new one, and no row changed."""

import json
import secrets
import tarfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import BUILD
from core_rows import add, add_policy, add_role, add_team, add_user, value
from engines import Engine

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.settings import project_dir
from orchestration.lib.verification.drift.catalog import compare_catalogs, fitted, read_catalog

# on an engine with one connection nodes would wait for each other
ONE_BY_ONE = ["--threads", "1"]
# a release adds rows of its own to them: system roles, default policies, and the trace of both
FILLED_BY_RELEASES = {"core.roles", "core.policies", "core.audit_logs"}


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of dbt that make it use the project of the first release."""
    folder = tmp_path_factory.mktemp("first_release")
    with tarfile.open(project_dir() / "tests" / "fixtures" / "first_release.tar.gz") as archive:
        # the argument `filter` came with Python 3.11.4
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return ["--project-dir", str(folder), "--profiles-dir", str(folder), "--target-path", str(folder / "target")]


@pytest.fixture(scope="module")
def built(engine: Engine, first_release: list[str]) -> Iterator[str]:
    """URL of a database that the first release built, filled and refreshed."""
    with engine.empty("upgrade") as url:
        run_dbt([*BUILD, *ONE_BY_ONE, *first_release], url, quiet=True)
        with connect(url) as connection:
            fill(connection, engine.name)
        yield url


def fill(connection: Connection, engine: str) -> None:
    """Rows of every kind as the first release kept them, 60 days of usage, of which the oldest expired."""
    boss, member = add_user(connection, display_name="Boss"), add_user(connection, status="active")
    root = add_team(connection, owner_id=boss, budget_amount=100)
    team = add_team(connection, parent_team_id=root)
    add(connection, "team_members", team_id=team, user_id=member)
    add(connection, "user_roles", user_id=member, role_id=add_role(connection), team_id=team)
    policy = add_policy(connection, slug="limit")
    add(connection, "policy_assignments", policy_id=policy, team_id=team)
    add_policy(connection, slug="limit", version=2, rules={"requests_per_minute": 30})
    key, secret = secrets.token_bytes(32), secrets.token_bytes(60)
    add(connection, "mfa_secrets", user_id=boss, secret_ciphertext=secret, encryption_key_id="k1")
    add(connection, "sessions", user_id=boss, token_hash=key, expires_at=datetime.now(UTC) + timedelta(hours=8))
    add(connection, "api_keys", user_id=boss, name="key", key_prefix="gw_abc", key_hash=key)
    add(connection, "alert_subscriptions", user_id=boss, alert_type="*", channel="email", target="boss@example.com")
    add(connection, "alerts", alert_type="budget", severity="high", title="Over budget", team_id=team)
    connection.execute("update core.users set display_name = 'Left', status = 'deactivated' where id = %s", [member])
    connection.execute(
        "insert into internal.quarantine (source, line, reasons, row_data, row_hash) values ('f', 1, '{why}', '{}', '')"
    )
    usage = """
        insert into core.llm_metrics (
            time, request_id, team_id, user_id, policy_id, policy_decision, provider, model,
            cost_amount, cost_source, tags
        )
        select
            now() - n * interval '3 hours', %s || n, %s, %s, %s, 'allow',
            'p' || n %% 3, 'm', n * 0.01, 'provider', '{"a": "b"}'
        from generate_series(1, 480) as n
    """
    connection.execute("select internal.ensure_partitions('core.llm_metrics', now() - interval '60 days', now())")
    connection.execute(usage, ["request", team, member, policy])
    connection.execute(
        "insert into core.system_metrics (time, service, host, metric_name, value)"
        " select now() - n * interval '7 hours', 's', 'h', 'm', n from generate_series(1, 60) as n"
    )
    connection.execute("call internal.refresh_rollups()")
    if engine == "timescaledb":
        connection.execute(
            "select public.compress_chunk(c, true)"
            " from public.show_chunks('core.llm_metrics', older_than => interval '7 days') as c"
        )
        assert value(connection, "select count(*) from timescaledb_information.chunks where is_compressed") > 3
    connection.execute(usage, ["late", team, member, policy])
    connection.execute("call internal.refresh_rollups()")
    connection.execute("select internal.drop_raw('llm_metrics', now() - interval '40 days')")
    assert value(connection, "select count(*) from core.llm_metrics where time < now() - interval '50 days'") == 0
    assert value(connection, "select sum(request_count) from rollups.llm_user_daily") == 960


def rows_by_relation(connection: Connection) -> dict[str, list[dict[str, object]]]:
    """Every row of the tables and rollups, of ours those that hold what isn't made by a build."""
    names = connection.execute(
        """
        select format('%I.%I', c.relnamespace::regnamespace, c.relname)
        from pg_class as c
        where not c.relispartition
            and (
                c.relnamespace = 'core'::regnamespace and c.relkind in ('r', 'p')
                or c.relnamespace = 'rollups'::regnamespace and c.relkind = 'v'
                or c.oid in ('internal.quarantine'::regclass, 'internal.audit_epoch'::regclass)
            )
        order by 1
        """
    ).fetchall()
    return {
        name: [row[0] for row in connection.execute(f"select to_jsonb(t) from {name} as t".encode())]
        for (name,) in names
    }


def as_text(rows: list[dict[str, object]], columns: set[str]) -> Counter[str]:
    return Counter(
        json.dumps({name: row.get(name) for name in sorted(columns)}, sort_keys=True, default=str) for row in rows
    )


def test_an_upgraded_database_is_a_new_one_with_its_rows(built: str, engine: Engine) -> None:
    with connect(built) as connection:
        before = rows_by_relation(connection)
    assert [name for name, rows in before.items() if not rows] == []
    run_dbt([*BUILD, *ONE_BY_ONE], built, quiet=True)
    with connect(built) as connection:
        after = rows_by_relation(connection)
        upgraded = read_catalog(connection)
        later = connection.execute("select 'rollups.' || name from internal.rollup_state where version > 1").fetchall()
    with engine.database("new") as url, connect(url) as connection:
        expected = fitted(read_catalog(connection), upgraded)
    differences = [
        str(difference)
        for difference in compare_catalogs(expected, upgraded)
        # a rollup whose definition changed keeps what raw rows no longer cover, and its view shows it
        if not difference.name.endswith("_history_1")
        and not (difference.aspect == "definition" and (difference.name,) in later)
    ]
    assert differences == []
    for name, rows in before.items():
        columns = {column for row in rows for column in row}
        old, new = as_text(rows, columns), as_text(after[name], columns)
        assert not old - new, f"{name} lost rows or changed them"
        assert not new - old or name in FILLED_BY_RELEASES, f"{name} got rows"
