-- one row per day and source
{{ config(
    bucket='day', source='llm_metrics', parent='llm_source_hourly', time_column='bucket',
    grain=['bucket', 'day', 'source'],
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    source,
    sum(request_count)::bigint as request_count,
    sum(unowned_request_count)::bigint as unowned_request_count,
    sum(unpriced_request_count)::bigint as unpriced_request_count,
    sum(estimated_request_count)::bigint as estimated_request_count,
    sum(late_request_count)::bigint as late_request_count,
    min(first_request_at) as first_request_at,
    max(last_request_at) as last_request_at,
    min(first_ingested_at) as first_ingested_at,
    max(last_ingested_at) as last_ingested_at
from {{ ref('llm_source_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3
