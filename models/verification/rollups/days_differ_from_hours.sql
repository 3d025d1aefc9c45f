-- one row per daily rollup and closed day that is not the sum of its hours, or of the finest daily rollup
{% set rollups = {
    'llm_metrics_daily': 'team_id, user_id, api_key_id, provider, model, application, environment, currency',
    'llm_team_daily': 'team_id, provider, model, currency',
    'llm_user_daily': 'user_id, currency',
    'llm_key_daily': 'api_key_id, currency',
    'llm_model_daily': 'provider, model, currency',
    'llm_spend_daily': 'team_id, currency',
} -%}
{% set spend = ['request_count', 'cost_amount', 'unpriced_request_count'] -%}
{% set usage = spend + ['success_count'] + token_columns() + ['latency_ms_sum', 'last_request_at'] -%}
{% for rollup, dimensions in rollups.items() %}
{# the finest is the sum of its hours; the others are compared with it, for it has half as many rows #}
{% set finer = 'llm_metrics_hourly' if rollup == 'llm_metrics_daily' else 'llm_metrics_daily' -%}
{% set measures = (spend if rollup == 'llm_spend_daily' else usage) | join(', ') -%}
(
    with span as materialized (
        {{ verified_span(rollup) }}
    ),

    stored as (
        select bucket, {{ row_hash(dimensions ~ ', ' ~ measures) }}
        from {{ ref(rollup) }}
        where bucket >= (select span.low from span) and bucket < (select span.high from span)
    ),

    recomputed as (
        select bucket, {{ row_hash(dimensions ~ ', ' ~ measures) }}
        from (
            select
                {{ time_bucket('day', 'bucket') }} as bucket,
                {{ dimensions }},
                {{ measures_of_rollup() }}
            from {{ ref(finer) }}
            where bucket >= (select span.low from span) and bucket < (select span.high from span)
            group by 1, {{ dimensions }}
        ) as hours
    ),

    differences as (
        {{ differing_buckets() }}
    )

    {{ rollup_violations(rollup, 'day', 'its hours' if finer == 'llm_metrics_hourly' else 'the days of ' ~ finer, finer) }}
)
{{ 'union all' if not loop.last }}
{% endfor %}
