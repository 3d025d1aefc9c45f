-- one row per hour, user and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'user_id', 'currency'],
    stored_indexes=[['bucket'], ['user_id', 'bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    user_id,
    currency,
    {{ measures_of_requests() }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
