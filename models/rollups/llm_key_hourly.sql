-- one row per hour, API key and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'api_key_id', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    api_key_id,
    currency,
    {{ measures_of_requests() }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3
