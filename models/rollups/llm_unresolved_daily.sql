-- one row per day, source, set of names that nobody could be found for, and currency
{{ config(
    bucket='day', source='llm_metrics',
    grain=['bucket', 'day', 'source', 'unresolved', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('day', 'time') }} as bucket,
    {{ local_day(time_bucket('day', 'time')) }} as day,
    source,
    metadata -> 'unresolved_owner' as unresolved,
    currency,
    count(*) as request_count,
    sum(cost_amount) as cost_amount,
    count(*) - count(cost_amount) as unpriced_request_count,
    max(time) as last_request_at
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }} and jsonb_typeof(metadata -> 'unresolved_owner') = 'object'
group by 1, 3, 4, 5
