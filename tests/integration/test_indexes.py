"""Each index is there for a question or a constraint, and PostgreSQL answers the question by it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Engine

from benchmarks.organisation import Size, load_organisation
from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("postgres")

USER, TEAM, API_KEY, POLICY = (f"md5('{name}')::uuid" for name in ("user-17", "team-17", "key-17", "policy-17-2"))
TODAY, A_DAY = "date_trunc('day', now(), 'UTC')", "(now() at time zone 'UTC')::date - 2"
A_DAY_OF_BUCKETS = f"bucket >= {TODAY} - interval '2 days' and bucket < {TODAY} - interval '1 day'"
SMALL = ("llm_user", "llm_key", "llm_model", "llm_application", "llm_tag")
DAILY = ("llm_metrics", "llm_team", "llm_spend", *SMALL, "llm_policy", "llm_price", "llm_charge", "llm_unresolved")


def asked_of_rollups() -> Iterator[tuple[str, str, str]]:
    """Question, index and query; where rollups are tables of their own."""
    for name in ("llm_latency_hourly", *(f"{each}_daily" for each in DAILY)):
        query = f"select * from rollups.{name} where {A_DAY_OF_BUCKETS}"
        yield f"{name} of a span", f"{name}_stored_bucket_idx", query
    for name in (f"{each}_daily" for each in ("llm_metrics", "llm_team", *SMALL)):
        yield f"{name} of a day", f"{name}_stored_day_idx", f"select * from rollups.{name} where day = {A_DAY}"
    for name in ("llm_team", "llm_spend", *SMALL, "llm_source"):
        query = f"select * from rollups.{name}_daily where bucket >= {TODAY}"
        yield f"the running day of {name}_daily", f"{name}_hourly_stored_bucket_idx", query
    for name, what, one in (
        ("llm_metrics_daily", "user", USER),
        ("llm_metrics_daily", "team", TEAM),
        ("llm_user_daily", "user", USER),
        ("llm_key_daily", "api_key", API_KEY),
        ("llm_team_daily", "team", TEAM),
        ("llm_policy_daily", "policy", POLICY),
    ):
        query = f"select * from rollups.{name} where {what}_id = {one}"
        yield f"{name} of one {what}", f"{name}_stored_{what}_id_day_idx", query
    query = f"select * from rollups.llm_user_daily where user_id = {USER} and bucket >= {TODAY}"
    yield "the running day of one user by user", "llm_user_hourly_stored_user_id_bucket_idx", query


# not .sql, for dbt takes each such file below tests for a test
ASKED = re.compile(r"^-- ([^:\n]+): (\w+)\n([^;]+);$", re.MULTILINE)
WRITTEN = ASKED.findall(Path(__file__).with_name("index_queries.txt").read_text(encoding="utf-8"))
QUERIES: list[tuple[str, str, str]] = [*WRITTEN, *asked_of_rollups()]
SIZE = Size(
    users=3_000, teams=500, sessions=6_000, alerts=8_000, policies=500, roles=1_000, requests=30_000, audit_rows=40_000
)
# of the tables people and applications write, and of those the rollups store
INDEXES = """
    select c.relname, i.indexrelid in (select conindid from pg_constraint) as is_constraint
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    join pg_class as t on t.oid = i.indrelid
    where t.relnamespace in ('core'::regnamespace, 'rollups'::regnamespace) and not t.relispartition
"""

# a bill of each hour of ten days, by project
REPORT = """
    insert into core.provider_usage
        (source, report, provider, period_start, period_end, starts_at, ends_at, cost_amount, currency, dimensions)
    select 'openai-costs', 'costs', 'openai', hour, hour + interval '1 hour', hour, hour + interval '1 hour', 1, 'USD',
        jsonb_build_object('project', project)
    from
        generate_series(
            date_trunc('hour', now()) - interval '10 days', date_trunc('hour', now()), interval '1 hour'
        ) as hour,
        generate_series(1, 20) as project
