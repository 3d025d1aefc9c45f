-- one row per closed hour in which llm_metrics_hourly is not what raw rows make it
{% set dimensions = 'team_id, user_id, api_key_id, provider, model, application, environment, currency' -%}
{% set columns -%}
{{ dimensions }}, request_count, success_count, error_count, blocked_count, rate_limited_count,
    {{ token_columns() | join(', ') }},
    cost_amount, unpriced_request_count, latency_ms_sum, latency_ms_count, latency_ms_max,
    time_to_first_token_ms_sum, time_to_first_token_ms_count, time_to_first_token_ms_max, last_request_at
{%- endset -%}
with span as materialized (
    {{ verified_span('llm_metrics_hourly') }}
),

stored as (
    select bucket, {{ row_hash(columns) }}
    from {{ ref('llm_metrics_hourly') }}
    where {{ in_verified_span('bucket') }}
),

recomputed as (
    select bucket, {{ row_hash(columns) }}
    from (
        select
            {{ time_bucket('hour', 'time') }} as bucket,
            {{ dimensions }},
            {{ measures_of_requests() }}
        from {{ requests_of_span() }}
        group by 1, {{ dimensions }}
    ) as requests
),

differences as (
    {{ differing_buckets() }}
)

{{ rollup_violations('llm_metrics_hourly', 'hour', 'raw rows') }}
