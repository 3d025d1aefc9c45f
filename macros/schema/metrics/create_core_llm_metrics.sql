{% macro create_core_llm_metrics(relation) %}
{%- set columns %}
    time timestamptz not null,
    request_id text not null constraint llm_metrics_request_id_check check (request_id <> ''),
    trace_id uuid,
    session_id uuid,
    user_id uuid,
    team_id uuid,
    api_key_id uuid,
    provider text not null constraint llm_metrics_provider_check check (provider <> ''),
    model text not null constraint llm_metrics_model_check check (model <> ''),
    requested_model text,
    operation text not null default 'chat' constraint llm_metrics_operation_check
        check (operation in ('chat', 'completion', 'embedding', 'image', 'audio', 'rerank', 'moderation')),
    application text,
    environment text,
    region text,
    service_tier text,
    {%- for column in token_classes() %}
    {{ column }} bigint not null default 0 constraint llm_metrics_{{ column }}_check check ({{ column }} >= 0),
    {%- endfor %}
    total_tokens bigint not null generated always as ({{ token_classes() | join(' + ') }}) stored,
    cost_amount numeric constraint llm_metrics_cost_amount_check
        check (cost_amount >= 0 and cost_amount < 'Infinity'),
    currency text not null default '{{ var("default_currency") }}' constraint llm_metrics_currency_check check (currency ~ '^[A-Z]{3}$'),
    cost_source text not null default 'unpriced' constraint llm_metrics_cost_source_check
        check (cost_source in ('provider', 'computed', 'estimated', 'unpriced')),
    price_id uuid,
    list_cost_amount numeric,
    computed_cost_amount numeric,
    source_cost_amount numeric,
    status text not null default 'success' constraint llm_metrics_status_check
        check (status in ('success', 'error', 'blocked', 'rate_limited')),
    error_code text,
    latency_ms integer constraint llm_metrics_latency_ms_check check (latency_ms >= 0),
    time_to_first_token_ms integer constraint llm_metrics_time_to_first_token_ms_check check (time_to_first_token_ms >= 0),
    policy_id uuid,
    policy_decision text constraint llm_metrics_policy_decision_check check (policy_decision in ('allow', 'flag', 'block')),
    tags jsonb constraint llm_metrics_tags_check check (jsonb_typeof(tags) = 'object'),
    metadata jsonb constraint llm_metrics_metadata_check check (jsonb_typeof(metadata) = 'object'),
    ingested_at timestamptz not null default now(),
    source text,
    constraint llm_metrics_time_check check (isfinite(time)),
    constraint llm_metrics_unpriced_check check ((cost_source = 'unpriced') = (cost_amount is null)),
    constraint llm_metrics_request_id_time_key unique (request_id, time)
{%- endset %}
{{ create_time_series_table(
    relation, columns, {'orderby': 'team_id, model, user_id, time', 'sparse_index': 'bloom(request_id), minmax(ingested_at)'}
) }}
create index if not exists llm_metrics_time_idx on {{ relation }} (time);
create index if not exists llm_metrics_ingested_at_idx on {{ relation }} using brin (ingested_at);
create index if not exists llm_metrics_tags_idx on {{ relation }} using gin (tags jsonb_path_ops);
comment on index core.llm_metrics_request_id_time_key is 'One row per request, however often it is delivered; lookup of a request, with a bound on its time.';
comment on index core.llm_metrics_time_idx is 'Refresh of touched buckets and the live tail of the rollups.';
comment on index core.llm_metrics_ingested_at_idx is 'What arrived since: late rows and feeds that stopped.';
comment on index core.llm_metrics_tags_idx is 'Requests that carry a tag, as tags @> {"project": "x"}.';
{% endmacro %}