"""
# limits of people, keys and applications, and a credit of each team and month
BUDGETS = """
    insert into core.budgets (user_id, amount, currency, period)
    select id, 10, 'USD', 'month' from core.users where status = 'active';
    insert into core.budgets (api_key_id, amount, currency, period)
    select md5('key-' || n)::uuid, 10, 'USD', 'month' from generate_series(1, 500) as n;
    insert into core.budgets (application, amount, currency, period)
    select 'app-' || n, 10, 'USD', 'month' from generate_series(1, 100) as n;
    insert into core.cost_adjustments (month, team_id, currency, amount, reason)
    select date '2026-01-01' + n * interval '1 month', id, 'USD', -1, 'credit'
    from core.teams cross join generate_series(0, 9) as n
"""

# of each team one by model
AGREEMENTS = """
    insert into core.price_agreements (name, model, team_id, discount_percent, valid_from, origin)
    select 'Agreement', 'model-' || n, id, 5, now(), 'contract' from core.teams, generate_series(1, 5) as n
"""
# a name of each user, key and team
IDENTITIES = """
    insert into core.source_identities (source, kind, external_id, user_id, team_id, api_key_id)
    select 'litellm', 'user', 'u-' || n, md5('user-' || n)::uuid, null::uuid, null::uuid
    from generate_series(1, 3000) as n
    union all
    select 'litellm', 'key', 'k-' || row_number() over (), null, null, id from core.api_keys
    union all
    select 'litellm', 'team', slug, null, id, null from core.teams
"""
# a decision about each grant and key, by somebody else
REVIEWS = """
    insert into core.access_reviews
        (user_role_id, api_key_id, user_id, decision, reviewer_id, decided_on, request_id, imported_at)
    select
        grant_id, key_id, user_id, 'keep', md5('user-' || 1 + (n + (user_id = reviewer)::integer) % 3000)::uuid,
        current_date, 'review', now() - n * interval '1 hour'
    from (
        select *, row_number() over () as n, md5('user-' || 1 + row_number() over () % 3000)::uuid as reviewer
        from (
            select id as grant_id, null::uuid as key_id, user_id from core.user_roles
            union all
            select null, id, user_id from core.api_keys where user_id is not null
        ) as items
    ) as numbered
"""
UNKNOWN = """
    update core.llm_metrics
    set metadata = jsonb_build_object('unresolved_owner', jsonb_build_object('user', jsonb_build_array(request_id, '')))
"""


@pytest.fixture(scope="module")
def organisation(engine: Engine) -> Iterator[Connection]:
    with engine.database("indexes") as url, connect(url) as connection:
        load_organisation(connection, SIZE)
        connection.execute(REPORT)
        connection.execute(BUDGETS)
        connection.execute(AGREEMENTS)
        connection.execute(IDENTITIES)
        connection.execute(REVIEWS)
        connection.execute(UNKNOWN)
        refresh(url)
        connection.execute("vacuum analyze")
        yield connection


def indexes_in(plan: dict[str, Any]) -> set[str]:
    own = {plan["Index Name"]} if "Index Name" in plan else set()
    return own.union(*(indexes_in(part) for part in plan.get("Plans", [])))


def test_each_index_has_a_question_or_a_constraint(organisation: Connection) -> None:
    indexes: dict[str, bool] = dict(organisation.execute(INDEXES).fetchall())
    listed = {index for _, index, _ in QUERIES}
    assert listed - indexes.keys() == set(), "no such index"
    assert {name for name, is_constraint in indexes.items() if not is_constraint} - listed == set(), "what is it for?"


@pytest.mark.parametrize(("question", "index", "query"), QUERIES, ids=[question for question, *_ in QUERIES])
def test_the_question_is_answered_by_its_index(organisation: Connection, question: str, index: str, query: str) -> None:
    [(plan,)] = organisation.execute(f"explain (format json) {query}".encode())
    used = indexes_in(plan[0]["Plan"])
    # of a partitioned table its partitions have the index, under names of their own
    schema = next(each for each in ("core", "rollups") if has_relation(organisation, f"{each}.{index}"))
    parts = organisation.execute(
        "select relid::regclass::text from pg_partition_tree(%s::regclass) union select %s",
        [f"{schema}.{index}", index],
    ).fetchall()
    assert used & {name.rsplit(".", 1)[-1] for (name,) in parts}, json.dumps(plan, indent=1)
