-- one row per hour, service and metric
{{ config(
    bucket='hour', source='system_metrics',
    grain=['bucket', 'service', 'metric_name'],
    stored_indexes=[['service', 'metric_name', 'bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    service,
    metric_name,
    count(*) as sample_count,
    sum(value) as value_sum,
    min(value) as value_min,
    max(value) as value_max
from {{ ref('system_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
