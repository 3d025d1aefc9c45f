-- one row per hour, application and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'application', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    application,
    currency,
    count(*) as request_count,
    sum(cost_amount) as cost_amount,
    count(*) - count(cost_amount) as unpriced_request_count
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
