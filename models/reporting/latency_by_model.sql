-- one row per day, provider and model, as far back as usage_window
{% set since = scalar_subquery(local_period_start('day') ~ " - interval '" ~ var('usage_window') ~ "'") -%}
with latencies as (
    select
        {{ local_day('bucket') }} as day,
        provider,
        model,
        {{ sums_of_counters() }}
    from {{ ref('llm_latency_hourly') }}
    where bucket >= {{ since }}
    group by 1, 2, 3
),

hours as (
    select
        {{ local_day('bucket') }} as day,
        bucket,
        provider,
        model,
        sum(request_count) as requests,
        sum(error_count) as errors,
        sum(rate_limited_count) as rate_limited_requests,
        max(latency_ms_max) as latency_max_ms
    from {{ ref('llm_model_hourly') }}
    where bucket >= {{ since }}
    group by 1, 2, 3, 4
),

errors as (
    select
        day,
        provider,
        model,
        sum(requests)::bigint as requests,
        sum(errors)::bigint as errors,
        sum(rate_limited_requests)::bigint as rate_limited_requests,
        max(latency_max_ms) as latency_max_ms,
        percentile_disc(array[0.5, 0.95]) within group (order by errors / requests) as error_shares
    from hours
    group by 1, 2, 3
)

select
    errors.day,
    errors.provider,
    errors.model,
    errors.requests,
    errors.errors,
    errors.rate_limited_requests,
    trim_scale(errors.errors::numeric / errors.requests) as error_share,
    trim_scale(errors.error_shares[1]) as error_share_p50_of_hours,
    trim_scale(errors.error_shares[2]) as error_share_p95_of_hours,
    latencies.latency_count::bigint as measured_requests,
    {{ percentiles_of_counters('latencies', 'latency', latency_bounds()) }},
    errors.latency_max_ms,
    {{ percentiles_of_counters('latencies', 'time_to_first_token', first_token_bounds()) }}
from errors
inner join latencies
    on latencies.day = errors.day and latencies.provider = errors.provider and latencies.model = errors.model
