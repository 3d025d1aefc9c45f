-- one row per day, set of the tags that cost_tags names, and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_tag_hourly', time_column='bucket',
    grain=['bucket', 'day', 'tags', 'currency'],
    stored_indexes=[['bucket'], ['day']],
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    tags,
    currency,
    sum(request_count)::bigint as request_count,
    sum(cost_amount) as cost_amount,
    sum(unpriced_request_count)::bigint as unpriced_request_count
from {{ ref('llm_tag_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4
