-- one row per hour, set of the tags that cost_tags names, and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'tags', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    {{ tags_of_cost('tags') }} as tags,
    currency,
    count(*) as request_count,
    sum(cost_amount) as cost_amount,
    count(*) - count(cost_amount) as unpriced_request_count
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
