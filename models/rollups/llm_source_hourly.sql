-- one row per hour and source
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'source'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    source,
    count(*) as request_count,
    count(*) filter (where user_id is null and team_id is null and api_key_id is null) as unowned_request_count,
    count(*) - count(cost_amount) as unpriced_request_count,
    count(*) filter (where cost_source = 'estimated') as estimated_request_count,
    count(*) filter (where ingested_at - time > interval '{{ var("late_after") }}') as late_request_count,
    min(time) as first_request_at,
    max(time) as last_request_at,
    min(ingested_at) as first_ingested_at,
    max(ingested_at) as last_ingested_at
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2
