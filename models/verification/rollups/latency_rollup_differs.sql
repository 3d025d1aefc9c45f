-- one row per closed hour in which llm_latency_hourly is not what raw rows make it
{% set columns -%}
provider, model, environment, request_count, latency_count, latency_le_1000ms, latency_le_60000ms,
    time_to_first_token_count, time_to_first_token_le_500ms
{%- endset -%}
with span as materialized (
    {{ verified_span('llm_latency_hourly') }}
),

stored as (
    select bucket, {{ row_hash(columns) }}
    from {{ ref('llm_latency_hourly') }}
    where {{ in_verified_span('bucket') }}
),

recomputed as (
    select bucket, {{ row_hash(columns) }}
    from (
        select
            {{ time_bucket('hour', 'time') }} as bucket,
            provider,
            model,
            environment,
            count(*) as request_count,
            count(latency_ms) as latency_count,
            count(*) filter (where latency_ms <= 1000) as latency_le_1000ms,
            count(*) filter (where latency_ms <= 60000) as latency_le_60000ms,
            count(time_to_first_token_ms) as time_to_first_token_count,
            count(*) filter (where time_to_first_token_ms <= 500) as time_to_first_token_le_500ms
        from {{ requests_of_span() }}
        group by 1, 2, 3, 4
    ) as requests
),

differences as (
    {{ differing_buckets() }}
)

{{ rollup_violations('llm_latency_hourly', 'hour', 'raw rows') }}
