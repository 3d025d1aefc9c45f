-- one row per closed hour in which system_metrics_hourly is not what raw rows make it
with span as materialized (
    {{ verified_span('system_metrics_hourly') }}
),

stored as (
    select bucket, service, metric_name, sample_count, value_sum, value_min, value_max
    from {{ ref('system_metrics_hourly') }}
    where {{ in_verified_span('bucket') }}
),

recomputed as (
    select
        {{ time_bucket('hour', 'time') }} as bucket,
        service,
        metric_name,
        count(*) as sample_count,
        sum(value) as value_sum,
        min(value) as value_min,
        max(value) as value_max
    from {{ ref('system_metrics') }}
    where {{ in_verified_span('time') }}
    group by 1, 2, 3
),

differences as (
    select coalesce(stored.bucket, recomputed.bucket) as bucket
    from stored
    full join recomputed
        on recomputed.bucket = stored.bucket
            and recomputed.service = stored.service
            and recomputed.metric_name = stored.metric_name
    where (stored.sample_count, stored.value_min, stored.value_max)
        is distinct from (recomputed.sample_count, recomputed.value_min, recomputed.value_max)
        -- floats add up differently in another order
        or abs(stored.value_sum - recomputed.value_sum) > 1e-9 * (abs(stored.value_sum) + abs(recomputed.value_sum))
)

{{ rollup_violations('system_metrics_hourly', 'hour', 'raw rows') }}
