-- one row per hour, team and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'team_id', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    team_id,
    currency,
    count(*) as request_count,
    sum(cost_amount) as cost_amount,
    count(*) - count(cost_amount) as unpriced_request_count
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
