"""LiteLLM's own tables in a schema `litellm`, with the requests that the warehouse beside them holds."""

from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks.usage import Usage
from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError

PACKAGE = "litellm-proxy-extras"
# a key is stored as the hash of its token
KEY = "encode(sha256({}::text::bytea), 'hex')"

# what its proxy logs of a request without prompts and answers, which is its default. Of the metadata only what has a
# value: it writes some forty names with null besides.
_SPEND_LOGS = f"""
    insert into "LiteLLM_SpendLogs" (
        request_id, call_type, api_key, spend, total_tokens, prompt_tokens, completion_tokens,
        "startTime", "endTime", "completionStartTime", request_duration_ms, model, model_id, model_group,
        custom_llm_provider, api_base, "user", metadata, cache_hit, cache_key, request_tags, team_id, session_id,
        status, litellm_call_id, created_at, updated_at
    )
    select
        request_id, 'acompletion', key, cost_amount::float8, total_tokens, total_tokens - output_tokens, output_tokens,
        began, ended, began + time_to_first_token_ms * interval '1 ms', latency_ms, model, md5(model), model,
        provider, 'https://' || provider || '.example/v1', user_id::text,
        jsonb_build_object(
            'status', outcome,
            'user_api_key', key,
            'user_api_key_alias', 'key of ' || user_id,
            'user_api_key_user_id', user_id,
            'user_api_key_team_id', team_id,
            'litellm_call_id', trace_id,
            'usage_object', jsonb_build_object(
                'total_tokens', total_tokens,
                'prompt_tokens', total_tokens - output_tokens,
                'completion_tokens', output_tokens,
                'prompt_tokens_details', jsonb_build_object('cached_tokens', cache_read_tokens)
            )
        ),
        'False', 'Cache OFF',
        coalesce((select jsonb_agg(name || ':' || tag) from jsonb_each_text(tags) as t (name, tag)), '[]'),
        team_id::text, trace_id::text, outcome, trace_id::text, ended, ended
    from core.llm_metrics
    cross join lateral (
        select
            {KEY.format("api_key_id")} as key,
            time at time zone 'UTC' as began,
            time at time zone 'UTC' + latency_ms * interval '1 ms' as ended,
            case status when 'success' then 'success' else 'failure' end as outcome
    ) as logged
    where time >= %s and time < %s
    order by time
"""
# as its writer adds up: what is missing of the key is an empty text; in the order in which the first request came.
# Its own rows were updated many times and lie further apart; these don't.
_DAILY = """
    insert into "{table}" (
        id, {entity_column} date, {key_column} model, model_group, custom_llm_provider, mcp_namespaced_tool_name,
        endpoint, prompt_tokens, completion_tokens, cache_read_input_tokens, spend, api_requests, successful_requests,
        failed_requests, total_response_time_ms, timed_requests, created_at, updated_at
    )
    select
        gen_random_uuid()::text, {entity_value} to_char("startTime", 'YYYY-MM-DD') as day, {key_column} model,
        model_group, custom_llm_provider, '', '/chat/completions',
        sum(prompt_tokens), sum(completion_tokens),
        sum((metadata #>> '{{usage_object,prompt_tokens_details,cached_tokens}}')::bigint),
        sum(spend), count(*), count(*) filter (where status = 'success'), count(*) filter (where status <> 'success'),
        coalesce(sum(request_duration_ms) filter (where status = 'success'), 0),
        count(*) filter (where status = 'success'), min("endTime"), max("endTime")
    from "LiteLLM_SpendLogs" {from_more}
    where "startTime" >= %s and "startTime" < %s
    group by {entity_value} day, {key_column} model, model_group, custom_llm_provider
    order by min("startTime")
"""
# the tables that its writer fills for requests without an organization, an end user and an agent; and the one by model
# alone, which its migrations make for "the global usage view" but version 1.110.2 neither fills nor reads
_DAILY_TABLES = {
    "LiteLLM_DailyUserSpend": ("user_id,", '"user",', "api_key,", ""),
    "LiteLLM_DailyTeamSpend": ("team_id,", "team_id,", "api_key,", ""),
    "LiteLLM_DailyTagSpend": (
        "tag,",
        "tag,",
        "api_key,",
        "cross join lateral jsonb_array_elements_text(request_tags) as t (tag)",
    ),
    "LiteLLM_DailyGlobalSpend": ("", "", "", ""),
}


def make_tables(connection: Connection) -> str:
    """Apply the migrations of the package in their order; returns its version. The schema stays on the search_path."""
    package = find_spec("litellm_proxy_extras")
    if package is None or package.origin is None:
        raise GovernanceError(f"{PACKAGE} isn't installed; it is among the development tools: make .venv/.development")
    connection.execute("create schema litellm")
    connection.execute("set search_path = litellm, public")
    for file in sorted(Path(package.origin).parent.glob("migrations/*/migration.sql")):
        connection.execute(file.read_bytes(), prepare=False)
    return version(PACKAGE)


def fill_tables(connection: Connection, usage: Usage, notify: Callable[[str], object]) -> None:
    """Copy the requests, a day at a time, and add up the daily tables from them as LiteLLM does."""
    from litellm_proxy_extras.request_log_indexes import REQUEST_LOG_INDEXES

    connection.execute('insert into "LiteLLM_TeamTable" (team_id, team_alias) select id::text, name from core.teams')
    connection.execute(
        'insert into "LiteLLM_VerificationToken" (token, key_alias, user_id)'
        f" select distinct {KEY.format('api_key_id')}, 'key of ' || user_id, user_id::text from core.llm_metrics"
    )
    day = usage.begin.replace(hour=0)
    while day <= usage.end:
        notify(f"LiteLLM's tables, {day:%F}")
        following = day + timedelta(days=1)
        connection.execute(_SPEND_LOGS.encode(), [day, following])
        for table, (entity_column, entity_value, key_column, from_more) in _DAILY_TABLES.items():
            statement = _DAILY.format(
                table=table,
                entity_column=entity_column,
                entity_value=entity_value,
                key_column=key_column,
                from_more=from_more,
            )
            # its times have no zone
            connection.execute(statement.encode(), [day.replace(tzinfo=None), following.replace(tzinfo=None)])
        day = following
    for index in REQUEST_LOG_INDEXES:
        # those that its migration job makes after the migrations
        connection.execute(f'create index "{index.name}" on "{index.table}" {index.definition}'.encode())
